//! What the server answers: health, plugins, assets, the audit trail, refresh jobs; with its tenants and its rights.

use super::access::{Person, Right};
use super::database::told;
use super::gate::Shared;
use super::pod::{PLUGINS, Pod, base};
use super::settings::go_duration;
use axum::Json;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio_postgres::types::ToSql;

/// One request at one pod.
pub(crate) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) pod: &'a Pod,
    method: &'a str,
    path: &'a str,
    uri: String,
    query: BTreeMap<String, String>,
    pub(super) person: Person,
    header_namespace: String,
    correlation: String,
    begin: Instant,
}

/// An answer that is no success.
pub(super) struct Failed(u16, Value);

pub(super) type Answer = Result<Response, Failed>;

pub(super) fn refused(status: u16, error: &str, message: impl Into<String>) -> Failed {
    Failed(status, json!({ "error": error, "message": message.into() }))
}

pub(super) fn failed(status: u16, error: impl Into<String>) -> Failed {
    Failed(status, json!({ "error": error.into() }))
}

impl<'a> Call<'a> {
    pub(crate) fn new(shared: &'a Shared, pod: &'a Pod, parts: &'a Parts) -> Self {
        let header =
            |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Self {
            shared,
            pod,
            method: parts.method.as_str(),
            path: parts.uri.path(),
            uri: parts.uri.to_string(),
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            person: Person::of(&parts.headers),
            header_namespace: header("x-namespace"),
            correlation: header("x-correlation-id"),
            begin: Instant::now(),
        }
    }

    /// The answer. Tenants come first, before health too; then rights; then the audit trail.
    pub(crate) async fn answer(self) -> Response {
        let answer = match self.namespace() {
            Err(failed) => Err(failed),
            Ok(namespace) => {
                let right = Right::of(self.method, self.path);
                let answer = match self.allowed(right, &namespace).await {
                    Err(failed) => Err(failed),
                    Ok(()) => self.perform(&namespace).await,
                };
                let status = match &answer {
                    Ok(response) => response.status().as_u16(),
                    Err(Failed(status, _)) => *status,
                };
                self.audit(&namespace, right, status).await;
                answer
            }
        };
        answer.unwrap_or_else(|Failed(status, body)| {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
        })
    }

    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The tenant of the request.
    fn namespace(&self) -> Result<String, Failed> {
        if !self.pod.settings.namespaces {
            return Ok("default".to_owned());
        }
        let own = match self.asked("namespace") {
            "" => self.header_namespace.as_str(),
            given => given,
        };
        if own.is_empty() {
            let message =
                "namespace is required in multi-tenant mode (use ?namespace= query param or X-Namespace header)";
            return Err(refused(400, "bad_request", message));
        }
        let fits = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
        if own.len() > 63 || !own.chars().all(fits) || own.starts_with('-') || own.ends_with('-') {
            let message = format!(
                "namespace {own:?} is invalid: must consist of lowercase alphanumeric characters or hyphens, and must start and end with an alphanumeric character"
            );
            return Err(refused(400, "bad_request", message));
        }
        Ok(own.to_owned())
    }

    async fn allowed(&self, right: Option<Right>, namespace: &str) -> Result<(), Failed> {
        let (Some(right), true) = (right, self.pod.settings.asks_cluster) else { return Ok(()) };
        let unknown = || refused(500, "internal_error", "authorization check failed");
        let cluster = self.shared.cluster.as_ref().ok_or_else(unknown)?;
        let kept = self.shared.options.sar_cache;
        let asked = self.pod.answers.allow(cluster, &self.pod.account, kept, &self.person, right, namespace).await;
        match asked {
            Ok(true) => Ok(()),
            Ok(false) => {
                let Right { resource, verb } = right;
                let message = format!("insufficient permissions for {resource}/{verb} in namespace {namespace}");
                Err(refused(403, "forbidden", message))
            }
            Err(why) => {
                let message = format!("SAR check failed: {}", why.message);
                self.shared.journal.say(&self.pod.name, "ERROR", &message, &[("status", &why.status.to_string())]);
                Err(unknown())
            }
        }
    }

    async fn perform(&self, namespace: &str) -> Answer {
        let parts: Vec<&str> = self.path.trim_matches('/').split('/').collect();
        match (self.method, parts.as_slice()) {
            ("GET", ["livez" | "healthz"]) => {
                let uptime = format!("{}s", self.pod.started.elapsed().as_secs());
                Ok(Json(json!({ "status": "alive", "uptime": uptime })).into_response())
            }
            ("GET", ["readyz"]) => {
                let (ready, body) = readiness(self.shared, self.pod).await;
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Ok((status, Json(body)).into_response())
            }
            ("GET", ["api", "plugins"]) => Ok(self.plugins()),
            ("GET", ["api", "tenancy", "v1alpha1", "namespaces"]) => {
                let mode = if self.pod.settings.namespaces { "namespace" } else { "single" };
                Ok(Json(json!({ "namespaces": ["default"], "mode": mode })).into_response())
            }
            ("GET", ["api", "audit", "v1alpha1", "events"]) => self.events().await,
            ("GET", ["api", "jobs", "v1alpha1", "refresh"]) => self.jobs().await,
            ("GET", ["api", "jobs", "v1alpha1", "refresh", id]) => self.job(id).await,
            ("POST", ["api", "jobs", "v1alpha1", "refresh", last]) => match last.strip_suffix(":cancel") {
                Some(id) => self.cancel(id).await,
                None => Err(failed(404, "404 page not found")),
            },
            ("POST", ["api", catalog, _, "management", "refresh", rest @ ..]) => {
                let plugin = catalog.trim_end_matches("_catalog");
                self.enqueue(namespace, plugin, rest.first().copied().unwrap_or("_all")).await
            }
            ("GET", ["api", catalog, _, "management", "sources"]) => {
                Ok(Json(json!({ "sources": [], "count": 0, "plugin": catalog })).into_response())
            }
            ("GET", ["api", "mcp_catalog", "v1alpha1", "mcpservers"]) => self.servers(namespace).await,
            ("GET", ["api", catalog, "v1alpha1", _])
                if PLUGINS.iter().any(|plugin| base(plugin) == format!("/api/{catalog}/v1alpha1")) =>
            {
                Ok(Json(json!({ "items": [], "size": 0, "nextPageToken": "" })).into_response())
            }
            _ => Err(failed(404, "404 page not found")),
        }
    }

    fn plugins(&self) -> Response {
        let kept = self.pod.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&self.uri).cloned();
        let (found, body) = match kept.filter(|(until, _)| Instant::now() < *until) {
            Some((_, body)) => ("HIT", body),
            None => ("MISS", self.fresh_plugins()),
        };
        if found == "MISS" {
            let entry = (Instant::now() + self.pod.settings.discovery_ttl, body.clone());
            self.pod.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(self.uri.clone(), entry);
        }
        ([("x-cache", found)], Json(body)).into_response()
    }

    fn fresh_plugins(&self) -> Value {
        let sick = self.shared.scene().sick.clone();
        let plugin = |name: &&str| {
            let healthy = !sick.iter().any(|own| own == name);
            let kind = if *name == "mcp" {
                "McpServer".to_owned()
            } else {
                format!("{}{}", name[..1].to_uppercase(), &name[1..])
            };
            json!({
                "name": name, "version": "v1alpha1", "description": format!("Catalog of {name}"),
                "basePath": base(name), "healthy": healthy, "entityKinds": [kind],
                "status": { "enabled": true, "initialized": true, "serving": healthy },
                "management": { "sourceManager": true, "refresh": true, "diagnostics": true, "actions": true },
            })
        };
        let all: Vec<Value> = PLUGINS.iter().map(plugin).collect();
        json!({ "plugins": all, "count": all.len() })
    }

    /// Changes are written into the audit trail, and what was denied. A trail that cannot be written is no reason to
    /// fail the request.
    async fn audit(&self, namespace: &str, right: Option<Right>, status: u16) {
        let outcome = match status {
            200..300 => "success",
            403 => "denied",
            _ => "failure",
        };
        let reads = self.method == "GET" || self.method == "HEAD";
        if reads && !(outcome == "denied" && self.shared.scene().audits_reads) {
            return;
        }
        let plugin = self.path.trim_matches('/').split('/').nth(1).unwrap_or_default().trim_end_matches("_catalog");
        let verb = match (right, self.path) {
            (_, path) if path.contains("/refresh") && !reads => "refresh",
            (Some(right), _) => right.verb,
            _ => "create",
        };
        let sql = "insert into audit_events (namespace, correlation_id, actor, plugin, resource_type, action,
                action_verb, outcome, status_code, event_metadata)
            values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9::text::jsonb)";
        let details = json!({
            "method": self.method, "path": self.path, "duration": go_duration(self.begin.elapsed()),
            "groups": self.person.groups,
        });
        let (resource, status) = (right.map_or("", |right| right.resource), i32::from(status));
        let details = details.to_string();
        let values: [&(dyn ToSql + Sync); 9] =
            [&namespace, &self.correlation, &self.person.user, &plugin, &resource, &verb, &outcome, &status, &details];
        let written = match self.pod.database.client().await {
            Ok(client) => client.execute(sql, &values).await.map(drop).map_err(|why| told(&why)),
            Err(why) => Err(why),
        };
        if let Err(why) = written {
            self.shared.journal.say(&self.pod.name, "ERROR", "failed to write audit event", &[("error", &why)]);
        }
    }
}

/// Whether a pod is ready, and the page that says why.
pub(crate) async fn readiness(shared: &Shared, pod: &Pod) -> (bool, Value) {
    let database = match pod.database.ping().await {
        Ok(()) => json!({ "status": "up" }),
        Err(why) => json!({ "status": "down", "error": why }),
    };
    let (loading, sick) = {
        let scene = shared.scene();
        (scene.loading, scene.sick.len())
    };
    let all = PLUGINS.len();
    let plugins = match sick {
        0 => json!({ "status": "healthy", "details": format!("all {all} plugins healthy") }),
        _ => {
            json!({ "status": "degraded", "details": format!("{} of {all} plugins healthy", all.saturating_sub(sick)) })
        }
    };
    let leader = match (pod.settings.elects, pod.leads.load(Ordering::SeqCst)) {
        (false, _) => "not_configured",
        (true, true) => "leader",
        (true, false) => "follower",
    };
    let ready = database["status"] == "up" && !loading && sick == 0;
    let page = json!({
        "status": if ready { "ready" } else { "not_ready" },
        "components": {
            "database": database, "initial_load": { "status": if loading { "pending" } else { "complete" } },
            "plugins": plugins, "leader_election": { "status": leader },
        },
    });
    (ready, page)
}
