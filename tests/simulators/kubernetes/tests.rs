//! The parts that are worth holding by themselves.

use super::kind::Kinds;
use super::request::Place;
use super::seed::{self, Scene};
use super::selector::Selector;
use super::store::{Key, Store};
use super::{controller, fields, patch, spdy, verbs, wire};
use jiff::Timestamp;
use serde_json::{Value, json};

const STRATEGIC: &str = "application/strategic-merge-patch+json";

#[test]
fn a_strategic_merge_knows_items_by_their_keys() {
    let old = json!({ "spec": { "containers": [{ "name": "a", "image": "a:1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b" }] } });
    let change = json!({ "spec": { "containers": [
        { "name": "a", "image": "a:2", "env": [{ "name": "Y", "value": "2" }] }, { "name": "b", "$patch": "delete" },
    ] } });
    let new = patch::apply(&old, &change, STRATEGIC, false).unwrap();
    let containers = &new["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    assert_eq!(containers[0]["image"], "a:2");
    assert_eq!(containers[0]["env"], json!([{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }]));
}

#[test]
fn an_item_without_its_key_is_refused() {
    let change = json!({ "spec": { "containers": [{ "image": "a:2" }] } });
    let why = patch::apply(&json!({}), &change, STRATEGIC, false).unwrap_err();
    assert_eq!(why.code, 400);
    assert!(why.message.contains("merge key: name"), "{}", why.message);
}

#[test]
fn the_order_of_a_strategic_merge_and_its_other_directives() {
    let old = json!({ "metadata": { "finalizers": ["a", "b"] }, "spec": {
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } },
        "containers": [{ "name": "a" }, { "name": "b" }],
    } });
    let change = json!({
        "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] },
        "spec": {
            "strategy": { "$retainKeys": ["type"], "type": "Recreate" },
            "$setElementOrder/containers": [{ "name": "c" }, { "name": "b" }, { "name": "a" }],
            "containers": [{ "name": "c" }],
        },
    });
    let new = patch::apply(&old, &change, STRATEGIC, false).unwrap();
    assert_eq!(new["metadata"]["finalizers"], json!(["b"]));
    assert_eq!(new["spec"]["strategy"], json!({ "type": "Recreate" }));
    assert_eq!(new["spec"]["containers"], json!([{ "name": "c" }, { "name": "b" }, { "name": "a" }]));
}

#[test]
fn paths_are_places() {
    let place = |path: &str| {
        let place = Place::parse(path).unwrap();
        [place.group, place.namespace, place.plural, place.name, place.subresource].join(" ")
    };
    assert_eq!(place("/api/v1/namespaces"), "  namespaces  ");
    assert_eq!(place("/api/v1/namespaces/a"), "  namespaces a ");
    assert_eq!(place("/api/v1/namespaces/a/finalize"), "  namespaces a finalize");
    assert_eq!(place("/api/v1/namespaces/a/pods"), " a pods  ");
    assert_eq!(place("/api/v1/namespaces/a/pods/b/log"), " a pods b log");
    assert_eq!(place("/apis/apps/v1/namespaces/a/deployments/b/scale"), "apps a deployments b scale");
    assert_eq!(place("/apis/apps/v1/deployments"), "apps  deployments  ");
    assert!(Place::parse("/apis/apps/v1").is_none());
    assert!(Place::parse("/metrics").is_none());
}

#[test]
fn a_selector_that_cannot_be_read_is_refused() {
    assert!(Selector::parse("a b", "").is_err());
    assert!(Selector::parse("", "a").is_err());
    let pod = json!({ "metadata": { "labels": { "app": "web" } } });
    let meets = |selector: Value| Selector::of(&selector).meets(&pod);
    assert!(meets(json!({ "app": "web" })));
    assert!(meets(json!({ "matchLabels": { "app": "web" } })));
    assert!(!meets(json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["web"] }] })));
    assert!(meets(json!({ "matchExpressions": [{ "key": "tier", "operator": "DoesNotExist" }] })));
}

fn deployments() -> super::kind::Kind {
    Kinds::built_in(32).find("apps", "v1", "deployments").unwrap().clone()
}

#[test]
fn a_field_belongs_to_who_said_it_last() {
    let (kind, now) = (deployments(), Timestamp::UNIX_EPOCH);
    let wish = |replicas: u32, labels: Value| json!({ "metadata": { "name": "a", "labels": labels }, "spec": { "replicas": replicas } });
    let first = fields::apply(None, &wish(1, json!({ "x": "1", "y": "2" })), "one", false, &kind, now).unwrap();
    let mut scaled = first.clone();
    scaled["spec"]["replicas"] = json!(5);
    fields::note(Some(&first), &mut scaled, ("two", "scale"), &kind, now);
    let refused = fields::apply(Some(&scaled), &wish(1, json!({ "x": "1" })), "one", false, &kind, now).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            409,
            "Apply failed with 1 conflict: conflict with \"two\" with subresource \"scale\" using apps/v1: .spec.replicas",
        )
    );
    // The same value is no conflict, and what is named no more goes.
    let same = fields::apply(Some(&scaled), &wish(5, json!({ "x": "1" })), "one", false, &kind, now).unwrap();
    assert_eq!(same["metadata"]["labels"], json!({ "x": "1" }));
    let forced = fields::apply(Some(&scaled), &wish(1, json!({ "x": "1" })), "one", true, &kind, now).unwrap();
    assert_eq!(forced["spec"]["replicas"], 1);
    assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 1);
}

#[test]
fn protobuf_is_read() {
    // SelfSubjectAccessReview with spec.resourceAttributes.verb = "get", as kubectl sends it.
    let text = |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let head = [text(1, b"authorization.k8s.io/v1"), text(2, b"SelfSubjectAccessReview")].concat();
    let spec = text(2, &text(1, &text(2, b"get")));
    let body = [&b"k8s\0"[..], &text(1, &head), &text(2, &spec)].concat();
    assert_eq!(wire::decode(&body).unwrap()["spec"], json!({ "resourceAttributes": { "verb": "get" } }));
    assert_eq!(wire::decode(b"nonsense").unwrap_err().code, 415);
    assert_eq!(wire::decode(&body[..body.len() - 1]).unwrap_err().code, 415);
}

#[test]
fn the_dictionary_is_the_one_of_the_protocol() {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in spdy::dictionary() {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    // The checksum by which both sides name it.
    assert_eq!(high << 16 | low, 0xe3c6_a7c2);
}

fn cluster() -> Store {
    let scene = Scene { cluster: "prod".to_owned(), release: "1.32.0".to_owned(), ..Scene::default() };
    seed::cluster(scene, None, Timestamp::UNIX_EPOCH)
}

#[test]
fn the_same_steps_give_the_same_names() {
    let names = || {
        let mut store = cluster();
        let key = Key::of("apps", "deployments", "default", "web");
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "restartPolicy": "Always", "containers": [{ "name": "c", "image": "i" }] } });
        let selector = json!({ "matchLabels": { "a": "b" } });
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
            "spec": { "replicas": 3, "selector": selector, "template": template },
        });
        store.insert(key, object, Timestamp::UNIX_EPOCH);
        controller::settle(&mut store, Timestamp::UNIX_EPOCH);
        let all: Vec<String> = store.list("", "pods", "").map(|(key, _)| key.name.clone()).collect();
        // Calling it again changes nothing.
        let version = store.version();
        controller::settle(&mut store, Timestamp::UNIX_EPOCH);
        assert_eq!(store.version(), version);
        all
    };
    assert_eq!(names().len(), 3);
    assert_eq!(names(), names());
    assert_ne!(verbs::suffix(1), verbs::suffix(2));
}

#[test]
fn a_watch_from_before_what_is_kept_starts_over() {
    let mut store = cluster();
    let after = store.version();
    assert!(store.changes(after).is_some());
    store.insert(
        Key::of("", "configmaps", "default", "a"),
        json!({ "metadata": { "name": "a" } }),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(store.changes(after).unwrap().count(), 1);
    store.compact();
    assert!(store.changes(after).is_none());
    assert!(store.changes(store.version()).is_some());
}
