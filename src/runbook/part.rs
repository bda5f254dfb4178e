//! The parts of a step: probes, captures, failures, options.

use super::action::{
    Action, Argv, Data as ActionData, EditAction, Escalation, Program, Shell, WriteAction, action_names,
};
use super::amount::DurationSpec;
use super::ask::Ask;
use super::call::Call;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use super::http::HttpAction;
use super::log::LogAction;
use super::prometheus::{PrometheusAction, expected};
use super::service::ServiceAction;
use super::sql::SqlAction;
use super::step::{CaptureRule, Choice, End, ItemFailure, OnFailure, Probe, Step, Then};
use super::target::TargetRef;
use super::with_action::{Given, one_action};
use crate::expr::{Expr, Template};
use crate::source::{Data, Node, Sp};
use indexmap::IndexMap;
use std::sync::Arc;

record_with_action! {
    /// An action inside a step: `verify`, `preview` or `undo`.
    pub(super) struct ProbeRecord = "step part" {
        /// For how long it is asked again until it holds.
        may within = "within": DurationSpec,
        /// The pause between two attempts (default 2s).
        may every = "every": DurationSpec,
        /// A read after an undo.
        may verify = "verify": Probe,
    }
    later: []
}

impl Decode for Probe {
    fn grammar() -> Grammar {
        ProbeRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = ProbeRecord::decode(node, decoder)?;
        let expect_is_enough = !record.expect.0.is_empty();
        let action = take_action!(record, decoder, expect_is_enough)?;
        if matches!(action, Action::Interactive(_)) {
            decoder.error("stray-key", record.span, "`interactive` is a step of its own, and cannot stand inside one");
        }
        let expect = expected(&action, record.expect.0);
        Some(Self {
            span: record.span,
            action,
            target: record.target,
            capture: record.capture,
            expect,
            within: record.within,
            every: record.every,
            timeout: record.timeout,
            tolerate: record.tolerate.0,
            verify: record.verify.map(Box::new),
        })
    }
}

impl Decode for CaptureRule {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Expression, CaptureRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { value: Expr::decode(node, decoder)?, secret: false });
        }
        let record = CaptureRecord::decode(node, decoder)?;
        let secret = record.secret.is_some_and(|secret| secret.value);
        Some(Self { value: record.value, secret })
    }
}

record! {
    /// A value to keep, with more said about it.
    pub(super) struct CaptureRecord = "capture" {
        /// How it is computed.
        must value = "value": Expr,
        /// Whether it is a secret: from the moment it is found it is never shown and never recorded.
        may secret = "secret": Sp<bool>,
    }
}

record! {
    /// How many items may fail.
    pub(super) struct AtMost = "on_item_failure" {
        /// This many; the step still succeeds.
        must at_most = "at_most": Sp<i64>,
    }
}

impl Decode for ItemFailure {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Words(&["stop", "continue"]), AtMost::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.as_scalar().map(|scalar| scalar.text.as_str()) {
            Some("stop") => Some(Self::Stop),
            Some("continue") => Some(Self::Continue),
            Some(_) => decoder.mismatch(node, "`stop`, `continue` or `{at_most: n}`"),
            None => {
                let record = AtMost::decode(node, decoder)?;
                match usize::try_from(record.at_most.value) {
                    Ok(most) => Some(Self::AtMost(most)),
                    Err(_) => decoder.mismatch(node, "a number of items that is not negative"),
                }
            }
        }
    }
}

record! {
    /// What happens when a step fails.
    pub(super) struct OnFailureRecord = "on_failure" {
        /// Ends the run as escalated, with this text.
        may escalate = "escalate": Escalation,
        /// Steps to perform.
        may steps = "steps": Vec<Arc<Step>>,
        /// What comes after them: stop (default), continue, again.
        may then = "then": Then,
        /// How often `again` may happen (default 1).
        may times = "times": Sp<i64>,
    }
}

impl Decode for OnFailure {
    fn grammar() -> Grammar {
        let words = Grammar::Words(&["stop", "continue"]);
        Grammar::AnyOf(vec![words, Grammar::List(Box::new(Step::grammar())), OnFailureRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let plain = |then| Self { escalate: None, steps: Vec::new(), then, times: 1 };
        match &node.data {
            Data::Scalar(scalar) => match scalar.text.as_str() {
                "stop" => Some(plain(Then::Stop)),
                "continue" => Some(plain(Then::Continue)),
                _ => decoder.mismatch(node, "`stop`, `continue`, `{escalate: TEXT}` or a list of steps"),
            },
            Data::List(_) => Some(Self { steps: Vec::decode(node, decoder)?, ..plain(Then::Stop) }),
            Data::Map(_) => {
                let record = OnFailureRecord::decode(node, decoder)?;
                let times = record.times.as_ref().map_or(1, |times| usize::try_from(times.value).unwrap_or(0));
                if times == 0 {
                    decoder.error("wrong-type", node.span, "`times` is at least 1");
                    return None;
                }
                if record.escalate.is_some() && (record.steps.is_some() || record.then.is_some()) {
                    decoder.error(
                        "stray-key",
                        node.span,
                        "`escalate` ends the run: no `steps` or `then` can follow it",
                    );
                    return None;
                }
                Some(Self {
                    escalate: record.escalate,
                    steps: record.steps.unwrap_or_default(),
                    then: record.then.unwrap_or(Then::Stop),
                    times,
                })
            }
        }
    }
}

record! {
    /// One option of a decide.
    pub(super) struct ChoiceRecord = "option" {
        /// Its title; the name when there is none.
        may title = "title": Template,
        /// When evidence chooses it; without it only a person can.
        may when = "when": Expr,
        /// How likely it is, in percent.
        may likelihood = "likelihood": Sp<f64>,
        /// What is done then.
        may steps = "steps": Vec<Arc<Step>>,
        /// Values it sets, read as `<decide>.NAME`.
        with set = "set": IndexMap<Sp<String>, Expr>,
        /// Ends the run: resolved or no_action.
        may end = "end": End,
        /// Ends the run as escalated.
        may escalate = "escalate": Escalation,
    }
}

impl Decode for Choice {
    fn grammar() -> Grammar {
        ChoiceRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = ChoiceRecord::decode(node, decoder)?;
        if let Some(likelihood) = &record.likelihood
            && !(0.0..=100.0).contains(&likelihood.value)
        {
            decoder.error("likelihood", likelihood.span, "a likelihood is a percentage between 0 and 100");
        }
        if record.end.is_some() && record.escalate.is_some() {
            decoder.error("many-ends", record.span, "an option ends the run one way: `end` or `escalate`");
        }
        Some(Self {
            span: record.span,
            title: record.title,
            when: record.when,
            likelihood: record.likelihood.map(|likelihood| likelihood.value),
            steps: record.steps.unwrap_or_default(),
            set: record.set,
            end: record.end,
            escalate: record.escalate,
        })
    }
}
