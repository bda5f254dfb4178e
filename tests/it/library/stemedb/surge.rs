//! A surge that people expect: what is done about it, and when that is not enough.

use super::bench::Bench;
use crate::support::Terminal;
use serde_json::json;

/// The answers for the surge: what is done about it.
fn surge(bench: &Bench, approve: bool, allow: bool, reviewers: bool) -> String {
    let agent = bench.agent("bac4f111");
    format!(
        "surge_questions: {{ growth: backfill }}\n\
         relief: {{ trusted: {agent}, approve: {approve}, allow: {allow}, reviewers: {reviewers} }}\n"
    )
}

#[test]
fn an_expected_surge_is_approved_and_let_through() {
    let bench = Bench::scene("surge");
    let ran = bench.shelf.run("quarantine-overflow", &surge(&bench, true, true, false), &[]).exits(0);
    let ran = ran.reached(&[
        "quarantine-overflow.signs",
        "quarantine-overflow.surge_questions",
        "quarantine-overflow.cause",
        "quarantine-overflow.relief",
        "quarantine-overflow.approve_trusted",
        "quarantine-approve.approve_items",
        "quarantine-overflow.allow_trusted",
        "quarantine-allow-agent.allow",
        "quarantine-allow-agent.listed",
        "quarantine-overflow.falls_in_surge",
    ]);
    let agent = bench.agent("bac4f111");
    assert_eq!(bench.count("/approve"), 212);
    let entry = &bench.get("/v1/admin/content_defense/allowlist")["allowlist"][0];
    assert_eq!((&entry["agent_id"], &entry["reason"]), (&json!(agent), &json!("backfill")));
    let ends: jiff::Timestamp = entry["expires_at"].as_str().unwrap().parse().unwrap();
    let lasts = ends.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((42_000..=43_200).contains(&lasts), "twelve hours, not {lasts} s");
    _ = ran.tells("ends by itself");
    assert_eq!(bench.waiting().len(), 28);
}

#[test]
fn more_reviewers_are_asked_for_and_who_they_are_is_written_down() {
    let bench = Bench::scene("surge");
    let answers = bench.shelf.sandbox.write("surge.yaml", &surge(&bench, true, true, true));
    let library = bench.shelf.sandbox.path("library").display().to_string();
    let arguments = ["run", "quarantine-overflow", "--env", "simulator", "--library", &library, "--answers"];
    let answers = answers.display().to_string();
    let mut terminal = Terminal::open(&bench.shelf.sandbox, &[&arguments[..], &[&answers]].concat());
    terminal.sees("Assign more people").sees("how did it go?").types("d");
    terminal.sees("what did you see?").types("Ana and Bo, until Friday").types(".");
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED"), "{screen}");
    let record = std::fs::read_to_string(bench.shelf.sandbox.only_run().join("transcript.jsonl")).unwrap();
    let place = "quarantine-overflow.more_reviewers";
    assert!(
        record.contains(place.rsplit('.').next().unwrap()) && record.contains("Ana and Bo, until Friday"),
        "{place}"
    );
}

#[test]
fn a_surge_that_overwhelms_is_decided_by_a_person() {
    let bench = Bench::scene("surge");
    // No relief: nothing falls.
    let answers = surge(&bench, false, false, false);
    let ran = bench.shelf.run("quarantine-overflow", &format!("{answers}overwhelmed: pause_ingest\n"), &[]).exits(6);
    let ran = ran.came_to(&["quarantine-overflow.falls_in_surge"], &["does_not_hold"]);
    _ = ran.reached(&["quarantine-overflow.overwhelmed"]).tells("pause the ingest");
    // Nobody there: all three are named.
    let ran = bench.shelf.run("quarantine-overflow", &answers, &[]).exits(6);
    _ = ran.tells("pause the ingest, scale the infrastructure, or approve low-risk items automatically");
    assert_eq!(bench.changes().iter().filter(|(path, ..)| path.contains("/admin/")).count(), 0);
}
