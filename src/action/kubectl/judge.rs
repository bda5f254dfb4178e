//! What an end of kubectl means: exit codes by verb, and how much a change that failed has already done.

use super::trouble::{Trouble, last_line};
use crate::action::outcome::{one_line, unobtained};
use crate::engine::{Evidence, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::expr::Value;
use crate::plan::{KubectlAct, KubectlAnswer};
use crate::runbook::KubectlCall;

/// What is needed of an act to judge its end.
pub(super) struct Judge {
    name: String,
    context: String,
    answer: KubectlAnswer,
    makes_a_job: bool,
    changes_objects: bool,
    change: bool,
}

impl Judge {
    pub(super) fn new(act: &KubectlAct, change: bool) -> Self {
        let call = KubectlCall::new(act.command.argv.iter().skip(1).map(ToString::to_string));
        Self {
            name: format!("`{} {}`", act.target.client, act.verb),
            context: act.target.context.to_string(),
            answer: act.answer.clone(),
            makes_a_job: act.verb == "create job",
            changes_objects: call.changes_objects(),
            change,
        }
    }

    /// The report, with what the end means.
    pub(super) fn judge(&self, mut performed: Performed, evidence: &dyn Evidence) -> Performed {
        let text = |name: &str| performed.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (stdout, stderr) = (text("stdout"), text("stderr"));
        let exit = performed.fields.get("exit").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
        match (performed.outcome, exit) {
            (Outcome::Succeeded, Some(code)) => match self.meaning(code, &stdout, &stderr) {
                Ok(fields) => performed.fields.extend(fields),
                Err(trouble) => self.fail(&mut performed, &trouble, &stdout, evidence),
            },
            (Outcome::Failed, Some(code)) => {
                self.fail(&mut performed, &Trouble::of(&stderr, &stdout, code), &stdout, evidence);
            }
            // It was ended from outside; what it said last is often the reason.
            (Outcome::TimedOut | Outcome::Unknown, _) => {
                let words = last_words(&stderr);
                if let (Some(message), Some(words)) = (&performed.message, words) {
                    performed.message = Some(one_line(&evidence.mask(&format!("{message}; its last words: {words}"))));
                }
            }
            _ => {}
        }
        performed
    }

    /// The result fields that only some verbs have.
    fn meaning(&self, code: i32, stdout: &str, stderr: &str) -> Result<Vec<(String, Value)>, Trouble> {
        let field = |name: &str, value| Ok(vec![(name.to_owned(), value)]);
        match &self.answer {
            KubectlAnswer::Allowed => field("allowed", allowed(code, stdout, stderr)?),
            // diff says 1 for differences, and there is none without a line about it.
            KubectlAnswer::Differs if code == 1 && stdout.trim().is_empty() => Err(Trouble::of(stderr, stdout, code)),
            KubectlAnswer::Differs => {
                let diff = ("diff".to_owned(), Value::from(differences(stdout)));
                Ok(vec![("differs".to_owned(), Value::from(code == 1)), diff])
            }
            KubectlAnswer::Identity => {
                let name = stdout.trim();
                let empty = || unobtained("the namespace kube-system has no UID");
                field("identity", if name.is_empty() { empty() } else { Value::from(name) })
            }
            KubectlAnswer::Created(_) | KubectlAnswer::Text if self.makes_a_job => field("name", self.made(stdout)),
            KubectlAnswer::Created(_) | KubectlAnswer::Text | KubectlAnswer::Waits => Ok(Vec::new()),
        }
    }

    /// The name of the job that was made.
    fn made(&self, stdout: &str) -> Value {
        if let KubectlAnswer::Created(name) = &self.answer {
            return Value::from(name.to_string());
        }
        let line = stdout.lines().find_map(|line| line.trim().strip_prefix("job.batch/"));
        let name = line.and_then(|line| line.split_whitespace().next());
        name.map_or_else(|| unobtained("kubectl did not name the job"), Value::from)
    }

    fn fail(&self, performed: &mut Performed, trouble: &Trouble, stdout: &str, evidence: &dyn Evidence) {
        let done = if self.change && self.changes_objects { effects(stdout) } else { Vec::new() };
        let mut message = format!("{}: {}", self.name, trouble.text);
        performed.outcome = match trouble.class {
            _ if self.change && !done.is_empty() => {
                message = format!("{} was partly done ({}), then: {}", self.name, done.join(", "), trouble.text);
                Outcome::Unknown
            }
            _ if self.change && trouble.is_unclear => {
                message.push_str("; whether it had an effect is not known");
                Outcome::Unknown
            }
            ErrorClass::Timeout if !self.change => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        if let Some(hint) = self.hint(trouble) {
            message.push_str(&hint);
        }
        performed.error = Some(trouble.class.clone());
        performed.message = Some(one_line(&evidence.mask(&message)));
    }

    /// How to go on from there.
    fn hint(&self, trouble: &Trouble) -> Option<String> {
        let context = &self.context;
        match trouble.class {
            ErrorClass::BadValue if trouble.text.contains("context") => {
                Some(format!("; `kubectl config get-contexts` lists those of the file, and `{context}` is not there"))
            }
            ErrorClass::Denied => {
                Some(format!("; what the user of the context `{context}` may do: `kubectl auth can-i --list`"))
            }
            ErrorClass::AlreadyExists if matches!(self.answer, KubectlAnswer::Created(_)) => {
                Some("; an earlier attempt of this step has made it".to_owned())
            }
            _ => None,
        }
    }
}

/// Whether the answer of `auth can-i` is yes; unknown where its "no" is about a resource that the server does not have.
fn allowed(code: i32, stdout: &str, stderr: &str) -> Result<Value, Trouble> {
    let said = stdout.trim();
    let is_no = said.lines().last().is_some_and(|line| line == "no" || line.starts_with("no "));
    if code == 0 {
        return Ok(Value::from(true));
    }
    // Errors end with 1 too. With --quiet an error still has words.
    let is_quiet_no = said.is_empty() && last_line(stderr, 0).is_none();
    if !is_no && !is_quiet_no {
        return Err(Trouble::of(stderr, stdout, code));
    }
    let unknown = stderr.lines().find(|line| line.starts_with("Warning:") && line.contains("have a resource type"));
    Ok(match unknown {
        Some(warning) => unobtained(format!("its `no` proves nothing: {}", warning.trim_start_matches("Warning: "))),
        None => Value::from(false),
    })
}

/// What `diff` says, without the folders and the times of the files that kubectl makes for it.
fn differences(stdout: &str) -> String {
    let name = |line: &str, mark: &str| {
        let path = line.split('\t').next().unwrap_or_default();
        format!("{mark} {}", path.rsplit('/').next().unwrap_or_default())
    };
    let lines = stdout.lines().filter(|line| !line.starts_with("diff -"));
    let lines = lines.map(|line| {
        if line.starts_with("--- /") {
            name(line, "---")
        } else if line.starts_with("+++ /") {
            name(line, "+++")
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// What a call says that it has done, line by line.
fn effects(stdout: &str) -> Vec<String> {
    const MOST: usize = 5;
    if stdout.trim_start().starts_with(['{', '[']) || stdout.starts_with("apiVersion:") {
        return vec!["it printed objects".to_owned()];
    }
    let without = ["unchanged", "(no change)", "dry run)"];
    let is_effect =
        |line: &&str| !line.is_empty() && !without.iter().any(|end| line.ends_with(end)) && !line.contains(" already ");
    let all: Vec<&str> = stdout.lines().map(str::trim).filter(is_effect).collect();
    let mut shown: Vec<String> = all.iter().take(MOST).map(|line| (*line).to_owned()).collect();
    if all.len() > MOST {
        shown.push(format!("and {} more", all.len() - MOST));
    }
    shown
}

/// The last thing said, the client's log included: a connection that cannot be made is only told there.
fn last_words(stderr: &str) -> Option<&str> {
    let line = stderr.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.split_once("err=").map_or(line, |(_, error)| error))
}
