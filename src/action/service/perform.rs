//! One act on a service, from the look before it to the look that says that it is what it shall be.

use super::errand::Errand;
use super::state::{Health, State};
use super::{systemctl, workload};
use crate::action::call::Call;
use crate::action::outcome::{Refusal, cancelled_before_start, classified, one_line, span, unobtained};
use crate::action::process::Workshop;
use crate::engine::{AttemptContext, Performed};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::Value;
use crate::plan::{CommandAct, ServiceAct, ServiceDriverAct, ServiceVerb};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a service may take to become what it shall be, when nothing else is said.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same while it is on its way.
const LOOK_SOON: Duration = Duration::from_millis(250);

/// Looks at a service, or changes it.
pub(in crate::action) async fn perform(act: ServiceAct, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let mut visit = Visit { name: act.name.to_string(), act, errand: Errand::new(context, workshop) };
    if visit.act.verb == ServiceVerb::Status { visit.status().await } else { visit.change().await }
}

/// One act on one service.
struct Visit {
    name: String,
    act: ServiceAct,
    errand: Errand,
}

/// Why a service is not what it shall be.
struct NotReady {
    error: ErrorClass,
    message: String,
    state: Option<State>,
    outcome: Outcome,
}

/// What one of the programs of an act is for.
#[derive(Clone, Copy)]
enum Part {
    Look,
    Act,
}

impl Visit {
    fn call(&self, part: Part) -> Option<Call> {
        let command = |command: &Option<CommandAct>| command.clone().map(Call::Command);
        match (&self.act.driver, part) {
            (ServiceDriverAct::Systemctl { look, .. }, Part::Look) => Some(Call::Command(look.clone())),
            (ServiceDriverAct::Kubectl { look, .. }, Part::Look) => Some(Call::Kubectl(look.clone())),
            (ServiceDriverAct::Commands { look, .. }, Part::Look) => command(look),
            (ServiceDriverAct::Systemctl { act, .. } | ServiceDriverAct::Commands { act, .. }, Part::Act) => {
                command(act)
            }
            (ServiceDriverAct::Kubectl { act, .. }, Part::Act) => act.clone().map(Call::Kubectl),
        }
    }

    async fn status(&self) -> Performed {
        let Some(look) = self.call(Part::Look) else {
            return self.refuse(Refusal::value("there is no command to look at it"));
        };
        let seen = self.errand.look(look, true).await;
        let evidence = seen.evidence.clone();
        match self.read(seen) {
            Ok(state) => self.done(Some(&state), None, evidence),
            Err(performed) => Performed { evidence, ..*performed },
        }
    }

    async fn change(&mut self) -> Performed {
        let before = match self.look().await {
            Ok(before) => before,
            // Nothing was sent.
            Err(performed) => return *performed,
        };
        let Some(call) = self.call(Part::Act) else {
            return self.refuse(Refusal::value("there is no command for it"));
        };
        let program = call.program();
        let acted = self.errand.act(call).await;
        let mut evidence = acted.evidence.clone();
        let before = before.map(|before| before.word);
        if acted.outcome != Outcome::Succeeded {
            let mut performed = self.not_accepted(acted, &program).await;
            evidence.extend(std::mem::take(&mut performed.evidence));
            return self.with_before(Performed { evidence, ..performed }, before);
        }
        match self.become_ready().await {
            Ok(state) => {
                let done = self.done(state.as_ref(), before, evidence);
                Performed { left: acted.left, ..done }
            }
            Err(not_ready) => {
                let (last, more) = self.last_words(not_ready.outcome).await;
                evidence.extend(more);
                let message = format!("{}{last}", not_ready.message);
                let performed = Performed {
                    outcome: not_ready.outcome,
                    error: Some(not_ready.error),
                    message: Some(one_line(&self.errand.context.evidence.mask(&message))),
                    ..self.done(not_ready.state.as_ref(), None, evidence)
                };
                self.with_before(Performed { left: acted.left, ..performed }, before)
            }
        }
    }

    /// Looks once; nothing where there is no command to look.
    async fn look(&self) -> Result<Option<State>, Box<Performed>> {
        match self.call(Part::Look) {
            Some(look) => self.read(self.errand.look(look, false).await).map(Some),
            None => Ok(None),
        }
    }

    /// What a look has seen.
    fn read(&self, seen: Performed) -> Result<State, Box<Performed>> {
        let text = |name: &str| seen.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let read = match (&self.act.driver, &seen.error) {
            (ServiceDriverAct::Commands { .. }, None | Some(ErrorClass::Exit(_))) => {
                let exit = seen.fields.get("exit").and_then(|exit| i64::try_from(exit.clone()).ok());
                by_exit(exit.unwrap_or(-1), &self.name, &text("stdout"))
            }
            (_, Some(error)) => {
                let error = classified(error.clone(), &text("stderr"));
                let message = seen.message.map(|why| format!("`{}` cannot be looked at: {why}", self.name));
                return Err(Box::new(Performed { error: Some(error), message, fields: IndexMap::new(), ..seen }));
            }
            (ServiceDriverAct::Kubectl { .. }, None) => workload::read(&text("stdout"), &self.name),
            (_, None) => systemctl::read(&text("stdout"), &self.name),
        };
        read.map_err(|refusal| Box::new(self.refuse(refusal)))
    }

    /// The command did not do what it should.
    async fn not_accepted(&self, acted: Performed, program: &str) -> Performed {
        let said = acted.fields.get("stderr").and_then(Value::as_str).unwrap_or_default();
        let error = acted.error.clone().map(|error| match (&self.act.driver, error) {
            // What systemctl ends with when a verb is not allowed, and when there is no such unit.
            (ServiceDriverAct::Systemctl { .. }, ErrorClass::Exit(4)) => ErrorClass::Denied,
            (ServiceDriverAct::Systemctl { .. }, ErrorClass::Exit(5)) => ErrorClass::NotFound,
            (_, error) => classified(error, said),
        });
        let refused = matches!(error, Some(ErrorClass::Denied | ErrorClass::NotFound));
        if acted.outcome != Outcome::Failed || refused {
            return Performed { error, fields: IndexMap::new(), evidence: Vec::new(), ..acted };
        }
        let state = self.look().await.ok().flatten();
        let (last, evidence) = self.last_words(Outcome::Failed).await;
        let now = state.as_ref().map(|state| format!("; `{}` is {}", self.name, state.words())).unwrap_or_default();
        let why = acted.message.unwrap_or_else(|| format!("`{program}` failed"));
        let message = one_line(&self.errand.context.evidence.mask(&format!("{why}{now}{last}")));
        let done = self.done(state.as_ref(), None, evidence);
        Performed { outcome: acted.outcome, error, message: Some(message), left: acted.left, ..done }
    }

    /// Looks until the service is what it shall be.
    async fn become_ready(&self) -> Result<Option<State>, NotReady> {
        if self.call(Part::Look).is_none() {
            return Ok(None);
        }
        let within = READY_WITHIN.min(self.errand.left());
        let deadline = self.errand.took() + within;
        let mut steady: Option<String> = None;
        let mut last: Option<State> = None;
        loop {
            match self.look().await {
                Ok(Some(state)) => match self.judge(&state, &mut steady) {
                    Some(true) => return Ok(Some(state)),
                    Some(false) => return Err(self.broken(state)),
                    None => last = Some(state),
                },
                Ok(None) => return Ok(None),
                Err(performed) if performed.outcome == Outcome::Cancelled => return Err(self.unseen(last)),
                // The manager may be busy for a moment; only the end of the time makes it a failure.
                Err(performed) if self.errand.took() >= deadline => {
                    let message = performed.message.unwrap_or_default();
                    let error = performed.error.unwrap_or(ErrorClass::BadAnswer);
                    return Err(NotReady { error, message, state: last, outcome: Outcome::Unknown });
                }
                Err(_) => {}
            }
            if self.errand.took() >= deadline {
                return Err(self.late(last, within));
            }
            let pause = if steady.is_some() { LOOK_EVERY } else { LOOK_SOON };
            if !self.errand.pause(pause).await {
                return Err(self.unseen(last));
            }
        }
    }

    /// Whether it is what it shall be; nothing while that is not settled.
    fn judge(&self, state: &State, steady: &mut Option<String>) -> Option<bool> {
        if self.act.verb == ServiceVerb::Stop {
            return match state.health {
                Health::Down | Health::Failed => Some(true),
                // What has done its work does not run.
                Health::Up if !state.running => Some(true),
                Health::Up | Health::Between => None,
            };
        }
        let lives = matches!(self.act.driver, ServiceDriverAct::Systemctl { .. });
        match state.health {
            Health::Failed => Some(false),
            // Between the end of the old and the start of the new there is no moment at which it is down: systemctl
            // has waited for it. Other commands may not have.
            Health::Down if lives => Some(false),
            Health::Down | Health::Between => {
                *steady = None;
                None
            }
            Health::Up if !self.act.waits => Some(true),
            Health::Up if steady.as_ref() == Some(&state.life) => Some(true),
            Health::Up => {
                *steady = Some(state.life.clone());
                None
            }
        }
    }

    fn broken(&self, state: State) -> NotReady {
        let message = format!("`{}` does not run after `{}`: it is {}", self.name, self.verb(), state.words());
        NotReady { error: ErrorClass::BadAnswer, message, state: Some(state), outcome: Outcome::Failed }
    }

    fn late(&self, state: Option<State>, within: Duration) -> NotReady {
        let now = state.as_ref().map_or_else(|| "not known".to_owned(), State::words);
        let message = format!("{} after `{}`, `{}` is still {now}", span(within), self.verb(), self.name);
        NotReady { error: ErrorClass::Timeout, message, state, outcome: Outcome::Failed }
    }

    fn unseen(&self, state: Option<State>) -> NotReady {
        let message = format!("stopped while `{}` was on its way", self.name);
        NotReady { error: ErrorClass::Cancelled, message, state, outcome: Outcome::Unknown }
    }

    fn verb(&self) -> &'static str {
        self.act.verb.as_str()
    }

    /// The last lines of its journal as evidence, and the last of its own ones for the message.
    async fn last_words(&self, outcome: Outcome) -> (String, Vec<EvidenceRef>) {
        let ServiceDriverAct::Systemctl { journal, .. } = &self.act.driver else { return (String::new(), Vec::new()) };
        if outcome != Outcome::Failed {
            return (String::new(), Vec::new());
        }
        let seen = self.errand.look(Call::Command(journal.clone()), true).await;
        let text = seen.fields.get("stdout").and_then(Value::as_str).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_frame(line)).collect();
        // What the manager says of it is in the state already.
        let own = lines.iter().rfind(|line| !line.contains(" systemd[")).or(lines.last());
        (own.map(|line| format!("; its last line: {line}")).unwrap_or_default(), seen.evidence)
    }

    fn refuse(&self, refusal: Refusal) -> Performed {
        refusal.report(&*self.errand.context.evidence)
    }

    fn done(&self, state: Option<&State>, before: Option<String>, evidence: Vec<EvidenceRef>) -> Performed {
        let mut fields = state.map(State::fields).unwrap_or_default();
        for name in ["state", "sub", "since", "running"] {
            fields.entry(name.to_owned()).or_insert_with(|| unobtained("it was not looked at"));
        }
        fields.insert("before".to_owned(), before.map_or_else(|| unobtained("nothing was changed"), Value::from));
        fields.insert("elapsed".to_owned(), Value::from(self.errand.took().as_secs_f64()));
        Performed { outcome: Outcome::Succeeded, error: None, message: None, fields, evidence, left: Vec::new() }
    }

    fn with_before(&self, mut performed: Performed, before: Option<String>) -> Performed {
        if let Some(before) = before {
            performed.fields.insert("before".to_owned(), Value::from(before));
        }
        performed
    }
}

/// What journalctl says around the lines.
fn is_frame(line: &str) -> bool {
    line.starts_with("-- ") && line.ends_with(" --")
}

/// What the exit code of a target's own `status` says.
fn by_exit(exit: i64, name: &str, said: &str) -> Result<State, Refusal> {
    let (health, state, running) = match exit {
        0 => (Health::Up, "active", true),
        3 => (Health::Down, "inactive", false),
        4 => return Err(Refusal::new(ErrorClass::NotFound, format!("there is no service `{name}`"))),
        _ => (Health::Failed, "failed", false),
    };
    let sub = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
    let trouble = (health == Health::Failed).then(|| format!("`status` ended with exit code {exit}"));
    Ok(State { health, word: state.to_owned(), sub, since: None, running, life: String::new(), trouble })
}
