//! Every day: limits, knobs, rights that settle, the audit trail, jobs.

use super::Bench;
use crate::library::shelf::Shelf;
use crate::support::{CATALOG_PASSWORD, Catalog, CatalogPlan};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

impl Bench {
    /// So many lists, as somebody who may have them.
    fn lists(&self, count: usize) {
        for _ in 0..count {
            let path = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-a";
            assert_eq!(self.catalog.get(path, "alice", "team-a-engineers").0, 200);
        }
    }

    /// Waits until the log of the pods has this many lines of requests with a status.
    fn logged(&self, status: &str, count: usize) {
        let wanted = format!("status={status}");
        self.catalog.waits("the log has them", || self.catalog.log().matches(&wanted).count() >= count);
    }

    /// Jobs in the database; nobody works on them.
    fn jobs(&self, namespace: &str, state: &str, count: usize) {
        self.catalog.control(&json!({ "idle": true }));
        self.catalog.database.execute(&format!(
            "insert into refresh_jobs (namespace, state, source_id, requested_at)
             select '{namespace}', '{state}', 'source-' || n, now() - n * interval '1 minute' from generate_series(1, {count}) n"
        ));
    }

    /// Events in the audit trail; the first of them is the newest.
    fn events(&self, actor: &str, outcome: &str, count: usize, seconds_ago: usize) {
        self.catalog.database.execute(&format!(
            "insert into audit_events (namespace, actor, outcome, action, action_verb, created_at)
             select 'team-a', '{actor}', '{outcome}', 'list', 'list', now() - {seconds_ago} * interval '1 second' - n * interval '1 millisecond'
             from generate_series(1, {count}) n"
        ));
    }

    /// The value of a variable in the deployment; nothing when it is not set.
    fn variable(&self, name: &str) -> Option<String> {
        let deployment = self.catalog.kubectl("get deployment catalog-server -o json").json();
        let all = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().expect("variables").clone();
        let found = all.into_iter().find(|variable| variable["name"] == name)?;
        found["value"].as_str().map(str::to_owned)
    }
}

#[test]
fn a_catalog_server_that_is_well_keeps_its_six_limits() {
    let bench = Bench::start();
    // How quick it is says nothing on a busy machine.
    bench.shelf.set("catalog_p95_limit", 20_000);
    bench.lists(20);
    bench.logged("200", 20);
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let ran = bench.run("catalog-limits", "", &[]).exits(0).tells("RESOLVED").reached(&[
        "catalog-limits.requests",
        "catalog-limits.latency",
        "catalog-limits.server_errors",
        "catalog-limits.queue",
        "catalog-limits.denials",
        "catalog-limits.cache",
        "catalog-limits.pool",
    ]);
    assert!(ran.value("catalog-limits.requests", "p95").as_f64().unwrap() > 0.0);
    assert_eq!(ran.value("catalog-limits.requests", "errors"), 0);
    assert_eq!(ran.value("catalog-limits.queue", "queued"), 0);
    // Three pods, each with a cache of its own: three of the twelve calls are the first of their pod.
    assert_eq!(ran.value("catalog-limits.cache", "share"), 75.0);
    assert!(bench.catalog.writes().is_empty(), "it only reads: {:?}", bench.catalog.writes());
}

#[test]
fn every_limit_that_is_broken_is_found_in_one_run() {
    let bench =
        Bench::with(&CatalogPlan { variables: &[("CATALOG_CACHE_DISCOVERY_TTL", "1")], ..CatalogPlan::default() });
    // Longer than an answer is kept, whichever of the three pods gives it
    bench.shelf.set("catalog_cache_pause", "450ms").set("catalog_db_pool", 1).set("catalog_denied_watch", "1s");
    bench.catalog.control(&json!({ "slow": { "base_ms": 400 } }));
    bench.lists(4);
    bench.catalog.control(&json!({ "slow": {} }));
    bench.catalog.control(&json!({ "fault": { "path": "/api/mcp_catalog/*", "status": 500, "times": 1 } }));
    let path = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-a";
    assert_eq!(bench.catalog.get(path, "alice", "team-a-engineers").0, 500);
    bench.logged("200", 4);
    // No page of 20 shows them: there are 35 and 25 in two namespaces.
    bench.jobs("team-a", "queued", 35);
    bench.jobs("team-b", "queued", 25);
    // The newest 120 are fine: the first page has none that was denied.
    bench.events("alice", "success", 120, 0);
    bench.events("mallory", "denied", 30, 2);
    let busy: Vec<_> = (0..3).map(|_| bench.sleeper()).collect();
    let asleep = format!(
        "select count(*) = 3 from pg_stat_activity where usename = '{}' and query like '%pg_sleep(61)%' and state = 'active'",
        bench.catalog.role
    );
    bench.catalog.database.waits_until(&asleep);
    let ran = bench.run("catalog-limits", "", &[]).exits(1).tells("NOT RESOLVED");
    let broken = [
        "catalog-limits.latency",
        "catalog-limits.server_errors",
        "catalog-limits.queue",
        "catalog-limits.cache",
        "catalog-limits.pool",
    ];
    let ran =
        ran.came_to(&broken, &["does_not_hold"]).came_to(&["catalog-limits.denials"], &["does_not_hold", "failed"]);
    assert!(ran.value("catalog-limits.requests", "p95").as_f64().unwrap() > 300.0);
    assert_eq!(ran.value("catalog-limits.queue", "queued"), 60);
    assert_eq!(ran.value("catalog-limits.refused", "most"), 30);
    assert_eq!(ran.value("catalog-limits.cache", "share"), 0.0);
    for mut sleeper in busy {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}

impl Bench {
    /// A session of the server's role that is at work for a minute.
    fn sleeper(&self) -> Child {
        let mut psql = Command::new("psql");
        psql.arg(self.catalog.dsn()).args(["-c", "select pg_sleep(61)"]).env("PGPASSWORD", CATALOG_PASSWORD);
        psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql starts")
    }
}

#[test]
fn a_burst_of_refusals_is_no_spike() {
    let bench = Bench::start();
    // How quick it is says nothing on a busy machine.
    bench.shelf.set("catalog_denied_window", "3s").set("catalog_denied_watch", "30s").set("catalog_p95_limit", 20_000);
    bench.lists(20);
    bench.events("mallory", "denied", 30, 0);
    let begun = std::time::Instant::now();
    let ran = bench.run("catalog-limits", "", &[]).exits(0).reached(&["catalog-limits.denials"]);
    assert!(begun.elapsed().as_secs() >= 1, "the burst was waited out");
    assert_eq!(ran.value("catalog-limits.refused", "most"), 0);
}

#[test]
fn a_log_without_requests_is_no_pass() {
    // Nothing was asked of this server, so nobody knows how quick it is.
    let bench = Bench::with(&CatalogPlan { replicas: 1, ..CatalogPlan::default() });
    bench.shelf.set("catalog_selector", "app=catalog-server,never=there");
    let ran = bench.run("catalog-limits", "", &[]);
    assert_eq!(ran.output.code, 1, "{}", ran.output);
    _ = ran.came_to(&["catalog-limits.latency", "catalog-limits.server_errors"], &["cannot_tell"]);
}

#[test]
fn a_knob_is_turned_seen_in_the_log_of_every_new_pod_and_turned_back() {
    let bench = Bench::start();
    assert_eq!(bench.variable("CATALOG_JOB_CONCURRENCY"), None);
    let ran = bench.run("catalog-setting", "", &["-i", "knob=concurrency", "-i", "value=6"]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&["catalog-setting.set_knob", "catalog-setting.rolled_out", "catalog-setting.arrived"]);
    assert_eq!(ran.value("catalog-setting.arrived", "effective"), 6);
    assert_eq!(bench.variable("CATALOG_JOB_CONCURRENCY").as_deref(), Some("6"));
    bench.catalog.serves(3);
    assert!(bench.catalog.log().contains("concurrency=6"));
    assert!(!bench.catalog.log().contains("concurrency=3"), "no old pod is left");
    // It was not set before: taking it back takes it away.
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(bench.variable("CATALOG_JOB_CONCURRENCY"), None);
    bench.catalog.waits("the default is in force", || bench.catalog.log().contains("concurrency=3"));
    // Set already: nothing is done, and it is looked at all the same.
    _ = bench.catalog.kubectl("set env deployment/catalog-server CATALOG_JOB_MAX_RETRIES=5").exits(0);
    _ = bench.catalog.kubectl("rollout status deployment/catalog-server").exits(0);
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let ran = bench.run("catalog-setting", "", &["-i", "knob=retries", "-i", "value=5"]).exits(0);
    assert_eq!(ran.value("catalog-setting.arrived", "effective"), 5);
    assert!(!bench.catalog.writes().iter().any(|write| write.contains("deployments")), "nothing was changed");
}

#[test]
fn seconds_with_a_unit_are_refused_before_because_the_server_ignores_them() {
    let bench = Bench::start();
    // The fault: the server takes `30s` without a word, and stays with its default of a minute.
    _ = bench.catalog.kubectl("set env deployment/catalog-server CATALOG_CACHE_DISCOVERY_TTL=30s").exits(0);
    _ = bench.catalog.kubectl("rollout status deployment/catalog-server").exits(0);
    bench.catalog.waits("three new pods serve", || {
        let log = bench.catalog.log();
        log.matches("catalog server ready").count() == 3 && log.matches("discoveryTTL=1m0s").count() == 3
    });
    bench.catalog.kubernetes.control(&json!({ "clear_requests": true }));
    let arguments = ["run", "catalog-setting", "--env", "simulator", "-i", "knob=discovery_ttl", "-i", "value=30s"];
    let refused = crate::support::finish(&mut bench.shelf.command(arguments));
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.all().contains("value"), "{refused}");
    assert!(bench.catalog.writes().is_empty(), "{:?}", bench.catalog.writes());
    // A whole number arrives, and what stood there before comes back with the undo.
    let ran = bench.run("catalog-setting", "", &["-i", "knob=discovery_ttl", "-i", "value=30"]).exits(0);
    let ran = ran.reached(&["catalog-setting.allowed", "catalog-setting.set_knob", "catalog-setting.arrived"]);
    assert_eq!(ran.value("catalog-setting.arrived", "effective"), 30);
    assert_eq!(bench.variable("CATALOG_CACHE_DISCOVERY_TTL").as_deref(), Some("30"));
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(bench.variable("CATALOG_CACHE_DISCOVERY_TTL").as_deref(), Some("30s"));
}

#[test]
fn a_knob_that_does_not_arrive_or_may_not_be_turned_is_told() {
    // Without an election no pod says how long a lease lasts, for there is none.
    let bench =
        Bench::with(&CatalogPlan { variables: &[("CATALOG_LEADER_ELECTION_ENABLED", "")], ..CatalogPlan::default() });
    bench.shelf.set("catalog_settle", "3s");
    let ran = bench.run("catalog-setting", "", &["-i", "knob=lease_duration", "-i", "value=20"]).exits(1);
    let ran = ran.tells("`arrived` does not hold").reached(&["catalog-setting.set_knob"]);
    assert_eq!(ran.value("catalog-setting.arrived", "told"), json!([]));
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(bench.variable("CATALOG_LEADER_LEASE_DURATION"), None);
    // What the server would ignore is not set.
    let ran = bench.run("catalog-setting", "", &["-i", "knob=concurrency", "-i", "value=0"]).exits(1);
    _ = ran.tells("`allowed` does not hold").came_to(&["catalog-setting.set_knob"], &["skipped"]);
    assert_eq!(bench.variable("CATALOG_JOB_CONCURRENCY"), None);
    // Fewer days of the audit trail are for a person to say.
    let days = ["-i", "knob=audit_retention", "-i", "value=30"];
    let ran = bench.run("catalog-setting", "fewer_days: { answer: keep }", &days).exits(1);
    _ = ran.tells("`may_go` does not hold").came_to(&["catalog-setting.set_knob"], &["skipped"]);
    assert_eq!(bench.variable("CATALOG_AUDIT_RETENTION_DAYS"), None);
    // Pods that never get ready: the rollout is told as not done.
    bench.catalog.kubernetes.control(&json!({ "stuck": { "namespace": "catalog-system" } }));
    bench.shelf.set("catalog_rollout_within", "3s");
    let ran = bench.run("catalog-setting", "", &["-i", "knob=concurrency", "-i", "value=4"]).exits(1);
    let ran = ran.came_to(&["catalog-setting.rolled_out"], &["does_not_hold"]);
    bench.catalog.kubernetes.control(&json!({ "release": true }));
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(bench.variable("CATALOG_JOB_CONCURRENCY"), None);
}

#[test]
fn a_change_of_rights_is_judged_after_the_server_has_forgotten() {
    let catalog = Catalog::with(&CatalogPlan { replicas: 1, ..CatalogPlan::default() });
    let bench = Bench::of(catalog);
    let path = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-b";
    let bob = ["-i", "user=bob", "-i", "groups=team-b-engineers", "-i", "namespace=team-b"];
    // Nothing was changed: after the patience it says no.
    let more = [&bob[..], &["-i", "catalog_rbac_patience=3s"]].concat();
    let ran = bench.run("catalog-rbac-settled", "", &more).exits(1).tells("does not hold");
    assert_eq!(ran.value("catalog-rbac-settled.answer", "status"), 403);
    // The old answer is remembered for a second here. It is asked for right before the change.
    bench.reader();
    assert_eq!(bench.catalog.get(path, "bob", "team-b-engineers").0, 403);
    bench.bind("team-b", "readers", "reader", "team-b-engineers");
    let ran = bench.run("catalog-rbac-settled", "", &bob).exits(0).tells("RESOLVED");
    let ran = ran.reached(&["catalog-rbac-settled.answer"]);
    assert_eq!(ran.value("catalog-rbac-settled.answer", "status"), 200);
    // And the other way round.
    _ = bench.catalog.kubernetes.kubectl("-n team-b delete rolebinding readers").exits(0);
    let more = [&bob[..], &["-i", "wanted=refused"]].concat();
    let ran = bench.run("catalog-rbac-settled", "", &more).exits(0);
    assert_eq!(ran.value("catalog-rbac-settled.answer", "status"), 403);
}

impl Bench {
    /// A role for reading.
    fn reader(&self) {
        self.catalog.apply(&[json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "reader" },
            "rules": [{ "apiGroups": ["catalog.kubeflow.org"], "resources": ["assets"], "verbs": ["list", "get"] }],
        })]);
    }

    /// Gives a group a role in a namespace.
    pub(super) fn bind(&self, namespace: &str, name: &str, role: &str, group: &str) {
        let api = "rbac.authorization.k8s.io";
        self.catalog.apply(&[json!({
            "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": { "name": name, "namespace": namespace },
            "subjects": [{ "kind": "Group", "name": group, "apiGroup": api }],
            "roleRef": { "apiGroup": api, "kind": "ClusterRole", "name": role },
        })]);
    }
}

#[test]
fn the_audit_trail_of_a_namespace_and_of_an_actor() {
    let bench = Bench::start();
    // Three that were denied are behind two full pages of what went well.
    bench.events("alice", "success", 210, 10);
    bench.events("alice", "denied", 3, 60);
    bench.events("zoe", "denied", 2, 30);
    let ran = bench.run("catalog-audit", "", &["-i", "catalog_actor=alice"]).exits(0);
    let ran = ran.reached(&["catalog-audit.of_namespace", "catalog-audit.of_actor"]);
    assert_eq!(ran.value("catalog-audit.of_namespace", "newest").as_array().unwrap().len(), 10);
    assert_eq!(ran.value("catalog-audit.of_actor", "count"), 213);
    let denied = ran.value("catalog-audit.of_actor", "denied");
    assert_eq!(denied.as_array().unwrap().len(), 3, "{denied}");
    assert!(denied.as_array().unwrap().iter().all(|event| event["outcome"] == "denied"));
    // Every page was asked for, as the operator, and by the actor.
    let requests = bench.catalog.requests();
    let asked =
        |one: &&Value| one["path"] == "/api/audit/v1alpha1/events" && one["query"].to_string().contains("alice");
    assert_eq!(requests.iter().filter(asked).count(), 3, "{requests:?}");
    // Nobody of that name: an answer.
    let ran = bench.run("catalog-audit", "", &["-i", "catalog_actor=nobody"]).exits(0);
    assert_eq!(ran.value("catalog-audit.of_actor", "count"), 0);
}

#[test]
fn jobs_of_every_state_and_one_job_that_may_not_be_there() {
    let bench = Bench::start();
    bench.jobs("team-a", "queued", 25);
    bench.jobs("team-b", "queued", 1);
    bench.jobs("team-a", "running", 2);
    bench.catalog.database.execute(
        "insert into refresh_jobs (id, namespace, state, source_id, attempt_count, last_error)
         values ('job-7', 'team-b', 'failed', 'hf', 3, '429 Too Many Requests')",
    );
    let ran = bench.run("catalog-jobs", "", &["-i", "catalog_job=job-7"]).exits(0);
    let ran = ran.reached(&["catalog-jobs.listed", "catalog-jobs.together", "catalog-jobs.one"]);
    let together = |name: &str| ran.value("catalog-jobs.together", name);
    assert_eq!((together("queued"), together("running"), together("failed")), (json!(26), json!(2), json!(1)));
    assert_eq!(together("waiting").as_array().unwrap().len(), 26, "all pages are listed");
    assert_eq!(together("at_work").as_array().unwrap().len(), 2);
    assert_eq!(ran.value("catalog-jobs.what_became", "state"), "failed");
    assert_eq!(ran.value("catalog-jobs.what_became", "last_error"), "429 Too Many Requests");
    let ran = bench.run("catalog-jobs", "", &["-i", "catalog_job=no-such-job"]).exits(0);
    assert_eq!(ran.value("catalog-jobs.what_became", "state"), "no such job");
}

#[test]
fn what_a_person_sees_leads_to_the_runbook() {
    let shelf = Shelf::new();
    for (words, runbook) in [
        ("p95 of duration above 300 ms", "catalog-limits"),
        ("a spike of audit events with outcome=denied", "catalog-limits"),
        ("X-Cache: MISS on most answers", "catalog-limits"),
        ("change CATALOG_JOB_CONCURRENCY", "catalog-setting"),
        ("change CATALOG_CACHE_DISCOVERY_TTL", "catalog-setting"),
        ("a role binding was just changed and a request still gets the old answer", "catalog-rbac-settled"),
        ("audit events of one actor", "catalog-audit"),
        ("what became of a refresh job", "catalog-jobs"),
        ("dump the database of the catalog", "catalog-dump"),
        ("restore the catalog from a dump", "catalog-restore"),
        ("conformance suite after a restore", "catalog-validate-restore"),
    ] {
        let found = crate::support::finish(
            &mut shelf.command([&["lookup"], words.split(' ').collect::<Vec<_>>().as_slice()].concat()),
        );
        let first = found.stdout.lines().find(|line| line.starts_with("1  ")).unwrap_or_else(|| panic!("{found}"));
        assert!(first.starts_with(&format!("1  {runbook}: ")), "{words:?}\n{found}");
    }
}
