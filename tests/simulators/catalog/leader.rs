//! The election: a lease that the leader renews as its service account, and that another takes when it runs out.

use super::cluster::{Cluster, Refusal};
use super::gate::Shared;
use super::pod::Pod;
use super::settings::go_duration;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a leader goes on without having renewed.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// What a candidate has seen of the lease.
struct Seen {
    /// The holder and the time of renewal.
    record: (String, String),
    /// Since when.
    since: Instant,
}

/// Stands for leader until the pod ends. A leader that could not renew in time has lost for good: its pod does not stand
/// again until it is started anew.
pub(crate) async fn stand(shared: Arc<Shared>, pod: Arc<Pod>, end: CancellationToken) {
    let Some(cluster) = shared.cluster.clone() else { return };
    let settings = &pod.settings;
    let retry = shared.options.lease_retry;
    let (lasts, pause) = (go_duration(settings.lease_duration), go_duration(retry));
    let fields = [
        ("identity", settings.identity.as_str()),
        ("lease", &settings.lease),
        ("namespace", &settings.lease_namespace),
        ("leaseDuration", &lasts),
        ("renewDeadline", "10s"),
        ("retryPeriod", &pause),
    ];
    shared.journal.say(&pod.name, "INFO", "starting leader election", &fields);
    let mut seen = Seen { record: Default::default(), since: Instant::now() };
    let mut renewed = Instant::now();
    while !end.is_cancelled() {
        let led = pod.leads.load(Ordering::SeqCst);
        match attempt(&cluster, &pod, &mut seen).await {
            Ok(true) => {
                renewed = Instant::now();
                if !led {
                    pod.leads.store(true, Ordering::SeqCst);
                    shared.journal.say(&pod.name, "INFO", "elected as leader", &[("identity", &settings.identity)]);
                    shared.journal.say(&pod.name, "INFO", "singleton background loops started", &[]);
                }
            }
            Ok(false) if led => renewed = renewed.checked_sub(RENEW_DEADLINE).unwrap_or(renewed),
            Ok(false) => {}
            Err(why) => complain(&shared, &pod, &why),
        }
        if led && renewed.elapsed() >= RENEW_DEADLINE.max(retry) {
            pod.leads.store(false, Ordering::SeqCst);
            shared.journal.say(&pod.name, "INFO", "lost leadership", &[("identity", &settings.identity)]);
            shared.journal.say(&pod.name, "INFO", "singleton background loops stopped (lost leadership)", &[]);
            return;
        }
        tokio::select! {
            () = end.cancelled() => {}
            () = tokio::time::sleep(retry) => {}
        }
    }
    if pod.leads.swap(false, Ordering::SeqCst) {
        // A lease that is given back is free at once.
        let _lost_or_given_back = give_back(&cluster, &pod).await;
    }
}

fn path(pod: &Pod) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", pod.settings.lease_namespace)
}

fn moment() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Whether the pod leads after one look at the lease.
async fn attempt(cluster: &Cluster, pod: &Pod, seen: &mut Seen) -> Result<bool, Refusal> {
    let own = &pod.settings;
    let place = format!("{}/{}", path(pod), own.lease);
    let mut lease = match cluster.ask(&pod.account, Method::GET, &place, None).await {
        Ok(lease) => lease,
        Err(refusal) if refusal.status == 404 => {
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": own.lease, "namespace": own.lease_namespace },
                "spec": spec(pod, &moment(), 0),
            });
            return cluster.ask(&pod.account, Method::POST, &path(pod), Some(&lease)).await.map(|_| true);
        }
        Err(refusal) => return Err(refusal),
    };
    let text = |key: &str| lease["spec"][key].as_str().unwrap_or_default().to_owned();
    let record = (text("holderIdentity"), text("renewTime"));
    if record != seen.record {
        *seen = Seen { record: record.clone(), since: Instant::now() };
    }
    let is_own = record.0 == own.identity;
    let is_free = record.0.is_empty() || seen.since.elapsed() >= own.lease_duration;
    if !is_own && !is_free {
        return Ok(false);
    }
    let changes = lease["spec"]["leaseTransitions"].as_i64().unwrap_or(0) + i64::from(!is_own);
    let acquired = if is_own { text("acquireTime") } else { moment() };
    lease["spec"] = spec(pod, &acquired, changes);
    cluster.ask(&pod.account, Method::PUT, &place, Some(&lease)).await.map(|_| true)
}

fn spec(pod: &Pod, acquired: &str, changes: i64) -> Value {
    json!({
        "holderIdentity": pod.settings.identity, "leaseDurationSeconds": pod.settings.lease_duration.as_secs(),
        "acquireTime": acquired, "renewTime": moment(), "leaseTransitions": changes,
    })
}

async fn give_back(cluster: &Cluster, pod: &Pod) -> Result<(), Refusal> {
    let place = format!("{}/{}", path(pod), pod.settings.lease);
    let mut lease = cluster.ask(&pod.account, Method::GET, &place, None).await?;
    if lease["spec"]["holderIdentity"] == *pod.settings.identity {
        lease["spec"]["holderIdentity"] = json!("");
        lease["spec"]["leaseDurationSeconds"] = json!(1);
        lease["spec"]["renewTime"] = json!(moment());
        cluster.ask(&pod.account, Method::PUT, &place, Some(&lease)).await?;
    }
    Ok(())
}

/// As the client library writes it.
fn complain(shared: &Shared, pod: &Pod, why: &Refusal) {
    // Two that want it at the same moment: one of them is told so, and looks again.
    if why.status == 409 {
        return;
    }
    let time = Timestamp::now().strftime("%m%d %H:%M:%S.%6f");
    let own = format!("{}/{}", pod.settings.lease_namespace, pod.settings.lease);
    let line = format!("E{time}       1 leaderelection.go:436] error retrieving resource lock {own}: {}", why.message);
    shared.journal.line(&pod.name, line);
}
