//! Refreshes that pile up: too few workers, a source that refuses, jobs that are stuck.

use super::{Bench, changes, object};
use crate::support::{Server, say_json};
use serde_json::json;

/// A bench with so many jobs that wait, and nobody who works on them.
fn with_jobs(count: u32) -> Bench {
    let bench = Bench::start();
    bench.catalog.control(&json!({ "idle": true }));
    bench.catalog.database.execute(&format!(
        "insert into refresh_jobs (namespace, source_id, requested_at)
         select 'team-' || chr(97 + n % 2), 'local', now() - interval '10 minutes' from generate_series(1, {count}) n"
    ));
    let provider = Server::new(|_, connection| say_json(connection, &json!([])));
    bench.shelf.set("provider_url", provider.url.as_str()).set("watch", "6s").set("watch_every", "2s");
    bench
}

fn count(bench: &Bench, state: &str) -> String {
    bench.catalog.database.value(&format!("select count(*) from refresh_jobs where state = '{state}'"))
}

#[test]
fn more_workers_let_the_queue_fall() {
    let bench = with_jobs(120);
    // Three jobs run, as many as there are workers.
    bench.catalog.database.execute(
        "insert into refresh_jobs (namespace, source_id, state, started_at)
         select 'team-a', 'local', 'running', now() from generate_series(1, 3)",
    );
    let catalog = &bench.catalog;
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let is_set =
                || catalog.kubectl("get deployment catalog-server -o yaml").stdout.contains("CATALOG_JOB_CONCURRENCY");
            catalog.waits("more workers are set", is_set);
            catalog.control(&json!({ "idle": false }));
        });
        bench.run("catalog-refresh-backlog", "how_many: { workers: 6 }", &[])
    });
    let ran = ran.exits(0).reached(&[
        "catalog-refresh-backlog.queued",
        "catalog-refresh-backlog.running",
        "catalog-refresh-backlog.failed",
        "catalog-refresh-backlog.provider_times",
        "catalog-refresh-backlog.provider",
        "catalog-refresh-backlog.start_log",
        "catalog-refresh-backlog.cause",
        "catalog-refresh-backlog.not_too_many",
        "catalog-refresh-backlog.more_workers",
        "catalog-setting.set_knob",
        "catalog-refresh-backlog.queue_falls",
        "catalog-refresh-backlog.short_enough",
    ]);
    // More than a page of 20, of both namespaces.
    assert_eq!(ran.value("catalog-refresh-backlog.queued", "total"), 120);
    assert_eq!(ran.value("catalog-refresh-backlog.findings", "workers"), 3);
    assert!(catalog.log().contains("concurrency=6"), "the pods say so");
}

#[test]
fn a_queue_that_does_not_fall_with_more_workers_is_handed_over() {
    let bench = with_jobs(60);
    bench.catalog.database.execute("insert into refresh_jobs (state) select 'running' from generate_series(1, 3)");
    bench.shelf.set("watch", "1s");
    _ = bench
        .run("catalog-refresh-backlog", "how_many: { workers: 5 }", &[])
        .exits(6)
        .came_to(&["catalog-refresh-backlog.queue_falls"], &["does_not_hold"])
        .tells("The queue does not fall with 5 workers a pod");
    // More than may be set is refused before anything is changed.
    bench.catalog.database.execute("insert into refresh_jobs (state) select 'running' from generate_series(1, 2)");
    let before = changes(&bench.catalog);
    _ = bench
        .run("catalog-refresh-backlog", "how_many: { workers: 40 }", &[])
        .came_to(&["catalog-refresh-backlog.not_too_many"], &["does_not_hold"])
        .exits(1);
    assert_eq!(changes(&bench.catalog), before);
}

#[test]
fn jobs_that_wait_although_workers_are_free_have_no_leader_and_get_one() {
    let bench = with_jobs(60);
    let catalog = &bench.catalog;
    // Nobody may hold the lease, so nobody works.
    _ = catalog
        .kubectl("delete role/catalog-server-leader rolebinding/catalog-server-leader lease/catalog-server-leader")
        .exits(0);
    _ = catalog.kubectl("delete pods -l app=catalog-server").exits(0);
    catalog.serves(3);
    catalog.control(&json!({ "idle": false }));
    bench.shelf.set("patience", "30s").set("look_every", "100ms").set("watch", "20s");
    _ = bench.run("catalog-refresh-backlog", "", &[]).exits(0).reached(&[
        "catalog-refresh-backlog.cause",
        "catalog-refresh-backlog.leader",
        "catalog-leader-election.make_role",
        "catalog-leader-election.led",
        "catalog-refresh-backlog.short_enough",
    ]);
}

/// A bench whose source `hf` refuses whoever has no token.
fn with_refusals() -> Bench {
    let bench = with_jobs(0);
    let provider = json!(["hf", { "latency_ms": 10, "status": 429, "token_secret": "catalog-source-hf/token" }]);
    bench.catalog.control(&json!({ "provider": provider, "idle": false }));
    bench
        .catalog
        .database
        .execute("insert into refresh_jobs (namespace, source_id) select 'team-a', 'hf' from generate_series(1, 3)");
    bench.catalog.waits("they are refused", || count(&bench, "failed") == "3");
    bench
}

const TOKEN: &str = "hf_correct-horse-battery";

fn token() -> String {
    format!("source: {{ name: hf, plan: 5000 an hour }}\ntoken: {{ answer: {TOKEN} }}\n")
}

#[test]
fn a_token_stops_the_refusals_of_a_source_and_is_shown_nowhere() {
    let bench = with_refusals();
    let ran = bench.run("catalog-refresh-backlog", &token(), &[]).exits(0).reached(&[
        "catalog-refresh-backlog.failed",
        "catalog-refresh-backlog.source",
        "catalog-refresh-backlog.token",
        "catalog-refresh-backlog.store_token",
        "catalog-refresh-backlog.restart",
        "catalog-refresh-backlog.refreshed",
        "catalog-refresh-backlog.no_more_refusals",
    ]);
    let secret = object(&bench.catalog, "-n catalog-system get secret catalog-source-hf");
    assert_eq!(secret["data"]["token"], "aGZfY29ycmVjdC1ob3JzZS1iYXR0ZXJ5");
    assert!(!ran.output.all().contains(TOKEN), "{}", ran.output);
    let record = std::fs::read_to_string(ran.folder.join("transcript.jsonl")).unwrap();
    assert!(!record.contains(TOKEN), "it is on record");
    // Another token replaces it; the key is the same.
    bench
        .catalog
        .database
        .execute("update refresh_jobs set finished_at = now(), state = 'failed', last_error = 'HTTP 429'");
    let other = "source: { name: hf, plan: x }\ntoken: { answer: hf_another-token }\n";
    _ = bench.run("catalog-refresh-backlog", other, &[]).exits(0).reached(&["catalog-refresh-backlog.replace_token"]);
    let secret = object(&bench.catalog, "-n catalog-system get secret catalog-source-hf");
    assert_eq!(secret["data"]["token"], "aGZfYW5vdGhlci10b2tlbg==");
}

#[test]
fn a_token_that_is_not_taken_is_found_out() {
    let bench = with_refusals();
    // The server looks elsewhere.
    _ = bench
        .run("catalog-refresh-backlog", &token(), &["-i", "token_prefix=other"])
        .exits(1)
        .came_to(&["catalog-refresh-backlog.refreshed"], &["does_not_hold"])
        .tells("429 Too Many Requests");
}

#[test]
fn stuck_jobs_are_cancelled_one_by_one_and_one_that_was_taken_meanwhile_says_so() {
    let bench = with_jobs(2);
    // When the first is cancelled, a worker takes the second.
    bench.catalog.database.execute(
        "insert into refresh_jobs (id, namespace, source_id, requested_at) values
             ('stuck-1', 'team-a', 'git', now() - interval '5 hours'), ('stuck-2', 'team-b', 'git', now() - interval '4 hours'),
             ('stuck-3', 'team-b', 'git', now() - interval '3 hours');
         create function take() returns trigger language plpgsql as $$
         begin update refresh_jobs set state = 'running', started_at = now() where id = 'stuck-2'; return null; end $$;
         create trigger take after update on refresh_jobs for each row when (new.id = 'stuck-1') execute function take()",
    );
    let ran = bench.run("catalog-refresh-backlog", "to_cancel: { which: git }", &[]).exits(0).reached(&[
        "catalog-refresh-backlog.to_cancel",
        "catalog-refresh-backlog.cancel",
        "catalog-refresh-backlog.cancelled",
        "catalog-refresh-backlog.none_of_them_waits",
    ]);
    assert_eq!(ran.value("catalog-refresh-backlog.cancelled", "done"), json!(["stuck-1", "stuck-3"]));
    let refused = ran.value("catalog-refresh-backlog.cancelled", "refused");
    assert_eq!(refused[0]["id"], "stuck-2");
    assert!(refused[0]["said"].to_string().contains("only queued jobs can be canceled"), "{refused}");
    let states = bench.catalog.database.rows("select state from refresh_jobs where id like 'stuck-%' order by id");
    let states: Vec<_> = states.into_iter().flatten().flatten().collect();
    assert_eq!(states, ["canceled", "running", "canceled"]);
    assert_eq!(count(&bench, "queued"), "2", "the young ones stay");
    // The colon of the path is sent as it is.
    let paths: Vec<String> = bench.catalog.requests().iter().map(|request| request["path"].to_string()).collect();
    assert!(paths.contains(&"\"/api/jobs/v1alpha1/refresh/stuck-1:cancel\"".to_owned()), "{paths:?}");
}

#[test]
fn a_short_queue_needs_nothing() {
    let bench = with_jobs(3);
    let before = changes(&bench.catalog);
    _ = bench.run("catalog-refresh-backlog", "", &[]).exits(0).tells("NO ACTION");
    assert_eq!(changes(&bench.catalog), before);
}
