//! The tables of the server, and how they come into a database.
//!
//! Assets are contexts, as in the metadata store that the real server is built on: no table is called after a plugin.

use super::database::{Database, told};
use super::journal::Journal;

/// The key of the advisory lock: the CRC-32 of `catalog-server-migration`.
pub(crate) const LOCK: i64 = 86_669_445;

/// Every table, its indexes, and a few servers for each namespace when there is none at all.
const TABLES: &str = r#"
create table if not exists "Context" (
    id bigserial primary key, type_id integer not null default 1, name varchar(255) not null,
    namespace varchar(63) not null default 'default', description text not null default '',
    create_time_since_epoch bigint not null default extract(epoch from now()) * 1000,
    last_update_time_since_epoch bigint not null default extract(epoch from now()) * 1000,
    unique (type_id, namespace, name)
);
create index if not exists idx_context_namespace on "Context" (namespace, type_id, name);
create table if not exists catalog_refresh_status (
    namespace text not null default 'default', source_id text not null, plugin_name text,
    last_refresh_time timestamptz, last_refresh_status text, last_refresh_summary text, last_error text,
    entities_loaded bigint not null default 0, entities_removed bigint not null default 0,
    duration_ms bigint not null default 0, updated_at timestamptz not null default now(),
    primary key (namespace, source_id)
);
create table if not exists catalog_overlays (
    plugin_name text not null, entity_kind text not null, entity_name text not null, overlay jsonb,
    primary key (plugin_name, entity_kind, entity_name)
);
create table if not exists asset_governance (
    id varchar(36) primary key, namespace text not null default 'default', asset_uid text not null, owner text
);
create table if not exists asset_versions (
    id varchar(36) primary key, namespace text not null default 'default', asset_uid text not null, version_id text
);
create table if not exists env_bindings (
    id varchar(36) primary key, namespace text not null default 'default', asset_uid text not null, environment text
);
create table if not exists audit_events (
    id varchar(36) primary key default gen_random_uuid()::text, namespace text not null default 'default',
    correlation_id text not null default '', event_type text not null default 'management',
    actor text not null, request_id text not null default '', plugin text not null default '',
    resource_type text not null default '', resource_ids jsonb not null default '[]',
    action text not null default '', action_verb text not null default '', outcome text not null,
    status_code integer not null default 200, reason text not null default '',
    event_metadata jsonb not null default '{}', created_at timestamptz not null default now()
);
create index if not exists idx_audit_ns_created on audit_events (namespace, created_at);
create table if not exists refresh_jobs (
    id varchar(36) primary key default gen_random_uuid()::text, namespace text not null default 'default',
    plugin text not null default 'mcp', source_id text not null default '', requested_by text not null default 'seed',
    requested_at timestamptz not null default now(), state text not null default 'queued',
    progress text not null default '', message text not null default '', started_at timestamptz,
    finished_at timestamptz, attempt_count integer not null default 0, last_error text not null default '',
    idempotency_key text unique, entities_loaded bigint not null default 0,
    entities_removed bigint not null default 0, duration_ms bigint not null default 0
);
create index if not exists idx_job_ns_state on refresh_jobs (namespace, state);
create index if not exists idx_job_plugin_state on refresh_jobs (plugin, state);
insert into "Context" (name, namespace, description)
select name, namespace, 'A server of ' || namespace
from (values ('default', 'filesystem'), ('default', 'github'), ('default', 'postgres'), ('default', 'search'),
    ('team-a', 'filesystem'), ('team-a', 'github'), ('team-a', 'metrics'),
    ('team-b', 'billing'), ('team-b', 'filesystem')) as first (namespace, name)
where not exists (select from "Context");
"#;

/// Brings the tables into the database, one pod at a time: whoever holds the lock goes first, and the others wait
/// without an end.
pub(crate) async fn migrate(database: &Database, journal: &Journal, pod: &str) -> Result<(), String> {
    let client = database.client().await?;
    journal.say(pod, "INFO", "running migrations with lock", &[]);
    let failed = |why: tokio_postgres::Error| format!("migration lock error: {}", told(&why));
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
    let made = client.batch_execute(&format!("begin; {TABLES} commit;")).await;
    if made.is_err() {
        client.batch_execute("rollback").await.map_err(failed)?;
    }
    client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await.map_err(failed)?;
    made.map_err(|why| format!("failed to auto-migrate tables: {}", told(&why)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lock_is_the_checksum_of_its_name() {
        let mut sum = flate2::Crc::new();
        sum.update(b"catalog-server-migration");
        assert_eq!(super::LOCK, i64::from(sum.sum()));
    }
}
