//! The stand-in itself: what the runbooks rely on is true of it.

use super::Bench;
use crate::support::{Catalog, CatalogPlan, PASSWORD};
use serde_json::json;
use std::process::{Child, Command, Stdio};

#[test]
fn three_pods_serve_two_tenants_by_the_rights_of_the_cluster() {
    let catalog = Catalog::start();
    let list = |namespace: &str, user: &str, groups: &str| {
        catalog.get(&format!("/api/mcp_catalog/v1alpha1/mcpservers?namespace={namespace}"), user, groups)
    };
    let (status, body) = list("team-a", "alice", "team-a-engineers");
    assert_eq!((status, body["size"].as_i64()), (200, Some(3)), "{body}");
    assert_eq!(list("team-a", "alice", "").0, 403);
    assert_eq!(list("team-b", "alice", "team-a-engineers").0, 403);
    assert_eq!(list("team-b", "ops-admin", "").1["size"], 2);
    assert_eq!(catalog.get("/livez", "", "").0, 400);
    let (status, ready) = catalog.get("/readyz?namespace=team-a", "", "");
    assert_eq!((status, ready["components"]["database"]["status"].as_str()), (200, Some("up")), "{ready}");
    let (status, events) = catalog.get("/api/audit/v1alpha1/events?namespace=team-b", "ops-admin", "");
    assert_eq!((status, events["totalSize"].as_i64()), (200, Some(1)), "{events}");
    assert_eq!(events["events"][0]["outcome"], "denied");
    let log = catalog.log();
    assert!(log.contains("msg=\"job config loaded\" enabled=true concurrency=3"), "{log}");
    assert_eq!(log.matches("running migrations with lock").count(), 3, "{log}");
}

#[test]
fn one_pod_leads_and_another_takes_over() {
    let catalog = Catalog::start();
    let leader = || {
        let state = catalog.state();
        let pods = state["pods"].as_array().unwrap().clone();
        let leaders: Vec<String> = pods
            .iter()
            .filter(|pod| pod["leader"] == true)
            .map(|pod| pod["name"].as_str().unwrap().to_owned())
            .collect();
        leaders
    };
    catalog.waits("one leads", || leader().len() == 1);
    let first = leader().remove(0);
    let lease = catalog.kubectl("get lease catalog-server-leader -o jsonpath={.spec.holderIdentity}").stdout;
    assert_eq!(lease, first);
    _ = catalog.kubectl(&format!("delete pod {first}")).exits(0);
    catalog.waits("another leads", || leader().len() == 1 && leader()[0] != first);
}

/// Somebody who holds the lock of the migrations, for a minute at most.
pub(super) fn holder(catalog: &Catalog) -> Child {
    let holder = Command::new("psql")
        .args([&catalog.database.url(), "-c", "select pg_advisory_lock(86669445), pg_sleep(60)"])
        .env("PGPASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let holder = holder.expect("psql starts: install the Debian package postgresql-client");
    catalog.database.waits_until("select count(*) = 1 from pg_locks where locktype = 'advisory' and granted");
    holder
}

#[test]
fn a_held_lock_keeps_every_pod_from_listening() {
    let bench = Bench::with(&CatalogPlan { replicas: 0, ..CatalogPlan::default() });
    let catalog = &bench.catalog;
    assert_eq!(catalog.get("/livez?namespace=team-a", "", "").0, 0, "nothing listens");
    let database = &catalog.database;
    let mut holder = holder(catalog);
    _ = catalog.kubectl("scale deployment catalog-server --replicas=2").exits(0);
    database.waits_until("select count(*) = 2 from pg_locks where locktype = 'advisory' and not granted");
    assert_eq!(catalog.state()["serving"], false);
    let pods = catalog.kubectl("get pods --no-headers").stdout;
    assert_eq!(pods.matches("0/1").count(), 2, "{pods}");
    database.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted");
    catalog.serves(2);
    _ = catalog
        .kubernetes
        .until_it("-n catalog-system get pods --no-headers", |output| output.stdout.matches("1/1").count() == 2);
    _ = catalog.kubectl("scale deployment catalog-server --replicas=0").exits(0);
    catalog.waits("nothing listens", || catalog.get("/livez?namespace=team-a", "", "").0 == 0);
    holder.kill().ok();
    holder.wait().ok();
}

#[test]
fn jobs_are_done_and_fail_as_their_source_does() {
    let catalog = Catalog::start();
    catalog.control(&json!({ "provider": ["hf", { "status": 429, "token_secret": "catalog-source-tokens/hf" }] }));
    let refresh = |source: &str| {
        let path = format!("/api/mcp_catalog/v1alpha1/management/refresh/{source}?namespace=team-a");
        let (status, body) = catalog.ask("POST", &path, "ops-admin", "");
        assert_eq!(status, 202, "{body}");
        body["jobId"].as_str().unwrap().to_owned()
    };
    let job = |id: &str| catalog.get(&format!("/api/jobs/v1alpha1/refresh/{id}?namespace=team-a"), "ops-admin", "").1;
    let (good, bad) = (refresh("local"), refresh("hf"));
    catalog.waits("it is done", || job(&good)["state"] == "succeeded");
    catalog.waits("it has failed", || job(&bad)["state"] == "failed");
    assert_eq!(job(&bad)["lastError"], "429 Too Many Requests");
    catalog.apply(&[json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { "hf": "token" },
        "metadata": { "name": "catalog-source-tokens", "namespace": "catalog-system" } })]);
    let again = refresh("hf");
    catalog.waits("it is done", || job(&again)["state"] == "succeeded");
    let (status, answer) =
        catalog.ask("POST", &format!("/api/jobs/v1alpha1/refresh/{again}:cancel?namespace=team-a"), "ops-admin", "");
    assert_eq!(status, 400, "{answer}");
}
