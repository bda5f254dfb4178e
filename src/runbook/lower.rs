//! From the keys of a step as written to a typed step: exactly one kind, exactly one action, siblings that fit.

use super::action::{
    Action, Argv, Data as ActionData, EditAction, Escalation, Program, Shell, WriteAction, action_names,
};
use super::amount::DurationSpec;
use super::ask::Ask;
use super::call::Call;
use super::decode::{Decode, Decoder, Many};
use super::gate::Gate;
use super::grammar::Grammar;
use super::http::HttpAction;
use super::log::LogAction;
use super::prometheus::{PrometheusAction, expected};
use super::service::ServiceAction;
use super::sql::SqlAction;
use super::step::{
    Background, CaptureRule, Change, Choice, Decide, DecideBy, Each, FirstFailure, Hold, ItemFailure, Kind, OnFailure,
    Parallel, Probe, Retry, Risk, Step, StepBody, Temporary, Until,
};
use super::target::TargetRef;
use super::undo::Undo;
use super::with_action::{Given, one_action};
use crate::expr::{Expr, Template};
use crate::source::{Diagnostic, Node, Sp};
use indexmap::IndexMap;
use std::sync::Arc;

record_with_action! {
    /// One step.
    pub(super) struct StepRecord = "step" {
        /// Its id: lower-case letters, digits and `_`; the default comes from the title.
        may id = "id": Sp<String>,
        /// A step that reads; its value is the title.
        may diagnose = "diagnose": Template,
        /// A step that chooses.
        may decide = "decide": Template,
        /// A step that changes.
        may remediate = "remediate": Template,
        /// A step that proves.
        may validate = "validate": Template,
        /// A phase: steps held together.
        may group = "group": Template,
        /// The steps of a group.
        may steps = "steps": Vec<Arc<Step>>,
        /// Performed only if this holds.
        may when = "when": Expr,
        /// Replaces the implied order: ids of steps.
        may needs = "needs": Vec<Sp<String>>,
        /// Why it is there, for people.
        may why = "why": Template,
        /// More for people.
        may notes = "notes": Template,
        /// Shown before the step, in the gate and in the docs.
        may warning = "warning": Template,
        /// Addresses to read.
        with links = "links": Many<Sp<String>>,
        /// More attempts; never implied for a change.
        may retry = "retry": Retry,
        /// Repeats a read until it holds.
        may until = "until": Until,
        /// Samples a read for a stretch of time; the first breach ends it.
        may hold = "hold": Hold,
        /// Keeps the process running for the steps after it; it is ended with the run or the group.
        may background = "background": Sp<bool>,
        /// For a background step: a read that says when it may be relied on.
        may ready = "ready": Probe,
        /// For a group: whether its steps start together.
        may parallel = "parallel": Sp<bool>,
        /// For a parallel group: what the first failure does to the others, `wait` (default) or `cancel`.
        may first_failure = "first_failure": FirstFailure,
        /// Performs the act, or the steps of a group, for each item of this list.
        may for_each = "for_each": Expr,
        /// The name of the item (default: `item`).
        may as_name = "as": Sp<String>,
        /// How many items at once (default 1).
        may at_once = "at_once": Sp<i64>,
        /// The pause between the starts of two items.
        may pause = "pause": DurationSpec,
        /// What a failed item does: `stop` (default), `continue` or `{at_most: n}`.
        may on_item_failure = "on_item_failure": ItemFailure,
        /// Whether an empty list is fine.
        may allow_empty = "allow_empty": Sp<bool>,
        /// Values to put on the screen and in the report as evidence.
        with show = "show": Many<Expr>,
        /// What happens when it fails.
        may on_failure = "on_failure": OnFailure,
        /// Whether the operator may not skip it.
        may required = "required": Sp<bool>,
        /// How much harm a change could do: low, medium (default), high.
        may risk = "risk": Risk,
        /// What the runbook asks of the gate: a floor.
        may gate = "gate": Gate,
        /// A read that shows what would change.
        may preview = "preview": Probe,
        /// A read after the act.
        may verify = "verify": Probe,
        /// How to take it back: an act, or steps.
        may undo = "undo": Undo,
        /// Why it cannot be taken back.
        may irreversible = "irreversible": Template,
        /// Why what it makes stays: an undo of the run leaves it, and that is no fault.
        may keep = "keep": Template,
        /// Whether a change may be made twice: one whose end was not seen, and whose `verify` does not hold, is offered again.
        may idempotent = "idempotent": Sp<bool>,
        /// `true`: taken back when the run ends; `{ends: 1h}`: ends by itself, and is listed as open until then.
        may temporary = "temporary": Temporary,
        /// The options of a decide by name.
        may options = "options": IndexMap<Sp<String>, Choice>,
        /// What a decide does when nothing is chosen and nobody is there.
        may otherwise = "otherwise": Choice,
        /// Who decides: `evidence` (default) or `person`.
        may by = "by": DecideBy,
        /// Every option whose `when` holds is taken.
        may all = "all": Sp<bool>,
        /// The first option whose `when` holds is taken.
        may first = "first": Sp<bool>,
    }
    later: []
}

impl Decode for Step {
    fn grammar() -> Grammar {
        StepRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = StepRecord::decode(node, decoder)?;
        let (kind, title) = kind_of(&record, decoder)?;
        stray_keys(&record, kind, decoder);
        let id = step_id(&record, &title, decoder)?;
        let has_own_id = record.id.is_some();
        let each = each_of(&record, decoder);
        let change = (kind == Kind::Remediate).then(|| Change {
            risk: record.risk.unwrap_or(Risk::Medium),
            has_own_risk: record.risk.is_some(),
            gate: record.gate.clone(),
            preview: record.preview.clone().map(Box::new),
            verify: record.verify.clone().map(Box::new),
            undo: record.undo.clone(),
            irreversible: record.irreversible.clone(),
            keep: record.keep.clone(),
            idempotent: record.idempotent.as_ref().is_some_and(|idempotent| idempotent.value),
            temporary: record.temporary.clone(),
        });
        let span = record.span;
        let background = record.background.as_ref().filter(|background| background.value);
        let background = background.map(|_| Background { ready: record.ready.clone().map(Box::new) });
        let parallel = record.parallel.as_ref().filter(|parallel| parallel.value);
        let parallel = parallel.map(|_| Parallel { first_failure: record.first_failure.unwrap_or(FirstFailure::Wait) });
        let target = fan_out(&record);
        let body = match kind {
            Kind::Decide => StepBody::Decide(Decide {
                options: record.options.clone().unwrap_or_default(),
                otherwise: record.otherwise.clone(),
                by: record.by.unwrap_or(DecideBy::Evidence),
                all: record.all.as_ref().is_some_and(|all| all.value),
                first: record.first.as_ref().is_some_and(|first| first.value),
            }),
            Kind::Group => StepBody::Group(record.steps.clone().unwrap_or_default()),
            _ => {
                let expect_is_enough = kind == Kind::Validate && !record.expect.0.is_empty();
                let record = record.clone();
                StepBody::Action(take_action!(record, decoder, expect_is_enough)?)
            }
        };
        let waits_for = record.until.as_ref().is_some_and(|until| !until.expect.0.is_empty());
        let expect = match &body {
            StepBody::Action(action) if !waits_for => expected(action, record.expect.0),
            _ => record.expect.0,
        };
        Some(Self {
            span,
            id,
            has_own_id,
            kind,
            title,
            body,
            target,
            when: record.when,
            needs: record.needs,
            why: record.why,
            notes: record.notes,
            warning: record.warning,
            links: record.links.0,
            timeout: record.timeout,
            retry: record.retry,
            until: record.until,
            hold: record.hold,
            background,
            parallel,
            each,
            capture: record.capture,
            expect,
            show: record.show.0,
            tolerate: record.tolerate.0,
            on_failure: record.on_failure,
            required: record.required.is_some_and(|required| required.value),
            change,
        })
    }
}

fn kind_of(record: &StepRecord, decoder: &mut Decoder<'_>) -> Option<(Kind, Template)> {
    let kinds = [
        (Kind::Diagnose, &record.diagnose),
        (Kind::Decide, &record.decide),
        (Kind::Remediate, &record.remediate),
        (Kind::Validate, &record.validate),
        (Kind::Group, &record.group),
    ];
    let given: Vec<_> = kinds.iter().filter_map(|(kind, title)| Some((*kind, title.as_ref()?))).collect();
    match given.as_slice() {
        [(kind, title)] => Some((*kind, (*title).clone())),
        [] if decoder.has_refused_key(record.span) => None,
        [] => {
            decoder.error_hint(
                "no-kind",
                record.span,
                "this step does not say what kind it is",
                "start it with `diagnose:`, `decide:`, `remediate:`, `validate:` or `group:` and its title",
            );
            None
        }
        [(first, _), (second, title), ..] => {
            decoder.problems.push(
                Diagnostic::error(
                    decoder.source,
                    "many-kinds",
                    title.span(),
                    format!("a step has one kind, this one is `{}` and `{}`", first.as_str(), second.as_str()),
                )
                .hint("make two steps of it"),
            );
            None
        }
    }
}

/// Keys that mean nothing for the kind are errors, never ignored.
fn stray_keys(record: &StepRecord, kind: Kind, decoder: &mut Decoder<'_>) {
    let change = kind == Kind::Remediate;
    let decide = kind == Kind::Decide;
    let acts = !matches!(kind, Kind::Decide | Kind::Group);
    let action = record.run.is_some()
        || record.shell.is_some()
        || record.http.is_some()
        || record.edit.is_some()
        || record.write.is_some()
        || record.ask.is_some()
        || record.manual.is_some()
        || record.set.is_some()
        || record.assert.is_some()
        || record.wait.is_some()
        || record.escalate.is_some()
        || record.sql.is_some()
        || record.prometheus.is_some()
        || record.alert.is_some()
        || record.kubectl.is_some()
        || record.log.is_some()
        || record.service.is_some()
        || record.interactive.is_some()
        || record.call.is_some();
    let group = kind == Kind::Group;
    let rules = [
        ("risk", record.risk.is_some(), change),
        ("gate", record.gate.is_some(), change),
        ("preview", record.preview.is_some(), change),
        ("verify", record.verify.is_some(), change),
        ("undo", record.undo.is_some(), change),
        ("irreversible", record.irreversible.is_some(), change),
        ("keep", record.keep.is_some(), change),
        ("idempotent", record.idempotent.is_some(), change),
        ("options", record.options.is_some(), decide),
        ("otherwise", record.otherwise.is_some(), decide),
        ("by", record.by.is_some(), decide),
        ("all", record.all.is_some(), decide),
        ("first", record.first.is_some(), decide),
        ("steps", record.steps.is_some(), kind == Kind::Group),
        ("until", record.until.is_some(), kind.is_read()),
        ("hold", record.hold.is_some(), kind.is_read()),
        ("temporary", record.temporary.is_some(), change),
        ("parallel", record.parallel.is_some(), group),
        (
            "background",
            record.background.is_some(),
            kind != Kind::Validate && (record.run.is_some() || record.shell.is_some() || record.kubectl.is_some()),
        ),
        ("ready", record.ready.is_some(), record.background.is_some()),
        ("first_failure", record.first_failure.is_some(), group && record.parallel.is_some()),
        ("retry", record.retry.is_some(), acts),
        ("for_each", record.for_each.is_some(), acts || group),
        ("capture", !record.capture.is_empty(), acts),
        ("expect", !record.expect.0.is_empty(), acts),
        ("timeout", record.timeout.is_some(), acts),
        ("tolerate", !record.tolerate.0.is_empty(), acts),
        ("target", record.target.is_some(), acts),
        ("an action", action, acts),
    ];
    for (key, is_given, fits) in rules {
        if is_given && !fits {
            let quoted = if key == "an action" { key.to_owned() } else { format!("`{key}`") };
            decoder.error("stray-key", record.span, format!("{quoted} has no meaning on a {} step", kind.as_str()));
        }
    }
    let repeats = [
        ("for_each", record.for_each.is_some()),
        ("until", record.until.is_some()),
        ("hold", record.hold.is_some()),
        ("retry", record.retry.is_some()),
        ("timeout", record.timeout.is_some()),
    ];
    for (key, _) in repeats.into_iter().filter(|(_, is_given)| *is_given && record.interactive.is_some()) {
        let message =
            format!("`{key}` has no meaning for `interactive`: a person starts it, once, and takes the time it takes");
        decoder.error("stray-key", record.span, message);
    }
    let people = [("ask", record.ask.is_some()), ("manual", record.manual.is_some())];
    for (action, _) in people.into_iter().filter(|(_, is_given)| *is_given) {
        for (key, _) in repeats.into_iter().filter(|(_, is_given)| *is_given) {
            let message =
                format!("`{key}` has no meaning for `{action}`: a person is asked once, and takes the time it takes");
            decoder.error("stray-key", record.span, message);
        }
    }
    let plain = record.gate.as_ref().is_some_and(|gate| gate.text.is_none() && !gate.asks_more());
    if record.manual.is_some() && plain {
        let message = "`confirm` has no meaning for `manual`: nothing is done until a person says that it was done";
        decoder.error("stray-key", record.span, message);
    }
    if decide && record.options.as_ref().is_none_or(IndexMap::is_empty) {
        decoder.error("missing-key", record.span, "this decide has no `options`");
    }
    if decide && record.all.is_some() && record.first.is_some() {
        decoder.error("stray-key", record.span, "`all` and `first` exclude each other");
    }
    if kind == Kind::Group && record.steps.as_ref().is_none_or(Vec::is_empty) {
        decoder.error("missing-key", record.span, "this group has no `steps`");
    }
    if record.hold.is_some() {
        let others = [("until", record.until.is_some()), ("retry", record.retry.is_some())];
        for (key, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`hold` and `{key}` exclude each other: what is watched is not tried again");
            decoder.error("stray-key", record.span, message);
        }
    }
    if record.background.as_ref().is_some_and(|background| background.value) {
        let others = [
            ("until", record.until.is_some()),
            ("hold", record.hold.is_some()),
            ("retry", record.retry.is_some()),
            ("for_each", record.for_each.is_some()),
            ("capture", !record.capture.is_empty()),
            ("expect", !record.expect.0.is_empty()),
            ("verify", record.verify.is_some()),
            ("temporary", record.temporary.is_some()),
            ("timeout", record.timeout.is_some()),
            ("on_failure", record.on_failure.is_some()),
        ];
        for (key, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{key}` has no meaning for a process that is kept running");
            decoder.error_hint("stray-key", record.span, message, "say with `ready` when it may be relied on");
        }
    }
    let ends = [record.undo.is_some(), record.irreversible.is_some(), record.keep.is_some()];
    if ends.iter().filter(|given| **given).count() > 1 {
        decoder.error("stray-key", record.span, "a change has one of `undo`, `irreversible` and `keep`");
    }
}

fn each_of(record: &StepRecord, decoder: &mut Decoder<'_>) -> Option<Each> {
    let targets = target_list(record, decoder);
    let over_targets = targets.is_some();
    let Some(list) = record.for_each.clone().or(targets) else {
        let companions = [
            ("as", record.as_name.is_some()),
            ("at_once", record.at_once.is_some()),
            ("on_item_failure", record.on_item_failure.is_some()),
            ("allow_empty", record.allow_empty.is_some()),
            ("pause", record.pause.is_some()),
        ];
        for (key, _) in companions.into_iter().filter(|(_, is_given)| *is_given) {
            decoder.error("stray-key", record.span, format!("`{key}` belongs to `for_each`, and there is none"));
        }
        return None;
    };
    let name = record.as_name.clone().unwrap_or_else(|| {
        let name = if over_targets { TARGET_ITEM } else { "item" };
        Sp::new(name.to_owned(), list.span())
    });
    let at_once = record.at_once.as_ref().map_or(1, |at_once| at_once.value);
    let at_once = usize::try_from(at_once).ok().filter(|&at_once| (1..=64).contains(&at_once)).unwrap_or_else(|| {
        decoder.error("wrong-type", record.span, "`at_once` is between 1 and 64");
        1
    });
    Some(Each {
        list,
        name,
        at_once,
        on_item_failure: record.on_item_failure.unwrap_or(ItemFailure::Stop),
        pause: record.pause.clone(),
        allow_empty: record.allow_empty.as_ref().is_some_and(|allow| allow.value),
    })
}

/// The list of a step that names several targets, as `for_each` would give it.
fn target_list(record: &StepRecord, decoder: &mut Decoder<'_>) -> Option<Expr> {
    let Some(TargetRef::Each(names)) = &record.target else { return None };
    if record.for_each.is_some() {
        decoder.error("stray-key", record.span, "a step has one list: `for_each`, or the targets it names");
        return None;
    }
    let quoted: Vec<_> =
        names.iter().map(|name| format!("'{}'", name.value.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
    let span = names.first().map(|name| name.span).unwrap_or_default();
    Expr::parse(&format!("[{}]", quoted.join(", ")), &|_| span).ok()
}

/// The target of a step; where it names several, it is the item.
fn fan_out(record: &StepRecord) -> Option<TargetRef> {
    match &record.target {
        Some(TargetRef::Each(names)) => {
            let span = names.first().map(|name| name.span).unwrap_or_default();
            let item = record.as_name.as_ref().map_or(TARGET_ITEM, |name| name.value.as_str());
            Template::parse(&format!("{{{{ {item} }}}}"), &|_| span).ok().map(TargetRef::Computed)
        }
        other => other.clone(),
    }
}

/// The name of the item of a step that names several targets.
const TARGET_ITEM: &str = "target";

fn step_id(record: &StepRecord, title: &Template, decoder: &mut Decoder<'_>) -> Option<Sp<String>> {
    let Some(id) = &record.id else { return Some(Sp::new(id_from_title(title.source_text()), title.span())) };
    let fits = id.value.starts_with(|first: char| first.is_ascii_lowercase())
        && id.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !fits {
        decoder.error_hint(
            "step-id",
            id.span,
            format!("`{}` cannot be a step's id", id.value),
            "an id starts with a lower-case letter and goes on with lower-case letters, digits and `_`",
        );
        return None;
    }
    Some(id.clone())
}

/// An id out of a title: `Who fills the quarantine?` gives `who_fills_the_quarantine`.
fn id_from_title(title: &str) -> String {
    let mut id = String::new();
    for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if id.len() + word.len() > 40 && !id.is_empty() {
            break;
        }
        if !id.is_empty() {
            id.push('_');
        }
        id.push_str(&word.to_ascii_lowercase());
    }
    if id.starts_with(|first: char| first.is_ascii_lowercase()) { id } else { format!("step_{id}") }
}
