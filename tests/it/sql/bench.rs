//! A library, a database of its own, and runs of one runbook against it.

use crate::support::{Cluster, Database, Output, PASSWORD, Sandbox};
use serde_json::Value;
use std::process::Command;

/// The world of one test.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) database: Database<'static>,
    /// What stands under `db:` among the targets.
    target: String,
}

/// What a run came to.
pub(super) struct Ran {
    pub(super) output: Output,
    events: Vec<Value>,
}

/// What the record says of one attempt.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: String,
    pub(super) error: String,
    pub(super) message: String,
    pub(super) fields: Value,
    whole: Value,
}

const INPUTS: &str = "
inputs:
  password: { type: string, secret: true, from: { env: DB_PASSWORD } }
";

impl Bench {
    /// With a database of the shared server, reached over TCP as the superuser.
    pub(super) fn new() -> Self {
        let database = Cluster::shared().database();
        let target = format!("{{ postgres: \"{}\", auth: {{ password: \"{{{{ password }}}}\" }} }}", database.url());
        Self { sandbox: library(), database, target }
    }

    /// With another target: YAML in one line. `URL` stands for the address.
    pub(super) fn with(target: &str) -> Self {
        let bench = Self::new();
        let target =
            target.replace("URL", &bench.database.url()).replace("PASSWORD", "auth: { password: \"{{ password }}\" }");
        Self { target, ..bench }
    }

    /// The same with another target.
    pub(super) fn retarget(self, change: impl Fn(&str) -> String) -> Self {
        let target = change(&self.target);
        Self { target, ..self }
    }

    /// Writes the runbook `case` with these steps (a YAML list, indented by two).
    pub(super) fn write(&self, steps: &str) {
        let text = format!("{INPUTS}targets:\n  db: {}\nsteps:\n{}", self.target, steps.trim_start_matches('\n'));
        _ = self.sandbox.runbook("case", text.trim_start());
    }

    /// A call of the program with the password where the runbook looks for it.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("DB_PASSWORD", PASSWORD);
        command
    }

    /// Calls the program.
    pub(super) fn call(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments))
    }

    /// Runs these steps where nothing asks.
    pub(super) fn run(&self, steps: &str) -> Ran {
        self.write(steps);
        self.run_again()
    }

    /// Runs what was written once more.
    pub(super) fn run_again(&self) -> Ran {
        let output = self.call(&["run", "case", "--env", "free"]);
        self.ran(output)
    }

    /// What a run came to, whose output this is.
    pub(super) fn ran(&self, output: Output) -> Ran {
        let id = output.all().lines().find_map(|line| Some(line.split_once(" run ")?.1.trim().to_owned()));
        let id = id.unwrap_or_else(|| panic!("there is no run\n{output}"));
        let events = Sandbox::events(&self.sandbox.store().join("runs").join(id));
        Ran { output, events }
    }

    /// One read.
    #[track_caller]
    pub(super) fn read(&self, sql: &str) -> Ended {
        self.run(&step("look", "diagnose", sql, "")).ended("look")
    }

    /// One change, in a transaction.
    #[track_caller]
    pub(super) fn change(&self, sql: &str) -> Ended {
        self.run(&step("act", "remediate", sql, "")).ended("act")
    }

    /// One change without a transaction.
    #[track_caller]
    pub(super) fn change_apart(&self, sql: &str) -> Ended {
        self.run(&step("act", "remediate", sql, "transaction: false")).ended("act")
    }
}

/// A step with an SQL script; `more` are further keys of `sql`.
pub(super) fn step(id: &str, kind: &str, sql: &str, more: &str) -> String {
    let reason = if kind == "remediate" { "\n    irreversible: It is a test." } else { "" };
    let script = sql.replace('\n', "\n        ");
    let more = if more.is_empty() { String::new() } else { format!("\n      {more}") };
    format!(
        "  - id: {id}\n    {kind}: Do it{reason}\n    timeout: 20s\n    sql:\n      query: |\n        {script}{more}\n"
    )
}

impl Ran {
    /// The run.
    pub(super) fn id(&self) -> String {
        self.events[0]["event"]["run"].as_str().expect("a run").to_owned()
    }

    /// The last attempt of a step.
    #[track_caller]
    pub(super) fn ended(&self, path: &str) -> Ended {
        let events = self.events.iter().filter(|event| event["step"] == path);
        let ended: Vec<&Value> =
            events.map(|event| &event["event"]).filter(|event| event["kind"] == "attempt_ended").collect();
        let last = ended.last().unwrap_or_else(|| panic!("`{path}` was not tried\n{}", self.output));
        Ended::new(last)
    }
}

impl Ended {
    fn new(event: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Object(map) => map.values().next().and_then(Value::as_str).unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        Self {
            outcome: text(&event["outcome"]),
            error: text(&event["error"]),
            message: text(&event["message"]),
            fields: event["fields"].clone(),
            whole: event.clone(),
        }
    }

    /// A result field as the record has it.
    #[track_caller]
    pub(super) fn field(&self, name: &str) -> Value {
        self.fields[name]["value"].clone()
    }

    /// How many statements were done, as the evidence of the attempt says.
    pub(super) fn statements(&self) -> usize {
        let evidence = self.whole["evidence"].as_array().into_iter().flatten();
        let log = evidence.filter(|kept| kept["stream"] == "statements").find_map(|kept| kept["excerpt"].as_str());
        log.map_or(1, |log| log.lines().count())
    }

    /// Fails unless it succeeded.
    #[track_caller]
    pub(super) fn succeeds(self) -> Self {
        assert_eq!(self.outcome, "succeeded", "{:#}", self.whole);
        self
    }

    /// Fails unless it ended like this, with a message that says so.
    #[track_caller]
    pub(super) fn ends(self, outcome: &str, error: &str, words: &str) -> Self {
        let is_so = self.outcome == outcome && self.error == error && self.message.contains(words);
        assert!(is_so, "wanted {outcome}, {error}, {words:?}\n{:#}", self.whole);
        self
    }
}

fn library() -> Sandbox {
    let sandbox = Sandbox::new();
    let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
    let environments = format!("  free: {{ production: false, gates: {gates} }}\n  prod: {{}}\n");
    _ = sandbox.write("runwright.yaml", &format!("library: test\nenvironments:\n{environments}"));
    sandbox
}

/// Waits for a call and keeps what it said.
pub(super) fn finish(mut command: Command) -> Output {
    let shown: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let output = command.output().expect("the program starts");
    Output::new(format!("runwright {}", shown.join(" ")), &output)
}
