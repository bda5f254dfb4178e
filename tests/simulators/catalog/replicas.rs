//! The pods of the deployment: each that is there lives, each that goes is told to end.

use super::cluster::Cluster;
use super::gate::Shared;
use super::pod::{self, Plan};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Follows the deployment for ever. A watch that ends is begun again.
pub(crate) async fn follow(shared: Arc<Shared>, cluster: Cluster) {
    let mut living: BTreeMap<String, CancellationToken> = BTreeMap::new();
    loop {
        if let Ok(mut lines) = cluster.watch().await {
            let mut text = Vec::new();
            while let Ok(Some(chunk)) = lines.chunk().await {
                text.extend_from_slice(&chunk);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
                    take(&shared, &cluster, &mut living, &event);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn uid(pod: &Value) -> Option<String> {
    pod["metadata"]["uid"].as_str().map(str::to_owned)
}

fn take(shared: &Arc<Shared>, cluster: &Cluster, living: &mut BTreeMap<String, CancellationToken>, event: &Value) {
    let pod = &event["object"];
    let Some(own) = uid(pod) else { return };
    let is_going = event["type"] == "DELETED" || pod["metadata"]["deletionTimestamp"].is_string();
    if is_going {
        if let Some(end) = living.remove(&own) {
            end.cancel();
        }
        return;
    }
    // Before that its container is still being made.
    if pod["status"]["phase"] != "Running" || living.contains_key(&own) {
        return;
    }
    let end = CancellationToken::new();
    living.insert(own, end.clone());
    let (shared, cluster, pod) = (Arc::clone(shared), cluster.clone(), pod.clone());
    tokio::spawn(async move {
        while !end.is_cancelled() {
            match Plan::of(&pod, &cluster, &shared.options.environment).await {
                Ok(plan) => return pod::live(shared, plan, end).await,
                // As a container that waits for its configuration.
                Err(why) => {
                    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                    shared.journal.line(name, format!("Error: {why}"));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
}
