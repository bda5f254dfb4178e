//! The workers of refresh jobs, in the pod that runs what one replica alone may run.

use super::database::told;
use super::gate::Shared;
use super::pod::Pod;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a refresh takes when nothing is said about its source.
const USUAL: Duration = Duration::from_millis(50);

struct Job {
    id: String,
    plugin: String,
    source: String,
    namespace: String,
    attempt: i32,
}

/// Works until the pod ends.
pub(crate) async fn work(shared: Arc<Shared>, pod: Arc<Pod>, end: CancellationToken) {
    let (workers, retries) = (pod.settings.concurrency, pod.settings.max_retries.to_string());
    let count = workers.to_string();
    let mut told = false;
    let poll = shared.options.job_poll.unwrap_or(pod.settings.poll);
    let mut all = tokio::task::JoinSet::new();
    while !end.is_cancelled() {
        if pod.is_first() && !told {
            told = true;
            let fields = [("concurrency", count.as_str()), ("maxRetries", &retries)];
            shared.journal.say(&pod.name, "INFO", "job worker pool starting", &fields);
        }
        if pod.is_first() && !shared.scene().idle {
            while all.len() < workers as usize {
                let (shared, pod) = (Arc::clone(&shared), Arc::clone(&pod));
                let Some(job) = claim(&shared, &pod).await else { break };
                all.spawn(async move { perform(&shared, &pod, &job).await });
            }
        }
        tokio::select! {
            () = end.cancelled() => {}
            Some(_) = all.join_next(), if !all.is_empty() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }
}

async fn claim(shared: &Shared, pod: &Pod) -> Option<Job> {
    let sql = "update refresh_jobs set state = 'running', started_at = now(), attempt_count = attempt_count + 1
        where id = (select id from refresh_jobs where state = 'queued' and attempt_count <= $1
            order by requested_at limit 1 for update skip locked)
        returning id, plugin, source_id, namespace, attempt_count";
    let most = i32::try_from(pod.settings.max_retries).unwrap_or(i32::MAX);
    let found = match pod.database.client().await {
        Ok(client) => client.query_opt(sql, &[&most]).await.map_err(|why| told(&why)),
        Err(why) => Err(why),
    };
    match found {
        Ok(row) => row.map(|row| Job {
            id: row.get(0),
            plugin: row.get(1),
            source: row.get(2),
            namespace: row.get(3),
            attempt: row.get(4),
        }),
        Err(why) => {
            shared.journal.say(&pod.name, "ERROR", "failed to claim job", &[("error", &why)]);
            None
        }
    }
}

async fn perform(shared: &Shared, pod: &Pod, job: &Job) {
    let attempt = job.attempt.to_string();
    let fields =
        [("jobID", job.id.as_str()), ("plugin", &job.plugin), ("sourceID", &job.source), ("attempt", &attempt)];
    shared.journal.say(&pod.name, "INFO", "processing job", &fields);
    let begin = Instant::now();
    let refreshed = refresh(shared, pod, job).await;
    let took = i64::try_from(begin.elapsed().as_millis()).unwrap_or(i64::MAX);
    match &refreshed {
        Ok(()) => shared.journal.say(&pod.name, "INFO", "job completed", &[("jobID", &job.id)]),
        Err(why) => shared.journal.say(&pod.name, "ERROR", "job failed", &[("jobID", &job.id), ("error", why)]),
    }
    if let Err(why) = record(pod, job, refreshed, took).await {
        shared.journal.say(&pod.name, "ERROR", "failed to mark job", &[("jobID", &job.id), ("error", &why)]);
    }
}

/// Asks the remote source, as the scene has it.
async fn refresh(shared: &Shared, pod: &Pod, job: &Job) -> Result<(), String> {
    let provider = shared.scene().providers.get(&job.source).cloned();
    let Some(provider) = provider else {
        tokio::time::sleep(USUAL).await;
        return Ok(());
    };
    tokio::time::sleep(Duration::from_millis(provider.latency_ms)).await;
    let Some(status) = provider.status else { return Ok(()) };
    let from_environment = provider.token_env.as_ref().and_then(|name| pod.settings.environment.get(name)).cloned();
    let secret = provider.token_secret.as_deref().and_then(|place| place.split_once('/'));
    let from_secret = match (secret, &shared.cluster) {
        (Some((name, key)), Some(cluster)) => {
            let values = cluster.values("secrets", name).await.unwrap_or_default();
            values.into_iter().find(|(own, _)| own == key).map(|(_, value)| value)
        }
        _ => None,
    };
    if from_environment.or(from_secret).is_some_and(|token| !token.is_empty()) {
        return Ok(());
    }
    let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    Err(format!("{status} {}", reason.unwrap_or("refused")))
}

async fn record(pod: &Pod, job: &Job, refreshed: Result<(), String>, took: i64) -> Result<(), String> {
    let client = pod.database.client().await?;
    let most = i32::try_from(pod.settings.max_retries).unwrap_or(i32::MAX);
    let failed = |why: tokio_postgres::Error| told(&why);
    let (error, sql) = match refreshed {
        Ok(()) => {
            let sql = "update refresh_jobs set state = 'succeeded', finished_at = now(), entities_loaded = 1,
                duration_ms = $2, message = 'Loaded 1 entities, removed 0' where id = $1";
            client.execute(sql, &[&job.id, &took]).await.map_err(failed)?;
            (String::new(), "success")
        }
        Err(why) => {
            let again = job.attempt < most;
            let sql = if again {
                "update refresh_jobs set state = 'queued', started_at = null, last_error = $2 where id = $1"
            } else {
                "update refresh_jobs set state = 'failed', finished_at = now(), last_error = $2,
                    message = 'Max retries exceeded: ' || $2 where id = $1"
            };
            client.execute(sql, &[&job.id, &why]).await.map_err(failed)?;
            (why, "error")
        }
    };
    let upsert = "insert into catalog_refresh_status (namespace, source_id, plugin_name, last_refresh_time,
            last_refresh_status, last_error, duration_ms)
        values ($1, $2, $3, now(), $4, $5, $6)
        on conflict (namespace, source_id) do update set last_refresh_time = now(), last_refresh_status = $4,
            last_error = $5, duration_ms = $6, updated_at = now()";
    client.execute(upsert, &[&job.namespace, &job.source, &job.plugin, &sql, &error, &took]).await.map_err(failed)?;
    Ok(())
}
