//! Killed inside a step: a request that is on its way, a program that lives on, a transaction, a file half replaced, a
//! gate, a stretch of time.

use super::{go_on, last_event, run_id, write};
use crate::support::{Cluster, Sandbox, Server, killed_at, say_json};
use serde_json::json;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never comes: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a call and leaves it running.
pub(super) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn kill(mut child: Child) {
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
}

/// Whether the record of the only run has an event of this kind.
fn has_event(sandbox: &Sandbox, kind: &str) -> bool {
    let Some(run) = sandbox.runs().pop() else { return false };
    let text = std::fs::read_to_string(run.join("transcript.jsonl")).unwrap_or_default();
    text.contains(&format!("\"kind\":\"{kind}\""))
}

/// A service that makes things and says how many it has made. The first request to make one is held until whoever sent
/// it is gone.
struct Maker {
    server: Server,
    made: Arc<AtomicUsize>,
    arrived: mpsc::Receiver<()>,
}

impl Maker {
    fn new(makes_it_first: bool) -> Self {
        let made = Arc::new(AtomicUsize::new(0));
        let (here, arrived) = mpsc::channel();
        let first = Mutex::new(Some(here));
        let counted = made.clone();
        let server = Server::new(move |target, stream| {
            if target == "/state" {
                return say_json(stream, &json!({ "made": counted.load(Ordering::SeqCst) }));
            }
            let first = first.lock().expect("lock").take();
            if first.is_none() || makes_it_first {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            match first {
                Some(here) => {
                    here.send(()).expect("somebody waits");
                    // Until the other side is gone.
                    std::io::copy(stream, &mut std::io::sink()).ok();
                }
                None => say_json(stream, &json!({ "made": counted.load(Ordering::SeqCst) })),
            }
        });
        Self { server, made, arrived }
    }
}

/// Kills a run whose request is on its way, takes it up again, and gives back what its record says of the change.
fn in_flight(makes_it_first: bool, verify: &str) -> (Sandbox, usize) {
    let maker = Maker::new(makes_it_first);
    let sandbox = Sandbox::library();
    let steps = format!(
        "
targets:
  maker: {{ http: {url} }}
steps:
  - id: make
    remediate: Make one
    target: maker
    http: {{ post: /make }}
    irreversible: It is nothing.
    {verify}
  - id: made
    validate: There is one
    target: maker
    http: {{ get: /state }}
    expect: body.made == 1
",
        url = maker.server.url
    );
    write(&sandbox, &steps);
    let child = start(&sandbox, &["run", "case", "--env", "free"]);
    maker.arrived.recv_timeout(PATIENCE).expect("the request arrives");
    kill(child);
    let output = go_on(&sandbox, |_, _| maker.made.load(Ordering::SeqCst) > 0);
    assert_eq!(last_event(&sandbox)["result"], "resolved", "{output}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
    (sandbox, maker.made.load(Ordering::SeqCst))
}

const VERIFY: &str = "verify: { http: { get: /state }, expect: body.made == 1 }";

fn settled(sandbox: &Sandbox) -> usize {
    let events = Sandbox::events(&sandbox.only_run());
    events.iter().filter(|event| event["event"]["kind"] == "settled").count()
}

#[test]
fn a_request_that_took_effect_is_proven_and_not_sent_again() {
    let (sandbox, made) = in_flight(true, VERIFY);
    assert_eq!((made, settled(&sandbox)), (1, 0));
}

#[test]
fn a_request_without_a_verify_is_settled_by_a_person() {
    let (sandbox, made) = in_flight(true, "");
    assert_eq!((made, settled(&sandbox)), (1, 1));
}

#[test]
fn a_request_that_took_no_effect_is_sent_again_when_a_person_says_so() {
    let (sandbox, made) = in_flight(false, VERIFY);
    assert_eq!((made, settled(&sandbox)), (1, 1));
    let (sandbox, made) = in_flight(false, "");
    assert_eq!((made, settled(&sandbox)), (1, 1));
}

#[test]
fn a_request_that_may_be_sent_twice_is_sent_again_by_itself() {
    let (sandbox, made) = in_flight(false, &format!("idempotent: true\n    {VERIFY}"));
    assert_eq!((made, settled(&sandbox)), (1, 0));
}

#[test]
fn a_program_that_lives_on_is_waited_for() {
    let sandbox = Sandbox::library();
    let steps = "
steps:
  - id: make
    remediate: Make it
    timeout: 20s
    shell: |
      touch begun
      while ! test -e go; do sleep 0.05; done
      echo made >> done
    irreversible: It is nothing.
    verify: { run: [grep, -c, made, done], tolerate: [exit_1, exit_2], expect: exit == 0 }
  - { id: once, validate: It was made once, run: [grep, -c, made, done], expect: stdout | int == 1 }
";
    write(&sandbox, steps);
    let child = start(&sandbox, &["run", "case", "--env", "free"]);
    until("the program runs", || sandbox.path("begun").exists());
    kill(child);
    assert!(!sandbox.processes().is_empty(), "it lives on");
    let mut resumed = start(&sandbox, &["resume", &run_id(&sandbox)]);
    until("the run is taken up", || has_event(&sandbox, "run_resumed"));
    _ = sandbox.write("go", "");
    let code = resumed.wait().expect("it ends").code();
    assert_eq!(std::fs::read_to_string(sandbox.path("done")).expect("done"), "made\n");
    assert_eq!((code, &last_event(&sandbox)["result"]), (Some(0), &json!("resolved")));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_a_read_left_running_is_ended() {
    for stubborn in ["", "trap '' TERM; ", "trap '' TERM; setsid "] {
        let sandbox = Sandbox::library();
        let steps = format!(
            "
steps:
  - id: look
    validate: Look
    shell: |
      if test -e begun; then echo second; exit 0; fi
      touch begun
      {stubborn}sleep 300
"
        );
        write(&sandbox, &steps);
        let child = start(&sandbox, &["run", "case"]);
        until("the program runs", || {
            sandbox.path("begun").exists() && sandbox.processes().iter().any(|line| line.starts_with("sleep 300"))
        });
        kill(child);
        let output = go_on(&sandbox, |_, _| false);
        assert_eq!(last_event(&sandbox)["result"], "resolved", "{output}");
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
    }
}

/// The server takes back what was not committed when it finds that nobody is there.
#[test]
fn a_transaction_that_was_cut_off() {
    let database = Cluster::shared().database();
    database.execute("create table made (name text)");
    let sandbox = Sandbox::library();
    let steps = format!(
        "
targets:
  db: {{ postgres: \"{}\", auth: {{ password: \"{{{{ '{}' }}}}\" }} }}
steps:
  - id: make
    remediate: Make it
    target: db
    sql: |
      insert into made values ('one');
      select pg_sleep(3)
    irreversible: It is nothing.
    verify: {{ sql: \"select count(*) as n from made\", expect: first.n == 1 }}
  - {{ id: once, validate: Once, target: db, sql: \"select count(*) as n from made\", expect: first.n == 1 }}
",
        database.url(),
        crate::support::PASSWORD
    );
    write(&sandbox, &steps);
    let child = start(&sandbox, &["run", "case", "--env", "free"]);
    database.waits_until(
        "select count(*) = 1 from pg_stat_activity where datname = current_database() and query like '%pg_sleep%' and pid <> pg_backend_pid()",
    );
    kill(child);
    let output = go_on(&sandbox, |_, _| database.value("select count(*) from made") == "1");
    assert_eq!(database.value("select count(*) from made"), "1", "{output}");
    assert_eq!(last_event(&sandbox)["result"], "resolved", "{output}");
    sandbox.is_whole();
}

#[test]
fn a_file_is_the_old_or_the_new_one() {
    for call in ["renameat", "fsync", "unlinkat", "fchmod"] {
        for nth in 1..=12 {
            let sandbox = Sandbox::library();
            let steps = "
steps:
  - id: put
    remediate: Write it
    write: { file: config, text: \"new\\n\" }
    irreversible: It is nothing.
    verify: { run: [grep, -c, new, config], ok: [0, 1], expect: exit == 0 }
  - { id: new, validate: It is new, run: [cat, config], expect: \"'new' in stdout\" }
";
            write(&sandbox, steps);
            _ = sandbox.write("config", "old\n");
            let config = || std::fs::read_to_string(sandbox.path("config")).expect("config");
            if let Some(output) = killed_at(&sandbox, &["run", "case", "--env", "free"], call, nth) {
                _ = output.exits(0);
                assert_eq!(config(), "new\n");
                break;
            }
            assert!(["old\n", "new\n"].contains(&config().as_str()), "{call} {nth}: {:?}", config());
            if !has_event(&sandbox, "run_started") {
                continue;
            }
            let output = go_on(&sandbox, |_, _| config() == "new\n");
            assert_eq!(config(), "new\n", "{call} {nth}: {output}");
            assert_eq!(last_event(&sandbox)["result"], "resolved", "{call} {nth}: {output}");
            let left: Vec<_> = std::fs::read_dir(sandbox.folder()).expect("a folder").flatten().collect();
            let left: Vec<_> = left.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            assert!(left.iter().all(|name| !name.contains("tmp")), "{call} {nth}: {left:?}");
        }
    }
}

#[test]
fn a_gate_waits_on() {
    let sandbox = Sandbox::library();
    write(
        &sandbox,
        "
steps:
  - { id: act, remediate: Do it, shell: echo made >> done, undo: { run: [rm, done] } }
  - { id: made, validate: It is made, run: [test, -e, done] }
",
    );
    let child = start(&sandbox, &["run", "case", "--env", "prod", "--park-after", "30m"]);
    until("the gate is open", || has_event(&sandbox, "gate_opened"));
    kill(child);
    let run = run_id(&sandbox);
    _ = sandbox.call(["resume", &run]).exits(5);
    assert!(!sandbox.path("done").exists());
    let waiting = last_event(&sandbox)["waiting"][0].clone();
    assert_eq!(waiting["step"], "act", "{waiting}");
    let digest = waiting["digest"].as_str().expect("a digest").to_owned();
    _ = sandbox.call(["approve", &run, "act", "--digest", &digest]).exits(0);
    _ = sandbox.call(["resume", &run]).exits(0).says("RESOLVED");
    assert_eq!(std::fs::read_to_string(sandbox.path("done")).expect("done"), "made\n");
    sandbox.is_whole();
}

/// The time that was spent before the crash counts, and so does the time between.
#[test]
fn time_goes_on() {
    let steps = [
        ("completed", "  - { id: long, diagnose: Long, wait: 3s }\n"),
        (
            "not_resolved",
            "  - { id: long, validate: Long, run: [test, -e, never], until: { expect: exit == 0, every: 200ms, within: 3s } }\n",
        ),
        (
            "resolved",
            "  - { id: long, validate: Long, run: [\"true\"], hold: { for: 3s, every: 1s, while: exit == 0 } }\n",
        ),
    ];
    for (result, step) in steps {
        let sandbox = Sandbox::library();
        write(&sandbox, &format!("steps:\n  - {{ diagnose: Look, run: [touch, begun] }}\n{step}"));
        let began = Instant::now();
        let child = start(&sandbox, &["run", "case"]);
        until("the first step is over", || sandbox.path("begun").exists());
        std::thread::sleep(Duration::from_millis(1500).saturating_sub(began.elapsed()));
        kill(child);
        let output = go_on(&sandbox, |_, _| false);
        let took = began.elapsed();
        // The last attempt of an `until` is the last that fits.
        assert!(took >= Duration::from_millis(2_700), "{step}: only {took:?}\n{output}");
        assert!(took < Duration::from_millis(4500), "{step}: {took:?}, so it began anew\n{output}");
        assert_eq!(last_event(&sandbox)["result"], result, "{step}: {output}");
        sandbox.is_whole();
        sandbox.leaves_nothing_behind();
    }
}
