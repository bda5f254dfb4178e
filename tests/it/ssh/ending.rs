//! How what runs there ends: in time, too late, stopped, cut off, killed.

use super::{ended, field, long_sleep, processes, run, runbook, sleeps, wait_until};
use crate::support::sshd::kill;
use crate::support::{Sandbox, Sshd, Terminal};
use std::time::{Duration, Instant};

#[test]
fn a_timeout_ends_what_runs_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let (one, two, three) = (long_sleep(), long_sleep(), long_sleep());
    let steps = format!(
        "
  - {{ id: read, target: web, diagnose: Wait, timeout: 5s, shell: 'sleep {one} & setsid sleep {two} & echo begun; wait' }}
  - {{ id: change, target: web, remediate: Wait, timeout: 5s, irreversible: It is nothing., run: [sleep, '{three}'], on_failure: continue }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox).says("TIMED OUT");
    assert!([&one, &two, &three].iter().all(|number| sleeps(number).is_empty()), "something still runs");
    let run = sandbox.only_run();
    let read = ended(&run, "read");
    assert_eq!((&read["outcome"], &read["error"]), (&"timed_out".into(), &"timeout".into()), "{read}");
    assert_eq!(field(&read, "stdout"), "begun\n");
    assert!(read["message"].as_str().unwrap().contains("was ended there"), "{read}");
    let change = ended(&run, "change");
    assert_eq!((&change["outcome"], &change["error"]), (&"unknown".into(), &"timeout".into()), "{change}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_ignores_a_polite_word_is_killed_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: deaf, target: web, diagnose: Wait, timeout: 5s, shell: 'trap \"\" TERM; echo begun; sleep {number}; sleep {number}' }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let began = Instant::now();
    _ = run(&sandbox).says("TIMED OUT");
    // Five seconds, ten of grace, and what a slow machine needs.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(sleeps(&number).is_empty());
    assert!(ended(&sandbox.only_run(), "deaf")["message"].as_str().unwrap().contains("was ended there"));
}

#[test]
fn what_outlives_its_program_is_ended_and_told() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let (one, two) = (long_sleep(), long_sleep());
    let steps = format!(
        "
  - {{ id: left, target: web, diagnose: Leave, shell: 'sleep {one} & setsid sleep {two} >/dev/null 2>&1 & echo done' }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox).exits(0);
    let end = ended(&sandbox.only_run(), "left");
    assert_eq!(end["left"].as_array().map(Vec::len), Some(2), "{end}");
    assert!(end["left"][0].as_str().unwrap().contains("sleep ("), "{end}");
    assert!(sleeps(&one).is_empty() && sleeps(&two).is_empty());
}

#[test]
fn a_connection_that_is_cut_leaves_a_change_unknown_and_nothing_running() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: change, target: web, remediate: Wait, irreversible: It is nothing., run: [sleep, '{number}'], on_failure: continue }}
  - {{ id: after, target: web, diagnose: Look, run: [echo, again] }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let call = sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the program", || !sleeps(&number).is_empty());
    sshd.cut();
    _ = call.wait_with_output().unwrap();
    let run = sandbox.only_run();
    let change = ended(&run, "change");
    assert_eq!((&change["outcome"], &change["error"]), (&"unknown".into(), &"connection".into()), "{change}");
    wait_until("the end of the program", || sleeps(&number).is_empty());
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_connection_is_made_again_after_it_was_cut() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: cut, target: web, diagnose: Wait, run: [sleep, '{number}'] }}
  - {{ id: after, target: web, diagnose: Look, run: [echo, again], needs: [cut] }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let call = sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the program", || !sleeps(&number).is_empty());
    sshd.cut();
    _ = call.wait_with_output().unwrap();
    let run = sandbox.only_run();
    let cut = ended(&run, "cut");
    assert_eq!((&cut["outcome"], &cut["error"]), (&"failed".into(), &"connection".into()), "{cut}");
    assert_eq!(field(&ended(&run, "after"), "stdout"), "again\n");
    assert_eq!(sshd.logins(), 2);
}

#[test]
fn when_we_are_killed_nothing_goes_on_there() {
    for victim in ["us", "the client", "the connection"] {
        let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
        let number = long_sleep();
        let steps = format!("\n  - {{ id: wait, target: web, diagnose: Wait, run: [sleep, '{number}'] }}\n");
        runbook(&sandbox, &sshd, &steps);
        let mut call =
            sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        wait_until("the program", || !sleeps(&number).is_empty());
        if victim == "us" {
            kill(call.id(), "KILL");
        } else {
            // The client of the attempt carries its marker; the one that holds the connection does not.
            let marked = processes("environ", "RUNWRIGHT_ATTEMPT=");
            let clients: Vec<u32> = processes("environ", &sandbox.folder().parent().unwrap().display().to_string())
                .into_iter()
                .filter(|pid| *pid != call.id() && marked.contains(pid) == (victim == "the client"))
                .collect();
            assert_eq!(clients.len(), 1, "{clients:?}");
            kill(clients[0], "KILL");
        }
        _ = call.wait().unwrap();
        wait_until("the end of the program", || sleeps(&number).is_empty());
        wait_until("the end of our clients", || sandbox.processes().is_empty());
        wait_until("the end of every session", || sshd.servers().is_empty());
        if victim != "us" {
            let end = ended(&sandbox.only_run(), "wait");
            assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &"connection".into()), "{end}");
        }
    }
}

#[test]
fn ctrl_c_ends_what_runs_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let number = long_sleep();
    runbook(&sandbox, &sshd, &format!("\n  - {{ id: wait, target: web, diagnose: Wait, run: [sleep, '{number}'] }}\n"));
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free"]);
    wait_until("the program", || !sleeps(&number).is_empty());
    _ = terminal.presses("\x03").sees("Enter, a or c?").presses("\x03");
    wait_until("the end of the program", || sleeps(&number).is_empty());
    wait_until("the end of our clients", || sandbox.processes().is_empty());
}

#[test]
fn a_stop_while_it_connects_is_heard() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let target = sshd.target("web").replace(&format!("\"{}\"", sshd.port), &format!("\"{port}\""));
    _ = sandbox.runbook(
        "case",
        &format!("targets:\n{target}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [date] }}\n"),
    );
    let mut call =
        sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Held, so that nobody hangs up.
    let _caller = mute.accept().unwrap();
    let began = Instant::now();
    kill(call.id(), "TERM");
    _ = call.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_daemon_stays_and_what_holds_the_output_does_not() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let (daemon, holder) = (long_sleep(), long_sleep());
    let steps = format!(
        "
  - {{ id: daemon, target: web, diagnose: Start it, shell: 'setsid sleep {daemon} </dev/null >/dev/null 2>&1 &' }}
  - {{ id: holder, target: web, diagnose: Start it, shell: 'setsid sleep {holder} & sleep 0.5' }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox).exits(0);
    let run = sandbox.only_run();
    let stays = sleeps(&daemon);
    for pid in &stays {
        kill(*pid, "KILL");
    }
    assert_eq!(stays.len(), 1, "{}", ended(&run, "daemon"));
    assert!(ended(&run, "daemon")["left"].is_null(), "{}", ended(&run, "daemon"));
    assert_eq!(ended(&run, "holder")["left"].as_array().map(Vec::len), Some(1), "{}", ended(&run, "holder"));
    assert!(sleeps(&holder).is_empty());
}
