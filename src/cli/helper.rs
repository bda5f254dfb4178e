//! Small programs that are run before the first step: what gives an input its value, what tells a version, and the
//! shell that reads a script.

use crate::action::{BaseEnvironment, Hands, Isolation};
use crate::engine::{AttemptContext, Cancel, Evidence, EvidenceWriter, Performed, Performer as _, StoreError};
use crate::event::{EvidenceRef, Outcome, StepPath};
use crate::expr::Rendered;
use crate::plan::{Act, CommandAct};
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A password manager may ask for a finger on a key.
const TIMEOUT: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(2);

/// What a program printed on stdout and stderr, or one line about why it failed.
pub(super) type Printed = Result<(String, String), String>;

/// Runs a program to its end. What it prints may be a secret, so nothing of it is kept.
pub(super) fn run_program(environment: &BaseEnvironment, argv: &[String], program: Option<PathBuf>) -> Printed {
    let performed = perform_program(environment, argv, program, None)?;
    let text = |name: &str| {
        let field = performed.fields.get(name);
        field.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    if performed.outcome == Outcome::Succeeded {
        return Ok((text("stdout"), text("stderr")));
    }
    let first_line = text("stderr").lines().next().map(str::to_owned);
    let why = performed.message.clone().or_else(|| performed.error.as_ref().map(ToString::to_string));
    let why = why.unwrap_or_else(|| "it failed".to_owned());
    Err(match first_line {
        Some(line) if !line.is_empty() => format!("{why}: {line}"),
        _ => why,
    })
}

/// Runs a program to its end, with a text on its standard input.
pub(super) fn perform_program(
    environment: &BaseEnvironment,
    argv: &[String],
    program: Option<PathBuf>,
    stdin: Option<&str>,
) -> Result<Performed, String> {
    let act = Act::Command(CommandAct {
        argv: argv.iter().map(Rendered::text).collect(),
        script: None,
        program,
        env: IndexMap::new(),
        pass_env: Vec::new(),
        cwd: None,
        stdin: stdin.map(Rendered::text),
        ok: vec![0],
        machine: crate::plan::Machine::Here,
    });
    let context = AttemptContext {
        step: StepPath("before the run".to_owned()),
        marker: format!("before-{}", std::process::id()),
        change: false,
        timeout: TIMEOUT,
        grace: GRACE,
        cancel: Cancel::new(),
        kill: Cancel::new(),
        evidence: Arc::new(Nowhere),
        live: None,
        started: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let hands = Hands::new(environment.clone(), Isolation::detect(), None);
    Ok(runtime.block_on(hands.perform(act, context)))
}

/// Evidence that keeps nothing.
struct Nowhere;

impl Evidence for Nowhere {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Gone(stream.to_owned())))
    }

    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }

    fn learn(&self, _: &crate::expr::SecretText) -> Result<(), String> {
        Ok(())
    }
}

struct Gone(String);

impl EvidenceWriter for Gone {
    fn write(&mut self, _bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let reference = EvidenceRef {
            stream: self.0,
            size: 0,
            sha256: String::new(),
            excerpt: String::new(),
            inline: true,
            cut: false,
        };
        Ok((reference, Vec::new()))
    }
}
