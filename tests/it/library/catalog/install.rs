//! The catalog-server: installing it, and whether it is well.

use super::Bench;
use super::simulator::holder;
use crate::support::{Catalog, CatalogPlan, Nginx};
use serde_json::json;
use std::process::Stdio;

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
    _ = ran
        .tells("Nothing listens, or the connection breaks")
        .tells("whether the migrations hang (catalog-migration-stuck)")
        .reached(&["catalog-health.life", "catalog-health.state"])
        .came_to(&["catalog-health.alive", "catalog-health.ready"], &["does_not_hold"]);
}

#[test]
fn in_namespace_mode_every_request_names_one() {
    let bench = Bench::start();
    assert_eq!(bench.catalog.get("/readyz", "", "").0, 400, "as the document asks");
    let ran =
        bench.run("catalog-health", "", &[]).exits(0).reached(&["catalog-health.tenancy", "catalog-health.ready"]);
    assert_eq!(ran.value("catalog-health.tenancy", "mode"), "namespace");
    let ran = bench.run("catalog-health", "", &["-i", "catalog_operator=mallory"]).exits(1);
    _ = ran.tells("It is ready, and refuses mallory in team-a").reached(&["catalog-health.ready"]);
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
    let teams =
        ["-i", "catalog_teams=team-a,team-b=b-people", "-i", "catalog_replicas=2", "-i", "catalog_db_tls=require"];
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
    assert_eq!(ran.value("catalog-install.session", "encrypted"), true);
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

#[test]
fn a_database_that_does_not_fit_stops_the_installation_before_any_change() {
    let bench = bare();
    let answers = format!("{{ tenancy: single, proxy: none, {ATTESTED} }}");
    let before = bench.catalog.writes();
    let database = &bench.catalog.database;
    // The role gets in, and may make nothing.
    database.execute(&format!(
        "alter database {} owner to postgres; revoke create on schema public from public; create table asset_owned (id int)",
        database.name
    ));
    let ran = bench.run("catalog-install", &answers, &[]).exits(1);
    _ = ran
        .reached(&["catalog-install.session", "catalog-install.new_enough"])
        .came_to(&["catalog-install.may_make_tables"], &["does_not_hold"])
        .came_to(
            &["catalog-install.try_tables", "catalog-install.keep_password", "catalog-install.start"],
            &["skipped"],
        )
        .tells("session.of_others");
    // The password is wrong.
    bench.shelf.set("catalog_db_password", "not-the-right-one");
    let ran = bench.run("catalog-install", &answers, &[]).exits(1);
    _ = ran
        .came_to(&["catalog-install.session"], &["failed"])
        .came_to(&["catalog-install.new_enough"], &["cannot_tell"])
        .came_to(&["catalog-install.keep_password", "catalog-install.start"], &["skipped"])
        .tells("password authentication failed");
    assert_eq!(bench.catalog.writes(), before);
}

#[test]
fn pods_that_do_not_start_say_why() {
    let bench = bare();
    // A secret of before, with a password that is not valid any more.
    bench
        .catalog
        .apply(&[json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { "DATABASE_PASSWORD": "of-last-year" },
        "metadata": { "name": "catalog-database-password", "namespace": "catalog-system" } })]);
    let answers = format!("{{ tenancy: single, proxy: none, {ATTESTED} }}");
    let ran = bench.run("catalog-install", &answers, &["-i", "catalog_start=4s"]).exits(1);
    _ = ran
        .reached(&["catalog-install.start", "catalog-install.why_not"])
        .came_to(&["catalog-install.keep_password"], &["skipped"])
        .tells("password authentication failed for user");
}

#[test]
fn probes_without_a_namespace_are_mended() {
    // Several tenants, and the probes as they come: the pods run and are never ready.
    let plan = CatalogPlan { probes: true, replicas: 2, ..CatalogPlan::default() };
    let bench = Bench::of(Catalog::begun(&plan));
    bench.catalog.waits("the pods are up", || bench.catalog.log().matches("catalog server ready").count() == 2);
    assert_eq!(bench.catalog.state()["serving"], false);
    _ = bench.run("catalog-health", "", &[]).exits(1).tells("Nothing listens");
    let answers = format!("{{ tenancy: namespace, proxy: istio, {ATTESTED} }}");
    let ran = bench.run("catalog-install", &answers, &["-i", "catalog_teams=team-a"]).exits(0);
    let ran = ran.reached(&["catalog-install.now_set", "catalog-install.probes", "catalog-install.rolled_out"]);
    assert_eq!(ran.value("catalog-install.now_set", "blind"), json!(["readinessProbe"]));
    bench.catalog.serves(2);
    let get = "get deployment catalog-server -o jsonpath={.spec.template.spec.containers[0].readinessProbe.httpGet}";
    let probe: serde_json::Value = serde_json::from_str(&bench.catalog.kubectl(get).stdout).unwrap();
    assert_eq!(
        probe,
        json!({ "path": "/readyz", "port": 8080,
        "httpHeaders": [{ "name": "X-Namespace", "value": "team-a" }] })
    );
    // The connection string that was there is left alone.
    let names = bench.catalog.kubectl("set env deployment/catalog-server --list").stdout;
    assert!(names.contains("catalog-database, key DATABASE_DSN"), "{names}");
}

#[test]
fn an_installation_can_be_taken_back() {
    let bench = bare();
    let before = bench.catalog.kubectl("get deployment catalog-server -o jsonpath={.spec.template.spec}").stdout;
    let answers = format!("{{ tenancy: namespace, proxy: envoy, {ATTESTED} }}");
    let ran = bench.run("catalog-install", &answers, &["-i", "catalog_teams=team-a"]).exits(0);
    let undone = bench.shelf.undo(&ran);
    let after = bench.catalog.kubectl("get deployment catalog-server -o jsonpath={.spec.template.spec}").stdout;
    assert_eq!(after, before, "{}", undone.output);
    for (what, name) in [("secret", "catalog-database-password"), ("clusterrole", "catalog-server-sar-creator")] {
        _ = bench.catalog.kubectl(&format!("get {what} {name}")).exits(1).tells("not found");
    }
    _ = bench.catalog.kubernetes.kubectl("-n team-a get rolebinding team-a-engineers").exits(1).tells("not found");
    assert_eq!(bench.catalog.kubectl("get deployment catalog-server -o jsonpath={.spec.replicas}").stdout, "0");
}

#[test]
fn rights_of_a_team_are_set_right_and_left_alone_when_they_are() {
    let bench = Bench::start();
    let teams = ["-i", "catalog_teams=team-a,team-b,team-c"];
    // One is as it should be, one has nothing, one is no namespace.
    let ran = bench.run("catalog-team-rights", "", &teams);
    let ran = ran.reached(&["catalog-team-rights.difference", "catalog-team-rights.give", "catalog-team-rights.bound"]);
    _ = ran
        .came_to(&["catalog-team-rights.namespace_there"], &["failed", "does_not_hold", "cannot_tell"])
        .tells("team-c");
    let list = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-b";
    bench.catalog.waits("its members are answered", || bench.catalog.get(list, "bob", "team-b-engineers").0 == 200);
    // Somebody took half of it away.
    _ = bench.catalog.kubernetes.kubectl("-n team-b delete role catalog-ai-engineer").exits(0);
    bench.catalog.waits("its members are refused", || bench.catalog.get(list, "bob", "team-b-engineers").0 == 403);
    let ran = bench.run("catalog-team-rights", "", &["-i", "catalog_teams=team-b"]).exits(0);
    _ = ran.reached(&["catalog-team-rights.renew"]);
    bench.catalog.waits("its members are answered", || bench.catalog.get(list, "bob", "team-b-engineers").0 == 200);
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let ran = bench.run("catalog-team-rights", "", &["-i", "catalog_teams=team-a,team-b"]).exits(0);
    _ = ran.came_to(&["catalog-team-rights.renew"], &["skipped"]);
    assert_eq!(bench.catalog.writes(), Vec::<String>::new());
}

/// The proxy of these lines is tried as alice.
fn through(bench: &Bench, lines: &str) -> crate::library::shelf::Ran {
    let nginx = Nginx::before(bench.catalog.url(), lines);
    bench
        .shelf
        .set("catalog_proxy_url", nginx.url.as_str())
        .set("catalog_proxy_login", format!("Basic {}", base64_of("alice:wonder-and-land")))
        .set("catalog_proxy_user", "alice")
        .set("catalog_proxy_group", "team-a-engineers");
    bench.run("catalog-proxy-check", "only_way: { only: true, evidence: 'policy catalog-only-proxy' }", &[])
}

const HONEST: &str = "proxy_set_header X-Remote-User $remote_user; proxy_set_header X-Remote-Group $groups;";

#[test]
fn a_proxy_that_tells_the_truth_passes() {
    let bench = Bench::start();
    let ran = through(&bench, HONEST).exits(0).reached(&[
        "catalog-proxy-check.stranger_refused",
        "catalog-proxy-check.sent",
        "catalog-proxy-check.user_arrives",
        "catalog-proxy-check.group_arrives",
        "catalog-proxy-check.lies_dropped",
        "catalog-proxy-check.closed",
    ]);
    assert_eq!(ran.value("catalog-proxy-check.line", "groups"), json!(["team-a-engineers"]));
    let record = std::fs::read_to_string(ran.folder.join("transcript.jsonl")).unwrap();
    assert!(!record.contains(&base64_of("alice:wonder-and-land")), "the login is a secret");
    // As a part of an installation.
    let nginx = Nginx::before(bench.catalog.url(), HONEST);
    bench.shelf.set("catalog_proxy_url", nginx.url.as_str());
    let answers = "{ tenancy: namespace, proxy: oauth2_proxy, \
        try_proxy/only_way: { only: true, evidence: 'policy' } }";
    let ran = bench.run("catalog-install", answers, &["-i", "catalog_teams=team-a"]).exits(0);
    _ = ran.reached(&["catalog-install.try_proxy", "catalog-proxy-check.lies_dropped"]);
}

#[test]
fn a_proxy_that_lets_a_client_say_who_it_is_is_found_out() {
    let bench = Bench::start();
    // It asks for a login, and then hands on what the client says.
    let ran = through(&bench, "").exits(1).reached(&["catalog-proxy-check.stranger_refused"]);
    let ran = ran.came_to(
        &["catalog-proxy-check.user_arrives", "catalog-proxy-check.lies_dropped", "catalog-proxy-check.group_arrives"],
        &["does_not_hold"],
    );
    assert_eq!(ran.value("catalog-proxy-check.line", "actor"), "runwright-forged-user");
    // It forgets the groups.
    let lines = "proxy_set_header X-Remote-User $remote_user; proxy_set_header X-Remote-Group '';";
    let ran = through(&bench, lines).exits(1).reached(&["catalog-proxy-check.user_arrives"]);
    _ = ran.came_to(&["catalog-proxy-check.group_arrives"], &["does_not_hold"]);
    // It asks for no login at all.
    let ran = through(&bench, "auth_basic off;").exits(1);
    _ = ran.came_to(&["catalog-proxy-check.stranger_refused"], &["does_not_hold"]);
}

#[test]
fn a_server_that_may_not_ask_the_cluster_is_found_out_and_mended() {
    let bench = Bench::start();
    _ = bench.catalog.kubernetes.kubectl("delete clusterrolebinding catalog-server-sar-creator").exits(0);
    let new = ["-i", "catalog_operator=nobody-asked-yet"];
    let ran = bench.run("catalog-health", "", &new).exits(1).tells("cannot ask the cluster who may do what");
    _ = ran.reached(&["catalog-health.ready"]).came_to(&["catalog-health.list_answers"], &["does_not_hold"]);
    let answers = format!("{{ tenancy: namespace, proxy: istio, {ATTESTED} }}");
    let ran = bench.run("catalog-install", &answers, &["-i", "catalog_teams=team-a"]).exits(0);
    _ = ran.reached(&["catalog-install.let_review"]).came_to(&["catalog-install.start"], &["skipped"]);
    assert_eq!(bench.catalog.get("/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-b", "nobody", "").0, 403);
}

#[test]
fn an_installation_that_was_killed_goes_on_and_repeats_nothing() {
    let bench = bare();
    let (shelf, catalog) = (&bench.shelf, &bench.catalog);
    // The pods hang in their migrations: somebody holds the lock.
    let mut holder = holder(catalog);
    let answers = shelf.sandbox.write("killed.yaml", &format!("{{ tenancy: namespace, proxy: istio, {ATTESTED} }}"));
    let mut run =
        shelf.command(["run", "catalog-install", "--env", "simulator", "-i", "catalog_teams=team-a", "--answers"]);
    let mut run = run.arg(&answers).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    catalog.database.waits_until("select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted");
    let folder = shelf.sandbox.only_run();
    let transcript = || std::fs::read_to_string(folder.join("transcript.jsonl")).unwrap();
    catalog.waits("it waits for the pods", || transcript().contains(r#""step":"rolled_out""#));
    run.kill().unwrap();
    run.wait().unwrap();
    let writes = catalog.writes();
    catalog.database.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted");
    holder.wait().ok();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let resumed = crate::support::finish(shelf.command(["resume", &name, "--answers"]).arg(&answers));
    _ = resumed.exits(0).tells("RESOLVED");
    assert_eq!(catalog.writes(), writes);
    catalog.serves(1);
}

#[test]
fn one_tenant_is_set_up_although_an_answer_of_the_cluster_is_lost() {
    let plan = CatalogPlan { variables: BARE, replicas: 0, probes: true, ..CatalogPlan::default() };
    let bench = Bench::of(Catalog::begun(&plan));
    // The variables are set, and nobody hears of it: the check afterwards settles it.
    let place = "/apis/apps/v1/namespaces/catalog-system/deployments/catalog-server";
    let fault = json!({ "path": place, "method": "PATCH", "times": 2, "perform": true, "cut": true });
    bench.catalog.kubernetes.control(&json!({ "fault": fault }));
    let answers = format!("{{ tenancy: single, proxy: istio, {ATTESTED} }}");
    let ran = bench
        .run("catalog-install", &answers, &[])
        .exits(0)
        .tells("its end was not seen; the verify says that it is done");
    _ = ran
        .reached(&["catalog-install.tenancy", "catalog-install.variables", "catalog-install.works_alone"])
        .came_to(&["catalog-install.probes", "catalog-install.give_teams", "catalog-install.let_review"], &["skipped"]);
    let (status, servers) = bench.catalog.get("/api/mcp_catalog/v1alpha1/mcpservers", "ops-admin", "");
    assert_eq!((status, servers["size"].as_i64()), (200, Some(4)), "the tenant is `default`: {servers}");
}
