//! What moved between two looks at the same facts, in words that a person reads.

use crate::event::CardView;
use serde_json::Value;
use std::fmt::Write as _;

/// The longest text of a fact that is shown; of longer ones only that they moved.
const SHOWN: usize = 160;

/// What moved, one line each. Both are facts as a gate's digest is made of them.
pub(super) fn moved(before: &Value, after: &Value) -> Vec<String> {
    if let (Some(before), Some(after)) = (before.as_array(), after.as_array()) {
        return several(before, after);
    }
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let mut lines = Vec::new();
    for name in names {
        let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
        if old == new {
            continue;
        }
        match name.as_str() {
            "acts" => acts(list(old), list(new), &mut lines),
            "files" => files(list(old), list(new), &mut lines),
            "targets" => targets(list(old), list(new), &mut lines),
            "undo" => lines.push(became("the undo", old, new)),
            "attempts" => lines.push(became("the attempts allowed", old, new)),
            "environment" => lines.push(became("the environment", old, new)),
            other => lines.push(became(&format!("`{other}`"), old, new)),
        }
    }
    lines
}

/// What moved between two cards: an earlier process has shown the one, and its facts are known only from there.
pub(super) fn cards(before: &CardView, after: &CardView) -> Vec<String> {
    let facts = |card: &CardView| {
        let items = card.items.iter().map(|item| serde_json::json!({ "text": item.text }));
        let acts = if card.items.is_empty() {
            vec![serde_json::to_value(&card.act).unwrap_or_default()]
        } else {
            items.collect()
        };
        serde_json::json!({ "acts": acts, "undo": card.undo })
    };
    moved(&facts(before), &facts(after))
}

/// The facts of a list of changes: each by the step it is of.
fn several(before: &[Value], after: &[Value]) -> Vec<String> {
    let step = |facts: &Value| facts["step"].as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for facts in before {
        let path = step(facts);
        match after.iter().find(|other| step(other) == path) {
            None => lines.push(format!("{path}: is no longer on this card")),
            Some(other) => lines.extend(moved(facts, other).into_iter().map(|line| format!("{path}: {line}"))),
        }
    }
    let is_new = |facts: &&Value| !before.iter().any(|other| step(other) == step(facts));
    lines.extend(after.iter().filter(is_new).map(|facts| format!("{}: is new on this card", step(facts))));
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `the act: X became Y`; for a list, which of them.
fn acts(before: &[Value], after: &[Value], lines: &mut Vec<String>) {
    if before.len() != after.len() {
        let text = |act: &Value| act["text"].as_str().unwrap_or_default().to_owned();
        lines.push(format!("{} acts became {}", before.len(), after.len()));
        let gone = before.iter().filter(|act| !after.contains(act));
        let new = after.iter().filter(|act| !before.contains(act));
        lines.extend(gone.map(|act| format!("no longer: {}", short(&text(act)))));
        lines.extend(new.map(|act| format!("new: {}", short(&text(act)))));
        return;
    }
    for (place, (old, new)) in before.iter().zip(after).enumerate() {
        let which = if before.len() == 1 { String::new() } else { format!(" {}", place + 1) };
        if old["text"] != new["text"] {
            lines.push(became(&format!("the act{which}"), &old["text"], &new["text"]));
        }
        if old["target"] != new["target"] {
            lines.push(became(&format!("the target of the act{which}"), &old["target"], &new["target"]));
        }
        details(old, new, &which, lines);
    }
}

/// What stands beside the text of an act: body, headers, environment, values.
fn details(old: &Value, new: &Value, which: &str, lines: &mut Vec<String>) {
    let label = |line: &Value| line["label"].as_str().unwrap_or_default().to_owned();
    let (old, new) = (list(&old["more"]), list(&new["more"]));
    let mut seen: Vec<String> = Vec::new();
    for name in old.iter().chain(new).map(label) {
        if seen.contains(&name) {
            continue;
        }
        let texts = |lines: &[Value]| {
            let of_it = lines.iter().filter(|line| label(line) == name);
            Value::from(of_it.filter_map(|line| line["text"].as_str()).collect::<Vec<_>>().join(", "))
        };
        let (was, is) = (texts(old), texts(new));
        if was != is {
            let of = if which.is_empty() { String::new() } else { format!(" of the act{which}") };
            lines.push(became(&format!("{name}{of}"), &was, &is));
        }
        seen.push(name);
    }
}

/// Files are told by their names: nobody reads a digest.
fn files(before: &[Value], after: &[Value], lines: &mut Vec<String>) {
    let pairs = |acts: &[Value]| -> Vec<(String, String)> {
        let pairs = acts.iter().flat_map(list);
        let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
        pairs.filter_map(pair).collect()
    };
    let (before, after) = (pairs(before), pairs(after));
    let mut told: Vec<&str> = Vec::new();
    for (name, digest) in &before {
        let same = after.iter().any(|(other, now)| other == name && now == digest);
        if same || told.contains(&name.as_str()) {
            continue;
        }
        told.push(name);
        lines.push(match name.as_str() {
            "diff" => "what it would change has moved: the file is not as it was".to_owned(),
            name if after.iter().any(|(other, _)| other == name) => format!("the file {name} has another content"),
            name => format!("the file {name} is no longer used"),
        });
    }
    let new = after.iter().filter(|(name, _)| !before.iter().any(|(other, _)| other == name));
    lines.extend(new.map(|(name, _)| format!("the file {name} is used now")));
}

fn targets(before: &[Value], after: &[Value], lines: &mut Vec<String>) {
    for old in before {
        let name = old["name"].as_str().unwrap_or_default();
        let Some(new) = after.iter().find(|other| other["name"] == old["name"]) else {
            lines.push(format!("target {name}: is no longer used"));
            continue;
        };
        for (key, word) in [("identity", "identity"), ("address", "address")] {
            if old[key] != new[key] {
                lines.push(became(&format!("target {name}: the {word}"), &old[key], &new[key]));
            }
        }
    }
    let is_new = |new: &&Value| !before.iter().any(|old| old["name"] == new["name"]);
    lines.extend(
        after.iter().filter(is_new).map(|new| format!("target {}: is new", new["name"].as_str().unwrap_or_default())),
    );
}

/// `WHAT: OLD became NEW`; of long texts the part that differs.
fn became(what: &str, old: &Value, new: &Value) -> String {
    let (old, new) = (words(old), words(new));
    let is_short = |text: &str| text.chars().count() <= SHOWN && !text.contains('\n');
    if is_short(&old) && is_short(&new) {
        return format!("{what}: {old} became {new}");
    }
    let mut line = format!("{what} has moved");
    let gone = old.lines().find(|line| !new.lines().any(|other| other == *line));
    let came = new.lines().find(|line| !old.lines().any(|other| other == *line));
    // Writing to a String cannot fail.
    match (gone, came) {
        (Some(gone), Some(came)) => _ = write!(line, ", first: {} became {}", short(gone), short(came)),
        (Some(gone), None) => _ = write!(line, ", first: no longer {}", short(gone)),
        (None, Some(came)) => _ = write!(line, ", first: new {}", short(came)),
        (None, None) => {}
    }
    line
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('\u{2026}');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moved_fact_is_told_in_words() {
        let act = |text: &str, body: &str| json!({ "action": "http", "text": text, "more": [{ "label": "body", "text": body }] });
        let facts = |acts: Value, files: Value, identity: &str, undo: &str| {
            json!({
                "run": "r", "acts": acts, "files": files,
                "targets": [{ "name": "api", "address": "10.0.0.1", "identity": identity }], "undo": undo,
            })
        };
        let one = facts(json!([act("POST /a", "x")]), json!([[["ban.sh", "1"]]]), "blue", "POST /b");
        assert_eq!(moved(&one, &one), Vec::<String>::new());
        let other = facts(json!([act("POST /c", "y")]), json!([[["ban.sh", "2"]]]), "green", "");
        assert_eq!(
            moved(&one, &other),
            [
                "the act: POST /a became POST /c",
                "body: x became y",
                "the file ban.sh has another content",
                "target api: the identity: blue became green",
                "the undo: POST /b became none",
            ]
        );
        let more =
            facts(json!([act("POST /a", "x"), act("POST /d", "z")]), json!([[["ban.sh", "1"]]]), "blue", "POST /b");
        assert_eq!(moved(&one, &more), ["1 acts became 2", "new: POST /d"]);
        let long = |line: &str| json!({ "undo": format!("{}\n{line}\nend", "same\n".repeat(200)) });
        assert_eq!(moved(&long("a"), &long("b")), ["the undo has moved, first: a became b"]);
    }
}
