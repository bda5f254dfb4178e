//! The library on a test's own shelf: a copy of `runbooks/` whose environment `simulator` points at the test's systems.

use crate::support::{Output, Sandbox, repository};
use serde_json::Value;
use serde_yaml::Value as Yaml;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A sandbox with the library in it.
pub(crate) struct Shelf {
    pub(crate) sandbox: Sandbox,
}

/// One run of a runbook of the library, over or parked.
#[must_use = "a run that nobody looks at proves nothing"]
pub(crate) struct Ran {
    pub(crate) output: Output,
    /// Its folder in the store.
    pub(crate) folder: PathBuf,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        copy(&repository("runbooks"), &sandbox.path("library"));
        Self { sandbox }
    }

    /// Gives an input its value in the environment `simulator`, as an operator would in `runwright.yaml`.
    pub(crate) fn set(&self, input: &str, value: impl Into<Yaml>) -> &Self {
        let path = self.sandbox.path("library/runwright.yaml");
        let mut library: Yaml = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let inputs = &mut library["environments"]["simulator"]["inputs"];
        inputs.as_mapping_mut().expect("inputs").insert(input.into(), value.into());
        // JSON is YAML, and quotes every text: `127.0.0.1` is none otherwise.
        std::fs::write(&path, serde_json::to_string_pretty(&library).unwrap()).unwrap();
        self
    }

    /// A call of the program with the library at hand.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("RUNWRIGHT_LIBRARY", self.sandbox.path("library"));
        command
    }

    /// Runs a runbook in the environment `simulator`, unattended: what it asks is in the answers (YAML, by step), or
    /// parks it.
    pub(crate) fn run(&self, runbook: &str, answers: &str, more: &[&str]) -> Ran {
        self.run_in("simulator", runbook, answers, more)
    }

    /// The same in an environment.
    pub(crate) fn run_in(&self, environment: &str, runbook: &str, answers: &str, more: &[&str]) -> Ran {
        let before = self.sandbox.runs();
        let answers = self.sandbox.write("answers.yaml", if answers.is_empty() { "{}" } else { answers });
        let mut command = self.command(["run", runbook, "--env", environment, "--answers"]);
        let output = crate::support::finish(command.arg(answers).args(more));
        let folder = self.sandbox.runs().into_iter().find(|run| !before.contains(run));
        let folder = folder.unwrap_or_else(|| panic!("no run began\n{output}"));
        Ran { output, folder }
    }
}

impl Shelf {
    /// Runs a runbook as `run` does, and kills the program as soon as this is true. What it has started lives on.
    #[track_caller]
    pub(crate) fn killed(&self, runbook: &str, answers: &str, more: &[&str], when: impl Fn() -> bool) -> Ran {
        let answers = self.sandbox.write("answers.yaml", if answers.is_empty() { "{}" } else { answers });
        let mut command = self.command(["run", runbook, "--env", "simulator", "--answers"]);
        command.arg(answers).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let before = self.sandbox.runs();
        let mut child = command.spawn().expect("the program starts");
        let deadline = Instant::now() + Duration::from_mins(1);
        while !when() {
            let ended = child.try_wait().expect("a process").is_some();
            if ended || Instant::now() > deadline {
                child.kill().ok();
                let output = child.wait_with_output().expect("its output");
                panic!("it never came so far\n{}", Output::new(runbook.to_owned(), &output));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().expect("a signal");
        let output = Output::new(runbook.to_owned(), &child.wait_with_output().expect("its output"));
        let folder = self.sandbox.runs().into_iter().find(|run| !before.contains(run)).expect("a run");
        Ran { output, folder }
    }

    /// Approves the gate at which a run has parked, as a person would in another terminal, and takes the run up again.
    #[track_caller]
    pub(crate) fn approve(&self, parked: &Ran, step: &str) -> Ran {
        _ = self.decides(parked, step, &[]).exits(0);
        self.resume(parked)
    }

    /// Answers the gate at which a run has parked, and leaves the run alone.
    #[track_caller]
    pub(crate) fn decides(&self, parked: &Ran, step: &str, more: &[&str]) -> Output {
        let text = parked.output.all().replace('│', " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_digest = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = text.rsplit("digest ").filter_map(|rest| rest.split_whitespace().next()).find(is_digest);
        let digest = digest.unwrap_or_else(|| panic!("no card\n{}", parked.output)).to_owned();
        let mut command = self.command(["approve", &parked.name(), step, "--digest", &digest]);
        crate::support::finish(command.args(more))
    }

    /// Answers what a run has parked at, as a person would in another terminal, and takes the run up again.
    #[track_caller]
    pub(crate) fn answer(&self, parked: &Ran, step: &str, value: &str) -> Ran {
        let name = parked.name();
        _ = crate::support::finish(&mut self.command(["answer", &name, step, value])).exits(0);
        self.resume(parked)
    }

    /// Takes a run up again, with the answers of the last run that was started.
    pub(crate) fn resume(&self, ran: &Ran) -> Ran {
        let mut command = self.command(["resume", &ran.name(), "--answers"]);
        let output = crate::support::finish(command.arg(self.sandbox.path("answers.yaml")));
        Ran { output, folder: ran.folder.clone() }
    }

    /// Takes the changes of a run back, small and middling ones without asking.
    pub(crate) fn undo(&self, ran: &Ran) -> Ran {
        let before = self.sandbox.runs();
        let output = crate::support::finish(&mut self.command(["undo", &ran.name(), "--yes=medium"]));
        let folder = self.sandbox.runs().into_iter().find(|run| !before.contains(run));
        Ran { folder: folder.unwrap_or_else(|| panic!("no run began\n{output}")), output }
    }
}

impl Ran {
    /// Its name, for other commands.
    pub(crate) fn name(&self) -> String {
        self.folder.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// Fails unless it ended like this.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.output.code, code, "{}", self.output);
        self
    }

    /// Fails unless it said this, wherever its lines are broken.
    #[track_caller]
    pub(crate) fn tells(self, words: &str) -> Self {
        let flowing = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing(&self.output.all()).contains(&flowing(words)), "no {words:?} in\n{}", self.output);
        self
    }

    /// Fails unless each of these steps, `RUNBOOK.STEP`, was performed (or decided) and came to an end that is no
    /// failure. `tests/it/library/rows.rs` reads these words in the tests: they prove the rows of `docs/library/`.
    #[track_caller]
    pub(crate) fn reached(self, steps: &[&str]) -> Self {
        self.came_to(steps, &["succeeded", "decided"])
    }

    /// Fails unless each of these steps, `RUNBOOK.STEP`, came to an end that is one of `outcomes`: `succeeded`, `failed`,
    /// `unknown` and so on, `decided`, `skipped`, or what a step says whose `expect` is not met: `does_not_hold`,
    /// `cannot_tell`.
    #[track_caller]
    pub(crate) fn came_to(self, steps: &[&str], outcomes: &[&str]) -> Self {
        let ends = self.ends();
        for step in steps {
            let found: Vec<_> = ends.iter().filter(|(name, _)| name == step).map(|(_, end)| end.as_str()).collect();
            let seen: Vec<_> = ends.iter().map(|(name, end)| format!("{name}: {end}")).collect();
            assert!(
                found.iter().any(|end| outcomes.contains(end)),
                "`{step}` came to {found:?}, not to {outcomes:?}\n{}\n{}",
                seen.join("\n"),
                self.output
            );
        }
        self
    }

    /// A value that a step captured, or a field of its result: `RUNBOOK.STEP` and the name; the last one there is.
    #[track_caller]
    pub(crate) fn value(&self, step: &str, name: &str) -> Value {
        let events = Sandbox::events(&self.folder);
        let called = called(&events);
        let of = |event: &Value| event["step"].as_str().map(|path| owned(path, &called)).as_deref() == Some(step);
        let mut values = events.iter().filter(|event| of(event)).filter_map(|event| {
            let event = &event["event"];
            ["captures", "fields", "facts", "values"].iter().find_map(|part| event[*part].get(name)).cloned()
        });
        let last = values.next_back().unwrap_or_else(|| panic!("`{step}` has no `{name}`\n{}", self.output));
        // What is known stands in `{value: ..}`; what is not, or is kept elsewhere, in another map.
        last.get("value").cloned().unwrap_or(last)
    }

    /// Every step of the run as `RUNBOOK.STEP`, with how it ended.
    fn ends(&self) -> Vec<(String, String)> {
        let events = Sandbox::events(&self.folder);
        let called = called(&events);
        let mut ends = Vec::new();
        for event in &events {
            let Some(path) = event["step"].as_str() else { continue };
            let end = match event["event"]["kind"].as_str() {
                Some("step_ended") => match event["event"]["verdict"].as_str() {
                    Some(verdict @ ("does_not_hold" | "cannot_tell")) => verdict,
                    _ => event["event"]["outcome"].as_str().unwrap_or_default(),
                },
                Some("step_skipped") => "skipped",
                Some("decided") => "decided",
                _ => continue,
            };
            ends.push((owned(path, &called), end.to_owned()));
        }
        ends
    }
}

/// The calls of a run: the path of the step, and the runbook that it called. The run's own has the empty path.
fn called(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls = events.iter().filter(|event| event["event"]["kind"] == "called");
    let calls = calls.map(|event| (text(&event["step"]), text(&event["event"]["runbook"])));
    std::iter::once((String::new(), text(&events[0]["event"]["runbook"]))).chain(calls).collect()
}

/// The path of a step as `RUNBOOK.STEP`, without the numbers of items.
fn owned(path: &str, called: &[(String, String)]) -> String {
    let inside = |call: &str| call.is_empty() || path.strip_prefix(call).is_some_and(|rest| rest.starts_with('/'));
    let innermost = called.iter().filter(|(call, _)| inside(call)).max_by_key(|(call, _)| call.len());
    let runbook = innermost.map_or("", |(_, runbook)| runbook);
    let last = path.rsplit('/').next().unwrap_or(path);
    format!("{runbook}.{}", last.split('[').next().unwrap_or(last))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
