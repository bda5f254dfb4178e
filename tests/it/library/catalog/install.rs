//! The catalog-server: installing it, and whether it is well.

use super::Bench;
use crate::support::{Catalog, CatalogPlan};
use serde_json::json;

#[test]
fn a_healthy_catalog_passes_every_check() {
    let bench = Bench::start();
    let ran = bench.run("catalog-health", "", &[]).exits(0).reached(&[
        "catalog-health.tenancy",
        "catalog-health.readiness",
        "catalog-health.state",
        "catalog-health.alive",
        "catalog-health.ready",
        "catalog-health.plugins_loaded",
        "catalog-health.list_answers",
    ]);
    assert_eq!(ran.value("catalog-health.tenancy", "mode"), "namespace");
    assert_eq!(ran.value("catalog-health.servers", "size"), 3);
    let asked = bench.catalog.requests();
    let listed = asked.iter().find(|one| one["path"].as_str().unwrap().ends_with("/mcpservers")).unwrap();
    assert_eq!(listed["headers"]["x-remote-user"], "ops-admin");
    assert_eq!(listed["query"], "namespace=team-a&pageSize=20");
    assert!(bench.catalog.writes().is_empty() || asked.iter().all(|one| one["method"] == "GET"), "it only reads");
}

#[test]
fn readiness_says_which_component_is_down() {
    let bench = Bench::start();
    let of = |component: &str, state: &str| {
        let ran = bench.run("catalog-health", "", &[]).exits(1).tells(state);
        let ran = ran.reached(&["catalog-health.readiness", "catalog-health.state", "catalog-health.alive"]);
        ran.value("catalog-health.readiness", component)
    };
    bench.catalog.control(&json!({ "loading": true }));
    assert_eq!(of("initial_load", "The initial load is not done"), "pending");
    bench.catalog.control(&json!({ "reset": true, "sick": ["mcp", "skills"] }));
    assert_eq!(of("details", "A plugin is not healthy"), "6 of 8 plugins healthy");
    bench.catalog.control(&json!({ "reset": true }));
    // The database is gone for the server, as behind a wall.
    let database = &bench.catalog.database;
    database.execute(&format!("alter role {} nologin", bench.catalog.role));
    database.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'catalog-server' and datname = current_database()");
    assert_eq!(of("database", "The database does not answer"), "down");
    database.execute(&format!("alter role {} login", bench.catalog.role));
    _ = bench.run("catalog-health", "", &[]).exits(0).reached(&["catalog-health.ready"]);
}

#[test]
fn a_refused_connection_is_a_finding_and_names_the_migrations() {
    let bench = Bench::of(Catalog::with(&CatalogPlan { replicas: 0, ..CatalogPlan::default() }));
    let ran = bench.run("catalog-health", "", &[]).exits(1);
    let ran = ran
        .tells("Nothing listens, or the connection breaks")
        .tells("whether the migrations hang (catalog-migration-stuck)")
        .reached(&["catalog-health.life", "catalog-health.state"])
        .came_to(&["catalog-health.alive", "catalog-health.ready"], &["failed"]);
    assert_eq!(ran.value("catalog-health.state", "name"), "silent");
}

#[test]
fn in_namespace_mode_every_request_names_one() {
    let bench = Bench::start();
    assert_eq!(bench.catalog.get("/readyz", "", "").0, 400, "as the document asks");
    let ran =
        bench.run("catalog-health", "", &[]).exits(0).reached(&["catalog-health.tenancy", "catalog-health.ready"]);
    assert_eq!(ran.value("catalog-health.tenancy", "mode"), "namespace");
    let ran = bench.run("catalog-health", "", &["-i", "catalog_namespace=default"]).exits(1);
    _ = ran.tells("It is ready, and refuses this user").reached(&["catalog-health.ready"]);
    // One tenant: whatever is asked for, it is the same.
    let bench = Bench::with(&CatalogPlan {
        variables: &[("CATALOG_TENANCY_MODE", "single"), ("CATALOG_AUTHZ_MODE", "none")],
        ..CatalogPlan::default()
    });
    let ran = bench.run("catalog-health", "", &[]).exits(0);
    assert_eq!(ran.value("catalog-health.tenancy", "mode"), "single");
}
