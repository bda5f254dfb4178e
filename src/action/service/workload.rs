//! What a workload of Kubernetes says of itself: the rule of `kubectl rollout status`.

use super::state::{Health, State};
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use serde_json::Value;

/// Reads a workload: a deployment, a stateful set or a daemon set.
///
/// # Errors
/// It is something else, or no JSON.
pub(super) fn read(text: &str, name: &str) -> Result<State, Refusal> {
    let bad = |why: String| Refusal::new(ErrorClass::BadAnswer, format!("`{name}`: {why}"));
    let object: Value = serde_json::from_str(text).map_err(|error| bad(format!("kubectl gave no JSON: {error}")))?;
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let (wanted, updated, available, all) = match kind {
        "Deployment" => (
            number("/spec/replicas").unwrap_or(1),
            number("/status/updatedReplicas"),
            number("/status/availableReplicas"),
            number("/status/replicas"),
        ),
        "StatefulSet" => (
            number("/spec/replicas").unwrap_or(1),
            number("/status/updatedReplicas"),
            number("/status/readyReplicas"),
            number("/status/replicas"),
        ),
        "DaemonSet" => (
            number("/status/desiredNumberScheduled").unwrap_or(0),
            number("/status/updatedNumberScheduled"),
            number("/status/numberAvailable"),
            number("/status/updatedNumberScheduled"),
        ),
        other => return Err(bad(format!("a {other} is no workload that can be restarted"))),
    };
    let (updated, available, all) = (updated.unwrap_or(0), available.unwrap_or(0), all.unwrap_or(0));
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    let done = seen && updated >= wanted && available >= wanted && all <= updated;
    let gave_up = condition(&object, "Progressing", "False").filter(|_| seen && !done);
    let (health, state) = match (done, wanted, &gave_up) {
        (_, _, Some(_)) => (Health::Failed, "failed"),
        (true, 0, _) => (Health::Down, "inactive"),
        (true, ..) => (Health::Up, "active"),
        (false, ..) => (Health::Between, "activating"),
    };
    Ok(State {
        health,
        word: state.to_owned(),
        sub: format!("{available} of {wanted} available, {updated} new"),
        since: None,
        running: available > 0,
        // A new pod is no new life of the workload: they come one by one.
        life: number("/metadata/generation").unwrap_or(0).to_string(),
        trouble: gave_up,
    })
}

/// The reason and message of a condition that has this status.
fn condition(object: &Value, name: &str, status: &str) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let text = |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    conditions
        .iter()
        .find(|condition| text(condition, "type") == name && text(condition, "status") == status)
        .map(|condition| format!("{}: {}", text(condition, "reason"), text(condition, "message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(generation: [i64; 2], replicas: [i64; 4]) -> State {
        let [wanted, updated, available, all] = replicas;
        let object = json!({
            "kind": "Deployment",
            "metadata": { "generation": generation[0] },
            "spec": { "replicas": wanted },
            "status": {
                "observedGeneration": generation[1], "updatedReplicas": updated, "availableReplicas": available,
                "replicas": all
            }
        });
        read(&object.to_string(), "deployment/api").unwrap()
    }

    #[test]
    fn a_deployment_is_up_when_every_pod_is_new_and_available() {
        assert_eq!(deployment([2, 2], [3, 3, 3, 3]).health, Health::Up);
        assert_eq!(deployment([3, 2], [3, 3, 3, 3]).health, Health::Between, "the change is not seen yet");
        assert_eq!(deployment([2, 2], [3, 2, 3, 3]).health, Health::Between, "an old pod is left");
        assert_eq!(deployment([2, 2], [3, 3, 2, 3]).health, Health::Between, "a pod is not available");
        assert_eq!(deployment([2, 2], [3, 3, 3, 4]).health, Health::Between, "an old pod is going");
        let empty = deployment([2, 2], [0, 0, 0, 0]);
        assert_eq!((empty.health, empty.running, empty.word.as_str()), (Health::Down, false, "inactive"));
        assert_eq!(deployment([2, 2], [3, 3, 2, 3]).sub, "2 of 3 available, 3 new");
    }

    #[test]
    fn a_rollout_that_was_given_up_has_failed() {
        let object = json!({
            "kind": "Deployment", "metadata": { "generation": 1 }, "spec": { "replicas": 1 },
            "status": { "observedGeneration": 1, "updatedReplicas": 1, "replicas": 2, "availableReplicas": 1, "conditions": [
                { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow" }
            ]}
        });
        let state = read(&object.to_string(), "x").unwrap();
        assert_eq!((state.health, state.running), (Health::Failed, true));
        assert_eq!(state.words(), "failed (ProgressDeadlineExceeded: too slow)");
    }

    #[test]
    fn a_daemon_set_counts_its_nodes() {
        let object = json!({
            "kind": "DaemonSet", "metadata": { "generation": 1 },
            "status": { "observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2 }
        });
        assert_eq!(read(&object.to_string(), "x").unwrap().health, Health::Up);
    }

    #[test]
    fn what_is_no_workload_is_refused() {
        assert!(read("{\"kind\":\"Pod\"}", "pod/x").unwrap_err().message.contains("a Pod is no workload"));
        assert!(read("no resources", "x").unwrap_err().message.contains("no JSON"));
    }
}
