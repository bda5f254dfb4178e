//! No pod leads: the right that is missing, the election that is switched off, pods with one name.

use super::{Bench, changes, object};
use crate::support::CatalogPlan;
use serde_json::json;

fn lease(bench: &Bench) -> (String, String) {
    let lease = object(&bench.catalog, "-n catalog-system get lease catalog-server-leader");
    let text = |key: &str| lease["spec"][key].as_str().unwrap_or_default().to_owned();
    (text("holderIdentity"), text("renewTime"))
}

/// A pod that is there leads, and writes the time again and again.
fn is_led(bench: &Bench) {
    let (holder, then) = lease(bench);
    let pods = bench.catalog.kubectl("get pods -o name").stdout;
    assert!(pods.lines().any(|pod| pod == format!("pod/{holder}")), "{holder} is none of {pods}");
    bench.catalog.waits("it is renewed", || lease(bench).1 > then);
}

fn environment(bench: &Bench) -> serde_json::Value {
    let deployment = object(&bench.catalog, "-n catalog-system get deployment catalog-server");
    deployment["spec"]["template"]["spec"]["containers"][0]["env"].clone()
}

#[test]
fn the_missing_right_to_the_lease_is_given_and_a_pod_leads() {
    let bench = Bench::with(&CatalogPlan { roles: false, ..CatalogPlan::default() });
    let catalog = &bench.catalog;
    catalog.waits("the pods complain", || catalog.log().contains("error retrieving resource lock"));
    // The complaint is further up than what kubectl shows by itself.
    catalog.waits("other lines follow", || {
        _ = catalog.get("/livez?namespace=team-a", "", "");
        let last = catalog.kubectl("logs -l app=catalog-server").stdout;
        !last.contains("starting leader election")
    });
    bench.shelf.set("patience", "30s").set("look_every", "100ms");
    let ran = bench.run("catalog-leader-election", "", &[]).exits(0).reached(&[
        "catalog-leader-election.messages",
        "catalog-leader-election.right",
        "catalog-leader-election.settings",
        "catalog-leader-election.cause",
        "catalog-leader-election.make_role",
        "catalog-leader-election.make_binding",
        "catalog-leader-election.right_now",
        "catalog-leader-election.roll_out",
        "catalog-leader-election.led",
        "catalog-leader-election.renewed",
    ]);
    let ran = ran.came_to(&["catalog-leader-election.lease_now"], &["succeeded", "tolerated"]).tells("not_found");
    assert!(ran.value("catalog-leader-election.messages", "refused").as_i64() > Some(0));
    let told = ran.value("catalog-leader-election.messages", "count").as_i64().unwrap();
    assert!(told >= 6, "the start of all three pods is among the {told} lines");
    is_led(&bench);
    _ = bench.shelf.undo(&ran);
    let left = catalog.kubectl("get roles,rolebindings -o name").stdout;
    assert_eq!(left, "", "what was given is taken back");
}

#[test]
fn a_role_and_a_binding_that_are_there_are_completed_and_put_back_as_they_were() {
    let bench = Bench::start();
    let catalog = &bench.catalog;
    let patch = |what: &str, change: serde_json::Value| {
        _ = catalog.kubectl(&format!("patch {what} catalog-server-leader --type=merge -p {change}")).exits(0);
    };
    patch(
        "role",
        json!({ "rules": [{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"] }] }),
    );
    patch(
        "rolebinding",
        json!({ "subjects": [{ "kind": "ServiceAccount", "name": "other", "namespace": "catalog-system" }] }),
    );
    bench.shelf.set("patience", "30s").set("look_every", "100ms");
    let ran = bench.run("catalog-leader-election", "", &[]).exits(0).reached(&[
        "catalog-leader-election.mend_role",
        "catalog-leader-election.mend_binding",
        "catalog-leader-election.led",
    ]);
    is_led(&bench);
    _ = bench.shelf.undo(&ran);
    let role = object(catalog, "-n catalog-system get role catalog-server-leader");
    assert_eq!(role["rules"][0]["verbs"], json!(["get"]));
    let binding = object(catalog, "-n catalog-system get rolebinding catalog-server-leader");
    assert_eq!(binding["subjects"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_election_that_is_switched_off_and_pods_of_one_name_are_put_right() {
    let variables = [("CATALOG_LEADER_ELECTION_ENABLED", ""), ("POD_NAME", "catalog-server")];
    let bench = Bench::with(&CatalogPlan { variables: &variables, ..CatalogPlan::default() });
    bench.shelf.set("patience", "30s").set("look_every", "100ms");
    let before = environment(&bench);
    let ran = bench.run("catalog-leader-election", "", &[]).exits(0).reached(&[
        "catalog-leader-election.lease_now",
        "catalog-leader-election.switch_on",
        "catalog-leader-election.name_pods",
        "catalog-leader-election.roll_out",
        "catalog-leader-election.led",
        "catalog-leader-election.renewed",
    ]);
    assert_eq!(ran.value("catalog-leader-election.settings", "pod_name"), "catalog-server");
    is_led(&bench);
    _ = bench.shelf.undo(&ran);
    let sorted = |list: serde_json::Value| {
        let mut texts: Vec<String> = list.as_array().unwrap().iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    };
    assert_eq!(sorted(environment(&bench)), sorted(before), "as it was");
}

#[test]
fn a_pod_that_leads_needs_nothing_and_a_deployment_without_pods_is_for_people() {
    let bench = Bench::start();
    bench.catalog.waits("one leads", || {
        let pods = bench.catalog.kubectl("get lease catalog-server-leader -o jsonpath={.spec.holderIdentity}");
        pods.code == 0 && pods.stdout.starts_with("catalog-server-")
    });
    let before = changes(&bench.catalog);
    _ = bench.run("catalog-leader-election", "", &[]).exits(0).tells("NO ACTION");
    assert_eq!(changes(&bench.catalog), before);
    _ = bench.catalog.kubectl("scale deployment catalog-server --replicas=0").exits(0);
    bench.catalog.waits("nobody serves", || bench.catalog.state()["serving"] == false);
    _ = bench.run("catalog-leader-election", "", &[]).exits(6).tells("has no pods");
}
