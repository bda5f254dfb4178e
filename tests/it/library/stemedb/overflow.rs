//! The overflow itself, scene by scene, and what may go wrong on the way.

use super::bench::Bench;
use crate::support::{Entry, Journal, Sandbox, Terminal, finish};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_flooding_agent_is_found_banned_and_its_items_rejected() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("8f3a2b1c");
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "quarantine-overflow.queue",
        "quarantine-queue.health",
        "quarantine-queue.list",
        "quarantine-queue.rates",
        "quarantine-overflow.changes",
        "quarantine-overflow.signs",
        "quarantine-overflow.cause",
        "quarantine-overflow.stop",
        "quarantine-stop-agent.their_items",
        "quarantine-stop-agent.their_breaker",
        "quarantine-stop-agent.ban_agent",
        "quarantine-stop-agent.refusal",
        "quarantine-stop-agent.reject_items",
        "quarantine-stop-agent.items_gone",
    ]);
    assert_eq!(ran.value("quarantine-queue.list", "suspect"), agent.as_str(), "the key in full");
    assert_eq!(ran.value("quarantine-queue.list", "agents").as_array().map(Vec::len), Some(3));
    // Ranked, each with its likelihood and what the evidence says of it.
    let ran = ran.tells("One agent floods the queue 45 % holds").tells("The content defence is too aggressive 25 % no");
    _ = ran.tells("Many agents send items of low quality 20 % no").tells("A legitimate surge 10 % no");
    let changes = bench.changes();
    assert_eq!(changes[0].0, format!("/v1/admin/circuit_breakers/{agent}/open"));
    assert_eq!(changes[0].1, json!({ "reason": "flooding_quarantine", "duration_seconds": 3600 }));
    assert_eq!((changes[1].0.as_str(), changes[1].2), ("/v1/assert", 429), "the ban is proven by a refused write");
    assert!(changes[2..489].iter().all(|(path, body, status)| {
        path.ends_with("/reject") && *body == json!({ "reason": "agent_flooding" }) && *status == 200
    }));
    assert_eq!((changes[489].0.as_str(), changes[489].2, changes.len()), ("/v1/assert", 201, 490));
    assert!(bench.is_banned(&agent));
    assert_eq!(bench.waiting().len(), 20);
    // The ban is told until it ends by itself: then the flood comes back, if nobody has repaired the agent.
    bench.steer("advance", &json!({ "seconds": 3_601 }));
    assert!(!bench.is_banned(&agent));
    bench.shelf.sandbox.is_whole();
}

#[test]
fn five_checks_are_all_looked_at_even_when_one_fails() {
    let bench = Bench::scene("quiet");
    let all = [
        "quarantine-checks.under_limit",
        "quarantine-checks.nobody_dominates",
        "quarantine-checks.false_positives_low",
        "quarantine-checks.rate_settled",
        "quarantine-checks.test_seen",
    ];
    let answers = "test_seen: { answer: true }";
    _ = bench.shelf.run("quarantine-checks", answers, &[]).exits(0).reached(&all);
    // Four hold, and a person says that the fifth does not.
    _ = bench.shelf.run("quarantine-checks", "test_seen: { answer: false }", &[]).exits(1).reached(&all[..4]);
    let ran = bench.shelf.run("quarantine-checks", "", &["-i", "manageable=5", "-i", "test_status=201"]).exits(1);
    _ = ran
        .came_to(&["quarantine-checks.under_limit"], &["does_not_hold"])
        .reached(&all[1..4])
        .reached(&["quarantine-checks.test_accepted"])
        .tells("NOT RESOLVED");
    // 202: it was taken, and is quarantined.
    let ran = bench.shelf.run("quarantine-checks", "", &["-i", "test_status=202"]).exits(1);
    _ = ran.came_to(&["quarantine-checks.test_accepted"], &["does_not_hold"]);
    assert_eq!(bench.changes(), [], "checks only read");
}

#[test]
fn an_empty_queue_without_reviews_passes() {
    let bench = Bench::scene("quiet");
    for item in bench.waiting() {
        let path = format!("/v1/admin/quarantine/{}/reject", item["id"].as_str().unwrap());
        assert_eq!(bench.ask("POST", &path, &json!({ "reason": "a test" })).unwrap().status, 200);
    }
    // The counters of approvals and rejections begin at zero.
    bench.steer("restart", &Value::Null);
    let ran = bench.shelf.run("quarantine-checks", "", &["-i", "test_status=201"]).exits(0);
    let ran = ran.reached(&["quarantine-checks.nobody_dominates", "quarantine-checks.false_positives_low"]);
    assert_eq!(ran.value("quarantine-checks.nobody_dominates", "most"), 0);
    assert_eq!(ran.value("quarantine-checks.false_positives_low", "false_positives"), 0);
    _ = bench.shelf.run("quarantine-overflow", "", &[]).exits(0).tells("NO ACTION");
}

#[test]
fn a_ban_that_does_not_hold_goes_to_people() {
    // It is refused, it has no effect, or writes get through all the same.
    let open = |bench: &Bench| format!("/v1/admin/circuit_breakers/{}/open", bench.agent("8f3a2b1c"));
    for (status, step) in [
        (500, "quarantine-stop-agent.ban_agent"),
        (200, "quarantine-stop-agent.ban_agent"),
        (201, "quarantine-stop-agent.refusal"),
    ] {
        let bench = Bench::scene("flooding");
        bench.fails(&if status == 201 { "/v1/assert".to_owned() } else { open(&bench) }, status, 1);
        let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(6).tells("ESCALATED to stemedb-oncall");
        _ = ran.came_to(&[step], &["failed", "does_not_hold"]).tells("other keys").tells("firewall");
        assert_eq!(bench.count("/reject"), 0, "nothing is rejected while the flood goes on");
    }
    // Both places, as the table of the page has them.
    let bench = Bench::scene("flooding");
    bench.fails(&open(&bench), 500, 1);
    let ran = bench.shelf.run("quarantine-stop-agent", "", &["-i", &format!("agent={}", bench.agent("8f3a2b1c"))]);
    _ = ran.exits(6).came_to(&["quarantine-stop-agent.ban_agent"], &["failed"]);
    let bench = Bench::scene("flooding");
    bench.fails("/v1/assert", 201, 1);
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(6);
    _ = ran.came_to(&["quarantine-stop-agent.refusal"], &["failed"]);
}

#[test]
fn items_that_could_not_be_rejected_fail_the_run_and_a_second_run_gets_them() {
    let bench = Bench::scene("flooding");
    bench.fails("/v1/admin/quarantine/q-0000*", 404, 3);
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(7);
    _ = ran
        .came_to(&["quarantine-stop-agent.reject_items"], &["failed"])
        .came_to(&["quarantine-stop-agent.items_gone"], &["does_not_hold"]);
    let agent = bench.agent("8f3a2b1c");
    let left = bench.waiting().iter().filter(|item| item["agent_id"] == agent.as_str()).count();
    assert_eq!(left, 3, "the others are rejected");
    let ran = bench.shelf.run("quarantine-stop-agent", "", &["-i", &format!("agent={agent}")]).exits(0);
    _ = ran.reached(&["quarantine-stop-agent.reject_items", "quarantine-stop-agent.items_gone"]);
    assert_eq!(bench.waiting().len(), 20);
}

#[test]
fn a_run_that_is_killed_amid_the_rejections_rejects_the_rest_when_it_is_taken_up() {
    let bench = Bench::scene("flooding");
    let slow = json!({ "path": "/v1/admin/quarantine/*", "method": "POST", "delay_ms": 15, "times": 100_000 });
    bench.steer("fault", &slow);
    let mut run = bench.shelf.command(["run", "quarantine-overflow", "--env", "simulator"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while bench.count("/reject") < 100 {
        assert!(Instant::now() < deadline, "it does not get there");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    _ = run.wait().unwrap();
    let before = bench.count("/reject");
    assert!(before < 480, "it was killed amid the list");
    // What was under way has an unknown end. A person says that it may be sent again: whoever was first, the second
    // answer is 409.
    let mut asked = 0;
    while finish(&mut bench.shelf.command(["resume", "last"])).code == 5 {
        asked += 1;
        assert!(asked <= 4, "no more than four were under way");
        let again = ["answer", "last", "stop/reject_items", "result=retry", "--reason", "409 is fine"];
        _ = finish(&mut bench.shelf.command(again)).exits(0);
    }
    let run = bench.shelf.sandbox.only_run();
    _ = finish(&mut bench.shelf.command(["show", "last"])).exits(0).says("RESOLVED");
    let rejections: Vec<_> = bench.changes().into_iter().filter(|(path, ..)| path.ends_with("/reject")).collect();
    let done = rejections.iter().filter(|(.., status)| *status == 200).count();
    assert_eq!(done, 487, "each item is rejected");
    // What was under way when it was killed is sent again, and answered with 409; four at most.
    assert!(rejections.len() <= 487 + 4, "{} requests", rejections.len());
    assert_eq!(bench.count("/open"), 1, "the ban is not sent twice");
    assert_eq!(bench.waiting().len(), 20);
    let place = "quarantine-stop-agent.reject_items";
    let all = Sandbox::events(&run);
    let over = all.iter().any(|event| event["step"] == "stop/reject_items" && event["event"]["outcome"] == "succeeded");
    assert!(over, "{place} did not succeed");
    bench.shelf.sandbox.is_whole();
    bench.shelf.sandbox.leaves_nothing_behind();
}

#[test]
fn many_agents_and_reasons_lead_to_tuned_thresholds() {
    let bench = Bench::scene("mixed");
    let before = bench.settings();
    let ran = bench.shelf.run("quarantine-overflow", "review: { known_good: nobody }", &[]).exits(0);
    let ran = ran.reached(&[
        "quarantine-overflow.cause",
        "quarantine-overflow.present_thresholds",
        "quarantine-overflow.review",
        "quarantine-overflow.tune",
        "quarantine-thresholds.present",
        "quarantine-thresholds.set_thresholds",
        "quarantine-thresholds.restart",
        "quarantine-thresholds.in_force",
        "quarantine-overflow.falls_when_tuned",
        "quarantine-overflow.submit_test",
        "quarantine-overflow.checks",
    ]);
    let ran = ran.came_to(&["quarantine-overflow.approve_good"], &["skipped"]);
    // Three samples of each reason, each of that reason.
    let samples = ran.value("quarantine-queue.list", "samples");
    let reasons: Vec<_> = samples.as_array().unwrap().iter().map(|group| group["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["Duplicate", "LowQuality", "UntrustedHighConfidence"]);
    for group in samples.as_array().unwrap() {
        let items = group["samples"].as_array().unwrap();
        assert!(items.len() == 3 && items.iter().all(|item| item["reason"] == group["reason"]), "{group}");
    }
    let wanted = before
        .replace("quality_threshold = 0.7", "quality_threshold = 0.5")
        .replace("\nconfidence_threshold = 0.8", "\nconfidence_threshold = 0.9");
    assert_eq!(bench.settings(), wanted, "the other table, the comments and the order are as they were");
    assert_eq!(bench.thresholds()["quality_threshold"], 0.5);
    assert_eq!(bench.waiting().len(), 23);
}

#[test]
fn items_of_a_known_good_agent_are_approved_before_the_restart() {
    let bench = Bench::scene("mixed");
    let agent = bench.agent("a1c0ffee");
    let answers = format!("review: {{ known_good: {agent} }}");
    let ran = bench.shelf.run("quarantine-overflow", &answers, &[]).exits(0);
    let ran = ran.reached(&[
        "quarantine-overflow.approve_good",
        "quarantine-approve.their_items",
        "quarantine-approve.approve_items",
        "quarantine-approve.approvals_counted",
        "quarantine-approve.none_left",
    ]);
    assert_eq!(ran.value("quarantine-approve.approvals_counted", "rose"), 23);
    assert_eq!(bench.count("/approve"), 23);
    assert!(bench.waiting().iter().all(|item| item["agent_id"] != agent.as_str()));
}

#[test]
fn a_reviewer_who_was_first_is_no_failure() {
    let bench = Bench::scene("mixed");
    let agent = bench.agent("a1c0ffee");
    // What the list still shows is taken by somebody else meanwhile.
    bench.steer(
        "fault",
        &json!({ "path": "/v1/admin/quarantine/*", "method": "POST", "status": 409, "times": 2, "perform": true }),
    );
    let ran = bench.shelf.run("quarantine-approve", "", &["-i", &format!("agent={agent}")]).exits(0);
    _ = ran.reached(&["quarantine-approve.approve_items", "quarantine-approve.approvals_counted"]);
}

#[test]
fn false_positives_that_persist_go_to_people() {
    let bench = Bench::scene("mixed");
    // Thresholds that let nothing more through than those in force.
    let same = ["-i", "tuned_quality=0.7", "-i", "tuned_confidence=0.8"];
    let ran = bench.shelf.run("quarantine-overflow", "review: { known_good: nobody }", &same).exits(6);
    _ = ran
        .came_to(&["quarantine-overflow.falls_when_tuned"], &["does_not_hold"])
        .came_to(&["quarantine-thresholds.restart"], &["skipped"])
        .tells("False positives persist after tuning")
        .tells("ContentDefenseLayer");
}

#[test]
fn too_strict_a_defence_goes_back_to_the_tested_defaults() {
    let bench = Bench::scene("aggressive");
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(0);
    let ran = ran.reached(&[
        "quarantine-queue.rates",
        "quarantine-overflow.cause",
        "quarantine-overflow.defaults",
        "quarantine-thresholds.in_the_file",
        "quarantine-thresholds.set_thresholds",
        "quarantine-thresholds.restart",
        "quarantine-thresholds.in_force",
        "quarantine-overflow.falls_with_defaults",
    ]);
    assert_eq!(ran.value("quarantine-queue.rates", "false_positives"), 0.42);
    let wanted = json!({
        "quality_threshold": 0.6, "confidence_threshold": 0.85,
        "untrusted_confidence_threshold": 0.95, "duplicate_lookback_hours": 48,
    });
    assert_eq!(bench.thresholds(), wanted);
    assert_eq!(bench.waiting().len(), 15);
}

#[test]
fn the_log_of_the_last_changes_is_part_of_the_evidence() {
    let bench = Bench::scene("aggressive");
    let mut journal = Journal::new(&bench.shelf.sandbox.folder());
    journal.write(&[
        Entry::ago("stemedb-api", 30, "INFO wal: segment 7 closed"),
        Entry::ago("stemedb-api", 20, "INFO Content_Defense: quality_threshold 0.6 -> 0.8"),
        Entry::now("another", "INFO content_defense: not ours"),
    ]);
    let folder = journal.folder().display().to_string();
    let script = format!("#!/bin/sh\nexec /usr/bin/journalctl --directory={folder} \"$@\"\n");
    _ = bench.shelf.sandbox.program("journalctl", &script);
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(0).reached(&["quarantine-overflow.changes"]);
    let lines = ran.value("quarantine-overflow.changes", "lines");
    assert_eq!(lines.as_array().map(Vec::len), Some(1), "{lines}");
    assert!(lines[0].as_str().unwrap().ends_with("Content_Defense: quality_threshold 0.6 -> 0.8"), "{lines}");
}

#[test]
fn when_even_the_defaults_are_too_strict_people_look_upstream() {
    let bench = Bench::scene("aggressive");
    // The defaults are in force already, and reviewers approve most of what they see all the same.
    let defaults = bench
        .settings()
        .replace("= 0.8\n", "= 0.6\n")
        .replace("confidence_threshold = 0.7", "confidence_threshold = 0.85");
    std::fs::write(
        bench.config(),
        defaults
            .replace("= 72", "= 48")
            .replace("untrusted_confidence_threshold = 0.6", "untrusted_confidence_threshold = 0.95"),
    )
    .unwrap();
    bench.steer("scene", &json!({ "scene": "aggressive" }));
    let ran = bench.shelf.run("quarantine-overflow", "", &["-i", "manageable=5"]).exits(6);
    _ = ran
        .came_to(&["quarantine-overflow.falls_with_defaults"], &["does_not_hold"])
        .tells("Even the default thresholds are too strict")
        .tells("bad data upstream");
}

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

#[test]
fn a_service_that_does_not_answer_is_told_at_once() {
    let bench = Bench::scene("flooding");
    let nobody = format!("stemedb_url=http://{}", crate::support::free_address());
    let ran = bench.shelf.run("quarantine-overflow", "", &["-i", &nobody]).exits(6).tells("does not answer");
    _ = ran.came_to(&["quarantine-overflow.answers"], &["cannot_tell", "failed"]).tells("disk is full");
    bench.fails("/v1/health", 500, 100);
    _ = bench
        .shelf
        .run("quarantine-overflow", "", &[])
        .came_to(&["quarantine-overflow.answers"], &["cannot_tell", "does_not_hold", "failed"]);
    assert_eq!(bench.changes(), []);
}

#[test]
fn what_a_person_sees_leads_to_the_right_runbook() {
    let bench = Bench::scene("quiet");
    for (words, runbook) in [
        ("quarantine dashboard panel shows 100+ pending items", "quarantine-overflow"),
        ("single agent flooding quarantine queue", "quarantine-overflow"),
        ("StemeDBHighFalsePositiveRate", "quarantine-overflow"),
        ("banned agent repaired still gets 429", "unban-agent"),
        ("a backfill is planned", "quarantine-before-backfill"),
        ("nobody was paged when the quarantine overflowed", "quarantine-alert-rules"),
        ("items wait in the quarantine for days", "quarantine-review-times"),
    ] {
        let found = finish(bench.shelf.command(["lookup"]).args(words.split(' '))).exits(0);
        assert!(found.all().lines().any(|line| line.starts_with(&format!("1  {runbook}: "))), "{words}\n{found}");
    }
}
