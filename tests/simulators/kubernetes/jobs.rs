//! Jobs, which make pods until enough of them ended well, and cron jobs, which only hold a template here: no schedule
//! is followed.

use super::controller::{Due, owned, remove, tell};
use super::object::{condition, flag, holds, name, namespace, number, set, stamp, text, uid};
use super::seed::fits;
use super::store::Store;
use super::verbs::suffix;
use super::workloads::{beside, conditions, count, is_live, make_pod, ready, report};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Moves a job on by one step.
pub fn job(store: &mut Store, own: &Value, now: Timestamp, due: &mut Due) {
    if holds(own, "Complete") || holds(own, "Failed") {
        return clean_up(store, own, now, due);
    }
    let pods = owned(store, "", "pods", own);
    let phase = |wanted: &str| count(pods.iter().filter(|pod| text(pod, "/status/phase") == wanted));
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let live: Vec<Value> = pods.iter().filter(|pod| is_live(pod)).cloned().collect();
    let mut active = count(live.iter());
    let mut status = conditions(own);
    let suspended = flag(own, "/spec/suspend");
    let started = text(own, "/status/startTime").parse::<Timestamp>().ok();
    let wanted = number(own, "/spec/completions", 1);
    let late = match (own["spec"]["activeDeadlineSeconds"].as_u64(), started) {
        (Some(seconds), Some(started)) => due.passed(started, Duration::from_secs(seconds), now),
        _ => false,
    };
    let hopeless = store.scene.failing.iter().any(|rule| rule.times.is_none() && fits(&rule.job, name(own)));
    let end = if succeeded >= wanted {
        Some(("Complete", "", ""))
    } else if failed > number(own, "/spec/backoffLimit", 6) || (failed > 0 && hopeless) {
        Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
    } else if late {
        Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    } else {
        None
    };
    if end.is_some() || suspended {
        for pod in &live {
            remove(store, &beside(own, "", "pods", name(pod)), now);
        }
        active = 0;
    } else {
        let room = number(own, "/spec/parallelism", 1).min(wanted - succeeded);
        let missing = (room - active).max(0);
        for _ in 0..missing {
            let made = format!("{}-{}", name(own), suffix(store.next()));
            make_pod(store, own, &made, &[], None, now);
        }
        active += missing;
    }
    if !suspended {
        status["startTime"] = started.map_or_else(|| stamp(now), stamp);
    }
    status["active"] = json!(active);
    status["ready"] = json!(if end.is_some() { 0 } else { ready(&live) });
    status["succeeded"] = json!(succeeded);
    status["failed"] = json!(failed);
    if suspended
        || own["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "Suspended"))
    {
        let (holds, reason) = if suspended { ("True", "JobSuspended") } else { ("False", "JobResumed") };
        condition(&mut status, "Suspended", holds, reason, "", now);
    }
    if let Some((kind, reason, message)) = end {
        if kind == "Complete" {
            status["completionTime"] = stamp(now);
            tell(store, own, "Normal", "Completed", "Job completed", now);
        } else {
            tell(store, own, "Warning", reason, message, now);
        }
        condition(&mut status, kind, "True", reason, message, now);
        store.since.insert(format!("ended {}", uid(own)), now);
    }
    report(store, "batch", "jobs", own, status);
}

/// Removes a job that has ended long enough ago, when it says so.
fn clean_up(store: &mut Store, own: &Value, now: Timestamp, due: &mut Due) {
    let Some(seconds) = own["spec"]["ttlSecondsAfterFinished"].as_u64() else { return };
    let ended = store.since.get(&format!("ended {}", uid(own))).copied().unwrap_or(now);
    if due.passed(ended, Duration::from_secs(seconds), now) {
        remove(store, &beside(own, "batch", "jobs", name(own)), now);
    }
}

/// Tells which jobs of a cron job are under way.
pub fn cron_job(store: &mut Store, own: &Value) {
    let active: Vec<Value> = owned(store, "batch", "jobs", own)
        .iter()
        .filter(|job| !holds(job, "Complete") && !holds(job, "Failed"))
        .map(|job| json!({ "apiVersion": "batch/v1", "kind": "Job", "name": name(job), "namespace": namespace(job), "uid": uid(job) }))
        .collect();
    store
        .edit(&beside(own, "batch", "cronjobs", name(own)), |object| set(object, &["status", "active"], json!(active)));
}
