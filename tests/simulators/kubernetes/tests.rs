//! The parts that are worth holding by themselves.

use super::patch;
use serde_json::json;

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
