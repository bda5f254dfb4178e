//! A home, a store and a working folder of its own, and nothing of the environment of whoever runs the tests.

use super::Output;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The world of one test. It is removed when it is dropped.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("runwright-it-").tempdir().expect("a folder");
        for name in ["home", "work"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self { folder }
    }

    /// A sandbox whose working folder is a library, so that runbooks go by their names. In the environment `free` no
    /// gate asks, in `prod` all do.
    pub(crate) fn library() -> Self {
        let sandbox = Self::new();
        let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
        let text =
            format!("library: test\nenvironments:\n  free: {{ production: false, gates: {gates} }}\n  prod: {{}}\n");
        _ = sandbox.write("runwright.yaml", &text);
        sandbox
    }

    /// The working folder of the calls.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The store of the calls.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A file or folder below the working folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file below the working folder, with the folders it needs.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Writes a program that stands before those of the machine.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(&format!("bin/{name}"), script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a program");
        path
    }

    /// Writes a runbook; its id is the name, its steps are given.
    pub(crate) fn runbook(&self, name: &str, rest: &str) -> PathBuf {
        let rest = rest.trim_start_matches('\n');
        self.write(&format!("{name}.yaml"), &format!("runbook: {name}\ntitle: A case\n{rest}"))
    }

    /// The environment of every call.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        // Programs of the test stand before those of the machine.
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").expect("PATH"));
        vec![
            ("PATH", path),
            ("HOME", self.folder.path().join("home").display().to_string()),
            ("RUNWRIGHT_STORE", self.store().display().to_string()),
            ("COLUMNS", "80".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
        ]
    }

    /// A call of the program, ready to be changed or started.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runwright"));
        command.args(arguments).current_dir(self.folder()).env_clear().envs(self.environment());
        command.stdin(Stdio::null());
        command
    }

    /// Calls the program and waits for it.
    pub(crate) fn call<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        finish(&mut self.command(arguments))
    }

    /// Calls the program with words that hold no blanks, `runwright` left out.
    pub(crate) fn runwright(&self, line: &str) -> Output {
        self.call(line.split_whitespace())
    }

    /// The folder of the only run in the store.
    pub(crate) fn only_run(&self) -> PathBuf {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// The name of the run that takes back no other's changes.
    pub(crate) fn first_run(&self) -> String {
        let own = |run: &PathBuf| {
            let text = std::fs::read_to_string(run.join("transcript.jsonl")).unwrap_or_default();
            text.contains("\"kind\":\"run_started\"") && !text.contains("\"undo_of\":")
        };
        let run = self.runs().into_iter().find(own).expect("a run");
        run.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The folders of the runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.store().join("runs")) else { return Vec::new() };
        let mut runs: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        runs.sort();
        runs
    }

    /// The processes whose environment is that of this sandbox.
    pub(crate) fn processes(&self) -> Vec<String> {
        self.marked().into_iter().map(|(_, line)| line).collect()
    }

    /// Kills them.
    pub(crate) fn kill_processes(&self) {
        for (number, _) in self.marked() {
            rustix::process::kill_process(number, rustix::process::Signal::KILL).ok();
        }
    }

    fn marked(&self) -> Vec<(rustix::process::Pid, String)> {
        let mark = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let number = entry.file_name().to_string_lossy().parse().ok().and_then(rustix::process::Pid::from_raw);
            let Some(number) = number else { continue };
            // A process may be gone by now, or belong to somebody else.
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
            if String::from_utf8_lossy(&environment).contains(&mark) {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                found.push((number, String::from_utf8_lossy(&line).replace('\0', " ")));
            }
        }
        found
    }

    /// Fails if a process of this sandbox is left.
    #[track_caller]
    pub(crate) fn leaves_nothing_behind(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "these processes are left: {left:#?}");
    }

    /// Fails unless the records are whole.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        _ = self.runwright("verify --all").exits(0);
    }

    /// The value of a result field of the only step that has one, as the record has it.
    #[track_caller]
    pub(crate) fn field(&self, step: &str, name: &str) -> serde_json::Value {
        // Runs of the same minute are in no order by their names.
        let run = self.runs().into_iter().max_by_key(|run| Self::events(run)[0]["time"].to_string()).expect("a run");
        let is_end = |event: &serde_json::Value| event["step"] == step && event["event"]["kind"] == "attempt_ended";
        let last = Self::events(&run).into_iter().rfind(is_end).unwrap_or_else(|| panic!("`{step}` made no attempt"));
        let fields = last["event"]["fields"].clone();
        fields.get(name).unwrap_or_else(|| panic!("`{step}` has no `{name}`: {fields}")).clone()
    }

    /// The events of a run, in order.
    pub(crate) fn events(run: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(run.join("transcript.jsonl")).expect("a transcript");
        text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }
}

/// Starts a call, waits for it, and keeps what it said.
pub(crate) fn finish(command: &mut Command) -> Output {
    let shown: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let output = command.output().expect("the program starts");
    Output::new(format!("runwright {}", shown.join(" ")), &output)
}
