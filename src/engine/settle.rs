//! Prompts and gates: the one place where a gate is settled, whatever the door.

use super::approving::{Heard, INBOX_GOOD_FOR, Spoken, outcome};
use super::body::{At, BodyId};
use super::dispatch::Dispatcher;
use super::message::{GateOutcome, GateRequest, Settled};
use super::port::{Answer, InboxDecision, Prompt, PromptId, PromptKind, StoreError};
use super::tally::GateTally;
use crate::event::{
    Actor, AnswerKind, Door, Event, GateAnswer, GateRequirement, Operator, Settlement, StepPath, Waiting,
};
use crate::runbook::{Risk, StepBody};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

/// How long an approval is good for.
pub(super) const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An open prompt.
pub(super) struct Pending {
    pub(super) id: PromptId,
    pub(super) at: At,
    pub(super) title: String,
    pub(super) what: Wanted,
    /// Whether it ends by itself: the run does not park before that.
    pub(super) stays: bool,
}

/// What an open prompt waits for.
pub(super) enum Wanted {
    Gate { request: Box<GateRequest>, tally: Box<GateTally>, reply: Option<oneshot::Sender<GateOutcome>> },
    Ask { kind: PromptKind, reply: Option<oneshot::Sender<Settled>> },
}

impl Pending {
    fn waiting(&self, path: &str, now: Timestamp) -> Waiting {
        let wants = match &self.what {
            Wanted::Gate { tally, .. } => tally.waits_for(now),
            Wanted::Ask { .. } => None,
        };
        let (what, text, digest) = match &self.what {
            Wanted::Gate { request, .. } => ("gate", request.card.act.text.clone(), Some(request.digest.clone())),
            Wanted::Ask { kind, .. } => match kind {
                PromptKind::Gate { .. } => ("gate", String::new(), None),
                PromptKind::Decide { reason, .. } => ("decide", reason.clone(), None),
                PromptKind::When { expression, reason } => ("when", format!("{expression}: {reason}"), None),
                PromptKind::Ask { questions } => {
                    let texts: Vec<_> = questions.iter().map(|question| question.text.clone()).collect();
                    ("ask", texts.join(" / "), None)
                }
                PromptKind::Interactive { command, .. } => ("interactive", command.clone(), None),
                PromptKind::HandOver { .. } => ("interactive", String::new(), None),
                PromptKind::Settle { act, .. } => ("settle", act.clone(), None),
                PromptKind::Outlived { processes, .. } => ("outlived", processes.join(", "), None),
                PromptKind::Stop { .. } => ("stop", String::new(), None),
                PromptKind::Manual { text, .. } => ("manual", text.lines().next().unwrap_or_default().to_owned(), None),
            },
        };
        // What takes several lines is told by its title; the card has all of it.
        let text = if text.is_empty() || text.contains('\n') { self.title.clone() } else { text };
        Waiting { step: StepPath(path.to_owned()), what: what.to_owned(), text, wants, digest }
    }
}

impl Dispatcher {
    /// Opens a gate. What the environment passes and what `--yes` answers is settled at once; the rest waits.
    pub(super) fn open_gate(&mut self, at: At, mut request: Box<GateRequest>, reply: oneshot::Sender<GateOutcome>) {
        if self.is_ending(at.body) || self.halted(at).is_some() {
            reply.send(GateOutcome::Ended).ok();
            return;
        }
        if let Some(undo) = &request.card.undo {
            self.keep_undo(at, undo.clone());
        }
        let failed_reads = self.failed_reads_before(at);
        // What was missing before the list began stood on the card of the list; what has failed since did not.
        request.in_list &= failed_reads.len() == self.failed_reads_around(at).len();
        request.card.missing.extend(failed_reads);
        let now = self.now();
        let own = request.card.terms.expires_ms.and_then(|ms| i64::try_from(ms).ok()).map(SignedDuration::from_millis);
        let expires = now.checked_add(own.unwrap_or(GOOD_FOR)).unwrap_or(Timestamp::MAX);
        let fresh = || GateTally::new(&request.card.terms, expires);
        // An opening that the record has goes on: its approvals count, and so does the time it has been open.
        let tally = Box::new(request.tally.take().unwrap_or_else(fresh));
        let is_open = tally.is_open(now);
        request.card.terms.opens = if is_open { None } else { tally.next_opening(now) };
        let one_yes = request.card.terms.is_empty();
        let opened = Event::GateOpened {
            number: request.number,
            digest: request.digest.clone(),
            expires,
            card: Box::new(request.card.clone()),
        };
        if !request.is_open {
            self.log_step(at, opened);
        }
        let door = match &request.requirement {
            None => Some(Door::Policy),
            // What the list was asked covers its items; but no gate is passed outside its window.
            Some(_) if request.in_list && is_open => Some(Door::List),
            Some(GateRequirement::Confirm) if one_yes && self.flag_answers(&request) => Some(Door::Flag),
            Some(_) => None,
        };
        let title = request.card.title.clone();
        let id = self.new_prompt();
        let what = Wanted::Gate { request, tally, reply: Some(reply) };
        let pending = Pending { id, at, title: title.clone(), what, stays: false };
        if let Some(door) = door {
            let mut pending = pending;
            let answer = GateAnswer { answer: AnswerKind::Approved, door, reason: None };
            let by_person = door == Door::Flag;
            let actor = if by_person { Actor::Person(self.operator()) } else { Actor::Runwright };
            self.settle(&mut pending, answer, actor);
            return;
        }
        if let Wanted::Gate { request, .. } = &pending.what {
            let kind = PromptKind::Gate {
                card: Box::new(request.card.clone()),
                digest: request.digest.clone(),
                expires,
                may_skip: request.may_skip,
            };
            self.show(Prompt { id, step: self.path_of(at), title, kind });
        }
        self.add_pending(pending);
    }

    /// Ruling 14: `--yes` never answers a re-opened gate, missing evidence, or what cannot be undone (unless of low risk).
    fn flag_answers(&self, request: &GateRequest) -> bool {
        let covers = self.yes().is_some_and(|yes| request.risk <= yes && request.risk != Risk::High);
        let reversible = request.card.irreversible.is_none() || request.risk == Risk::Low;
        covers && reversible && request.number == 1 && request.card.missing.is_empty() && request.card.stale.is_empty()
    }

    /// Closes a gate: the answer goes on record and to the step that waits. The first one is the only one.
    pub(super) fn settle(&mut self, pending: &mut Pending, answer: GateAnswer, actor: Actor) {
        let Wanted::Gate { request, reply, .. } = &mut pending.what else { return };
        let Some(reply) = reply.take() else { return };
        let outcome = outcome(&answer);
        let event = Event::GateAnswered { number: request.number, digest: request.digest.clone(), answer };
        self.log_as(pending.at, event, actor);
        reply.send(outcome).ok();
    }

    /// Puts a question to a person, or to nobody.
    pub(super) fn open_question(&mut self, at: At, kind: PromptKind, stays: bool, reply: oneshot::Sender<Settled>) {
        if self.is_ending(at.body) || self.halted(at).is_some() {
            reply.send(Settled::Ended).ok();
            return;
        }
        let otherwise = matches!(kind, PromptKind::Decide { .. })
            && matches!(&self.node(at).step.body, StepBody::Decide(decide) if decide.otherwise.is_some());
        if otherwise && !self.somebody_may_answer() {
            reply.send(Settled::Nobody).ok();
            return;
        }
        let id = self.new_prompt();
        let title = self.title(at);
        self.show(Prompt { id, step: self.path_of(at), title: title.clone(), kind: kind.clone() });
        self.add_pending(Pending { id, at, title, what: Wanted::Ask { kind, reply: Some(reply) }, stays });
    }

    /// Nobody answered in time: the question is taken back.
    pub(super) fn question_expired(&mut self, at: At) {
        let open = self.pending().iter().find(|pending| pending.at == at).map(|pending| pending.id);
        if let Some(pending) = open.and_then(|id| self.take_pending(id)) {
            self.withdraw(pending.id, "nobody answered in time");
        }
    }

    /// An answer from the run's own terminal.
    pub(super) fn terminal_answer(&mut self, id: PromptId, answer: Answer) {
        if self.is_how_to_stop(id, &answer) {
            return;
        }
        match answer {
            Answer::Gone => return self.person_left(),
            Answer::Abort { reason } => {
                self.abort(reason, Actor::Person(self.operator()));
                // A prompt of a `finally` inside is left open by that, and this answer was no answer to it.
                if let Some(pending) = self.take_pending(id) {
                    self.void_prompt(pending, "the run is ending");
                }
                return;
            }
            Answer::Suspend => return self.suspend("the operator left the run as it is".to_owned()),
            _ => {}
        }
        if self.tally_of(id).is_some() && !matches!(answer, Answer::Said(_)) {
            return self.gate_answer(id, answer);
        }
        let Some(mut pending) = self.take_pending(id) else { return };
        if let Answer::Said(said) = answer {
            self.said_at(pending.at, &said);
            self.add_pending(pending);
            return;
        }
        let by = self.operator();
        self.answer(&mut pending, answer, Door::Terminal, by);
    }

    /// An answer to a gate from the run's own terminal.
    fn gate_answer(&mut self, id: PromptId, answer: Answer) {
        let (answer, reason) = match answer {
            Answer::Approve => (AnswerKind::Approved, None),
            Answer::Skip { reason } => (AnswerKind::Skipped, Some(reason)),
            Answer::Decline { reason } => (AnswerKind::Declined, reason),
            _ => (AnswerKind::Declined, Some("the answer was no approval".to_owned())),
        };
        let (by, at) = (self.operator(), self.now());
        let spoken = Spoken { answer, door: Door::Terminal, reason, by, at, signed: None };
        match self.hear(id, &spoken) {
            Heard::Settled => {}
            Heard::Counts => self.show_again(id),
            Heard::Refused(why) => {
                let signs = self.tally_of(id).is_some_and(GateTally::wants_signatures);
                let step = self.pending_mut(id).map(|pending| pending.at).map(|at| self.path_of(at));
                let how = step
                    .filter(|_| signs)
                    .map(|step| format!("; sign it elsewhere: runwright approve {} {step} --sign KEY", self.run_id()));
                self.ask_again(id, &format!("{why}{}", how.unwrap_or_default()));
            }
        }
    }

    /// The prompt of a gate is shown anew: what was said counts, and the gate still waits.
    fn show_again(&mut self, id: PromptId) {
        let new = self.new_prompt();
        let now = self.now();
        let Some(Pending { id, at, title, what: Wanted::Gate { request, tally, .. }, .. }) = self.pending_mut(id)
        else {
            return;
        };
        *id = new;
        request.card.terms.opens = if tally.is_open(now) { None } else { tally.next_opening(now) };
        let left = tally.over_at().unwrap_or_else(|| now.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX));
        let kind = PromptKind::Gate {
            card: Box::new(request.card.clone()),
            digest: request.digest.clone(),
            expires: left,
            may_skip: request.may_skip,
        };
        let (at, title) = (*at, title.clone());
        self.show(Prompt { id: new, step: self.path_of(at), title, kind });
    }

    /// An answer to a question.
    fn answer(&mut self, pending: &mut Pending, answer: Answer, door: Door, by: Operator) {
        if let Wanted::Ask { reply, .. } = &mut pending.what
            && let Some(reply) = reply.take()
        {
            reply.send(Settled::By(answer, by, door)).ok();
        }
    }

    /// Decisions that others left since the last look.
    pub(super) fn read_inbox(&mut self) -> Result<(), StoreError> {
        let mut decisions = self.take_letters();
        decisions.extend(self.take_inbox()?);
        for decision in decisions {
            self.inbox_decision(decision);
        }
        Ok(())
    }

    fn inbox_decision(&mut self, decision: InboxDecision) {
        let Some(id) = self.pending_of(&decision.step.0) else {
            // The step may be asked only after what it needs was walked again.
            if self.was_left_before(&decision) && self.now().duration_since(decision.at) <= INBOX_GOOD_FOR {
                return self.keep_letter(decision);
            }
            let text =
                format!("an answer of {} for `{}` came when nothing waited for it", decision.by.name, decision.step);
            return self.log(Event::Deviated { text });
        };
        let is_void = self.moved_at().is_some_and(|moved| decision.at < moved);
        if is_void && decision.answer == Some(AnswerKind::Approved) {
            return self.not_used(&decision, "it was given before the run was moved here");
        }
        if self.tally_of(id).is_some() {
            return self.inbox_gate(id, &decision);
        }
        if self.now().duration_since(decision.at) > INBOX_GOOD_FOR {
            return self.not_used(&decision, "it is more than an hour old");
        }
        let Some(mut pending) = self.take_pending(id) else { return };
        let answer = match (&pending.what, decision.answer) {
            (_, Some(AnswerKind::Skipped)) => {
                Some(Answer::Skip { reason: decision.reason.clone().unwrap_or_else(|| "no reason given".to_owned()) })
            }
            (Wanted::Ask { kind, .. }, _) => question_answer(kind, &decision),
            (Wanted::Gate { .. }, _) => None,
        };
        let Some(answer) = answer else {
            let text = format!("an answer of {} for `{}` does not fit the question", decision.by.name, decision.step);
            self.log(Event::Deviated { text });
            return self.add_pending(pending);
        };
        self.withdraw(pending.id, &format!("{} answered elsewhere", decision.by.name));
        self.answer(&mut pending, answer, Door::Inbox, decision.by);
    }

    /// What the run waits for.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let now = self.now();
        self.pending().iter().map(|pending| pending.waiting(&self.path_of(pending.at).0, now)).collect()
    }

    /// Takes the prompts of a runbook back, and of those that it has called: it is ending. A `finally` keeps its own.
    pub(super) fn void_prompts(&mut self, outer: BodyId, why: &str) {
        self.void_prompts_where(why, |run, at| run.is_void(at, outer));
    }

    /// Takes those prompts back that a rule names.
    pub(super) fn void_prompts_where(&mut self, why: &str, rule: impl Fn(&Self, At) -> bool) {
        let voided: Vec<_> =
            self.pending().iter().filter(|pending| rule(self, pending.at)).map(|pending| pending.id).collect();
        for id in voided {
            if let Some(pending) = self.take_pending(id) {
                self.void_prompt(pending, why);
            }
        }
    }

    fn void_prompt(&mut self, mut pending: Pending, why: &str) {
        self.withdraw(pending.id, why);
        match &mut pending.what {
            Wanted::Gate { .. } => {
                self.settle(&mut pending, GateAnswer::voided(why), Actor::Runwright);
            }
            Wanted::Ask { reply, .. } => {
                if let Some(reply) = reply.take() {
                    reply.send(Settled::Ended).ok();
                }
            }
        }
    }
}

fn question_answer(kind: &PromptKind, decision: &InboxDecision) -> Option<Answer> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(match kind {
        PromptKind::Decide { options, .. } => {
            let option =
                decision.chosen.clone().filter(|chosen| options.iter().any(|option| option.name == *chosen))?;
            Answer::Choose { option, reason: decision.reason.clone() }
        }
        PromptKind::When { .. } | PromptKind::Outlived { .. } => match decision.values.get("perform")?.as_bool() {
            Some(perform) => Answer::Perform(perform),
            None => match text(decision.values.get("perform")?).as_str() {
                "yes" | "true" => Answer::Perform(true),
                "no" | "false" => Answer::Perform(false),
                _ => return None,
            },
        },
        // An answer from elsewhere comes in a file of the store, and no secret stands there.
        PromptKind::Ask { questions } if questions.iter().any(|question| question.secret) => return None,
        PromptKind::Ask { questions } => {
            let mut values = indexmap::IndexMap::new();
            for question in questions {
                match decision.values.get(&question.name) {
                    Some(value) => {
                        let value = text(value);
                        // What is not of its type is no answer: the question stays open.
                        super::question::answer_value(question, &value).ok()?;
                        values.insert(question.name.clone(), value);
                    }
                    None if question.default.is_some() => {}
                    None => return None,
                }
            }
            Answer::Values(values)
        }
        // Who says elsewhere how it went has done it elsewhere.
        PromptKind::Manual { .. } | PromptKind::Interactive { .. } => {
            match decision.values.get("result").map(text)?.as_str() {
                "done" => Answer::Done { evidence: decision.reason.clone() },
                "failed" => {
                    Answer::NotDone { reason: decision.reason.clone().unwrap_or_else(|| "it failed".to_owned()) }
                }
                _ => return None,
            }
        }
        PromptKind::Settle { .. } => {
            let word = decision.values.get("result").map(text)?;
            let settlement = Settlement::ALL.into_iter().find(|settlement| settlement.as_str() == word)?;
            let reason = decision.reason.clone().filter(|reason| !reason.trim().is_empty())?;
            Answer::Settled { settlement, reason }
        }
        PromptKind::Gate { .. } | PromptKind::HandOver { .. } | PromptKind::Stop { .. } => return None,
    })
}
