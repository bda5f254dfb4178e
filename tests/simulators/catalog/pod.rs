//! One pod: what it reads at its start, what stops it, and what it is once it listens.

use super::access::Answers;
use super::cluster::Cluster;
use super::database::Database;
use super::gate::Shared;
use super::settings::{Environment, Settings, go_duration};
use super::{jobs, leader, tables};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The plugins of every server.
pub(crate) const PLUGINS: [&str; 8] =
    ["agents", "guardrails", "knowledge", "mcp", "model", "policies", "prompts", "skills"];

/// A pod that listens.
pub(crate) struct Pod {
    pub(crate) name: String,
    /// Its service account.
    pub(crate) account: String,
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    /// What the cluster said about rights.
    pub(crate) answers: Answers,
    /// The list of plugins by request, until when.
    pub(crate) cache: Mutex<BTreeMap<String, (Instant, Value)>>,
    /// Whether it is the leader.
    pub(crate) leads: AtomicBool,
    pub(crate) started: Instant,
    /// The probe that says whether it gets requests; without one it does.
    pub(crate) probe: Option<Probe>,
}

/// A readiness probe by HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// The path, with its query.
    path: String,
    /// Whether it names a namespace in a header.
    header: bool,
}

impl Probe {
    fn of(pod: &Value) -> Option<Self> {
        let get = pod.pointer("/spec/containers/0/readinessProbe/httpGet")?;
        let headers = get["httpHeaders"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_own = |header: &Value| {
            header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("x-namespace"))
                && header["value"].as_str().is_some_and(|value| !value.is_empty())
        };
        let path = get["path"].as_str().unwrap_or("/").to_owned();
        Some(Self { path, header: headers.iter().any(is_own) })
    }
}

/// What a pod is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    account: String,
    environment: Environment,
    probe: Option<Probe>,
}

impl Plan {
    /// The only one, without a cluster.
    pub(crate) fn alone(environment: Environment) -> Self {
        Self { name: "catalog-server-0".to_owned(), account: String::new(), environment, probe: None }
    }

    /// From the object in the cluster: its first container's variables, those of secrets and config maps among them.
    pub(crate) async fn of(pod: &Value, cluster: &Cluster, own: &Environment) -> Result<Self, String> {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut environment = own.clone();
        for from in list("/spec/containers/0/envFrom") {
            for (kind, plural) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
                if let Some(name) = from[kind]["name"].as_str() {
                    let values = cluster.values(plural, name).await.ok_or(format!("{plural} {name:?} not found"))?;
                    environment.extend(values);
                }
            }
        }
        for variable in list("/spec/containers/0/env") {
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            let from = &variable["valueFrom"];
            let value = match from["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.name") => text("/metadata/name"),
                Some("metadata.namespace") => text("/metadata/namespace"),
                Some(other) => return Err(format!("field {other} is not known here")),
                None if from.is_object() => referred(cluster, from).await?,
                None => expanded(variable["value"].as_str().unwrap_or_default(), &environment),
            };
            environment.insert(name, value);
        }
        let account = match text("/spec/serviceAccountName").as_str() {
            "" => "default".to_owned(),
            name => name.to_owned(),
        };
        Ok(Self { name: text("/metadata/name"), account, environment, probe: Probe::of(pod) })
    }
}

/// One value of a secret or a config map.
async fn referred(cluster: &Cluster, from: &Value) -> Result<String, String> {
    for (kind, plural) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
        let (Some(name), Some(key)) = (from[kind]["name"].as_str(), from[kind]["key"].as_str()) else { continue };
        let values = cluster.values(plural, name).await.ok_or(format!("{plural} {name:?} not found"))?;
        let found = values.into_iter().find(|(own, _)| own == key);
        return found.map(|(_, value)| value).ok_or(format!("couldn't find key {key} in {plural} {name}"));
    }
    Err("a variable comes from a place that is not known here".to_owned())
}

/// `$(NAME)` stands for a variable that was given before; `$$(NAME)` for itself.
fn expanded(text: &str, environment: &Environment) -> String {
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        all.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            all.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix("$(").and_then(|rest| rest.split_once(')')) {
            let known = environment.get(name).cloned();
            all.push_str(&known.unwrap_or_else(|| format!("$({name})")));
            rest = after;
        } else {
            all.push('$');
            rest = &rest[1..];
        }
    }
    all + rest
}

/// A pod's life until it is told to end. A start that fails is tried again after a second, as its container would be.
pub(crate) async fn live(shared: Arc<Shared>, plan: Plan, end: CancellationToken) {
    loop {
        let started = tokio::select! {
            started = start(&shared, &plan) => started,
            () = end.cancelled() => return,
        };
        match started {
            Ok(pod) => {
                work(&shared, Arc::new(pod), &end).await;
                return;
            }
            Err(why) => shared.journal.say(&plan.name, "ERROR", &format!("FATAL {why}"), &[]),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = end.cancelled() => return,
        }
    }
}

async fn start(shared: &Shared, plan: &Plan) -> Result<Pod, String> {
    let say = |message: &str, fields: &[(&str, &str)]| shared.journal.say(&plan.name, "INFO", message, fields);
    say("starting catalog server", &[("listen", ":8080"), ("plugins", &format!("{PLUGINS:?}").replace('"', ""))]);
    let dsn = plan.environment.get("DATABASE_DSN").filter(|dsn| !dsn.is_empty());
    let dsn = dsn.ok_or(
        "Failed to connect to database: database DSN is required (use -db-dsn flag or DATABASE_DSN environment variable)",
    )?;
    let database = Database::new(dsn).map_err(|why| format!("Failed to connect to database: {why}"))?;
    database.ping().await.map_err(|why| format!("Failed to connect to database: {why}"))?;
    let settings = Settings::of(&plan.environment, &plan.name)?;
    announce(&say, &settings, shared.options.sar_cache);
    tables::migrate(&database, &shared.journal, &plan.name).await?;
    for plugin in PLUGINS {
        say("initializing plugin", &[("plugin", plugin), ("version", "v1alpha1"), ("basePath", &base(plugin))]);
    }
    Ok(Pod {
        name: plan.name.clone(),
        account: plan.account.clone(),
        settings,
        database,
        answers: Answers::default(),
        cache: Mutex::default(),
        leads: AtomicBool::new(false),
        started: Instant::now(),
        probe: plan.probe.clone(),
    })
}

/// The settings in force, as the start log has them.
fn announce(say: &impl Fn(&str, &[(&str, &str)]), settings: &Settings, sar_cache: Duration) {
    let (days, workers, retries) =
        (settings.retention_days.to_string(), settings.concurrency.to_string(), settings.max_retries.to_string());
    say("audit config loaded", &[("enabled", "true"), ("retentionDays", &days), ("logDenied", "true")]);
    say("job config loaded", &[("enabled", "true"), ("concurrency", &workers), ("maxRetries", &retries)]);
    say("tenancy mode configured", &[("mode", if settings.namespaces { "namespace" } else { "single" })]);
    if settings.asks_cluster {
        say("using SAR-based authorization", &[("cacheTTL", &go_duration(sar_cache))]);
    } else {
        say("authorization disabled (CATALOG_AUTHZ_MODE=none)", &[]);
    }
    let ttl = go_duration(settings.discovery_ttl);
    let fields = [("enabled", "true"), ("discoveryTTL", ttl.as_str()), ("capabilitiesTTL", "30s"), ("maxSize", "1000")];
    say("cache config loaded", &fields);
    say("migration locking enabled", &[]);
    if settings.elects {
        let fields = [
            ("identity", settings.identity.as_str()),
            ("lease", &settings.lease),
            ("namespace", &settings.lease_namespace),
        ];
        say("leader election enabled", &fields);
    }
}

pub(crate) fn base(plugin: &str) -> String {
    format!("/api/{plugin}_catalog/v1alpha1")
}

/// What a pod does from when it listens until it is told to end.
async fn work(shared: &Arc<Shared>, pod: Arc<Pod>, end: &CancellationToken) {
    shared.journal.say(&pod.name, "INFO", "catalog server ready", &[("listen", ":8080")]);
    let over = end.child_token();
    let election = pod.settings.elects.then(|| {
        shared.journal.say(&pod.name, "INFO", "leader election active, singleton loops will start when elected", &[]);
        tokio::spawn(leader::stand(Arc::clone(shared), Arc::clone(&pod), over.clone()))
    });
    let workers = tokio::spawn(jobs::work(Arc::clone(shared), Arc::clone(&pod), over.clone()));
    while !over.is_cancelled() {
        let is_well = is_ready(shared, &pod).await;
        shared.rotate(&pod, is_well);
        tokio::select! {
            () = over.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    shared.rotate(&pod, false);
    shared.journal.say(&pod.name, "INFO", "shutting down...", &[]);
    workers.abort();
    if let Some(election) = election {
        // It gives its lease back.
        let _lost_or_given_back = tokio::time::timeout(Duration::from_secs(2), election).await;
    }
    shared.journal.say(&pod.name, "INFO", "catalog server stopped", &[]);
}

/// Whether the pod gets requests. A probe that names no namespace is answered 400 where each request must name one.
async fn is_ready(shared: &Shared, pod: &Pod) -> bool {
    let Some(probe) = &pod.probe else { return true };
    let names = probe.header || probe.path.split_once('?').is_some_and(|(_, query)| query.contains("namespace="));
    if pod.settings.namespaces && !names {
        return false;
    }
    !probe.path.starts_with("/readyz") || super::handlers::readiness(shared, pod).await.0
}

impl Pod {
    /// Whether it runs what one replica alone may run.
    pub(crate) fn is_first(&self) -> bool {
        !self.settings.elects || self.leads.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_hold_others() {
        let environment = Environment::from([("PASSWORD".to_owned(), "p".to_owned())]);
        assert_eq!(
            expanded("postgres://u:$(PASSWORD)@h/d?$(NONE)&$$(PASSWORD)$", &environment),
            "postgres://u:p@h/d?$(NONE)&$(PASSWORD)$"
        );
    }
}
