//! One attempt at one act, and what its result says.

use super::body::{At, Scene};
use super::held::{HeldEvidence, Wanted};
use super::message::{Halt, Message, Permit};
use super::past::{Past, Round};
use super::port::{AttemptContext, Cancel, Chunk, Clock, Evidence, Performed, Performer};
use super::run::Acts;
use super::store_value::{store_field, store_shown};
use super::survivor::Started;
use crate::event::{
    ActView, Actor, CheckView, ErrorClass, Event, Outcome, StepPath, StepVerdict, StoredValue, UsedView,
};
use crate::expr::{Expr, Place, Scope, UnknownSort, Used, Value, Verdict, unknown, unknown_of};
use crate::plan::{Act, GatePolicy, Refusal, StepScope, view};
use crate::runbook::{Action, DurationSpec, Identity, IdentityExpect, Step};
use crate::source::Sp;
use indexmap::IndexMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long an attempt may take when the author does not say.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// Actions whose text is a command line, an address or a path: the system or another program shows it to others.
const OPEN: [&str; 8] = ["run", "interactive", "http", "kubectl", "edit", "write", "log", "service"];

/// What every task of a run shares.
pub(super) struct Shared {
    pub(super) run: String,
    pub(super) performer: Arc<dyn Performer>,
    pub(super) evidence: Arc<dyn Evidence>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) acts: Acts,
    pub(super) policy: GatePolicy,
    pub(super) environment: Option<String>,
    pub(super) host: String,
    /// What tells this machine from others.
    pub(super) machine: String,
    pub(super) grace: Duration,
    pub(super) live: Option<mpsc::Sender<Chunk>>,
    pub(super) answers: super::run::Answers,
    pub(super) called: std::collections::HashMap<String, crate::plan::Called>,
    /// When this process began, by the clock that goes on while the machine sleeps.
    pub(super) began: Duration,
    /// How long the run had gone on before that, in milliseconds.
    pub(super) before: u64,
    /// Whether the run is taken up only to be ended: nobody is asked.
    pub(super) is_ending: bool,
    /// Whether what is walked through is the past of another run, whose changes are to be taken back.
    pub(super) is_undo: bool,
    /// Fires when the past has been walked through and the run goes on.
    pub(super) goes_on: Cancel,
    /// Fires when the run is left: no further attempt at a change is made.
    pub(super) leaving: Cancel,
    /// Fires when the run is left at once: what is stopped gets no time to go by itself.
    pub(super) kill: Cancel,
    /// What an earlier process did of this run.
    pub(super) past: Mutex<Past>,
}

impl Shared {
    /// How long the run has gone on, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        let here = self.clock.elapsed().saturating_sub(self.began);
        self.before.saturating_add(u64::try_from(here.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago something was, by when it was told.
    pub(super) fn since(&self, told_ms: u64) -> Duration {
        Duration::from_millis(self.elapsed_ms().saturating_sub(told_ms))
    }

    /// What happened the next time a step was performed; it is given once.
    pub(super) fn take_past(&self, path: &str) -> Round {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).take(path).unwrap_or_default()
    }
}

/// One step's task.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) scene: Arc<Scene>,
    pub(super) at: At,
    pub(super) bus: mpsc::UnboundedSender<Message>,
    pub(super) cancel: Cancel,
    /// What an earlier process did of it.
    pub(super) round: Round,
    /// What it stands for, when that is no step of its own.
    pub(super) stands: Option<Box<Stands>>,
}

/// A task that takes a change back: its path, and the values that the change had.
pub(super) struct Stands {
    pub(super) path: String,
    /// What it does, for people.
    pub(super) title: String,
    pub(super) scope: StepScope,
    /// The act itself, where it is not an action of the step that is performed.
    pub(super) act: Option<Act>,
}

/// The run is over for this task: it ends without another word.
pub(super) struct Gone;

/// One attempt's result.
pub(super) struct Attempted {
    pub(super) performed: Performed,
    pub(super) tolerated: bool,
}

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        scene: Arc<Scene>,
        at: At,
        bus: mpsc::UnboundedSender<Message>,
        cancel: Cancel,
    ) -> Self {
        Self { shared, scene, at, bus, cancel, round: Round::default(), stands: None }
    }

    pub(super) fn id(&self) -> &str {
        &self.scene.graph.node(self.at.node).id
    }

    /// Where the step stands in the run: `drain`, `store[3]/drain`.
    pub(super) fn path(&self) -> String {
        self.stands.as_ref().map_or_else(|| self.scene.path(self.at.node), |stands| stands.path.clone())
    }

    /// The answer given beforehand for this step: under its whole path, under that without the items of loops, or, for
    /// a step of the runbook itself, under its id.
    pub(super) fn beforehand(&self) -> Option<&serde_json::Value> {
        let answers = &self.shared.answers;
        let path = self.path();
        let general: Vec<&str> =
            path.split('/').map(|part| part.split_once('[').map_or(part, |(step, _)| step)).collect();
        let general = general.join("/");
        let is_own = general == self.scene.graph.general_path(self.at.node);
        answers.get(&path).or_else(|| answers.get(&general)).or_else(|| answers.get(self.id()).filter(|_| is_own))
    }

    pub(super) fn scope(&self) -> StepScope {
        let own = || self.scene.values.scope(self.shared.clock.now());
        self.stands.as_ref().map_or_else(own, |stands| stands.scope.clone())
    }

    /// Puts an event on record without waiting for the disk.
    pub(super) fn note(&self, path: &str, attempt: Option<u32>, event: Event) {
        self.note_as(Actor::Runwright, path, attempt, event);
    }

    /// The same for what a person did.
    pub(super) fn note_as(&self, actor: Actor, path: &str, attempt: Option<u32>, event: Event) {
        let path = path.to_owned();
        let message = Message::Record { at: self.at, path, attempt, actor, event, durable: None };
        // The dispatcher outlives its tasks; when it is gone the run is over and nobody is left to tell.
        self.bus.send(message).ok();
    }

    /// Puts an event on record and waits until it is on disk.
    pub(super) async fn record(&self, path: &str, attempt: Option<u32>, event: Event) -> Result<(), Gone> {
        let (durable, on_disk) = oneshot::channel();
        let (path, actor) = (path.to_owned(), Actor::Runwright);
        let message = Message::Record { at: self.at, path, attempt, actor, event, durable: Some(durable) };
        self.bus.send(message).map_err(|_| Gone)?;
        on_disk.await.map_err(|_| Gone)
    }

    pub(super) async fn permit(&self, change: bool) -> Result<Permit, Halt> {
        let (reply, answer) = oneshot::channel();
        self.bus.send(Message::Permit { at: self.at, change, reply }).map_err(|_| Halt::Ending)?;
        answer.await.unwrap_or(Err(Halt::Ending))
    }

    /// A duration with its value in, or the default.
    pub(super) fn duration(
        &self,
        spec: Option<&DurationSpec>,
        scope: &dyn Scope,
        default: Duration,
    ) -> Result<Duration, String> {
        let Some(spec) = spec else { return Ok(default) };
        match crate::plan::duration(spec, scope) {
            Ok(Some(duration)) => Ok(duration),
            Ok(None) => Err("the duration is unknown".to_owned()),
            Err(refusal) => Err(refusal.message),
        }
    }

    /// Sleeps between two attempts at a change, unless the step is stopped. When the run is left, the next attempt is one
    /// for a resume.
    pub(super) async fn sleep_before_attempt(&self, duration: Duration) -> Result<bool, Gone> {
        tokio::select! {
            slept = self.sleep(duration) => Ok(slept),
            () = self.shared.leaving.cancelled() => Err(Gone),
        }
    }

    /// Sleeps, unless the step is stopped.
    pub(super) async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.cancel.cancelled() => false,
        }
    }

    /// Performs one act: on record before the first effect, and after its end. The caller holds the permit.
    pub(super) async fn attempt(
        &self,
        path: &str,
        number: u32,
        act: Act,
        change: bool,
        timeout: Duration,
        tolerate: &[Sp<String>],
    ) -> Result<Attempted, Gone> {
        self.attempt_for(path, number, act, change, timeout, tolerate, None).await
    }

    /// The same; with secrets to be found in its result, its output is held back until they are known.
    #[expect(clippy::too_many_arguments, reason = "those of an attempt, and one more")]
    pub(super) async fn attempt_for(
        &self,
        path: &str,
        number: u32,
        act: Act,
        change: bool,
        timeout: Duration,
        tolerate: &[Sp<String>],
        wanted: Option<Wanted<'_>>,
    ) -> Result<Attempted, Gone> {
        let view = view(&act);
        self.record(path, Some(number), Event::AttemptStarted { act: Box::new(view.clone()), change }).await?;
        let started = self.shared.clock.elapsed();
        let performed = if let Some(hole) = view.holes.first() {
            let message = format!("`{}` is unknown: {}", hole.label, hole.text);
            refused(ErrorClass::BadValue, message)
        } else if let Some(message) = self.open_secret(&view) {
            refused(ErrorClass::BadValue, message)
        } else if let Some(wanted) = wanted {
            let held = Arc::new(HeldEvidence::new(self.shared.evidence.clone()));
            let context = AttemptContext {
                evidence: held.clone(),
                live: None,
                ..self.context(path, number, change, timeout, None)
            };
            let performed = self.perform_in(context, path, number, act).await;
            self.tell_held(performed, &held, wanted, change)
        } else {
            self.perform(path, number, act, change, timeout).await
        };
        let took = self.shared.clock.elapsed().saturating_sub(started);
        let event = Event::AttemptEnded {
            outcome: performed.outcome,
            error: performed.error.clone(),
            message: performed.message.clone(),
            fields: self.stored(&performed.fields),
            evidence: performed.evidence.clone(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            left: performed.left.clone(),
        };
        self.note(path, Some(number), event);
        let tolerated = performed.error.as_ref().is_some_and(|error| tolerates(tolerate, error));
        Ok(Attempted { performed, tolerated })
    }

    /// Why an act must not be performed: a secret that came by another way than as one (out of the output of an
    /// earlier step, say) stands where others can read it.
    pub(super) fn open_secret(&self, act: &ActView) -> Option<String> {
        let folder = act.more.iter().filter(|line| line.label == "in").map(|line| &line.text);
        let mut open = std::iter::once(&act.text).chain(folder);
        let is_open = OPEN.contains(&act.action.as_str()) && open.any(|text| self.shared.evidence.mask(text) != *text);
        is_open.then(|| {
            "a secret stands in its arguments, its address or the name of its file, where others can read it; use \
             `env`, `stdin`, a header or the body"
                .to_owned()
        })
    }

    /// Result fields as the record keeps them.
    pub(super) fn stored(&self, fields: &IndexMap<String, Value>) -> IndexMap<String, StoredValue> {
        let is_read = |name: &str| self.scene.graph.reads(self.id(), name);
        fields.iter().map(|(name, value)| (name.clone(), store_field(value, is_read(name)))).collect()
    }

    /// The act of this step with these values.
    pub(super) fn act(&self, action: &Action, step: &Step, scope: &StepScope) -> Result<Option<Act>, Refusal> {
        let own = self.stands.as_ref().and_then(|stands| stands.act.clone());
        match own {
            Some(act) => Ok(Some(act)),
            None => self.scene.resolver.act(action, step.target.as_ref(), step.change.is_some(), scope),
        }
    }

    /// What the hands need beside the act.
    pub(super) fn context(
        &self,
        path: &str,
        number: u32,
        change: bool,
        timeout: Duration,
        started: Option<oneshot::Sender<Started>>,
    ) -> AttemptContext {
        AttemptContext {
            step: StepPath(path.to_owned()),
            marker: format!("{}/{path}/{number}", self.shared.run),
            change,
            timeout,
            grace: self.shared.grace,
            cancel: self.cancel.clone(),
            kill: self.shared.kill.clone(),
            evidence: self.shared.evidence.clone(),
            live: self.shared.live.clone(),
            started,
        }
    }

    async fn perform(&self, path: &str, number: u32, act: Act, change: bool, timeout: Duration) -> Performed {
        self.perform_in(self.context(path, number, change, timeout, None), path, number, act).await
    }

    async fn perform_in(&self, context: AttemptContext, path: &str, number: u32, act: Act) -> Performed {
        let (started, process) = oneshot::channel();
        let context = AttemptContext { started: Some(started), ..context };
        let performing = self.shared.performer.perform(act, context);
        tokio::pin!(performing);
        // The process is worth a line only if it is still there by the time it is known.
        tokio::select! {
            biased;
            performed = &mut performing => return performed,
            process = process => if let Ok(Started { pid, at }) = process {
                self.note(path, Some(number), Event::ProcessStarted { pid, started: at });
            },
        }
        performing.await
    }

    /// Proves what a target is. Before each change it is proven again.
    pub(super) async fn prove(
        &self,
        target: &str,
        again: bool,
        scope: &StepScope,
    ) -> Result<Option<String>, ProofFailed> {
        let runbook = self.scene.graph.runbook().clone();
        let Some(identity) = runbook.targets.get(target).and_then(|target| target.identity.clone()) else {
            return Ok(None);
        };
        let known = || self.scene.proven.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        if !again && let Some(name) = known() {
            return Ok(Some(name));
        }
        let refusal =
            |message: String| ProofFailed::Unproven(format!("the identity of `{target}` is not proven: {message}"));
        let act = self.scene.resolver.identity(target, &identity, scope).map_err(|error| refusal(error.message))?;
        let address = act.address().unwrap_or_else(|| self.shared.host.clone());
        let performed = self.perform(&format!("identity:{target}"), 1, act, false, Duration::from_secs(15)).await;
        if performed.outcome != Outcome::Succeeded {
            return Err(refusal(performed.message.unwrap_or_else(|| "no answer".to_owned())));
        }
        let name = match identified(&identity, performed.fields, scope) {
            Ok(Identified::Right(name)) => name,
            Ok(Identified::Wrong { expected, found }) => {
                let event = Event::TargetRefused { target: target.to_owned(), address, expected, found: found.clone() };
                self.record(&self.path(), None, event).await.ok();
                self.bus.send(Message::Refused { target: target.to_owned() }).ok();
                return Err(ProofFailed::Refused(format!(
                    "`{target}` is {found}, and that is not the target of this run"
                )));
            }
            Err(reason) => return Err(refusal(reason)),
        };
        let mut proven = self.scene.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.insert(target.to_owned(), name.clone()).is_none() {
            let event = Event::TargetProven { target: target.to_owned(), address, identity: Some(name.clone()) };
            self.note(&self.path(), None, event);
        }
        Ok(Some(name))
    }
}

/// What a target says it is.
enum Identified {
    /// What it should be: its name.
    Right(String),
    /// Another one.
    Wrong { expected: String, found: String },
}

/// Judges the answer of an identity probe.
fn identified(identity: &Identity, fields: IndexMap<String, Value>, scope: &StepScope) -> Result<Identified, String> {
    let mut inner = scope.clone();
    let named = || fields.get("first")?.get_attr("identity").ok().filter(|name| !name.is_undefined());
    let built_in = fields.get("identity").cloned().or_else(named);
    inner.extend(fields);
    let name = match &identity.read {
        Some(read) => read.eval(&inner).map_err(|error| error.message)?,
        None => built_in.unwrap_or_else(|| unknown(UnknownSort::Unobtained, "the answer holds no identity")),
    };
    if let Some(unknown) = unknown_of(&name) {
        return Err(unknown.reason.clone());
    }
    let found = name.to_string();
    let expect = match &identity.expect {
        IdentityExpect::Holds(expect) => expect,
        IdentityExpect::Is(template) => {
            let expected = template.render(scope, Place::Plain).map_err(|error| error.message)?;
            let expected = expected.reveal().ok_or_else(|| format!("`{}` is not known", template.source_text()))?;
            let right = found == expected;
            return Ok(if right { Identified::Right(found) } else { Identified::Wrong { expected, found } });
        }
    };
    let mut used = Vec::new();
    match expect.verdict(&inner, &mut used).map_err(|error| error.message)? {
        Verdict::Holds => Ok(Identified::Right(found)),
        Verdict::DoesNotHold => Ok(Identified::Wrong { expected: expect.text().trim().to_owned(), found }),
        Verdict::CannotTell => {
            let reason =
                used.iter().find_map(|used| unknown_of(&used.value)).map_or("it cannot be told", |u| &u.reason);
            Err(reason.to_owned())
        }
    }
}

/// Why a target's identity is not proven.
pub(super) enum ProofFailed {
    /// It could not be asked.
    Unproven(String),
    /// It is another one.
    Refused(String),
}

impl ProofFailed {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Unproven(reason) | Self::Refused(reason) => reason,
        }
    }
}

/// An attempt that sent nothing.
pub(super) fn refused(error: ErrorClass, message: impl Into<String>) -> Performed {
    Performed {
        outcome: Outcome::Failed,
        error: Some(error),
        message: Some(message.into()),
        fields: IndexMap::new(),
        evidence: Vec::new(),
        left: Vec::new(),
    }
}

/// Whether an error class is a finding here. `exit` and `status` stand for every code.
pub(super) fn tolerates(list: &[Sp<String>], error: &ErrorClass) -> bool {
    let name = error.to_string();
    let family = match error {
        ErrorClass::Exit(_) => "exit",
        ErrorClass::Status(_) => "status",
        ErrorClass::Signal(_) => "signal",
        _ => name.as_str(),
    };
    list.iter().any(|entry| entry.value == name || entry.value == family)
}

/// Values that an evaluation used, for the record.
pub(super) fn used_views(used: &[Used]) -> Vec<UsedView> {
    used.iter().map(|used| UsedView { name: used.path.clone(), value: store_shown(&used.value) }).collect()
}

/// Evaluates every check; the verdict is nothing when there are none.
pub(super) fn checks<'a>(
    list: impl IntoIterator<Item = &'a Expr>,
    scope: &dyn Scope,
) -> (Option<StepVerdict>, Vec<CheckView>) {
    let mut views = Vec::new();
    let mut verdict = None;
    for expr in list {
        let mut used = Vec::new();
        let (this, reason) = match expr.verdict(scope, &mut used) {
            Ok(Verdict::Holds) => (StepVerdict::Holds, None),
            Ok(Verdict::DoesNotHold) => (StepVerdict::DoesNotHold, None),
            Ok(Verdict::CannotTell) => {
                let unknown =
                    used.iter().find_map(|used| unknown_of(&used.value)).map(|unknown| unknown.reason.clone());
                let whole =
                    expr.eval(scope).ok().and_then(|value| unknown_of(&value).map(|unknown| unknown.reason.clone()));
                (StepVerdict::CannotTell, whole.or(unknown))
            }
            Err(error) => (StepVerdict::CannotTell, Some(error.message)),
        };
        verdict = Some(match (verdict, this) {
            (Some(StepVerdict::DoesNotHold), _) | (_, StepVerdict::DoesNotHold) => StepVerdict::DoesNotHold,
            (Some(StepVerdict::CannotTell), _) | (_, StepVerdict::CannotTell) => StepVerdict::CannotTell,
            _ => StepVerdict::Holds,
        });
        let expression = expr.text().trim().to_owned();
        views.push(CheckView { expression, verdict: this, used: used_views(&used), reason });
    }
    (verdict, views)
}

/// The evidence that an author wants on the screen.
pub(super) fn shown(list: &[Expr], scope: &dyn Scope) -> Vec<UsedView> {
    list.iter()
        .map(|expr| {
            let value = match expr.eval(scope) {
                Ok(value) => store_shown(&value),
                Err(error) => StoredValue::Unknown(error.message),
            };
            UsedView { name: expr.text().trim().to_owned(), value }
        })
        .collect()
}
