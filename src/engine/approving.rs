//! The decision function of gates: whatever the door, whoever speaks, every answer passes here, and so does the clock.

use super::dispatch::Dispatcher;
use super::message::GateOutcome;
use super::port::{InboxDecision, PromptId};
use super::settle::{Pending, Wanted};
use super::statement::Signer;
use super::tally::Given;
use crate::event::{Actor, AnswerKind, Door, Event, GateAnswer, GateApproval, IdentityKind, Operator, SignatureView};
use jiff::{SignedDuration, Timestamp};

/// How long a decision left in the inbox is good for: nobody may have been there to use it.
pub(super) const INBOX_GOOD_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How far the clock of another machine may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What somebody says at a gate.
pub(super) struct Spoken {
    pub(super) answer: AnswerKind,
    pub(super) door: Door,
    pub(super) reason: Option<String>,
    pub(super) by: Operator,
    pub(super) at: Timestamp,
    /// Who it was, where a signature proves it, and the signature.
    pub(super) signed: Option<(Signer, SignatureView)>,
}

/// What came of it.
pub(super) enum Heard {
    /// The gate is answered.
    Settled,
    /// It counts, and the gate waits for more.
    Counts,
    /// It does not count: why.
    Refused(String),
}

impl Dispatcher {
    /// The decision function. The first answer that settles a gate is the only one: a gate that has gone away hears
    /// nothing any more.
    pub(super) fn hear(&mut self, id: PromptId, spoken: &Spoken) -> Heard {
        let now = self.now();
        if self.tally_of(id).is_some_and(|tally| tally.is_over(now)) {
            self.expire(id);
            return Heard::Refused("the time of this gate is over".to_owned());
        }
        if spoken.answer != AnswerKind::Approved {
            self.close_gate(id, spoken.answer, spoken);
            return Heard::Settled;
        }
        let operators = self.operators();
        let signer = spoken.signed.as_ref().map(|(signer, _)| signer);
        let Some(tally) = self.tally_of(id) else {
            return Heard::Refused("nothing waits for it any more".to_owned());
        };
        if let Some(why) = tally.refuses(&spoken.by.name, signer, self.approvers(), &operators) {
            return Heard::Refused(why);
        }
        let approval = GateApproval {
            at: spoken.at,
            door: spoken.door,
            reason: spoken.reason.clone(),
            signature: spoken.signed.as_ref().map(|(_, signature)| signature.clone()),
        };
        self.count(id, spoken, approval)
    }

    /// Takes in an approval that counts.
    fn count(&mut self, id: PromptId, spoken: &Spoken, approval: GateApproval) -> Heard {
        let now = self.now();
        let Some(pending) = self.pending_mut(id) else { return Heard::Settled };
        let at = pending.at;
        let Wanted::Gate { request, tally, .. } = &mut pending.what else { return Heard::Settled };
        tally.add(Given { by: spoken.by.clone(), approval: approval.clone() });
        let (passes, signatures) = (tally.passes(now), tally.wants_signatures());
        let (number, digest) = (request.number, request.digest.clone());
        if signatures || !passes {
            let event = Event::GateApproved { number, digest, approval: Box::new(approval) };
            self.log_as(at, event, Actor::Person(spoken.by.clone()));
        }
        if passes {
            self.close_gate(id, AnswerKind::Approved, spoken);
            return Heard::Settled;
        }
        Heard::Counts
    }

    fn close_gate(&mut self, id: PromptId, answer: AnswerKind, spoken: &Spoken) {
        let Some(mut pending) = self.take_pending(id) else { return };
        if spoken.door != Door::Terminal {
            self.withdraw(id, &format!("{} answered elsewhere", spoken.by.name));
        }
        let answer = GateAnswer { answer, door: spoken.door, reason: spoken.reason.clone() };
        self.settle(&mut pending, answer, Actor::Person(spoken.by.clone()));
    }

    /// What the clock decides: gates whose time is over, and gates that are approved and whose window is open now.
    pub(super) fn look_at_gates(&mut self) {
        let now = self.now();
        let over = |pending: &Pending| matches!(&pending.what, Wanted::Gate { tally, .. } if tally.is_over(now));
        let passes = |pending: &Pending| matches!(&pending.what, Wanted::Gate { tally, .. } if tally.passes(now));
        let ids = |rule: &dyn Fn(&Pending) -> bool| -> Vec<PromptId> {
            self.pending().iter().filter(|pending| rule(pending)).map(|pending| pending.id).collect()
        };
        let (over, passed) = (ids(&over), ids(&passes));
        for id in over {
            self.expire(id);
        }
        for id in passed {
            self.pass_by_clock(id);
        }
    }

    /// Nobody passed it in time: it is declined.
    fn expire(&mut self, id: PromptId) {
        let Some(mut pending) = self.take_pending(id) else { return };
        self.withdraw(id, "its time is over");
        self.settle(&mut pending, expired(), Actor::Runwright);
    }

    /// It was approved before, and can be passed now.
    fn pass_by_clock(&mut self, id: PromptId) {
        let Some(mut pending) = self.take_pending(id) else { return };
        let Wanted::Gate { tally, .. } = &pending.what else { return };
        let Some(last) = tally.given().last().cloned() else { return };
        self.withdraw(id, "it was approved, and its window is open now");
        let reason = last.approval.reason;
        let answer = GateAnswer { answer: AnswerKind::Approved, door: last.approval.door, reason };
        self.settle(&mut pending, answer, Actor::Person(last.by));
    }

    /// A decision about an open gate that was left in the inbox.
    pub(super) fn inbox_gate(&mut self, id: PromptId, decision: &InboxDecision) {
        let heard = match self.spoken(id, decision) {
            Ok(spoken) => self.hear(id, &spoken),
            Err(problem) => Heard::Refused(problem),
        };
        if let Heard::Refused(problem) = heard {
            self.not_used(decision, &problem);
        }
    }

    pub(super) fn not_used(&mut self, decision: &InboxDecision, problem: &str) {
        let InboxDecision { step, by, .. } = decision;
        let text = format!("an answer of {} for `{step}` was not used: {problem}", by.name);
        self.log(Event::Deviated { text });
    }

    /// What a decision from the inbox says, once it is known who said it, to what, and that it is not too old.
    fn spoken(&self, id: PromptId, decision: &InboxDecision) -> Result<Spoken, String> {
        let answer = decision.answer.ok_or("it is no answer to a gate")?;
        let Some(Pending { what: Wanted::Gate { request, .. }, .. }) = self.pending().iter().find(|open| open.id == id)
        else {
            return Err("nothing waits for it any more".to_owned());
        };
        let moved = "the facts have moved since that card was shown";
        let Some(signed) = &decision.signed else {
            self.is_fresh(decision.at)?;
            // A refusal needs no digest: it is safe whatever was seen.
            let saw_this = !decision.digest.is_empty() && decision.digest == request.digest;
            if answer == AnswerKind::Approved && !saw_this {
                return Err(moved.to_owned());
            }
            // Nobody is proven by saying so.
            let is_proven = decision.by.identity == IdentityKind::Signature;
            let identity = if is_proven { IdentityKind::Claimed } else { decision.by.identity };
            let by = Operator { identity, ..decision.by.clone() };
            let (door, reason, at) = (Door::Inbox, decision.reason.clone(), decision.at);
            return Ok(Spoken { answer, door, reason, by, at, signed: None });
        };
        let (statement, signer) = signed.prove(self.approvers()).map_err(|refused| refused.to_string())?;
        if statement.run != self.run_id().as_str() {
            return Err(format!("it was signed for run {}", statement.run));
        }
        if statement.step != decision.step.0 {
            return Err(format!("it was signed for step `{}`", statement.step));
        }
        if statement.answer != answer {
            return Err("another answer was signed".to_owned());
        }
        if statement.digest != request.digest {
            return Err(moved.to_owned());
        }
        self.is_fresh(statement.at)?;
        let signature = SignatureView { key: signer.key.clone(), text: signed.signature.clone() };
        let (reason, at) = (decision.reason.clone(), statement.at);
        let by = signer.operator(decision.by.host.clone());
        Ok(Spoken { answer, door: Door::Inbox, reason, by, at, signed: Some((signer, signature)) })
    }

    fn is_fresh(&self, at: Timestamp) -> Result<(), String> {
        let age = self.now().duration_since(at);
        if age > INBOX_GOOD_FOR {
            return Err("it is more than an hour old".to_owned());
        }
        if age < -AHEAD {
            return Err("it is of a time that has not come: look at the clocks of both machines".to_owned());
        }
        Ok(())
    }
}

/// The answer of the clock.
pub(super) fn expired() -> GateAnswer {
    let reason = Some("nobody passed this gate before it expired".to_owned());
    GateAnswer { answer: AnswerKind::Expired, door: Door::Clock, reason }
}

/// How an answer to a gate comes out for the step that waits.
pub(super) fn outcome(answer: &GateAnswer) -> GateOutcome {
    match answer.answer {
        AnswerKind::Approved => GateOutcome::Approved,
        AnswerKind::Declined | AnswerKind::Expired => GateOutcome::Declined(answer.reason.clone()),
        AnswerKind::Skipped => {
            GateOutcome::Skipped(answer.reason.clone().unwrap_or_else(|| "no reason given".to_owned()))
        }
        AnswerKind::Voided => GateOutcome::Ended,
    }
}
