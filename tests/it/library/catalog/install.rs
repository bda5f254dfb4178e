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

/// The variables of a deployment that nobody has set up.
const BARE: &[(&str, &str)] = &[
    ("DATABASE_DSN", ""),
    ("CATALOG_TENANCY_MODE", ""),
    ("CATALOG_AUTHZ_MODE", ""),
    ("CATALOG_LEADER_ELECTION_ENABLED", ""),
];

const ATTESTED: &str = "proxy_said: { sets: true, drops: true, only: true, evidence: 'policy catalog-only-proxy' }";

/// A deployment without pods and without settings, with the probes of the real one.
fn bare() -> Bench {
    let plan = CatalogPlan { variables: BARE, replicas: 0, roles: false, probes: true, ..CatalogPlan::default() };
    Bench::of(Catalog::begun(&plan))
}

#[test]
fn an_installation_from_nothing_serves_two_teams() {
    let bench = bare();
    let answers = format!("{{ tenancy: namespace, proxy: oauth2_proxy, {ATTESTED} }}");
    let teams = ["-i", "catalog_teams=team-a,team-b=b-people", "-i", "catalog_replicas=2"];
    let ran = bench.run("catalog-install", &answers, &teams).exits(0).reached(&[
        "catalog-install.tenancy",
        "catalog-install.proxy",
        "catalog-install.new_enough",
        "catalog-install.may_make_tables",
        "catalog-install.try_tables",
        "catalog-install.keep_password",
        "catalog-install.let_review",
        "catalog-team-rights.give",
        "catalog-team-rights.bound",
        "catalog-install.variables",
        "catalog-install.probes",
        "catalog-install.rolled_out",
        "catalog-health.ready",
        "catalog-health.plugins_loaded",
        "catalog-health.list_answers",
        "catalog-install.members_answered",
        "catalog-install.strangers_refused",
        "catalog-install.proxy_attested",
    ]);
    // The password is in the secret, and nowhere in the record or in the deployment.
    let secret =
        bench.catalog.kubectl("get secret catalog-database-password -o jsonpath={.data.DATABASE_PASSWORD}").stdout;
    assert_eq!(secret, base64_of(crate::support::CATALOG_PASSWORD));
    let deployment = bench.catalog.kubectl("get deployment catalog-server -o yaml").stdout;
    assert!(deployment.contains("$(DATABASE_PASSWORD)") && !deployment.contains(crate::support::CATALOG_PASSWORD));
    let record = std::fs::read_to_string(ran.folder.join("transcript.jsonl")).unwrap();
    assert!(!record.contains(crate::support::CATALOG_PASSWORD) && !record.contains(&secret));
    // In the world: two pods, each team in its own namespace only.
    bench.catalog.serves(2);
    let list = |namespace: &str, groups: &str| {
        bench.catalog.get(&format!("/api/mcp_catalog/v1alpha1/mcpservers?namespace={namespace}"), "bea", groups).0
    };
    assert_eq!((list("team-a", "team-a-engineers"), list("team-b", "b-people")), (200, 200));
    assert_eq!((list("team-b", "team-a-engineers"), list("team-a", "")), (403, 403));
    assert_eq!(bench.catalog.database.value("select to_regclass('runwright_install_check') is null"), "t");
    // Once more: all is as it should be, and nothing is changed in the cluster.
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let ran = bench.run("catalog-install", &answers, &teams).exits(0);
    _ = ran.came_to(&["catalog-install.variables", "catalog-install.probes", "catalog-install.start"], &["skipped"]);
    assert_eq!(bench.catalog.writes(), Vec::<String>::new());
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
