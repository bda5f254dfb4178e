//! The events of steps on the screen.

use super::super::blocks::{StepEnd, marked};
use super::super::card::{CardFrame, card_with_foot};
use super::super::layout::{INDENT, headline, labelled, prose};
use super::super::passed::{exact, passed};
use super::super::prompt::{option_table, option_title, shown_table, value_table};
use super::super::steps::{StepInfo, general, is_item};
use super::super::style::{Style, Tone};
use super::super::value::{short, to_json};
use super::super::words;
use super::{ITEM_LINES, LiveScreen, Running, spaced, told};
use crate::event::{
    Actor, AnswerKind, CardView, Event, GateAnswer, GateApproval, OptionView, Outcome, Record, StepPath, StoredValue,
    UsedView,
};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};

impl LiveScreen {
    pub(super) fn step_event(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        match &record.event {
            Event::StepSkipped { reason, deviation, .. } => {
                self.skipped_at.get_or_insert(record.time);
                self.step_skipped(record.time, path, reason, *deviation)
            }
            Event::Decided { .. } => self.decided(record, path, style),
            Event::StepStarted { title } => {
                self.entry(path).title = Some(title.clone());
                Vec::new()
            }
            Event::ItemsListed { items } => {
                let items: StoredValue = StoredValue::Value(items.iter().map(to_json).collect());
                let room = style.columns().saturating_sub(INDENT + 2);
                let text = style.cut(&format!("{}: {}", style.text(&path.0), short(style, &items, room)), room);
                labelled(style, 2, "items", "  ", &text)
            }
            Event::Called { runbook, inputs, .. } => {
                let step = self.steps.find(path);
                let mut out = self.opening(&step, path, style, &format!("calls {}", style.text(runbook)));
                out.extend(value_table(style, inputs.iter().map(|(name, value)| (name.as_str(), value))));
                let running = self.entry(path);
                running.announced = true;
                running.change = step.kind == "remediate";
                running.since = Some(record.time);
                running.since_ms = Some(record.elapsed_ms);
                out
            }
            Event::GateOpened { card: view, .. } => {
                self.gate_opened(record, path, view);
                Vec::new()
            }
            Event::GateApproved { digest, approval, .. } => gate_approved(record, path, digest, approval, style),
            Event::GateAnswered { digest, answer, .. } => self.gate_answered(record, path, digest, answer, style),
            Event::Asked { .. } => {
                self.running.entry(path.clone()).or_default().waiting = Some("an answer");
                Vec::new()
            }
            Event::Answered { values, door } => {
                self.entry(path).waiting = None;
                let step = self.steps.find(path);
                let values = value_table(style, values.iter().map(|(name, value)| (name.as_str(), value)));
                let mut out = self.opening(&step, path, style, "answered");
                out.extend(values);
                let who = style.text(&words::actor(&record.actor));
                out.extend(prose(style, INDENT, &format!("by {who} {}", words::door(*door))));
                out
            }
            Event::AttemptStarted { .. } => self.attempt_started(record, path, style),
            Event::AttemptEnded { .. } => self.attempt_ended(record, path, style),
            Event::Sampled { .. } => self.sampled(record, path, style),
            Event::BackgroundReady { .. } => {
                let step = self.steps.find(path);
                self.opening(&step, path, style, "runs in the background")
            }
            Event::Paused { for_ms, reason } => {
                self.entry(path).paused = Some((style.text(reason), later(record.time, *for_ms)));
                Vec::new()
            }
            Event::StepEnded { .. } => self.step_ended(record, path, style),
            Event::Settled { settlement, reason, door } => {
                let who = format!("{} {}", words::actor(&record.actor), words::door(*door));
                let what = words::settlement(*settlement);
                marked(style, Tone::Attention, "settled", &style.text(&format!("{path}: {what}, says {who}: {reason}")))
            }
            Event::ChangeMade { until: Some(until), .. } => {
                let text = format!("{path} ends by itself at {} UTC", words::near(*until, record.time));
                labelled(style, 2, "open", "  ", &style.text(&text))
            }
            Event::ChangeMade { temporary: true, .. } => {
                labelled(style, 2, "open", "  ", &style.text(&format!("{path} is taken back when the run ends")))
            }
            _ => Vec::new(),
        }
    }

    fn entry(&mut self, path: &StepPath) -> &mut Running {
        self.running.entry(path.clone()).or_default()
    }

    fn title(&self, path: &StepPath, step: &StepInfo) -> String {
        self.running.get(path).and_then(|running| running.title.clone()).unwrap_or_else(|| step.title.clone())
    }

    fn opening(&self, step: &StepInfo, path: &StepPath, style: &Style, state: &str) -> Vec<String> {
        let right = if state.is_empty() { vec![] } else { vec![(state.to_owned(), Tone::Good)] };
        headline(style, step, &self.title(path, step), &right)
    }

    fn step_skipped(&mut self, time: Timestamp, path: &StepPath, reason: &str, deviation: bool) -> Vec<String> {
        self.running.shift_remove(path);
        if deviation {
            self.deviations.skipped(time, path, reason);
        }
        let mark = if deviation { " (a deviation)" } else { "" };
        self.skipped.push((format!("{path}{mark}"), reason.to_owned()));
        Vec::new()
    }

    fn decided(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::Decided { chosen, by, options, shown, reason, values } = &record.event else { return Vec::new() };
        self.entry(path).waiting = None;
        let step = self.steps.find(path);
        let who = match by.as_str() {
            "person" => style.text(&words::actor(&record.actor)),
            other => style.text(other),
        };
        let why = reason.as_deref().map(|why| format!(": {}", style.text(why))).unwrap_or_default();
        if options.is_empty() {
            // A `when` that the machine settled shows in what follows; one that a person settled is told.
            let plain = by == "evidence";
            let text = format!("{} {}, by {who}{why}", path, chosen.join(", "));
            return if plain { Vec::new() } else { labelled(style, 2, "when", "  ", &style.text(&text)) };
        }
        self.decision(&step, path, style, (chosen, options, shown, values), &format!("(by {who}{why})"))
    }

    fn decision(
        &self,
        step: &StepInfo,
        path: &StepPath,
        style: &Style,
        facts: (&Vec<String>, &Vec<OptionView>, &Vec<UsedView>, &IndexMap<String, StoredValue>),
        by: &str,
    ) -> Vec<String> {
        let (chosen, options, shown, values) = facts;
        let mut out = self.opening(step, path, style, "");
        out.extend(shown_table(style, shown));
        out.extend(option_table(style, options, false));
        let title = |name: &String| {
            options
                .iter()
                .find(|option| option.name == *name)
                .map_or_else(|| name.clone(), |option| option_title(option).to_owned())
        };
        let titles: Vec<String> = chosen.iter().map(title).collect();
        let titles = if titles.is_empty() { "no option".to_owned() } else { style.text(&titles.join(", ")) };
        out.extend(labelled(style, INDENT - 2, "->", " ", &format!("{titles} {by}")));
        let values = value_table(style, values.iter().map(|(name, value)| (name.as_str(), value)));
        out.extend(values);
        out
    }

    fn gate_opened(&mut self, record: &Record, path: &StepPath, view: &CardView) {
        let running = self.entry(path);
        running.waiting = Some("an answer");
        running.title = Some(view.title.clone());
        running.announced = true;
        running.change = true;
        self.opened = Some(record.clone());
    }

    /// The card of a gate that has opened, where cards are shown.
    pub(super) fn opened_card(&mut self, opened: &Record, foot: &str, style: &Style) -> Vec<String> {
        let (Event::GateOpened { digest, expires, card: view, .. }, Some(path)) = (&opened.event, &opened.step) else {
            return Vec::new();
        };
        if !self.options.cards {
            return Vec::new();
        }
        let step = self.steps.find(path);
        let good_for_ms = words::between(opened.time, *expires);
        let frame = CardFrame { step: &step, card: view, digest, good_for_ms, may_skip: false, answers: false };
        spaced(card_with_foot(&frame, style, foot))
    }

    /// A gate that nobody was asked at: in short while a run goes on, in full for a run that is over.
    fn gate_passed(&mut self, opened: &Record, path: &StepPath, answer: &GateAnswer, style: &Style) -> Vec<String> {
        let Event::GateOpened { digest, card: view, .. } = &opened.event else { return Vec::new() };
        if self.options.clock {
            let foot = format!("passed {}, nobody was asked", words::door(answer.door));
            return self.opened_card(opened, &foot, style);
        }
        passed(style, &self.steps.find(path), view, digest, answer.door)
    }

    fn gate_answered(
        &mut self,
        record: &Record,
        path: &StepPath,
        digest: &str,
        answer: &GateAnswer,
        style: &Style,
    ) -> Vec<String> {
        self.entry(path).waiting = None;
        if let Some(opened) = self.opened.take_if(|opened| opened.step.as_ref() == Some(path)) {
            return self.gate_passed(&opened, path, answer, style);
        }
        let (word, _) = words::answer(answer.answer);
        let who = match (&record.actor, answer.answer) {
            (Actor::Runwright, AnswerKind::Expired | AnswerKind::Voided) => String::new(),
            (Actor::Runwright, _) => format!(" {}", words::door(answer.door)),
            (who, _) => format!(" by {} {}", words::actor(who), words::door(answer.door)),
        };
        let why = answer.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let short: String = digest.chars().take(8).collect();
        let text = style.text(&format!("{path} {word}{who}{why}"));
        let digest = format!(" {} digest {}", style.glyphs().dot, style.text(&short));
        labelled(style, 2, "gate", "  ", &format!("{text}{digest}"))
    }

    fn attempt_started(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::AttemptStarted { act, change } = &record.event else { return Vec::new() };
        let (time, elapsed) = (record.time, record.elapsed_ms);
        let attempt = record.attempt.unwrap_or(1);
        let running = self.entry(path);
        let first = running.since.is_none();
        running.since.get_or_insert(time);
        running.since_ms.get_or_insert(elapsed);
        running.attempt = attempt;
        running.active = true;
        running.change = *change;
        running.act = (!*change).then(|| act.clone());
        running.waiting = None;
        let announced = std::mem::replace(&mut running.announced, true);
        if !*change || is_item(path) {
            return Vec::new();
        }
        if !first {
            return prose(style, INDENT, &format!("attempt {attempt} begins"));
        }
        if announced {
            return Vec::new();
        }
        let mut out = self.opening(&self.steps.find(path), path, style, "started");
        out.extend(exact(style, &act.text));
        out
    }

    /// A sample is news for the status line; all of them are in the record.
    fn sampled(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::Sampled { captures, left_ms, .. } = &record.event else { return Vec::new() };
        let room = style.columns() / 3;
        let values: Vec<String> = captures
            .iter()
            .map(|(name, value)| format!("{} {}", style.text(name), short(style, value, room)))
            .collect();
        self.entry(path).sampled = Some((values.join(", "), later(record.time, *left_ms)));
        Vec::new()
    }

    fn attempt_ended(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::AttemptEnded { outcome, error, message, evidence, left, .. } = &record.event else {
            return Vec::new();
        };
        let text = told(error.as_ref(), message.as_deref());
        let running = self.entry(path);
        running.active = false;
        running.evidence.clone_from(evidence);
        running.error.clone_from(&text);
        let change = running.change;
        self.output.forget(path);
        let mut out = Vec::new();
        if change && *outcome != Outcome::Succeeded && !is_item(path) {
            let (word, _) = words::outcome(*outcome);
            let attempt = record.attempt.unwrap_or(1);
            let text = text.map(|text| format!(": {}", style.text(&text))).unwrap_or_default();
            out.extend(prose(style, INDENT, &format!("attempt {attempt} {word}{text}")));
        }
        for process in left {
            out.extend(marked(style, Tone::Attention, "left behind", &style.text(&format!("by {path}: {process}"))));
        }
        out
    }

    fn step_ended(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::StepEnded { outcome, verdict, captures, checks, shown, reason, handled, .. } = &record.event else {
            return Vec::new();
        };
        let step = self.steps.find(path);
        let title = self.title(path, &step);
        let running = self.running.shift_remove(path).unwrap_or_default();
        self.output.forget(path);
        let took_ms = running.since_ms.map(|since| record.elapsed_ms.saturating_sub(since));
        // A decide has told its choice; its end is news only when it is not a success.
        if step.kind == "decide" && *outcome == Outcome::Succeeded {
            return Vec::new();
        }
        if is_item(path) {
            let text = reason.as_deref().or(running.error.as_deref());
            return self.item_ended(path, *outcome, took_ms, text, style);
        }
        // A change was announced with its title when it began; trouble says again what it is about.
        let is_told = running.announced && running.change && *outcome == Outcome::Succeeded;
        let end = StepEnd {
            step: &step,
            title: if is_told { "" } else { &title },
            items: running.items,
            change: running.change,
            took_ms,
            attempts: running.attempt,
            outcome: *outcome,
            verdict: *verdict,
            captures,
            checks,
            shown,
            reason: reason.as_deref(),
            handled: *handled,
            // A change has told each of its attempts as it ended.
            error: running.error.as_deref().filter(|_| !running.change),
            evidence: &running.evidence,
            act: running.act.as_deref(),
            location: self.places.get(&general(path)).map(String::as_str),
        };
        end.lines(style)
    }

    fn item_ended(
        &mut self,
        path: &StepPath,
        outcome: Outcome,
        took_ms: Option<u64>,
        text: Option<&str>,
        style: &Style,
    ) -> Vec<String> {
        let holder = StepPath(path.0.rsplit_once('[').map_or(path.0.as_str(), |(holder, _)| holder).to_owned());
        let running = self.entry(&holder);
        let (word, tone) = words::outcome(outcome);
        let quiet = outcome == Outcome::Succeeded;
        if quiet {
            running.items.0 += 1;
        } else {
            running.items.1 += 1;
        }
        let seen = running.items.0 + running.items.1;
        if quiet && seen > ITEM_LINES {
            let first = seen == ITEM_LINES + 1;
            let line = "further items are shown only when they do not succeed";
            return if first { prose(style, INDENT, line) } else { Vec::new() };
        }
        let took = took_ms.map(words::span).unwrap_or_default();
        let mut out =
            vec![format!("{}{}  {took}  {}", " ".repeat(INDENT), style.text(&path.0), style.paint(tone, word))];
        if let Some(text) = text.filter(|_| !quiet) {
            out.extend(prose(style, INDENT + 2, &style.text(text)));
        }
        out
    }
}

fn later(time: Timestamp, ms: u64) -> Timestamp {
    let span = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    time.checked_add(span).unwrap_or(time)
}

/// One approval of several, or one that waits for its window.
fn gate_approved(
    record: &Record,
    path: &StepPath,
    digest: &str,
    approval: &GateApproval,
    style: &Style,
) -> Vec<String> {
    let key = approval.signature.as_ref().map(|signature| format!(", key {}", signature.key)).unwrap_or_default();
    let why = approval.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let short: String = digest.chars().take(8).collect();
    let who = words::actor(&record.actor);
    let text = format!("{path} has an approval of {who} {}{key}{why}", words::door(approval.door));
    let digest = format!(" {} digest {}", style.glyphs().dot, style.text(&short));
    labelled(style, 2, "gate", "  ", &format!("{}{digest}", style.text(&text)))
}
