//! The runbook of the quarantine with a person at the terminal. Unattended, it is tested in `tests/scenes.rs`.

use crate::support::{Sandbox, Simulator, Terminal, repository};

fn arguments(sandbox: &Sandbox, simulator: &Simulator, environment: &str) -> Vec<String> {
    let shown = |name: &str| repository(name).display().to_string();
    let stock = shown("tests/simulators/service-manager");
    let manager =
        sandbox.program("manager", &format!("#!/bin/sh\nSTEMEDB_URL={} exec {stock} \"$@\"\n", simulator.url));
    let inputs = [
        format!("stemedb_url={}", simulator.url),
        "stemedb_cluster_id=sim-1".to_owned(),
        format!("stemedb_config={}", sandbox.path("config.toml").display()),
        format!("stemedb_service_manager={}", manager.display()),
        "stemedb_settle=2s".to_owned(),
    ];
    let mut arguments = vec!["run".to_owned(), "quarantine-overflow".to_owned(), "--env".to_owned()];
    arguments.extend([environment.to_owned(), "--library".to_owned(), shown("runbooks")]);
    arguments.extend(inputs.into_iter().flat_map(|input| ["-i".to_owned(), input]));
    arguments
}

#[test]
fn a_surge_is_explained_by_a_person() {
    let sandbox = Sandbox::new();
    let simulator = Simulator::stemedb("surge", &sandbox.folder());
    let arguments = arguments(&sandbox, &simulator, "simulator");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut terminal = Terminal::open(&sandbox, &arguments);
    terminal.sees("growth (choice)").types("backfill");
    for question in ["trusted (choice)", "approve (boolean)", "allow (boolean)", "reviewers (boolean)"] {
        terminal.sees(question).types("");
    }
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED"), "{screen}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn in_practice_what_is_risky_waits_for_somebody() {
    let sandbox = Sandbox::new();
    let simulator = Simulator::stemedb("flooding", &sandbox.folder());
    let output = sandbox.call(arguments(&sandbox, &simulator, "drill")).exits(5).says("PARKED");
    _ = output.says("runwright approve");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_person_who_says_no_ends_it() {
    let sandbox = Sandbox::new();
    let simulator = Simulator::stemedb("flooding", &sandbox.folder());
    let arguments = arguments(&sandbox, &simulator, "drill");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut terminal = Terminal::open(&sandbox, &arguments);
    terminal.sees("go on?").types("n").sees("why?").types("the agent is ours");
    let screen = terminal.exits(4);
    assert!(screen.contains("DECLINED"), "{screen}");
    sandbox.is_whole();
}

/// A scene in practice, with somebody who answers what is asked, in order: what is waited for, and what is typed.
fn answered(scene: &str, answers: &[(&str, &str)], code: u32, word: &str) {
    let sandbox = Sandbox::new();
    let simulator = Simulator::stemedb(scene, &sandbox.folder());
    let mut arguments = arguments(&sandbox, &simulator, "drill");
    arguments.extend(["-i".to_owned(), "stemedb_test_signature=simulator-signature".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut terminal = Terminal::open(&sandbox, &arguments);
    for (question, answer) in answers {
        terminal.sees(question).types(answer);
    }
    let screen = terminal.exits(code);
    assert!(screen.contains(word), "{screen}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_flood_is_stopped_at_two_gates() {
    answered("flooding", &[("go on?", "y"), ("the target's name:", "sim-1")], 0, "RESOLVED");
}

#[test]
fn a_defence_that_is_too_strict_is_reverted_at_a_gate() {
    answered("aggressive", &[("go on?", "y")], 0, "RESOLVED");
}

#[test]
fn mixed_items_are_looked_at_by_a_person() {
    answered("mixed", &[("known_good (choice)", ""), ("go on?", "y")], 0, "RESOLVED");
}

#[test]
fn what_nobody_can_explain_is_escalated() {
    answered("none", &[("growth (choice)", "not_expected"), ("choose:", "otherwise"), ("why?", "")], 6, "ESCALATED");
}
