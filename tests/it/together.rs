//! Several processes and one run, several runs and one place: who has it, who may watch, who is refused.

use crate::support::{Output, Sandbox};
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A change that goes on for as long as the file `go` is not there, and writes its own number down first.
const SLOW: &str = "
steps:
  - { id: look, diagnose: Look, run: [date] }
  - { id: act, remediate: Make it, run: [slow], irreversible: It is a file. }
  - { id: made, validate: It is made, run: [test, -e, made] }
";
const SLOW_PROGRAM: &str = "#!/bin/sh\necho $$ > started\nwhile [ ! -e go ]; do sleep 0.05; done\ntouch made\n";

/// A process that was started and is ended whatever happens.
struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn new(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        Self { child, lines }
    }

    /// Reads on to a line that has these words.
    #[track_caller]
    fn sees(&mut self, words: &str) -> String {
        let found = self.lines.by_ref().map_while(Result::ok).find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no line has {words:?}"))
    }

    fn signals(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end, and gives its code and all that was left to read.
    fn ends(mut self) -> (Option<i32>, String) {
        let mut said: String = self.lines.by_ref().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        let status = self.child.wait().expect("it ends");
        self.child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
        (status.code(), said)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn slow() -> Sandbox {
    let sandbox = Sandbox::library();
    _ = sandbox.program("slow", SLOW_PROGRAM);
    _ = sandbox.runbook("case", SLOW);
    sandbox
}

/// Starts the slow run, and waits until its change goes on.
fn begun(sandbox: &Sandbox) -> Started {
    let run = Started::new(&mut sandbox.command(["run", "case", "--env", "free"]));
    until("the change", || sandbox.path("started").exists());
    run
}

/// Kills the process of a run in the middle of its change, and what that left running.
fn killed(sandbox: &Sandbox) -> String {
    let run = begun(sandbox);
    let name = sandbox.runs().pop().expect("a run").file_name().expect("a name").to_string_lossy().into_owned();
    run.signals(rustix::process::Signal::KILL);
    drop(run);
    end_survivor(sandbox);
    name
}

fn end_survivor(sandbox: &Sandbox) {
    let pid = std::fs::read_to_string(sandbox.path("started")).expect("its number");
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    std::fs::remove_file(sandbox.path("started")).expect("its file");
}

fn call(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.runwright(line)
}

#[test]
fn a_second_run_of_the_place_is_told_who_has_it() {
    let sandbox = slow();
    let first = begun(&sandbox);
    let name = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    let pid = first.child.id();
    let second = call(&sandbox, "run case --env free").exits(9);
    let second = second.tells(&format!("is held by run `{name}` of")).tells("at `act`");
    let second = second.tells(&format!("watch it: runwright show {name} --follow"));
    _ = second.tells(&format!("let it suspend (kill -TERM {pid}), then runwright resume {name}"));
    std::fs::write(sandbox.path("go"), "").expect("a file");
    assert_eq!(first.ends().0, Some(0));
    _ = std::fs::remove_file(sandbox.path("made"));
    _ = call(&sandbox, "run case --env free").exits(0);
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_an_interrupted_change_left_is_settled_before_another_run_changes_the_place() {
    let sandbox = slow();
    let name = killed(&sandbox);
    std::fs::write(sandbox.path("go"), "").expect("a file");
    let refused = call(&sandbox, "run case --env free").exits(9);
    let refused = refused.tells(&format!("run `{name}` was interrupted at `act`"));
    _ = refused.tells("with a change whose end is unknown").tells(&format!("--beside {name}"));
    assert!(!sandbox.path("made").exists());
    _ = call(&sandbox, "probe case --env free");
    _ = call(&sandbox, &format!("run case --env free --beside {name}")).exits(0);
    _ = call(&sandbox, "run case --env free --beside nothing").exits(2);
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_run_is_followed_to_its_end() {
    let sandbox = slow();
    let run = begun(&sandbox);
    let mut follower = Started::new(&mut sandbox.command(["show", "last", "--follow"]));
    _ = follower.sees("look");
    std::fs::write(sandbox.path("go"), "").expect("a file");
    let (code, shown) = follower.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("RESOLVED"), "{shown}");
    let (code, own) = run.ends();
    assert_eq!(code, Some(0));
    let last = |text: &str| text.lines().rfind(|line| !line.trim().is_empty()).expect("a line").to_owned();
    assert_eq!(last(&shown), last(&own), "the same last line: the head of the record");
    sandbox.leaves_nothing_behind();
}

#[test]
fn who_stops_following_leaves_the_run_alone() {
    let sandbox = slow();
    let run = begun(&sandbox);
    let mut follower = Started::new(&mut sandbox.command(["show", "last", "--follow"]));
    _ = follower.sees("look");
    follower.signals(rustix::process::Signal::INT);
    let (code, shown) = follower.ends();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("no longer watched; run"), "{shown}");
    std::fs::write(sandbox.path("go"), "").expect("a file");
    assert_eq!(run.ends().0, Some(0));
}

#[test]
fn following_ends_when_the_process_is_gone() {
    let sandbox = slow();
    let run = begun(&sandbox);
    let mut follower = Started::new(&mut sandbox.command(["show", "last", "--follow"]));
    _ = follower.sees("look");
    run.signals(rustix::process::Signal::KILL);
    let (code, shown) = follower.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("its process is gone, and the run has not ended; go on: runwright resume 2"), "{shown}");
    end_survivor(&sandbox);
}

#[test]
fn a_second_resume_is_told_who_has_the_run() {
    let sandbox = slow();
    let run = begun(&sandbox);
    let pid = run.child.id();
    let told = call(&sandbox, "resume last").exits(9);
    let told = told.tells("is held by").tells(&format!("process {pid} on")).tells("at `act`, last sign of life");
    _ = told.tells("--follow; to have it here").tells(&format!("kill -TERM {pid}")).tells("runwright abort");
    _ = sandbox.call(["resume", "last", "--take-over", "it is mine"]).exits(9).tells(&format!("kill -TERM {pid}"));
    _ = call(&sandbox, "list").exits(0).says("running").tells(&format!("process {pid} on")).tells("last sign of life");
    std::fs::write(sandbox.path("go"), "").expect("a file");
    assert_eq!(run.ends().0, Some(0));
    _ = call(&sandbox, "resume last").exits(2).says("has ended");
}

#[test]
fn a_run_of_a_machine_that_is_gone_is_taken_over_with_a_reason() {
    let sandbox = Sandbox::library();
    _ = sandbox.program("slow", SLOW_PROGRAM);
    let steps = "
steps:
  - { id: look, diagnose: Look, run: [slow] }
  - { id: made, validate: It is made, needs: [look], run: [test, -e, made] }
";
    _ = sandbox.runbook("case", steps);
    let name = killed(&sandbox);
    let listed = call(&sandbox, "list").exits(0).says("incomplete");
    _ = listed.says("died    its process died");
    let path = sandbox.only_run().join("owner.json");
    let text = std::fs::read_to_string(&path).expect("an owner");
    let mut owner: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (key, value) in [("host", "ops9"), ("boot", "another"), ("machine", "another")] {
        owner[key] = value.into();
    }
    std::fs::write(&path, owner.to_string()).expect("an owner");
    std::fs::write(sandbox.path("go"), "").expect("a file");
    _ = call(&sandbox, "list").exits(0).tells("from here nobody can see whether that process is gone");
    let refused = call(&sandbox, "resume last").exits(9);
    let refused = refused.tells(&format!("run `{name}` was last had by")).tells("on ops9");
    _ = refused.tells("from here nobody can see").tells(&format!("runwright resume {name} --take-over 'why'"));
    _ = sandbox.call(["resume", "last", "--take-over", ""]).exits(2);
    _ = sandbox.call(["resume", "last", "--take-over", "ops9 burnt down"]).exits(0);
    let events = Sandbox::events(&sandbox.only_run());
    let resumed = events.iter().find(|event| event["event"]["kind"] == "run_resumed").expect("it was taken up");
    assert_eq!(resumed["event"]["reason"], "ops9 burnt down");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_process_that_was_passed_over_starts_nothing_more() {
    let sandbox = slow();
    let run = begun(&sandbox);
    // What a take-over from another machine leaves: a higher epoch, and who has the run now.
    let folder = sandbox.only_run();
    let owner = std::fs::read_to_string(folder.join("owner.json")).expect("an owner");
    std::fs::write(folder.join("owner.json"), owner.replace("\"host\":\"", "\"host\":\"ops9-")).expect("an owner");
    std::fs::write(folder.join("epoch"), "2\n").expect("an epoch");
    let before = std::fs::read(folder.join("transcript.jsonl")).expect("a record");
    std::fs::write(sandbox.path("go"), "").expect("a file");
    let (code, said) = run.ends();
    assert_eq!(code, Some(9), "{said}");
    let flowing = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing.contains("was taken over by") && flowing.contains("on ops9-"), "{said}");
    assert!(flowing.contains("nothing more was started here"), "{said}");
    assert_eq!(std::fs::read(folder.join("transcript.jsonl")).expect("a record"), before, "it wrote nothing more");
    sandbox.leaves_nothing_behind();
}
