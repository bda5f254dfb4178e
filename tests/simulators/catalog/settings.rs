//! What one pod reads from its environment, by the rules of the real server.

use std::collections::BTreeMap;
use std::time::Duration;

/// The environment of a pod.
pub(crate) type Environment = BTreeMap<String, String>;

/// The settings in force in one pod.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whether each request must name a namespace.
    pub(crate) namespaces: bool,
    /// Whether the cluster is asked who may do what.
    pub(crate) asks_cluster: bool,
    /// Workers for refresh jobs.
    pub(crate) concurrency: u32,
    /// Attempts at a job.
    pub(crate) max_retries: u32,
    /// How often a worker looks for a job.
    pub(crate) poll: Duration,
    /// How long the list of plugins is cached.
    pub(crate) discovery_ttl: Duration,
    /// Days that audit events are kept.
    pub(crate) retention_days: u32,
    /// Whether it stands for leader.
    pub(crate) elects: bool,
    /// How long a lease is good without being renewed.
    pub(crate) lease_duration: Duration,
    /// The name of the lease.
    pub(crate) lease: String,
    /// Its namespace.
    pub(crate) lease_namespace: String,
    /// Who it is in an election.
    pub(crate) identity: String,
    /// What it was read from.
    pub(crate) environment: Environment,
}

impl Settings {
    /// Reads an environment; an error is the fatal line of the real server. A number that cannot be read is ignored
    /// without a word: the default stays.
    pub(crate) fn of(environment: &Environment, hostname: &str) -> Result<Self, String> {
        let given = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let number = |name: &str, default: u32, least: u32| {
            given(name).and_then(|text| text.parse().ok()).filter(|value| *value >= least).unwrap_or(default)
        };
        let seconds = |name: &str, default: u32| Duration::from_secs(number(name, default, 1).into());
        let holds = |name: &str| given(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        let namespaces = match given("CATALOG_TENANCY_MODE").as_deref() {
            None | Some("single") => false,
            Some("namespace") => true,
            Some(other) => return Err(format!("Unknown tenancy mode: {other:?} (expected single or namespace)")),
        };
        let asks_cluster = match given("CATALOG_AUTHZ_MODE").as_deref() {
            None | Some("none") => false,
            Some("sar") => true,
            Some(other) => return Err(format!("Unknown authz mode: {other:?} (expected none or sar)")),
        };
        let own = given("POD_NAMESPACE").unwrap_or_else(|| "catalog-system".to_owned());
        Ok(Self {
            namespaces,
            asks_cluster,
            concurrency: number("CATALOG_JOB_CONCURRENCY", 3, 1),
            max_retries: number("CATALOG_JOB_MAX_RETRIES", 3, 0),
            poll: seconds("CATALOG_JOB_POLL_INTERVAL_SECONDS", 5),
            discovery_ttl: seconds("CATALOG_CACHE_DISCOVERY_TTL", 60),
            retention_days: number("CATALOG_AUDIT_RETENTION_DAYS", 90, 1),
            elects: holds("CATALOG_LEADER_ELECTION_ENABLED"),
            lease_duration: seconds("CATALOG_LEADER_LEASE_DURATION", 15),
            lease: given("CATALOG_LEADER_LEASE_NAME").unwrap_or_else(|| "catalog-server-leader".to_owned()),
            lease_namespace: given("CATALOG_LEADER_LEASE_NAMESPACE").unwrap_or(own),
            identity: given("POD_NAME").unwrap_or_else(|| hostname.to_owned()),
            environment: environment.clone(),
        })
    }
}

/// A length of time as Go writes it: `1m0s`, `15s`, `12.345ms`, `850.3µs`.
pub(crate) fn go_duration(time: Duration) -> String {
    let trimmed = |value: f64| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let (whole, rest) = (time.as_secs(), f64::from(time.subsec_nanos()));
    if whole == 0 {
        return match time.subsec_nanos() {
            0 => "0s".to_owned(),
            nanos @ 1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", trimmed(rest / 1_000.0)),
            _ => format!("{}ms", trimmed(rest / 1_000_000.0)),
        };
    }
    let seconds = trimmed(f64::from(u32::try_from(whole % 60).unwrap_or(0)) + rest / 1_000_000_000.0);
    match (whole / 3600, whole % 3600 / 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_go_writes_it() {
        for (nanos, text) in [
            (0, "0s"),
            (850_300, "850.3µs"),
            (12_345_678, "12.345678ms"),
            (15_000_000_000, "15s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn a_duration_with_a_unit_is_ignored_and_the_default_kept() {
        let environment = Environment::from([("CATALOG_LEADER_LEASE_DURATION".to_owned(), "30s".to_owned())]);
        let settings = Settings::of(&environment, "pod").expect("it reads");
        assert_eq!(settings.lease_duration, Duration::from_secs(15));
    }
}
