//! The `/metrics` page.

use super::state::World;
use std::fmt::{self, Write as _};

/// The page, in Prometheus' text format.
pub fn page(world: &World) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _unfailing =
        quarantine(&mut text, world).and_then(|()| service(&mut text, world)).and_then(|()| cluster(&mut text));
    text
}

#[expect(clippy::cast_precision_loss, reason = "rates of a scene are small")]
fn per_minute(milli: u64) -> f64 {
    milli as f64 / 1_000.0
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn quarantine(text: &mut String, world: &World) -> fmt::Result {
    let rates = world.agent_rates();
    let (approved, rejected, _) = world.counters();
    head(text, "stemedb_quarantine_pending", "gauge", "Items that wait for review")?;
    writeln!(text, "stemedb_quarantine_pending {}", world.pending_gauge())?;
    head(text, "stemedb_quarantine_total", "counter", "Items quarantined since the start, by agent")?;
    for (id, _, total) in &rates {
        writeln!(text, "stemedb_quarantine_total{{agent_id=\"{id}\"}} {total}")?;
    }
    head(text, "stemedb_quarantine_rate_per_agent", "gauge", "Items quarantined a minute, by agent")?;
    for (id, milli, _) in &rates {
        writeln!(text, "stemedb_quarantine_rate_per_agent{{agent_id=\"{id}\"}} {}", per_minute(*milli))?;
    }
    head(text, "stemedb_quarantine_rate_per_minute", "gauge", "Items quarantined a minute")?;
    let all: u64 = rates.iter().map(|(_, milli, _)| milli).sum();
    writeln!(text, "stemedb_quarantine_rate_per_minute {}", per_minute(all))?;
    head(text, "stemedb_quarantine_approved_total", "counter", "Items approved since the start")?;
    writeln!(text, "stemedb_quarantine_approved_total {approved}")?;
    head(text, "stemedb_quarantine_rejected_total", "counter", "Items rejected since the start")?;
    writeln!(text, "stemedb_quarantine_rejected_total {rejected}")
}

fn service(text: &mut String, world: &World) -> fmt::Result {
    let (_, _, accepted) = world.counters();
    head(text, "stemedb_ingest_rate_per_minute", "gauge", "Assertions a minute")?;
    writeln!(text, "stemedb_ingest_rate_per_minute {}", world.ingest_per_minute())?;
    head(text, "stemedb_assertions_total", "counter", "Assertions written")?;
    writeln!(text, "stemedb_assertions_total {accepted}")?;
    head(text, "stemedb_circuit_breakers_open", "gauge", "Agents that are banned")?;
    let open = world.known_agents().iter().filter(|id| world.open_breaker(id).is_some()).count();
    writeln!(text, "stemedb_circuit_breakers_open {open}")?;
    let name = "stemedb_wal_fsync_latency_seconds";
    head(text, name, "histogram", "Time of one sync of the log")?;
    for (le, count) in [("0.001", 900), ("0.01", 990), ("0.1", 1_000), ("+Inf", 1_000)] {
        writeln!(text, "{name}_bucket{{le=\"{le}\"}} {count}")?;
    }
    writeln!(text, "{name}_sum 1.25\n{name}_count 1000")?;
    head(text, "stemedb_http_requests_total", "counter", "Requests answered, by status")?;
    for (status, count) in &world.answered {
        writeln!(text, "stemedb_http_requests_total{{status=\"{status}\"}} {count}")?;
    }
    Ok(())
}

/// What a cluster's own exporters would add; here on one page.
fn cluster(text: &mut String) -> fmt::Result {
    writeln!(text, "kubelet_volume_stats_used_bytes{{persistentvolumeclaim=\"stemedb-data\"}} 2147483648")?;
    writeln!(text, "kubelet_volume_stats_capacity_bytes{{persistentvolumeclaim=\"stemedb-data\"}} 10737418240")?;
    writeln!(
        text,
        "kube_pod_container_status_last_terminated_reason{{container=\"stemedb-api\",reason=\"Completed\"}} 1"
    )?;
    writeln!(text, "up{{job=\"stemedb\"}} 1")
}
