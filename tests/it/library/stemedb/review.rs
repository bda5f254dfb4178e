//! The review on the dashboard, its times, and who may do it.

use super::bench::Bench;
use crate::support::{Server, Sshd, Terminal, finish};
use serde_json::json;

#[test]
fn a_flood_is_reviewed_with_a_note_that_goes_with_each_rejection() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("8f3a2b1c");
    let answers = format!(
        "whose: {{ answer: {agent} }}\nquality: {{ answer: scraped forum posts }}\naction: flooding\n\
         flooding_note: {{ answer: \"a retry loop, see OPS-7\" }}\n"
    );
    let ran = bench.shelf.run("quarantine-review", &answers, &[]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "quarantine-review.queue",
        "quarantine-review.work",
        "quarantine-review.whose",
        "quarantine-review.sent",
        "quarantine-review.breaker",
        "quarantine-review.quality",
        "quarantine-review.action",
        "quarantine-review.flooding_note",
        "quarantine-review.stop",
        "quarantine-review.looked_at",
    ]);
    assert_eq!(ran.value("quarantine-review.quality", "answer"), "scraped forum posts");
    assert!(bench.is_banned(&agent));
    let changes = bench.changes();
    let notes =
        changes.iter().filter(|(path, ..)| path.ends_with("/reject")).map(|(_, body, _)| body["reason"].clone());
    assert!(notes.clone().count() == 487 && notes.into_iter().all(|note| note == "a retry loop, see OPS-7"));
}

#[test]
fn good_items_are_approved_and_thresholds_tuned_in_a_review() {
    let bench = Bench::scene("mixed");
    let agent = bench.agent("a1c0ffee");
    let answers = format!(
        "whose: {{ answer: {agent} }}\nquality: {{ answer: good }}\naction: false_positives\n\
         approve_note: {{ note: checked ten of them, adjust: true }}\n"
    );
    let ran = bench.shelf.run("quarantine-review", &answers, &[]).exits(0);
    _ = ran.reached(&["quarantine-review.approve_note", "quarantine-review.approve_all", "quarantine-review.tune"]);
    assert_eq!(bench.count("/approve"), 23);
    assert_eq!(bench.thresholds()["quality_threshold"], 0.5);
}

#[test]
fn a_legitimate_agent_is_let_through_and_what_nobody_decides_is_left() {
    let bench = Bench::scene("quiet");
    let agent = bench.agent("1a1b1c1d");
    let begin = format!("whose: {{ answer: {agent} }}\nquality: {{ answer: fine }}\n");
    let allow = format!("{begin}action: allow\nallow_note: {{ answer: our own importer }}\n");
    let ran = bench.shelf.run("quarantine-review", &allow, &[]).exits(0);
    _ = ran.reached(&["quarantine-review.allow_note", "quarantine-review.allow_agent", "quarantine-allow-agent.allow"]);
    let entry = &bench.get("/v1/admin/content_defense/allowlist")["allowlist"][0];
    assert_eq!(entry["reason"], "our own importer");
    let before = bench.changes().len();
    _ = bench.shelf.run("quarantine-review", &format!("{begin}action: leave\n"), &[]).exits(0).tells("NO ACTION");
    assert_eq!(bench.changes().len(), before);
}

#[test]
fn items_are_decided_one_by_one_each_with_its_note() {
    let bench = Bench::scene("quiet");
    let agent = bench.agent("2a2b2c2d");
    let answers = format!("whose: {{ answer: {agent} }}\nquality: {{ answer: mixed }}\naction: one_by_one\n");
    let answers = bench.shelf.sandbox.write("review.yaml", &answers).display().to_string();
    let library = bench.shelf.sandbox.path("library").display().to_string();
    let arguments = ["run", "quarantine-review", "--env", "simulator", "--library", &library, "--answers", &answers];
    let mut terminal = Terminal::open(&bench.shelf.sandbox, &arguments);
    terminal.sees("note (string)").types("a true statement").sees("what (choice)").types("approve");
    terminal.sees("note (string)").types("spam").sees("what (choice)").types("reject");
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED"), "{screen}");
    let changes = bench.changes();
    let ends: Vec<_> = changes.iter().map(|(path, body, _)| (path.rsplit('/').next().unwrap(), body)).collect();
    assert_eq!(ends, [("approve", &json!(null)), ("reject", &json!({ "reason": "spam" }))]);
    let record = std::fs::read_to_string(bench.shelf.sandbox.only_run().join("transcript.jsonl")).unwrap();
    for place in ["quarantine-review.each", "quarantine-review.decision"] {
        assert!(record.contains(place.rsplit('.').next().unwrap()), "{place}");
    }
    assert!(record.contains("a true statement"));
}

#[test]
fn items_that_wait_longer_than_a_day_are_found_and_somebody_has_the_rotation() {
    let day = jiff::SignedDuration::from_hours(30);
    let old = (jiff::Timestamp::now() - day).to_string();
    let bench = Bench::with("quiet", &["--clock", &old]);
    let answers = |who: &str| format!("rota: {{ reviewer: {who}, until: Friday }}");
    let ran = bench.shelf.run("quarantine-review-times", &answers("Ana"), &[]).exits(1);
    let ran = ran
        .came_to(&["quarantine-review-times.in_time"], &["does_not_hold"])
        .reached(&["quarantine-review-times.rota", "quarantine-review-times.somebody"]);
    let old: i64 = ran
        .value("quarantine-review-times.in_time", "too_old")
        .as_array()
        .unwrap()
        .iter()
        .fold(0, |sum, agent| sum + agent["count"].as_i64().unwrap());
    assert_eq!(old, 9, "all of them");
    // With more patience all is well, and who had it last is told.
    let ran = bench.shelf.run("quarantine-review-times", &answers("Bo"), &["-i", "review_within=36h"]).exits(0);
    let ran = ran.reached(&["quarantine-review-times.before", "quarantine-review-times.in_time"]);
    assert_eq!(ran.value("quarantine-review-times.before", "reviewer"), "Ana");
    let overdue = finish(&mut bench.shelf.command(["list", "--overdue"]));
    assert!(!overdue.all().contains("quarantine-review-times"), "{overdue}");
}

#[test]
fn an_empty_quarantine_is_in_time() {
    let bench = Bench::scene("quiet");
    for item in bench.waiting() {
        let path = format!("/v1/admin/quarantine/{}/approve", item["id"].as_str().unwrap());
        _ = bench.ask("POST", &path, &json!(null));
    }
    let ran = bench.shelf.run("quarantine-review-times", "rota: { reviewer: Ana, until: Friday }", &[]).exits(0);
    _ = ran.reached(&["quarantine-review-times.in_time"]);
    _ = bench.shelf.run("quarantine-review", "", &[]).exits(0).tells("NO ACTION");
}

#[test]
fn a_public_address_is_refused_before_anything_is_sent() {
    let bench = Bench::scene("quiet");
    // An address of the documentation: nobody answers there, and a test that connected would hang.
    for (runbook, more) in [
        ("quarantine-overflow", &[][..]),
        ("quarantine-queue", &[]),
        ("quarantine-checks", &["-i", "test_status=201"]),
        ("quarantine-stop-agent", &["-i", "agent=a1c0ffee"]),
        ("quarantine-approve", &["-i", "agent=a1c0ffee"]),
        ("quarantine-thresholds", &[]),
        ("quarantine-breaker-settings", &[]),
        ("quarantine-allow-agent", &["-i", "agent=a1c0ffee"]),
        ("quarantine-allowlist-ended", &[]),
        ("unban-agent", &["-i", "agent=a1c0ffee"]),
    ] {
        let begin = std::time::Instant::now();
        let more = [&["-i", "stemedb_url=http://203.0.113.7:18180"], more].concat();
        let ran = bench.shelf.run(runbook, "", &more);
        assert_ne!(ran.output.code, 0, "{}", ran.output);
        _ = ran.tells("203.0.113.7").tells("does not allow that");
        assert!(begin.elapsed().as_secs() < 20, "{runbook} tried to connect");
    }
    assert_eq!(bench.changes(), []);
    // A name that leads to both kinds of address is no way around.
    let ran = bench.shelf.run(
        "quarantine-admin-reach",
        "asked: { answer: true }",
        &["-i", "stemedb_url=http://203.0.113.7:18180", "-i", "stemedb_public_url=http://203.0.113.7"],
    );
    _ = ran.came_to(&["quarantine-admin-reach.inside"], &["failed"]);
}

#[test]
fn what_can_be_reached_from_outside_is_found() {
    let bench = Bench::scene("quiet");
    let outside = Sshd::start();
    let user = outside.target("outside").lines().find_map(|line| line.trim().strip_prefix("host: ").map(str::to_owned));
    let port = i64::from(outside.port);
    _ = bench.shelf.set("stemedb_outside", user.unwrap()).set("stemedb_outside_port", port);
    for (input, file) in [("stemedb_outside_key", "client_key"), ("stemedb_outside_known_hosts", "known_hosts")] {
        _ = bench.shelf.set(input, outside.path(file).display().to_string());
    }
    // Nobody listens there.
    let closed = format!("stemedb_public_url=http://{}", crate::support::free_address());
    let ran = bench.shelf.run("quarantine-admin-reach", "", &["-i", &closed]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&["quarantine-admin-reach.inside", "quarantine-admin-reach.from_outside"]);
    assert_eq!(ran.value("quarantine-admin-reach.inside", "open"), true);
    // A gateway that asks for a login.
    let gateway = Server::new(|_, stream| {
        let _gone = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let guarded = format!("stemedb_public_url={}", gateway.url);
    _ = bench.shelf.run("quarantine-admin-reach", "", &["-i", &guarded]).exits(0);
    // The service itself, for everybody to see.
    let open = format!("stemedb_public_url={}", bench.url);
    let ran = bench.shelf.run("quarantine-admin-reach", "", &["-i", &open]).exits(1);
    _ = ran.came_to(&["quarantine-admin-reach.from_outside"], &["does_not_hold", "failed"]);
}

#[test]
fn without_a_machine_outside_a_person_tries_it() {
    let bench = Bench::scene("quiet");
    let public = ["-i", "stemedb_public_url=https://stemedb.example"];
    let ran = bench.shelf.run("quarantine-admin-reach", "asked: { answer: true }", &public).exits(0);
    _ = ran.reached(&["quarantine-admin-reach.asked"]);
    let ran = bench.shelf.run("quarantine-admin-reach", "asked: { answer: false }", &public).exits(1);
    _ = ran.came_to(&["quarantine-admin-reach.asked"], &["does_not_hold"]);
}

#[test]
fn a_lifted_ban_lets_writes_through_and_can_be_put_back() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("8f3a2b1c");
    let input = format!("agent={agent}");
    let path = format!("/v1/admin/circuit_breakers/{agent}/open");
    _ = bench.ask("POST", &path, &json!({ "reason": "by hand", "duration_seconds": 1_800 }));
    assert_eq!(bench.assert(&agent, 0.9), 429);
    let ran = bench.shelf.run("unban-agent", "", &["-i", &input]).exits(0).tells("RESOLVED");
    let ran = ran.reached(&[
        "unban-agent.breaker",
        "unban-agent.reset_breaker",
        "unban-agent.closed",
        "unban-agent.write",
        "unban-agent.write_not_refused",
    ]);
    assert_eq!(bench.assert(&agent, 0.9), 201);
    // Taken back, it lasts as long as it would have.
    let name = ran.folder.file_name().unwrap().to_string_lossy().into_owned();
    let undone = finish(&mut bench.shelf.command(["undo", &name]));
    assert!(bench.is_banned(&agent), "{undone}");
    let until =
        bench.get(&format!("/v1/admin/circuit_breakers/{agent}"))["until"].as_str().unwrap().parse::<jiff::Timestamp>();
    let lasts = until.unwrap().duration_since(jiff::Timestamp::now()).as_secs();
    assert!((1_600..=1_800).contains(&lasts), "{lasts} s");
}

#[test]
fn the_ban_of_a_run_can_be_undone() {
    let bench = Bench::scene("flooding");
    let agent = bench.agent("8f3a2b1c");
    let ran = bench.shelf.run("quarantine-overflow", "", &[]).exits(0).reached(&["quarantine-stop-agent.ban_agent"]);
    assert_eq!(bench.assert(&agent, 0.9), 429);
    let name = ran.folder.file_name().unwrap().to_string_lossy().into_owned();
    // What was rejected stays so, and is told.
    let undone = finish(&mut bench.shelf.command(["undo", &name]));
    assert!(undone.all().contains("gone for good"), "{undone}");
    assert_eq!(bench.assert(&agent, 0.9), 201);
}
