//! Leaving a run: Ctrl-C, signals, a terminal that goes away, Ctrl-Z; and what is left behind, which is nothing.

use crate::support::{Sandbox, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Children get ten seconds between TERM and KILL: what is faster did not wait for them.
const FAST: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);

const READ: &str = "
steps:
  - id: look
    diagnose: Wait
    shell: |
      echo it runs
      touch begun
      exec sleep 300
finally:
  - { id: tidy, diagnose: Tidy, run: [touch, tidied] }
";

/// A change that goes on until the file `go` is there, whatever it is told.
const CHANGE: &str = "
steps:
  - id: act
    remediate: Act
    shell: |
      trap '' TERM
      echo it acts
      touch begun
      while ! [ -e go ]; do sleep 0.05; done
      touch done
    verify: { run: [test, -e, done], expect: exit == 0 }
  - { id: next, remediate: Next, run: [touch, next] }
finally:
  - { id: tidy, diagnose: Tidy, run: [touch, tidied] }
";

/// Children of every sort that does not want to go: they ignore TERM, leave group and session, hold the pipe, and make
/// more of themselves.
const TREE: &str = "
steps:
  - id: look
    diagnose: Wait
    timeout: TIME
    shell: |
      trap '' TERM HUP INT
      setsid -f bash -c 'trap \"\" TERM; while :; do sleep 300; done'
      (setsid bash -c '(trap \"\" TERM; sleep 300; sleep 300) & sleep 300' &)
      for n in 1 2 3 4 5 6 7 8; do (while :; do sleep 300; done) & done
      setsid -f env EXTRA=1 sleep 300
      echo it runs
      touch begun
      while :; do sleep 300; done
";

fn library(body: &str) -> Sandbox {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", body);
    sandbox
}

fn at_terminal(sandbox: &Sandbox) -> Terminal {
    Terminal::open(sandbox, &["run", "case", "--env", "free"])
}

/// The kinds of the events, and for ends of attempts and steps the outcome.
fn record(sandbox: &Sandbox) -> Vec<String> {
    let word = |event: &serde_json::Value| {
        let kind = event["event"]["kind"].as_str().unwrap_or_default().to_owned();
        match (event["step"].as_str(), event["event"]["outcome"].as_str()) {
            (Some(step), Some(outcome)) => format!("{kind} {step} {outcome}"),
            (Some(step), None) => format!("{kind} {step}"),
            _ => kind,
        }
    };
    Sandbox::events(&sandbox.only_run()).iter().map(word).collect()
}

fn has(record: &[String], word: &str) -> bool {
    record.iter().any(|line| line == word)
}

/// The run without a terminal.
struct Unattended {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Unattended {
    fn start(sandbox: &Sandbox) -> Self {
        // Whoever runs the tests may have some signals ignored.
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_runwright"), "run", "case", "--env", "free"]);
        command.current_dir(sandbox.folder()).env_clear().envs(sandbox.environment()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn sees(&mut self, text: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line.contains(text));
        assert!(found, "{text:?} never came");
    }

    fn is_told(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    #[track_caller]
    fn exits(mut self, code: i32) -> String {
        let rest: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{rest:#?}");
        rest.join("\n")
    }
}

fn wait_for(sandbox: &Sandbox, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !sandbox.path(name).exists() {
        assert!(Instant::now() < deadline, "`{name}` never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_first_ctrl_c_asks_and_enter_suspends() {
    let sandbox = library(READ);
    let mut terminal = at_terminal(&sandbox);
    terminal.sees("it runs").presses("\x03").sees("CTRL-C").sees("`look`").sees("Enter, a or c?").types("");
    let screen = terminal.exits(130);
    assert!(screen.contains("SUSPENDED") && screen.contains("runwright resume "), "{screen}");
    assert!(screen.contains("runwright abort "), "{screen}");
    assert!(!sandbox.path("tidied").exists(), "{screen}");
    let record = record(&sandbox);
    assert!(has(&record, "attempt_ended look cancelled") && has(&record, "run_suspended"), "{record:#?}");
    assert!(!record.iter().any(|line| line.starts_with("step_ended look")), "{record:#?}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn an_abort_wants_a_reason_and_ends_the_run_in_order() {
    let sandbox = library(READ);
    let mut terminal = at_terminal(&sandbox);
    terminal.sees("it runs").presses("\x03").sees("Enter, a or c?").types("a").sees("why?").types("");
    terminal.sees("a reason is needed").sees("Enter, a or c?").types("a").sees("why?").types("the wrong cluster");
    let screen = terminal.exits(4);
    assert!(screen.contains("ABORTED") && sandbox.path("tidied").exists(), "{screen}");
    let record = record(&sandbox);
    assert!(has(&record, "aborted") && has(&record, "run_ended"), "{record:#?}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn going_on_goes_on() {
    let sandbox =
        library("steps:\n  - { diagnose: Wait, shell: \"echo it runs; while ! [ -e go ]; do sleep 0.05; done\" }\n");
    let mut terminal = at_terminal(&sandbox);
    terminal.sees("it runs").presses("\x03").sees("Enter, a or c?").types("what").sees("Enter alone suspends");
    terminal.sees("Enter, a or c?").types("c");
    _ = sandbox.write("go", "");
    let screen = terminal.exits(0);
    assert!(!screen.contains("SUSPENDED"), "{screen}");
}

#[test]
fn ctrl_c_twice_kills_what_will_not_go() {
    let sandbox = library(&TREE.replace("TIME", "5m"));
    let mut terminal = at_terminal(&sandbox);
    terminal.sees("it runs").presses("\x03").sees("Enter, a or c?");
    let began = Instant::now();
    terminal.presses("\x03");
    let screen = terminal.exits(130);
    assert!(began.elapsed() < FAST, "{:?}", began.elapsed());
    assert!(screen.contains("SUSPENDED"), "{screen}");
    assert!(has(&record(&sandbox), "attempt_ended look cancelled"));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_question_stands_before_a_card_and_the_card_comes_back() {
    let sandbox = library("steps:\n  - { id: act, remediate: Act, run: [touch, made] }\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
    // Half a word that was typed is no answer to anything.
    terminal.sees("touch made").sees("go on?").presses("y").presses("\x03").sees("CTRL-C").sees("Enter, a or c?");
    assert!(!sandbox.path("made").exists());
    terminal.types("c").sees("touch made").sees("go on?").types("y");
    _ = terminal.exits(1);
    assert!(sandbox.path("made").exists());
    sandbox.is_whole();
}

#[test]
fn a_suspend_waits_for_the_change_that_runs() {
    let sandbox = library(CHANGE);
    let mut terminal = at_terminal(&sandbox);
    wait_for(&sandbox, "begun");
    terminal.sees("it acts").presses("\x03").sees("`act` is running").sees("Enter, a or c?").types("");
    terminal.sees("suspending waits for the end of `act`");
    _ = sandbox.write("go", "");
    let screen = terminal.exits(130);
    assert!(sandbox.path("done").exists() && !sandbox.path("next").exists(), "{screen}");
    let record = record(&sandbox);
    assert!(has(&record, "step_ended act succeeded") && has(&record, "run_suspended"), "{record:#?}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn an_abort_cuts_the_change_off_and_the_exit_says_so() {
    let sandbox = library(&CHANGE.replace("trap '' TERM", ":"));
    let mut terminal = at_terminal(&sandbox);
    wait_for(&sandbox, "begun");
    terminal.sees("it acts").presses("\x03").sees("Enter, a or c?").types("a").sees("why?").types("no");
    let screen = terminal.exits(7);
    assert!(screen.contains("ABORTED") && sandbox.path("tidied").exists(), "{screen}");
    assert!(has(&record(&sandbox), "step_ended act unknown"));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn without_a_terminal_every_signal_suspends() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 130)] {
        let sandbox = library(READ);
        let run = Unattended::start(&sandbox);
        wait_for(&sandbox, "begun");
        run.is_told(signal);
        let said = run.exits(code);
        assert!(said.contains("SUSPENDED"), "{said}");
        assert!(!sandbox.path("tidied").exists());
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
    }
}

#[test]
fn a_second_sigterm_cuts_the_change_off() {
    let sandbox = library(CHANGE);
    let mut run = Unattended::start(&sandbox);
    wait_for(&sandbox, "begun");
    run.is_told(Signal::TERM);
    run.sees("suspending");
    let began = Instant::now();
    // The same signal within a moment is the same signal.
    while run.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE);
        run.is_told(Signal::TERM);
        std::thread::sleep(Duration::from_millis(50));
    }
    _ = run.exits(143);
    assert!(began.elapsed() < FAST, "{:?}", began.elapsed());
    let record = record(&sandbox);
    assert!(has(&record, "attempt_ended act unknown") && has(&record, "run_suspended"), "{record:#?}");
    assert!(!record.iter().any(|line| line.starts_with("step_ended act")), "{record:#?}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_timeout_leaves_nothing_of_a_tree_behind() {
    let sandbox = library(&TREE.replace("TIME", "1s"));
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(1);
    let record = record(&sandbox);
    assert!(has(&record, "attempt_ended look timed_out"), "{record:#?}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_suspend_leaves_nothing_of_a_tree_behind() {
    let sandbox = library(&TREE.replace("TIME", "5m"));
    let run = Unattended::start(&sandbox);
    wait_for(&sandbox, "begun");
    run.is_told(Signal::TERM);
    _ = run.exits(143);
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

/// At a terminal of the program `script`: when that is killed, the terminal is gone.
fn at_a_terminal_that_dies(sandbox: &Sandbox, environment: &str) -> Child {
    let program = env!("CARGO_BIN_EXE_runwright");
    let line = format!("exec {program} run case --env {environment}");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(sandbox.folder()).env_clear().envs(sandbox.environment());
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("script: the package bsdutils")
}

#[test]
fn a_terminal_that_goes_away_suspends() {
    let gate = "steps:\n  - { id: act, remediate: Act, run: [touch, made] }\n";
    for (body, environment, text) in [(READ, "free", "it runs"), (gate, "prod", "go on?")] {
        let sandbox = library(body);
        let mut terminal = at_a_terminal_that_dies(&sandbox, environment);
        let mut screen = terminal.stdout.take().unwrap();
        let mut seen = String::new();
        let mut buffer = [0; 1024];
        while !seen.contains(text) {
            let count = std::io::Read::read(&mut screen, &mut buffer).unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        terminal.kill().unwrap();
        terminal.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !sandbox.processes().is_empty() {
            assert!(Instant::now() < deadline, "{:#?}", sandbox.processes());
            std::thread::sleep(Duration::from_millis(20));
        }
        let events = Sandbox::events(&sandbox.only_run());
        let last = &events.last().unwrap()["event"];
        assert_eq!(last["kind"], "run_suspended", "{last}");
        assert!(last["reason"].as_str().unwrap().contains("SIGHUP"), "{last}");
        assert!(!sandbox.path("tidied").exists() && !sandbox.path("made").exists());
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    let sandbox =
        library("steps:\n  - { diagnose: Wait, shell: \"touch begun; while ! [ -e go ]; do sleep 0.05; done\" }\n");
    let program = env!("CARGO_BIN_EXE_runwright");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' HUP; exec {program} run case")]).current_dir(sandbox.folder());
    command.env_clear().envs(sandbox.environment()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&sandbox, "begun");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    _ = sandbox.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_prompt() {
    let sandbox = library("steps:\n  - { id: act, remediate: Act, run: [touch, made] }\n");
    let mut terminal = Terminal::shell(&sandbox);
    let program = env!("CARGO_BIN_EXE_runwright");
    terminal.types(&format!("{program} run case --env prod")).sees("touch made").sees("go on?").presses("\x1a");
    terminal.sees("Runwright is stopped").sees("Stopped").types("echo back $((40 + 2))").sees("back 42");
    terminal.types("fg").sees("go on?").types("y").sees("record");
    terminal.types("echo exit $?").sees("exit 1").types("exit");
    assert!(sandbox.path("made").exists());
    sandbox.is_whole();
}

#[test]
fn without_a_shell_ctrl_z_stops_nothing() {
    let sandbox = library("steps:\n  - { id: act, remediate: Act, run: [touch, made] }\n");
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
    terminal.sees("go on?").presses("\x1a").sees("there is no shell here").sees("go on?").types("y");
    _ = terminal.exits(1);
    assert!(sandbox.path("made").exists());
}

#[test]
fn a_session_that_cannot_be_seen_stops_nothing() {
    let sandbox = library("steps:\n  - { id: act, remediate: Act, run: [touch, made] }\n");
    let mut terminal = Terminal::contained(&sandbox, &["run", "case", "--env", "prod"]);
    terminal.sees("go on?").presses("\x1a").sees("there is no shell here").sees("go on?").types("y");
    _ = terminal.exits(1);
    assert!(sandbox.path("made").exists());
}

#[test]
fn time_that_stood_still_does_not_count() {
    let body =
        "steps:\n  - { diagnose: Wait, timeout: 4s, shell: \"touch begun; while ! [ -e go ]; do sleep 0.05; done\" }\n";
    let sandbox = library(body);
    let run = Unattended::start(&sandbox);
    wait_for(&sandbox, "begun");
    run.is_told(Signal::STOP);
    // Longer than the timeout: this is what the test is about.
    std::thread::sleep(Duration::from_secs(6));
    run.is_told(Signal::CONT);
    _ = sandbox.write("go", "");
    _ = run.exits(0);
    assert!(record(&sandbox).iter().any(|line| line.starts_with("attempt_ended") && line.ends_with("succeeded")));
    sandbox.leaves_nothing_behind();
}

/// The events of a run that is being written: the last line may be half there.
fn so_far(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(sandbox.only_run().join("transcript.jsonl")).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Kills a run that has begun, and nothing of what it has started.
fn killed(sandbox: &Sandbox) {
    let mut run = Unattended::start(sandbox);
    wait_for(sandbox, "begun");
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    assert!(!sandbox.processes().is_empty(), "nothing outlives the run");
}

#[test]
fn of_a_read_the_survivors_of_a_kill_are_ended_by_the_resume() {
    let script =
        "echo one >> began; touch begun; trap '' HUP; setsid -f sleep 300; while ! [ -e go ]; do sleep 0.05; done";
    let sandbox = library(&format!("steps:\n  - {{ id: look, diagnose: Look, shell: \"{script}\" }}\n"));
    killed(&sandbox);
    let before = sandbox.processes();
    std::fs::remove_file(sandbox.path("began")).unwrap();
    let mut resume = sandbox.command(["resume", "last"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_for(&sandbox, "began");
    // By the time it begins again, nothing is left of the first attempt.
    let events = so_far(&sandbox);
    let ended = events.iter().find(|event| event["event"]["kind"] == "attempt_ended").expect("an end");
    let left = ended["event"]["left"].to_string();
    assert!(left.contains("sleep (") && left.contains("was ended"), "{left} {before:#?}");
    _ = sandbox.write("go", "");
    assert_eq!(resume.wait().unwrap().code(), Some(0));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_survivors_of_a_change_are_waited_for_and_it_is_not_made_twice() {
    let sandbox = library(
        "
steps:
  - id: act
    remediate: Act
    shell: |
      echo one >> began
      touch begun
      while ! [ -e go ]; do sleep 0.05; done
      touch done
    verify: { run: [test, -e, done], expect: exit == 0 }
  - { id: proof, validate: It is done, run: [test, -e, done] }
",
    );
    killed(&sandbox);
    let mut resume = sandbox.command(["resume", "last"]).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !so_far(&sandbox).iter().any(|event| event["event"]["kind"] == "run_resumed") {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(resume.try_wait().unwrap().is_none());
    _ = sandbox.write("go", "");
    assert_eq!(resume.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_to_string(sandbox.path("began")).unwrap(), "one\n");
    assert!(has(&record(&sandbox), "step_ended act succeeded"));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn at_a_terminal_a_person_says_what_becomes_of_the_survivors() {
    let sandbox = library(CHANGE);
    killed(&sandbox);
    let mut terminal = Terminal::open(&sandbox, &["resume", "last"]);
    terminal.sees("still running").sees("wait or end them?").types("e").sees("what became of it?").types("f");
    terminal.sees("how do you know?").types("I ended it");
    let screen = terminal.exits(7);
    assert!(!sandbox.path("next").exists(), "{screen}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}
