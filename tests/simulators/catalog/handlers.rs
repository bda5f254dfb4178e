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
    shared: &'a Shared,
    pod: &'a Pod,
    method: &'a str,
    path: &'a str,
    uri: String,
    query: BTreeMap<String, String>,
    person: Person,
    header_namespace: String,
    correlation: String,
    begin: Instant,
}

/// An answer that is no success.
struct Failed(u16, Value);

type Answer = Result<Response, Failed>;

fn refused(status: u16, error: &str, message: impl Into<String>) -> Failed {
    Failed(status, json!({ "error": error, "message": message.into() }))
}

fn failed(status: u16, error: impl Into<String>) -> Failed {
    Failed(status, json!({ "error": error.into() }))
}

fn database_failed(what: &str) -> impl Fn(String) -> Failed {
    move |why| failed(500, format!("failed to {what}: {why}"))
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

    fn asked(&self, name: &str) -> &str {
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

    /// Rows of one text column that holds JSON.
    async fn read(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Value>, String> {
        let client = self.pod.database.client().await?;
        let rows = client.query(sql, values).await.map_err(|why| told(&why))?;
        Ok(rows.iter().map(|row| serde_json::from_str(row.get::<_, &str>(0)).unwrap_or(Value::Null)).collect())
    }

    async fn number(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<i64, String> {
        let client = self.pod.database.client().await?;
        client.query_one(sql, values).await.map(|row| row.get(0)).map_err(|why| told(&why))
    }

    /// How many a page may hold: 20 unless said, and a greatest.
    fn page_size(&self, most: i64) -> i64 {
        self.asked("pageSize").parse().ok().filter(|size| *size > 0).unwrap_or(20).min(most)
    }

    /// So many rows are skipped: tokens are opaque to clients.
    fn skipped(&self) -> Result<i64, Failed> {
        let token = self.asked("pageToken");
        let skipped = if token.is_empty() { Some(0) } else { token.strip_prefix("at-").and_then(|at| at.parse().ok()) };
        skipped.ok_or_else(|| failed(500, format!("invalid page token: {token}")))
    }

    /// A page of a list: the statement gets the filters, the size and the rows to skip.
    async fn list(&self, key: &str, from: &str, columns: &str, filters: &[&str], what: &str) -> Answer {
        let (size, skipped) = (self.page_size(100), self.skipped()?);
        let total =
            self.number(&format!("select count(*) {from}"), &texts(filters)).await.map_err(database_failed(what))?;
        let count = filters.len();
        let sql = format!(
            "select json_strip_nulls({columns})::text {from} order by at desc, id limit ${} offset ${}",
            count + 1,
            count + 2
        );
        let mut values = texts(filters);
        values.push(&size);
        values.push(&skipped);
        let rows = self.read(&sql, &values).await.map_err(database_failed(what))?;
        let end = skipped + i64::try_from(rows.len()).unwrap_or(0);
        let next = if end < total { format!("at-{end}") } else { String::new() };
        Ok(Json(json!({ key: rows, "nextPageToken": next, "totalSize": total })).into_response())
    }

    async fn events(&self) -> Answer {
        let from = "from (select *, created_at as at from audit_events) events
            where ($1 = '' or namespace = $1) and ($2 = '' or actor = $2) and ($3 = '' or plugin = $3)
              and ($4 = '' or action = $4) and ($5 = '' or event_type = $5)";
        let columns = "json_build_object('id', id, 'namespace', namespace, 'correlationId', nullif(correlation_id, ''),
            'eventType', event_type, 'actor', actor, 'requestId', nullif(request_id, ''), 'plugin', nullif(plugin, ''),
            'resourceType', nullif(resource_type, ''), 'resourceIds', resource_ids, 'action', nullif(action, ''),
            'actionVerb', nullif(action_verb, ''), 'outcome', outcome, 'statusCode', status_code,
            'reason', nullif(reason, ''), 'metadata', event_metadata,
            'createdAt', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))";
        let filters = ["namespace", "actor", "plugin", "action", "eventType"].map(|name| self.asked(name));
        self.list("events", from, columns, &filters, "list audit events").await
    }

    async fn jobs(&self) -> Answer {
        let from = "from (select *, requested_at as at from refresh_jobs) jobs
            where ($1 = '' or namespace = $1) and ($2 = '' or plugin = $2) and ($3 = '' or source_id = $3)
              and ($4 = '' or state = $4) and ($5 = '' or requested_by = $5)";
        let filters = ["namespace", "plugin", "sourceId", "state", "requestedBy"].map(|name| self.asked(name));
        self.list("jobs", from, JOB, &filters, "list jobs").await
    }

    async fn job(&self, id: &str) -> Answer {
        let sql = format!("select json_strip_nulls({JOB})::text from refresh_jobs where id = $1");
        let rows = self.read(&sql, &[&id]).await.map_err(database_failed("get job"))?;
        let job = rows.into_iter().next().ok_or_else(|| failed(404, format!("job {id:?} not found")))?;
        Ok(Json(job).into_response())
    }

    /// Only what is queued can be canceled; whatever is wrong is a 400.
    async fn cancel(&self, id: &str) -> Answer {
        let refused = |why: String| failed(400, format!("failed to cancel job: {why}"));
        let client = self.pod.database.client().await.map_err(refused)?;
        let sql = "update refresh_jobs set state = 'canceled', finished_at = now(), message = 'Canceled by user'
            where id = $1 and state = 'queued'";
        let done = client.execute(sql, &[&id]).await.map_err(|why| refused(told(&why)))?;
        if done > 0 {
            return Ok(Json(json!({ "status": "canceled", "jobId": id })).into_response());
        }
        let state = client.query_opt("select state from refresh_jobs where id = $1", &[&id]).await;
        match state.map_err(|why| refused(told(&why)))? {
            None => Err(refused(format!("job not found: {id}"))),
            Some(row) => {
                let state: &str = row.get(0);
                Err(refused(format!("job {id} is in state {state}, only queued jobs can be canceled")))
            }
        }
    }

    async fn enqueue(&self, namespace: &str, plugin: &str, source: &str) -> Answer {
        let sql = "insert into refresh_jobs (namespace, plugin, source_id, requested_by)
            values ($1, $2, $3, $4) returning json_build_object('id', id)::text";
        let values: [&(dyn ToSql + Sync); 4] = [&namespace, &plugin, &source, &self.person.user];
        let rows = self.read(sql, &values).await.map_err(database_failed("enqueue job"))?;
        let id = rows.first().map(|row| row["id"].clone()).unwrap_or_default();
        Ok((StatusCode::ACCEPTED, Json(json!({ "jobId": id, "status": "queued" }))).into_response())
    }

    async fn servers(&self, namespace: &str) -> Answer {
        let (size, skipped) = (self.page_size(1000), self.skipped()?);
        let (column, operator, wanted) = filter(self.asked("filterQuery"))?;
        let pause = self.pause(size, &column).await.map_err(database_failed("list servers"))?;
        let sql = format!(
            "with slept as materialized (select pg_sleep($5))
             select json_build_object('id', id::text, 'name', name, 'description', description,
                 'createTimeSinceEpoch', create_time_since_epoch::text,
                 'lastUpdateTimeSinceEpoch', last_update_time_since_epoch::text,
                 'customProperties', json_build_object('namespace', namespace))::text
             from \"Context\", slept where namespace = $1 and {column} {operator} $2 order by name limit $3 offset $4"
        );
        let more = size + 1;
        let values: [&(dyn ToSql + Sync); 5] = [&namespace, &wanted, &more, &skipped, &pause];
        let mut rows = self.read(&sql, &values).await.map_err(database_failed("list servers"))?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let next = if rows.len() > size {
            format!("at-{}", skipped + i64::try_from(size).unwrap_or(0))
        } else {
            String::new()
        };
        rows.truncate(size);
        Ok(Json(json!({ "items": rows, "size": rows.len(), "pageSize": size, "nextPageToken": next })).into_response())
    }

    /// For how many seconds the database is made to sleep with a list.
    async fn pause(&self, size: i64, column: &str) -> Result<f64, String> {
        let slow = self.shared.scene().slow.clone();
        let mut pause = f64::from(slow.base_ms) + f64::from(slow.item_ms) * f64::from(i32::try_from(size).unwrap_or(0));
        if column == "description" {
            pause += f64::from(slow.filter_ms);
        }
        let indexed =
            "select count(*) from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = '\"Context\"'::regclass and i.indisvalid and a.attname = 'namespace'";
        if slow.no_index_ms > 0 && self.number(indexed, &[]).await? == 0 {
            pause += f64::from(slow.no_index_ms);
        }
        Ok(pause / 1000.0)
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

/// One job in the words of the API.
const JOB: &str = "json_build_object('id', id, 'namespace', namespace, 'plugin', plugin, 'sourceId', nullif(source_id, ''),
    'requestedBy', requested_by, 'requestedAt', to_char(requested_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    'state', state, 'progress', nullif(progress, ''), 'message', nullif(message, ''),
    'startedAt', to_char(started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    'finishedAt', to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    'attemptCount', attempt_count, 'lastError', nullif(last_error, ''), 'entitiesLoaded', nullif(entities_loaded, 0),
    'durationMs', nullif(duration_ms, 0))";

fn texts<'a>(filters: &'a [&'a str]) -> Vec<&'a (dyn ToSql + Sync)> {
    filters.iter().map(|filter| filter as &(dyn ToSql + Sync)).collect()
}

/// A filter such as `name='x'` or `description LIKE '%x%'`: column, operator, value.
fn filter(text: &str) -> Result<(String, &'static str, String), Failed> {
    if text.is_empty() {
        return Ok(("name".to_owned(), "like", "%".to_owned()));
    }
    let bad = || failed(400, format!("invalid filterQuery: {text}"));
    let (head, rest) = text.split_once('\'').ok_or_else(bad)?;
    let value = rest.trim_end().strip_suffix('\'').filter(|value| !value.contains('\'')).ok_or_else(bad)?;
    let (column, operator) = match head.trim().split_once('=') {
        Some((column, "")) => (column.trim(), "="),
        _ => (head.trim().strip_suffix("LIKE").ok_or_else(bad)?.trim(), "like"),
    };
    if !matches!(column, "name" | "description") {
        return Err(bad());
    }
    Ok((column.to_owned(), operator, value.to_owned()))
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
