//! Users who are refused: the binding that is missing, the one that names somebody else, and what is no matter of
//! bindings.

use super::{Bench, changes, inside, object};
use serde_json::json;

const LIST: &str = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-a";

/// A bench in which Alice of team-a-engineers is refused, because the binding names a group that nobody is in.
fn refused() -> Bench {
    let bench = Bench::start();
    inside(&bench.catalog, "200");
    bind(&bench, "team-a-enginers");
    bench.catalog.waits("alice is refused", || bench.catalog.get(LIST, "alice", "team-a-engineers").0 == 403);
    bench
}

fn bind(bench: &Bench, group: &str) {
    let subjects = json!({ "subjects": [{ "kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io" }] });
    let line = format!("-n team-a patch rolebinding team-a-engineers --type=merge -p {subjects}");
    _ = bench.catalog.kubernetes.kubectl(&line).exits(0);
}

fn subjects(bench: &Bench) -> Vec<String> {
    let binding = object(&bench.catalog, "-n team-a get rolebinding team-a-engineers");
    let names = binding["subjects"].as_array().expect("a list").iter();
    names.map(|subject| subject["name"].as_str().unwrap().to_owned()).collect()
}

const GROUPS: [&str; 2] = ["-i", "groups=team-a-engineers"];

#[test]
fn a_binding_that_names_somebody_else_is_mended_and_a_real_request_is_answered() {
    let bench = refused();
    // The refusals are on the second page of the trail.
    bench.catalog.database.execute(
        "insert into audit_events (namespace, actor, outcome, created_at)
         select 'team-a', 'bob', 'success', now() + interval '1 second' from generate_series(1, 150)",
    );
    let answers = "which_binding: { binding: team-a-engineers, subject: Group team-a-engineers }";
    let ran = bench.run("catalog-access-denied", answers, &GROUPS).exits(0).reached(&[
        "catalog-access-denied.denied",
        "catalog-access-denied.bindings",
        "catalog-access-denied.review",
        "catalog-access-denied.own_right",
        "catalog-access-denied.from_inside",
        "catalog-access-denied.cause",
        "catalog-access-denied.mend_binding",
        "catalog-access-denied.settled",
        "catalog-rbac-settled.answer",
        "catalog-access-denied.asked_again",
        "catalog-access-denied.real_request",
    ]);
    assert_eq!(ran.value("catalog-access-denied.denied", "by_actor")[0]["actor"], "alice");
    assert_eq!(subjects(&bench), ["team-a-enginers", "team-a-engineers"]);
    assert_eq!(bench.catalog.get(LIST, "alice", "team-a-engineers").0, 200);
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(subjects(&bench), ["team-a-enginers"], "as it was");
    bench.catalog.waits("refused again", || bench.catalog.get(LIST, "alice", "team-a-engineers").0 == 403);
}

#[test]
fn a_missing_binding_and_its_role_are_made_for_the_user_that_is_named() {
    let bench = Bench::start();
    inside(&bench.catalog, "200");
    _ = bench
        .catalog
        .kubernetes
        .kubectl("-n team-a delete rolebinding/team-a-engineers role/catalog-ai-engineer")
        .exits(0);
    let answers = "new_binding: { role: catalog-ai-engineer, subject: User carol }";
    // Carol has not asked for anything yet: the trail does not know her.
    let ran = bench.run("catalog-access-denied", answers, &["-i", "user=carol"]).exits(0).reached(&[
        "catalog-access-denied.name_is_free",
        "catalog-access-denied.make_role",
        "catalog-access-denied.make_binding",
        "catalog-access-denied.asked_again",
        "catalog-access-denied.real_request",
    ]);
    let binding = object(&bench.catalog, "-n team-a get rolebinding carol-catalog-ai-engineer");
    assert_eq!(binding["roleRef"]["name"], "catalog-ai-engineer");
    assert_eq!(binding["subjects"][0]["name"], "carol");
    assert_eq!(bench.catalog.get(LIST, "carol", "").0, 200);
    assert_eq!(bench.catalog.get(LIST, "dave", "").0, 403, "nobody else");
    _ = bench.shelf.undo(&ran).exits(0);
    let left = bench.catalog.kubernetes.kubectl("-n team-a get roles,rolebindings -o name");
    assert_eq!(left.stdout, "", "both are gone again");
}

#[test]
fn what_the_document_asks_says_no_where_the_cluster_and_the_server_say_yes() {
    let bench = Bench::start();
    inside(&bench.catalog, "200");
    let line =
        "auth can-i list catalogsources.catalog.kubeflow.org --as=alice --as-group=team-a-engineers --namespace=team-a";
    let said = bench.catalog.kubernetes.kubectl(line);
    assert_eq!((said.code, said.stdout.trim()), (1, "no"), "{said}");
    let before = changes(&bench.catalog);
    let more = ["-i", "user=alice", "-i", "groups=team-a-engineers", "-i", "resource=catalogsources"];
    let ran = bench.run("catalog-access-denied", "", &more).exits(0).reached(&[
        "catalog-access-denied.review",
        "catalog-access-denied.asked_again",
        "catalog-access-denied.real_request",
    ]);
    assert_eq!(ran.value("catalog-access-denied.review", "allowed"), true);
    assert_eq!(changes(&bench.catalog), before, "nothing is changed");
}

#[test]
fn what_is_no_matter_of_bindings_is_handed_over_and_nothing_is_changed() {
    let bench = refused();
    let before = changes(&bench.catalog);
    // The role does not allow it: changing it is not for somebody who is on call.
    bind(&bench, "team-a-engineers");
    let rules =
        json!({ "rules": [{ "apiGroups": ["catalog.kubeflow.org"], "resources": ["plugins"], "verbs": ["get"] }] });
    _ = bench
        .catalog
        .kubernetes
        .kubectl(&format!("-n team-a patch role catalog-ai-engineer --type=merge -p {rules}"))
        .exits(0);
    _ = bench
        .run("catalog-access-denied", "", &GROUPS)
        .exits(6)
        .reached(&["catalog-access-denied.cause"])
        .tells("no role there allows to list assets");
    // The server may not ask the cluster any more.
    _ = bench.catalog.kubernetes.kubectl("delete clusterrolebinding catalog-server-sar-creator").exits(0);
    _ = bench.run("catalog-access-denied", "", &GROUPS).exits(6).tells("may not create subjectaccessreviews");
    // The server is not ready: no question of rights at all.
    let other = refused();
    inside(&other.catalog, "503");
    _ = other.run("catalog-access-denied", "", &GROUPS).exits(6).tells("This is no question of rights");
    assert_eq!(changes(&bench.catalog).len(), before.len() + 3, "only what the test did itself");
}

#[test]
fn who_may_not_look_at_the_cluster_is_asked_and_changes_nothing() {
    let bench = refused();
    let before = changes(&bench.catalog);
    let more = ["-i", "groups=team-a-engineers", "-i", "catalog_kube_context=viewer"];
    let ran = bench.run("catalog-access-denied", "", &more).exits(5);
    let ran = ran.came_to(&["catalog-access-denied.bindings", "catalog-access-denied.review"], &["failed"]);
    assert_eq!(changes(&bench.catalog), before);
    drop(ran);
    assert_eq!(subjects(&bench), ["team-a-enginers"]);
}
