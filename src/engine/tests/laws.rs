//! Random runs: whatever happens, the record is lawful, changes never overlap, and the run ends.

use super::{Script, Scripted};
use crate::engine::{Answer, History, PromptKind};
use crate::event::{ErrorClass, Event, Record};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

#[derive(Clone, Debug)]
struct Line {
    kind: u8,
    script: u8,
    on_failure: u8,
    needs_none: bool,
}

fn line() -> impl Strategy<Value = Line> {
    (0_u8..11, 0_u8..6, 0_u8..5, proptest::bool::weighted(0.15))
        .prop_map(|(kind, script, on_failure, needs_none)| Line { kind, script, on_failure, needs_none })
}

fn yaml(lines: &[Line]) -> String {
    let mut text = String::from("\nsteps:\n");
    for (place, line) in lines.iter().enumerate() {
        let needs = if line.needs_none { "    needs: []\n" } else { "" };
        let on_failure = match line.on_failure {
            0 => "    on_failure: continue\n".to_owned(),
            1 => "    on_failure: { escalate: Help }\n".to_owned(),
            2 => format!(
                "    on_failure:\n      steps: [ {{ id: fix{place}, remediate: Fix, risk: low, run: [fix{place}] }} ]\n      then: again\n"
            ),
            _ => String::new(),
        };
        match line.kind {
            0 | 1 => writeln!(text, "  - id: s{place}\n    diagnose: D\n    run: [a{place}]\n{needs}{on_failure}"),
            2 => writeln!(text, "  - id: s{place}\n    validate: V\n    run: [a{place}]\n    expect: exit == 0\n{needs}{on_failure}"),
            3 | 4 => writeln!(text, "  - id: s{place}\n    remediate: R\n    run: [a{place}]\n    retry: {{ attempts: 2, every: 1s }}\n    verify: {{ run: [v{place}], expect: exit == 0, within: 3s }}\n{needs}{on_failure}"),
            5 => writeln!(text, "  - id: s{place}\n    decide: C\n    options:\n      one: {{ steps: [ {{ id: in{place}, remediate: I, run: [i{place}] }} ] }}\n      two: {{ when: 1 > 0, end: resolved }}\n      three: {{ when: 2 > 1 }}\n"),
            6 => writeln!(text, "  - id: s{place}\n    group: G\n{on_failure}\n    steps:\n      - {{ id: g{place}, remediate: I, run: [g{place}] }}\n      - {{ id: h{place}, validate: H, run: [h{place}] }}\n"),
            7 => writeln!(text, "  - id: s{place}\n    group: L\n    for_each: \"[1, 2, 3]\"\n    at_once: 2\n    on_item_failure: {{ at_most: 1 }}\n{needs}{on_failure}    steps:\n      - {{ id: l{place}, diagnose: L, run: [a{place}] }}\n      - {{ id: m{place}, remediate: M, run: [m, '{{{{ item }}}}'] }}\n      - {{ id: n{place}, remediate: N, run: [a{place}], when: l{place}.exit == 0 }}\n      - {{ id: o{place}, group: O, for_each: \"['x']\", as: o, pause: 1s, steps: [ {{ id: p{place}, validate: P, run: [a{place}], expect: exit == 0 }} ] }}\n"),
            8 => writeln!(text, "  - id: s{place}\n    remediate: Call\n    runbook: {{ name: inner, inputs: {{ who: '{place}' }} }}\n{needs}{on_failure}"),
            9 => writeln!(text, "  - id: s{place}\n    group: Side by side\n    parallel: true\n    first_failure: cancel\n{on_failure}    steps:\n      - {{ id: q{place}, diagnose: Q, run: [a{place}] }}\n      - {{ id: r{place}, group: R, steps: [ {{ id: t{place}, remediate: T, run: [a{place}] }}, {{ id: u{place}, remediate: U, runbook: {{ name: inner, inputs: {{ who: u }} }} }} ] }}\n"),
            _ => writeln!(text, "  - id: s{place}\n    group: Calls\n    for_each: \"['v', 'w']\"\n{on_failure}    steps:\n      - {{ id: w{place}, remediate: W, runbook: {{ name: inner, inputs: {{ who: '{{{{ item }}}}' }} }} }}\n"),
        }
        .expect("text");
    }
    text.push_str("finally:\n  - { id: last, remediate: Tidy, risk: low, run: [last] }\n");
    text
}

/// What is called: a read, a decision that may end it, a change, a proof, and a `finally`.
const INNER: &str = "
runbook: inner
title: Inner
inputs: { who: { type: string } }
outputs: { code: look.exit }
steps:
  - { id: look, diagnose: Look, run: [a0] }
  - id: which
    decide: Which?
    options:
      one: { when: look.exit == 0 }
      two: { when: look.exit == 7, end: no_action }
  - { id: act, remediate: Act, run: [inner, '{{ who }}'], undo: { run: [back] } }
  - { id: proof, validate: Proof, run: [a1], expect: exit == 0 }
finally:
  - { id: tidy, remediate: Tidy, risk: low, run: [tidy, '{{ who }}'] }
";

fn script(kind: u8) -> Script {
    match kind {
        0 => Script::Fail(ErrorClass::Exit(1)),
        1 => Script::Unknown,
        2 => Script::Ok(json!({ "exit": 1 }), 30),
        3 => Script::Then(vec![Script::Fail(ErrorClass::Refused), Script::ok(json!({ "exit": 0 }))]),
        _ => Script::Ok(json!({ "exit": 0 }), 10),
    }
}

/// Attempts at changes never overlap: one write slot.
fn changes_overlap(records: &[Record]) -> bool {
    let mut open = 0;
    for record in records {
        match &record.event {
            Event::AttemptStarted { change: true, .. } => open += 1,
            Event::AttemptEnded { .. } if open > 0 && is_change_end(record, records) => open -= 1,
            _ => {}
        }
        if open > 1 {
            return true;
        }
    }
    false
}

fn is_change_end(end: &Record, records: &[Record]) -> bool {
    records.iter().any(|record| {
        record.step == end.step
            && record.attempt == end.attempt
            && matches!(record.event, Event::AttemptStarted { change: true, .. })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_run_is_lawful(
        lines in prop::collection::vec(line(), 1..9),
        answers in prop::collection::vec(0_u8..12, 24),
        stop in prop::option::weighted(0.2, 0_u64..200),
        disk in prop::option::weighted(0.1, 1_usize..40),
        jobs in 1_usize..4,
    ) {
        let mut scripted = Scripted::new(&yaml(&lines)).calling(INNER).jobs(jobs);
        for (place, line) in lines.iter().enumerate() {
            scripted = scripted.act(&format!("a{place}"), script(line.script));
        }
        let mut answers = answers.into_iter();
        scripted = scripted.person(move |prompt| {
            let answer = answers.next().unwrap_or(0);
            Some(match (&prompt.kind, answer) {
                (_, 9) => Answer::Skip { reason: "not now".into() },
                (_, 10) => Answer::Abort { reason: "enough".into() },
                (_, 11) => Answer::Suspend,
                (PromptKind::Decide { .. }, _) => Answer::Choose { option: "one".into(), reason: None },
                (_, 8) => Answer::Decline { reason: None },
                _ => Answer::Approve,
            })
        });
        if let Some(after) = stop {
            scripted = scripted.signal(Duration::from_millis(after), 15);
        }
        if let Some(records) = disk {
            scripted = scripted.disk_full_after(records);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let played = runtime.block_on(scripted.play());
        prop_assert!(!changes_overlap(&played.records));
        for end in 0..played.records.len() {
            prop_assert!(History::of(&played.records[..end]).is_ok());
        }
        let attempted = played.records.iter().filter(|record| matches!(record.event, Event::AttemptStarted { .. })).count();
        prop_assert!(played.seen().len() <= attempted, "an act that is not on record");
    }
}
