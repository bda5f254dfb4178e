//! Values that are too long for an event.

use super::super::port::{Evidence, EvidenceWriter, StoreError};
use super::super::store_value::{put_aside, restore, restore_kept};
use crate::event::{Event, EvidenceRef, StoredValue};
use crate::expr::{Value, from_json, to_json, unknown_of};
use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex};

/// Keeps in memory, and masks one word.
#[derive(Clone, Default)]
struct Shelf {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    cuts: bool,
}

const SECRET: &str = "hunter2hunter2";

impl Evidence for Shelf {
    fn begin(&self, _: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Writer { shelf: self.clone(), bytes: Vec::new() }))
    }

    fn mask(&self, text: &str) -> String {
        text.replace(SECRET, "‹secret word›")
    }

    fn learn(&self, _: &crate::expr::SecretText) -> Result<(), String> {
        Ok(())
    }
}

struct Writer {
    shelf: Shelf,
    bytes: Vec<u8>,
}

impl EvidenceWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let sha256 = Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let size = self.bytes.len() as u64;
        self.shelf.kept.lock().expect("lock").push(self.bytes);
        let excerpt = String::new();
        let reference =
            EvidenceRef { stream: "value".into(), size, sha256, excerpt, inline: false, cut: self.shelf.cuts };
        Ok((reference, Vec::new()))
    }
}

fn ended(value: &serde_json::Value) -> Event {
    Event::Called {
        runbook: "x".into(),
        title: "X".into(),
        inputs: IndexMap::from([("it".to_owned(), StoredValue::Value(value.clone()))]),
    }
}

fn aside(value: &serde_json::Value, shelf: &Shelf) -> StoredValue {
    let mut event = ended(value);
    put_aside(&mut event, shelf);
    let Event::Called { inputs, .. } = event else { unreachable!() };
    inputs["it"].clone()
}

fn back(stored: &StoredValue, shelf: &Shelf) -> Value {
    restore_kept(stored, &|_| shelf.kept.lock().expect("lock").first().cloned().ok_or_else(|| "gone".to_owned()))
}

#[test]
fn a_long_value_is_kept_and_comes_back_and_a_short_one_stays_in_its_event() {
    let shelf = Shelf::default();
    let short = serde_json::json!({ "text": "x".repeat(60_000) });
    assert_eq!(aside(&short, &shelf), StoredValue::Value(short));
    assert!(shelf.kept.lock().expect("lock").is_empty());
    let long = serde_json::json!({ "items": vec![serde_json::json!({ "name": "ana", "n": 1.5 }); 5_000] });
    let stored = aside(&long, &shelf);
    assert!(matches!(stored, StoredValue::Kept(_)), "{stored:?}");
    assert_eq!(to_json(&back(&stored, &shelf)), long);
    let lost = restore(&stored);
    assert!(unknown_of(&lost).is_some_and(|unknown| unknown.reason.contains("kept as evidence")), "{lost}");
}

#[test]
fn a_value_that_held_a_secret_comes_back_without_the_text_that_held_it() {
    let shelf = Shelf::default();
    let long = serde_json::json!({ "log": format!("{}{SECRET}", "x".repeat(70_000)), "count": 7 });
    let stored = aside(&long, &shelf);
    assert!(matches!(stored, StoredValue::Kept(_)), "{stored:?}");
    let bytes = shelf.kept.lock().expect("lock")[0].clone();
    assert!(!String::from_utf8_lossy(&bytes).contains(SECRET));
    let value = back(&stored, &shelf);
    assert!(unknown_of(&value.get_attr("log").expect("a map")).is_some());
    assert_eq!(value.get_attr("count").expect("a map"), Value::from(7));
    let short = StoredValue::Value(serde_json::json!(["fine", "Bearer ‹secret word›"]));
    let short = restore(&short);
    assert_eq!(short.get_item_by_index(0).expect("a list"), Value::from("fine"));
    assert!(unknown_of(&short.get_item_by_index(1).expect("a list")).is_some());
}

#[test]
fn what_is_too_large_or_was_cut_is_unknown_with_the_reason() {
    let shelf = Shelf::default();
    let huge = aside(&serde_json::Value::from("x".repeat(17 * 1024 * 1024)), &shelf);
    assert_eq!(huge, StoredValue::Unknown("too large: 17825794 bytes".into()));
    let full = Shelf { cuts: true, ..Shelf::default() };
    let cut = aside(&serde_json::Value::from("x".repeat(100_000)), &full);
    assert!(matches!(&cut, StoredValue::Unknown(reason) if reason.contains("no room")), "{cut:?}");
    let damaged = StoredValue::Kept(EvidenceRef {
        stream: "value".into(),
        size: 70_000,
        sha256: "00".into(),
        excerpt: String::new(),
        inline: false,
        cut: false,
    });
    for bytes in [Err("its hash differs".to_owned()), Ok(b"{ no json".to_vec())] {
        let value = restore_kept(&damaged, &|_| bytes.clone());
        assert!(unknown_of(&value).is_some());
    }
    assert_eq!(to_json(&from_json(&serde_json::json!(1))), serde_json::json!(1));
}
