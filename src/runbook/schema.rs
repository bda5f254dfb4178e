//! The JSON Schema (draft 7, which editors understand best) and the key tables of the reference, from the declarations.

use super::decode::Decode;
use super::document::RunbookRecord;
use super::grammar::{Grammar, RecordDoc};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The schema of a runbook.
#[must_use]
pub fn runbook_schema() -> Value {
    json_schema("Runbook", &RunbookRecord::grammar())
}

/// The schema of a document of this form.
#[must_use]
pub fn json_schema(title: &str, grammar: &Grammar) -> Value {
    let mut definitions = BTreeMap::new();
    let root = schema_of(grammar, &mut definitions);
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".into(), json!(title));
    if let Value::Object(root) = root {
        schema.extend(root);
    }
    let definitions: Map<String, Value> = definitions.into_iter().collect();
    schema.insert("definitions".into(), Value::Object(definitions));
    Value::Object(schema)
}

/// Every record reachable from a document of this form, the document itself first, then by name.
#[must_use]
pub fn key_tables(grammar: &Grammar) -> Vec<RecordDoc> {
    let mut found = BTreeMap::new();
    collect(grammar, &mut found);
    let mut tables: Vec<_> = found.into_values().collect();
    if let Grammar::Record(root) = grammar {
        let name = root().name;
        tables.sort_by_key(|table: &RecordDoc| table.name != name);
    }
    tables
}

fn collect(grammar: &Grammar, found: &mut BTreeMap<&'static str, RecordDoc>) {
    match grammar {
        Grammar::List(inner) | Grammar::Many(inner) | Grammar::Table(inner) => collect(inner, found),
        Grammar::AnyOf(forms) => forms.iter().for_each(|form| collect(form, found)),
        Grammar::Record(doc) => {
            let doc = doc();
            if !found.contains_key(doc.name) {
                found.insert(doc.name, doc.clone());
                doc.keys.iter().for_each(|key| collect(&key.grammar, found));
            }
        }
        _ => {}
    }
}

fn schema_of(grammar: &Grammar, definitions: &mut BTreeMap<String, Value>) -> Value {
    // What a scalar may look like to a YAML reader of an editor: the type decides, so `5` is fine where text is wanted.
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    match grammar {
        Grammar::Template | Grammar::Text | Grammar::Expression | Grammar::Date => scalar,
        Grammar::Boolean => json!({ "type": "boolean" }),
        Grammar::Integer => json!({ "type": "integer" }),
        Grammar::Number => json!({ "type": "number" }),
        Grammar::Duration => json!({ "type": "string" }),
        Grammar::Words(words) => json!({ "enum": words }),
        Grammar::List(inner) => json!({ "type": "array", "items": schema_of(inner, definitions) }),
        Grammar::Many(inner) => {
            let one = schema_of(inner, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Grammar::Table(inner) => {
            json!({ "type": "object", "additionalProperties": schema_of(inner, definitions) })
        }
        Grammar::AnyOf(forms) => {
            let forms: Vec<_> = forms.iter().map(|form| schema_of(form, definitions)).collect();
            json!({ "anyOf": forms })
        }
        Grammar::Data => json!(true),
        Grammar::Record(doc) => {
            let doc = doc();
            let name = doc.name.replace(' ', "-");
            if !definitions.contains_key(&name) {
                definitions.insert(name.clone(), Value::Null);
                let record = record_schema(&doc, definitions);
                definitions.insert(name.clone(), record);
            }
            json!({ "$ref": format!("#/definitions/{name}") })
        }
    }
}

fn record_schema(doc: &RecordDoc, definitions: &mut BTreeMap<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in &doc.keys {
        let mut schema = schema_of(&key.grammar, definitions);
        let text = one_line(key.doc);
        schema = match schema {
            // Draft 7 ignores everything beside `$ref`, so the description goes around it.
            Value::Object(ref map) if map.contains_key("$ref") => json!({ "description": text, "allOf": [schema] }),
            Value::Object(mut map) => {
                map.insert("description".into(), json!(text));
                Value::Object(map)
            }
            _ => json!({ "description": text }),
        };
        properties.insert(key.key.to_owned(), schema);
    }
    let required: Vec<_> = doc.keys.iter().filter(|key| key.required).map(|key| key.key).collect();
    let mut record = Map::new();
    record.insert("type".into(), json!("object"));
    record.insert("description".into(), json!(one_line(doc.doc)));
    record.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        record.insert("required".into(), json!(required));
    }
    record.insert("additionalProperties".into(), json!(false));
    Value::Object(record)
}

/// A documentation comment as one line.
fn one_line(doc: &str) -> String {
    doc.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
