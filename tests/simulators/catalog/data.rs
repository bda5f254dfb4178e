//! What comes out of the database: events of the audit trail, refresh jobs, servers; in pages.

use super::database::told;
use super::handlers::{Answer, Call, Failed, failed};
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

impl Call<'_> {
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

    pub(super) async fn events(&self) -> Answer {
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

    pub(super) async fn jobs(&self) -> Answer {
        let from = "from (select *, requested_at as at from refresh_jobs) jobs
            where ($1 = '' or namespace = $1) and ($2 = '' or plugin = $2) and ($3 = '' or source_id = $3)
              and ($4 = '' or state = $4) and ($5 = '' or requested_by = $5)";
        let filters = ["namespace", "plugin", "sourceId", "state", "requestedBy"].map(|name| self.asked(name));
        self.list("jobs", from, JOB, &filters, "list jobs").await
    }

    pub(super) async fn job(&self, id: &str) -> Answer {
        let sql = format!("select json_strip_nulls({JOB})::text from refresh_jobs where id = $1");
        let rows = self.read(&sql, &[&id]).await.map_err(database_failed("get job"))?;
        let job = rows.into_iter().next().ok_or_else(|| failed(404, format!("job {id:?} not found")))?;
        Ok(Json(job).into_response())
    }

    /// Only what is queued can be canceled; whatever is wrong is a 400.
    pub(super) async fn cancel(&self, id: &str) -> Answer {
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

    pub(super) async fn enqueue(&self, namespace: &str, plugin: &str, source: &str) -> Answer {
        let sql = "insert into refresh_jobs (namespace, plugin, source_id, requested_by)
            values ($1, $2, $3, $4) returning json_build_object('id', id)::text";
        let values: [&(dyn ToSql + Sync); 4] = [&namespace, &plugin, &source, &self.person.user];
        let rows = self.read(sql, &values).await.map_err(database_failed("enqueue job"))?;
        let id = rows.first().map(|row| row["id"].clone()).unwrap_or_default();
        Ok((StatusCode::ACCEPTED, Json(json!({ "jobId": id, "status": "queued" }))).into_response())
    }

    pub(super) async fn servers(&self, namespace: &str) -> Answer {
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

fn database_failed(what: &str) -> impl Fn(String) -> Failed {
    move |why| failed(500, format!("failed to {what}: {why}"))
}
