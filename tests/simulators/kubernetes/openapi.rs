//! As much OpenAPI as kubectl asks for: which kinds there are, and that a patch takes `dryRun` and `fieldValidation`.
//!
//! Schemas are left out. kubectl then merges by its own built-in types, and checks nothing by itself.

use super::kind::{Kind, Kinds};
use super::status::Failure;
use serde_json::{Value, json};

const PARAMETERS: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

fn served(kinds: &Kinds) -> impl Iterator<Item = &Kind> {
    kinds.all().iter().filter(|kind| !kind.is_review())
}

fn path(kind: &Kind) -> String {
    let home = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let within = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{home}/{}{within}/{}/{{name}}", kind.version, kind.plural)
}

/// `/openapi/v3` and what is below it.
pub fn v3(kinds: &Kinds, below: &str) -> Result<Value, Failure> {
    let place = |kind: &Kind| match kind.group.as_str() {
        "" => format!("api/{}", kind.version),
        group => format!("apis/{group}/{}", kind.version),
    };
    if below.is_empty() {
        let paths: serde_json::Map<String, Value> = served(kinds)
            .map(|kind| (place(kind), json!({ "serverRelativeURL": format!("/openapi/v3/{}?hash=0", place(kind)) })))
            .collect();
        return Ok(json!({ "paths": paths }));
    }
    let own: Vec<&Kind> = served(kinds).filter(|kind| place(kind) == below).collect();
    if own.is_empty() {
        return Err(Failure::no_path());
    }
    let paths: serde_json::Map<String, Value> = own.iter().map(|kind| (path(kind), operations(kind, true))).collect();
    Ok(json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "simulated" }, "paths": paths,
        "components": { "schemas": {} },
    }))
}

fn operations(kind: &Kind, is_v3: bool) -> Value {
    let parameter = |name: &&str| {
        if is_v3 {
            json!({ "name": name, "in": "query", "schema": { "type": "string" } })
        } else {
            json!({ "name": name, "in": "query", "type": "string", "uniqueItems": true })
        }
    };
    let parameters: Vec<Value> = PARAMETERS.iter().map(parameter).collect();
    let own = json!({ "group": kind.group, "version": kind.version, "kind": kind.name });
    json!({ "patch": {
        "parameters": parameters, "responses": { "200": { "description": "OK" } },
        "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": own,
    } })
}

/// `/openapi/v2` as JSON.
pub fn v2(kinds: &Kinds) -> Value {
    let paths: serde_json::Map<String, Value> =
        served(kinds).map(|kind| (path(kind), operations(kind, false))).collect();
    json!({
        "swagger": "2.0", "info": { "title": "Kubernetes", "version": "simulated" }, "paths": paths, "definitions": {},
    })
}

/// `/openapi/v2` as a protobuf message, which is the form that kubectl asks for: an `openapi.v2.Document` of gnostic.
pub fn v2_protobuf(kinds: &Kinds) -> Vec<u8> {
    let info = [text(1, "Kubernetes"), text(2, "simulated")].concat();
    let paths: Vec<u8> = served(kinds)
        .flat_map(|kind| field(2, &[text(1, &path(kind)), field(2, &field(8, &operation(kind)))].concat()))
        .collect();
    [text(1, "2.0"), field(2, &info), field(8, &paths), field(9, &[])].concat()
}

fn operation(kind: &Kind) -> Vec<u8> {
    let parameters = PARAMETERS.iter().flat_map(|name| {
        let query = [text(2, "query"), text(4, name), text(6, "string")].concat();
        // ParametersItem > Parameter > NonBodyParameter > QueryParameterSubSchema
        field(8, &field(1, &field(2, &field(3, &query))))
    });
    let yaml = format!("group: \"{}\"\nkind: {}\nversion: {}\n", kind.group, kind.name, kind.version);
    let own = [text(1, "x-kubernetes-group-version-kind"), field(2, &text(2, &yaml))].concat();
    parameters.chain(field(9, &[])).chain(field(13, &own)).collect()
}

fn text(number: u8, text: &str) -> Vec<u8> {
    field(number, text.as_bytes())
}

/// A length-delimited field of a protobuf message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap_or_default());
    bytes.extend_from_slice(content);
    bytes
}
