//! Handovers: what the next person reads first.

use super::super::{About, Ahead, Commands, Recorded, Style, handover_json, handover_markdown, handover_text};
use super::sample::{self, Tape, diagnosis, rarities, resolved, start, step_ended, steps};
use crate::event::{AnswerKind, Event, Mark, Outcome, StepPath, StepVerdict, Waiting};
use jiff::Timestamp;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

fn ahead(step: &str) -> Ahead {
    Ahead { path: StepPath(step.to_owned()), arms: Vec::new(), on_failure: false }
}

fn about() -> About {
    let order = ["queue", "rates", "cause", "ban_agent", "reject", "loosen", "under_50", "alert_gone"];
    About {
        summary: Some("The quarantine holds far more than its reviewers can look at.".into()),
        impact: Some("Good items reach nobody.".into()),
        symptoms: vec!["The panel shows 100 or more".into(), "Legitimate assertions are quarantined".into()],
        alerts: vec!["StemeDBQuarantineOverflow".into()],
        owner: Some("stemedb-oncall".into()),
        contacts: vec!["oncall: The on-call, tel:1".into()],
        order: order.map(ahead).to_vec(),
    }
}

fn after(ms: u64) -> Timestamp {
    start() + Duration::from_millis(ms)
}

fn text(tape: &Tape, live: bool, style: Style) -> Vec<String> {
    let steps = steps();
    let commands = Commands::default();
    let run = Recorded { records: &tape.records, steps: &steps, findings: &[], head: None, live, commands: &commands };
    handover_text(&run, &about(), after(600_000), &style)
}

/// Parked at the second change; the first one ends by itself.
fn parked() -> Tape {
    let mut tape = diagnosis();
    let marked = |mark, at: &str| Event::Marked { mark, at: at.parse().unwrap(), text: Some("the pager".into()) };
    tape.by_ana(1001, None, marked(Mark::Detected, "2026-11-21T01:02:00Z"));
    tape.by_ana(2000, Some("ban_agent"), sample::gate_answered(AnswerKind::Approved));
    tape.attempt(2100, "ban_agent", "http", "POST http://10.0.3.7:18180/v1/admin/circuit_breakers/8f3a2b1c/open", true);
    tape.attempt_ended(2300, "ban_agent", Outcome::Succeeded);
    let until = Some(after(3_600_000));
    let undo = Some("POST /v1/admin/circuit_breakers/8f3a2b1c/reset".to_owned());
    tape.put(2310, Some("ban_agent"), Event::ChangeMade { undo, until, temporary: false });
    tape.put(2320, Some("ban_agent"), step_ended(Outcome::Succeeded, Some(StepVerdict::Holds), &[], vec![], None));
    tape.by_ana(3000, None, Event::Noted { text: "the owner of the agent is on the phone".into() });
    let waiting = Waiting {
        step: StepPath("reject".into()),
        what: "gate".into(),
        text: "POST http://10.0.3.7:18180/v1/admin/quarantine/1/reject".into(),
        digest: Some(sample::DIGEST.into()),
        wants: None,
    };
    tape.put(240_000, None, Event::RunParked { waiting: vec![waiting] });
    tape
}

#[test]
fn a_parked_run_is_handed_over() {
    insta::assert_snapshot!("handover_parked", text(&parked(), false, Style::PLAIN).join("\n"));
}

#[test]
fn an_ended_run_is_handed_over() {
    insta::assert_snapshot!("handover_ended", text(&resolved(), false, Style::PLAIN).join("\n"));
}

#[test]
fn a_run_that_died_in_a_change_says_that_nobody_knows() {
    let mut tape = diagnosis();
    tape.by_ana(2000, Some("ban_agent"), sample::gate_answered(AnswerKind::Approved));
    tape.attempt(2100, "ban_agent", "http", "POST http://10.0.3.7/open", true);
    let dead = text(&tape, false, Style::PLAIN).join("\n");
    assert!(dead.contains("INTERRUPTED"), "{dead}");
    assert!(dead.contains("open       ban_agent had begun, and its end was not seen: POST"), "{dead}");
    assert!(dead.contains("runwright resume 20261121-0114-k3f9"), "{dead}");
    let live = text(&tape, true, Style::PLAIN).join("\n");
    assert!(live.contains("running") && live.contains("ban_agent is being done"), "{live}");
    assert!(!live.contains("runwright resume"), "{live}");
}

/// A record that has much of everything.
fn huge() -> Tape {
    let mut tape = parked();
    tape.records.pop();
    let long = "a long story with many words ".repeat(20);
    for number in 0..60 {
        let at = 10_000 + number;
        let step = format!("look_{number}");
        let captures = [("value", serde_json::json!(long)), ("other", serde_json::json!(number))];
        tape.ended(at, &step, Outcome::Failed, None, &captures);
        let change = format!("change_{number}");
        tape.attempt(at, &change, "run", &long, true);
        tape.attempt_ended(at, &change, Outcome::Unknown);
        let outcome = [Outcome::Failed, Outcome::Unknown, Outcome::Succeeded][usize::try_from(number % 3).unwrap()];
        tape.put(at, Some(&change), step_ended(outcome, None, &[], vec![], Some(&long)));
        let until = Some(after(3_600_000 + number));
        tape.put(at, Some(&change), Event::ChangeMade { undo: Some(long.clone()), until, temporary: true });
        tape.by_ana(at, None, Event::Noted { text: long.clone() });
        tape.put(at, None, Event::Deviated { text: long.clone() });
        tape.put(at, Some(&format!("cause_{number}")), sample::decided());
    }
    let wait = |number: u32| Waiting {
        step: StepPath(format!("change_{number}")),
        what: "gate".into(),
        text: long.clone(),
        digest: None,
        wants: None,
    };
    tape.put(20_000, None, Event::RunParked { waiting: (0..60).map(wait).collect() });
    tape
}

#[test]
fn a_page_has_fewer_than_40_lines_whatever_the_run() {
    for tape in [huge(), rarities(), parked(), resolved(), Tape::default()] {
        for live in [false, true] {
            for width in [40, 80, 120] {
                let lines = text(&tape, live, Style { width, ..Style::PLAIN });
                assert!(lines.len() < 40, "{width}: {} lines\n{}", lines.len(), lines.join("\n"));
                for line in &lines {
                    let is_command = line.contains("runwright ");
                    assert!(is_command || line.width() <= width, "{width}: {line:?}");
                }
            }
        }
    }
    let page = text(&huge(), false, Style::PLAIN).join("\n");
    for label in ["wrong", "found", "done", "tried", "ruled out", "open", "next", "who", "notes", "look again"] {
        assert!(page.contains(&format!("\n{label}")), "no {label}\n{page}");
    }
    assert!(page.contains("… and ") && page.ends_with("all of it: runwright show 20261121-0114-k3f9"), "{page}");
    // Nothing is left out where nobody counts lines.
    let (steps, commands) = (steps(), Commands::default());
    let tape = huge();
    let run =
        Recorded { records: &tape.records, steps: &steps, findings: &[], head: None, live: false, commands: &commands };
    let markdown = handover_markdown(&run, &about(), after(600_000));
    assert_eq!(markdown.matches("\n- NOT KNOWN whether done").count(), 20, "{markdown}");
    let json: serde_json::Value = serde_json::from_str(&handover_json(&run, &about(), after(600_000))).unwrap();
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(61));
    assert_eq!(json["state"], "parked");
}

#[test]
fn a_handover_in_markdown() {
    let (steps, commands) = (steps(), Commands::with(vec!["--store".into(), "/srv/my records".into()]));
    let tape = parked();
    let run =
        Recorded { records: &tape.records, steps: &steps, findings: &[], head: None, live: false, commands: &commands };
    insta::assert_snapshot!("handover_markdown", handover_markdown(&run, &about(), after(600_000)));
}
