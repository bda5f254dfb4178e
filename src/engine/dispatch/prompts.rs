//! The dispatcher's side of prompts: which are open, who may answer, when nobody will.

use super::super::body::{At, BodyId};
use super::super::port::{InboxDecision, Prompt, PromptId, PromptKind, QuestionView, StoreError};
use super::super::result::RunState;
use super::super::settle::{Pending, Wanted};
use super::super::tally::GateTally;
use super::Dispatcher;
use crate::event::{RunId, StepPath};
use crate::graph::{GraphNode, Section};
use crate::library::Approvers;
use crate::runbook::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Dispatcher {
    pub(in super::super) fn new_prompt(&mut self) -> PromptId {
        self.prompts += 1;
        PromptId(self.prompts)
    }

    pub(in super::super) fn show(&mut self, prompt: Prompt) {
        // The screen must show everything that came before the question.
        if self.person.is_present() && !self.person_gone {
            self.shown_before(prompt);
        }
    }

    fn shown_before(&mut self, prompt: Prompt) {
        // A failed write surfaces at the next flush, which every act waits for.
        self.flush(false).ok();
        let prompt =
            Prompt { title: self.shared.evidence.mask(&prompt.title), kind: self.masked_kind(prompt.kind), ..prompt };
        self.person.ask(prompt);
    }

    /// A prompt without secrets: what a step read may hold one, and a card shows what steps read.
    fn masked_kind(&self, kind: PromptKind) -> PromptKind {
        let mask = |text: String| self.shared.evidence.mask(&text);
        match kind {
            PromptKind::Gate { card, digest, expires, may_skip } => {
                PromptKind::Gate { card: Box::new(self.masked(*card)), digest, expires, may_skip }
            }
            PromptKind::Decide { options, shown, reason } => {
                let (options, shown) = (self.masked(options), self.masked(shown));
                PromptKind::Decide { options, shown, reason: mask(reason) }
            }
            PromptKind::When { expression, reason } => PromptKind::When { expression, reason: mask(reason) },
            PromptKind::Ask { questions } => {
                let masked = questions.into_iter().map(|question| QuestionView {
                    text: mask(question.text),
                    choices: question.choices,
                    default: question.default.map(mask),
                    ..question
                });
                PromptKind::Ask { questions: masked.collect() }
            }
            PromptKind::Interactive { command, may_skip } => {
                PromptKind::Interactive { command: mask(command), may_skip }
            }
            PromptKind::Settle { act, known } => {
                PromptKind::Settle { act: mask(act), known: known.into_iter().map(mask).collect() }
            }
            // Not shown: it is what is started.
            kind @ (PromptKind::HandOver { .. } | PromptKind::Stop { .. } | PromptKind::Outlived { .. }) => kind,
            PromptKind::Manual { text, may_skip } => PromptKind::Manual { text: mask(text), may_skip },
        }
    }

    /// Masks every text in a value, through its JSON: the masker knows that form of a secret too.
    pub(in super::super) fn masked<T: Serialize + DeserializeOwned>(&self, value: T) -> T {
        let Ok(json) = serde_json::to_string(&value) else { return value };
        let masked = self.shared.evidence.mask(&json);
        if masked == json {
            return value;
        }
        serde_json::from_str(&masked).unwrap_or(value)
    }

    pub(in super::super) fn withdraw(&mut self, id: PromptId, why: &str) {
        self.person.withdraw(id, why);
    }

    pub(in super::super) fn add_pending(&mut self, pending: Pending) {
        if self.waited.since.is_none() {
            self.waited.since = Some(self.shared.clock.elapsed());
        }
        self.pending.push(pending);
    }

    pub(in super::super) fn take_pending(&mut self, id: PromptId) -> Option<Pending> {
        let place = self.pending.iter().position(|pending| pending.id == id)?;
        Some(self.remove_pending(place))
    }

    /// The open prompt of a step.
    pub(in super::super) fn pending_of(&self, step: &str) -> Option<PromptId> {
        let open = self.pending.iter().find(|pending| self.path_of(pending.at).0 == step)?;
        Some(open.id)
    }

    pub(in super::super) fn pending_mut(&mut self, id: PromptId) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|pending| pending.id == id)
    }

    /// How far a gate is that is open.
    pub(in super::super) fn tally_of(&self, id: PromptId) -> Option<&GateTally> {
        match &self.pending.iter().find(|pending| pending.id == id)?.what {
            Wanted::Gate { tally, .. } => Some(tally),
            Wanted::Ask { .. } => None,
        }
    }

    /// Asks again, saying why.
    pub(in super::super) fn ask_again(&mut self, id: PromptId, why: &str) {
        self.person.refuse(id, why);
    }

    pub(in super::super) fn approvers(&self) -> &Approvers {
        &self.approvers
    }

    /// The names of everybody who has run this run.
    pub(in super::super) fn operators(&self) -> Vec<String> {
        self.operators.clone()
    }

    pub(in super::super) fn run_id(&self) -> &RunId {
        &self.run
    }

    /// Decisions that waited for their prompt.
    pub(in super::super) fn take_letters(&mut self) -> Vec<InboxDecision> {
        std::mem::take(&mut self.letters)
    }

    pub(in super::super) fn keep_letter(&mut self, decision: InboxDecision) {
        self.letters.push(decision);
    }

    /// Whether a decision was left before this process had the run.
    pub(in super::super) fn was_left_before(&self, decision: &InboxDecision) -> bool {
        decision.at < self.since
    }

    fn remove_pending(&mut self, place: usize) -> Pending {
        let pending = self.pending.remove(place);
        if self.pending.is_empty()
            && let Some(since) = self.waited.since.take()
        {
            self.waited.before += self.shared.clock.elapsed().saturating_sub(since);
        }
        pending
    }

    pub(in super::super) fn pending(&self) -> &[Pending] {
        &self.pending
    }

    pub(in super::super) fn node(&self, at: At) -> &GraphNode {
        self.bodies.node(at)
    }

    pub(in super::super) fn path_of(&self, at: At) -> StepPath {
        self.bodies.path(at)
    }

    pub(in super::super) fn title(&self, at: At) -> String {
        let template = &self.node(at).step.title;
        let scope = self.bodies[at.body].scene.values.scope(self.now());
        let rendered = template.render(&scope, crate::expr::Place::Plain);
        rendered.map_or_else(|_| template.source_text().to_owned(), |text| text.to_string())
    }

    pub(in super::super) fn keep_undo(&mut self, at: At, undo: String) {
        self.bodies[at.body].undo.insert(at.node, undo);
    }

    pub(in super::super) fn take_inbox(&mut self) -> Result<Vec<InboxDecision>, StoreError> {
        self.inbox.take()
    }

    pub(in super::super) fn moved_at(&self) -> Option<jiff::Timestamp> {
        self.moved_at
    }

    pub(in super::super) fn person_left(&mut self) {
        self.person_gone = true;
        self.park_if_alone();
    }

    pub(in super::super) fn somebody_may_answer(&self) -> bool {
        let at_terminal = self.person.is_present() && !self.person_gone;
        at_terminal || self.waited_here() < self.park_after
    }

    fn waited_here(&self) -> std::time::Duration {
        let since = self.waited.since.map(|since| self.shared.clock.elapsed().saturating_sub(since));
        since.unwrap_or_default()
    }

    /// Whether a prompt goes away when a runbook ends: it belongs to it, or to one it called, and to no `finally`.
    pub(in super::super) fn is_void(&self, at: At, outer: BodyId) -> bool {
        self.bodies.is_within(at.body, outer) && !self.bodies.owner(at.body).in_finally
    }

    /// Whether all that could go on waits for people, with nobody here, and nothing ends by itself.
    pub(in super::super) fn may_park(&self) -> bool {
        let stays = self.pending.iter().any(|pending| pending.stays);
        !stays && self.busy() == 0 && !self.somebody_may_answer()
    }

    /// Parks when everything that could go on waits for people, and nobody is here.
    pub(in super::super) fn park_if_alone(&mut self) {
        if !self.pending.is_empty() && self.may_park() {
            self.leave = Some(RunState::Parked(self.waiting()));
        }
    }

    /// The same for the step that holds the body of a step.
    pub(in super::super) fn failed_reads_around(&self, at: At) -> Vec<String> {
        let body = &self.bodies[at.body];
        let holder = body.holder.filter(|_| body.owner != at.body);
        holder.map(|holder| self.failed_reads_before(holder)).unwrap_or_default()
    }

    /// Diagnoses before a step that failed: evidence that its card must name as missing.
    pub(in super::super) fn failed_reads_before(&self, at: At) -> Vec<String> {
        let mut failed = Vec::new();
        for at in self.bodies.chain(at) {
            let body = &self.bodies[at.body];
            let before = body.over.range(..at.node).filter(|(id, over)| {
                let step = body.node(**id);
                step.step.kind == Kind::Diagnose && step.section == Section::Body && over.failed
            });
            failed
                .extend(before.map(|(id, _)| {
                    format!("`{}` failed: what it would have found is not known", body.scene.path(*id))
                }));
            // What a caller found reaches a runbook only as its inputs.
            if body.owner == at.body {
                break;
            }
        }
        failed
    }
}
