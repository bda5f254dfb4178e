//! What is found by what, and in which order.

use super::*;
use crate::runbook::parse_runbook;
use crate::source::{DiagnosticFormat, Diagnostics, Source, render};

const STEMEDB: &str = r#"
title: The quarantine overflows
system: StemeDB
summary: Far more assertions wait in the quarantine than its reviewers can look at.
tags: [content-defense]
symptoms:
  - The quarantine panel shows 100 or more pending items
  - A single agent floods the quarantine queue
alerts:
  - { alert: StemeDBAgentFlooding, match: { severity: page }, summary: "One agent sends too much" }
  - { alert: Stuck }
steps:
  - decide: What is the cause?
    id: cause
    options:
      flooding: { title: One agent floods it, end: no_action }
      none:
        title: None of these
        steps:
          - decide: And now?
            id: deeper
            options:
              config_gone: { title: "The log says `config X not found`", end: no_action }
              other: { end: no_action }
"#;

const POOL: &str = r"
title: The pool of Vestige is exhausted
system: Vestige
symptoms:
  - The log says `pool timed out while waiting for an open connection`
steps: [{ validate: Fine, assert: true }]
";

const CLIENTS: &str = r#"
title: PostgreSQL refuses connections
system: Vestige
symptoms:
  - 'psql says "too many clients", or `waiting for an open connection`'
  - Connections are refused
steps: [{ validate: Fine, assert: true }]
"#;

fn entry(id: &str, rest: &str) -> Entry {
    let mut problems = Diagnostics::new();
    let source = Source::new(format!("{id}.yaml"), format!("runbook: {id}{rest}"));
    let runbook = parse_runbook(&source, &mut problems);
    let runbook = runbook.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)));
    Entry::of_runbook(&runbook, id, &format!("{id}.yaml"))
}

fn finder() -> Finder {
    Finder::new(vec![entry("overflow", STEMEDB), entry("pool", POOL), entry("too-many-clients", CLIENTS)])
}

/// Places and ids of what is found in lines.
fn places(lines: &[&str]) -> Vec<(usize, String)> {
    let finder = finder();
    found(&finder, lines).into_iter().map(|found| (found.place, found.entry.id.clone())).collect()
}

fn found<'f>(finder: &'f Finder, lines: &[&str]) -> Vec<Found<'f>> {
    let mut search = finder.search();
    for (number, line) in (1..).zip(lines) {
        search.line(number, line);
        search.near_names(number, line);
    }
    search.finish()
}

fn reason(line: &str) -> Reason {
    found(&finder(), &[line])[0].reasons[0].clone()
}

#[test]
fn a_name_comes_before_a_quoted_text_and_that_before_words() {
    let found = places(&[
        "agent floods the quarantine",
        "pool timed out while waiting for an open connection",
        "x StemeDBAgentFlooding.",
    ]);
    let ids: Vec<_> = found.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids, ["overflow", "pool", "too-many-clients"]);
    assert_eq!(found.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2, 3], "the longer text comes first");
    let by_words = places(&["floods quarantine", "waiting for an open connection"]);
    assert_eq!(by_words[0].1, "too-many-clients");
}

#[test]
fn an_alert_is_found_by_its_exact_name_in_any_text() {
    for line in [
        "StemeDBAgentFlooding",
        "{\"labels\":{\"alertname\":\"StemeDBAgentFlooding\"}}",
        "[FIRING] StemeDBAgentFlooding (a)",
    ] {
        let reason = reason(line);
        assert_eq!((reason.by, reason.text.as_str()), (By::Name, "StemeDBAgentFlooding"), "{line}");
        assert_eq!(reason.kind, TextKind::Alert { only_with: vec!["severity=page".into()] });
    }
    assert_eq!(reason("Stuck").by, By::Name);
    assert!(matches!(reason("stuck").by, By::NearName), "a word is not a name because it is spelt like one");
}

#[test]
fn a_name_that_is_nearly_right_is_found_and_says_what_was_written() {
    let reason = reason("stemedb_agent_floding");
    assert_eq!((reason.by, reason.text.as_str()), (By::NearName, "StemeDBAgentFlooding"));
    assert_eq!(reason.words, ["stemedb_agent_floding"]);
    assert_eq!(places(&["StemeDBAgentBanned"]), []);
}

#[test]
fn a_runbook_is_found_by_its_id() {
    let reason = reason("see `too-many-clients`, please");
    assert_eq!((reason.by, reason.kind), (By::Name, TextKind::Id));
    let word = self::reason("pool");
    assert_eq!(word.by, By::Words { common: 1, others: 0 }, "an id that is one word is a word like others");
}

#[test]
fn an_option_is_found_with_the_way_to_it() {
    let reason = reason("ERROR: config /etc/a.toml not found");
    assert_eq!(reason.by, By::Quoted(3));
    assert_eq!(reason.kind, TextKind::Choice { step: "deeper".into(), option: "config_gone".into() });
}

#[test]
fn a_symptom_that_stands_whole_in_a_line_is_as_good_as_a_quoted_text() {
    let finder = Finder::new(vec![
        entry(
            "words",
            "\ntitle: Words\nsymptoms: [available vector extension]\nsteps: [{ validate: A, assert: true }]\n",
        ),
        entry(
            "bare",
            "\ntitle: Bare\nsymptoms: ['extension \"X\" is not available']\nsteps: [{ validate: A, assert: true }]\n",
        ),
    ]);
    let found = found(&finder, &["ERROR: extension \"vector\" is not available"]);
    assert_eq!((found[0].entry.id.as_str(), &found[0].reasons[0].by), ("bare", &By::Quoted(4)));
    assert_eq!((found[1].entry.id.as_str(), found[1].place), ("words", 2));
}

#[test]
fn names_of_values_are_no_words_of_a_title() {
    let rest = "\ntitle: Jobs\nsymptoms: ['jobs {{ stuck }} for `{{ n }} whole days`']\nsteps: [{ validate: A, assert: true }]\n";
    let finder = Finder::new(vec![entry("jobs", rest)]);
    assert_eq!(found(&finder, &["stuck"]), []);
    assert_eq!(found(&finder, &["stuck for 7 whole days now"])[0].reasons[0].by, By::Quoted(2));
}

#[test]
fn words_count_where_most_of_them_stand_together() {
    let reason = reason("why does an agent flood our stemedb?");
    assert_eq!(reason.by, By::Words { common: 3, others: 1 }, "the system counts beside every text");
    assert_eq!(reason.words, ["agent", "flood", "stemedb"], "as they were given, in their order");
    // Two of five known words are not most of them, and not most of any text.
    assert_eq!(places(&["panel pool refused clients agent"]), []);
    // Words that no runbook has do not count.
    assert_eq!(places(&["my cat walked over the quarantine"]), [(1, "overflow".into())]);
    assert_eq!(places(&["what is it", "", "7", "..."]), []);
}

#[test]
fn equals_share_a_place_in_the_order_of_the_library() {
    assert_eq!(places(&["vestige"]), [(1, "pool".into()), (1, "too-many-clients".into())]);
    let three = places(&["vestige connections refused", "StemeDBAgentFlooding"]);
    assert_eq!(three, [(1, "overflow".into()), (2, "too-many-clients".into()), (3, "pool".into())]);
    // `Connections are refused` says less beside its words than `PostgreSQL refuses connections`.
    let finder = finder();
    let found = found(&finder, &["connections refused"]);
    let reasons = &found[0].reasons;
    let texts: Vec<_> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(texts, ["Connections are refused", "PostgreSQL refuses connections"]);
}

#[test]
fn the_line_that_fits_best_is_told_and_how_many_do() {
    let finder = finder();
    let found = found(&finder, &["agent", "nothing", "agent floods queue", "agent floods queue", "agent"]);
    let first = &found[0].reasons[0];
    assert_eq!((first.text.as_str(), first.line, first.lines), ("A single agent floods the quarantine queue", 3, 4));
    assert!(found[0].reasons.len() <= 3);
}

#[test]
fn a_word_that_no_runbook_has_is_told_with_one_like_it() {
    let unknown = finder().unknown_words("quarrantine of the overflow, cat cat");
    assert_eq!(unknown[0], ("quarrantine".into(), Some("quarantine".into())));
    assert_eq!((unknown.len(), unknown[1].0.as_str()), (2, "cat"));
}
