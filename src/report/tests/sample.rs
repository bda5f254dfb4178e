//! A run as the engine would record it, for tests.

use super::super::{StepInfo, StepTable};
use crate::event::{
    ActView, Actor, CardView, CheckView, Event, EvidenceRef, GateAnswer, GateRequirement, IdentityKind, InputView,
    Line, Mode, Operator, OptionVerdict, OptionView, Outcome, Record, RunId, RunResult, StepPath, StepVerdict,
    StoredValue, UsedView, Waiting,
};
use crate::event::{AnswerKind, Door};
use crate::event::{Mark, Settlement};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::HashMap;

pub(super) const RUN: &str = "20261121-0114-k3f9";
pub(super) const DIGEST: &str = "9c41e7f0aa55aa55aa55aa55aa55aa55aa55aa55aa55aa55aa55aa55aa55aa55";

/// Collects records, each with its time in milliseconds since the start.
#[derive(Default)]
pub(super) struct Tape {
    pub(super) records: Vec<Record>,
}

impl Tape {
    pub(super) fn put(&mut self, at_ms: u64, step: Option<&str>, event: Event) -> &mut Record {
        let time = start() + std::time::Duration::from_millis(at_ms);
        self.records.push(Record {
            seq: self.records.len() as u64 + 1,
            time,
            elapsed_ms: at_ms,
            actor: Actor::Runwright,
            step: step.map(|step| StepPath(step.to_owned())),
            attempt: None,
            event,
            prev: "0".repeat(64),
        });
        self.records.last_mut().unwrap()
    }

    pub(super) fn by_ana(&mut self, at_ms: u64, step: Option<&str>, event: Event) {
        self.put(at_ms, step, event).actor = Actor::Person(ana());
    }

    pub(super) fn attempt(&mut self, at_ms: u64, step: &str, action: &str, text: &str, change: bool) {
        let act = Box::new(ActView { action: action.into(), text: text.into(), ..ActView::default() });
        self.put(at_ms, Some(step), Event::AttemptStarted { act, change }).attempt = Some(1);
    }

    pub(super) fn attempt_ended(&mut self, at_ms: u64, step: &str, outcome: Outcome) {
        let event = Event::AttemptEnded {
            outcome,
            error: None,
            message: None,
            fields: IndexMap::new(),
            evidence: vec![kept("body", 2048, "{\"items\": []}")],
            took_ms: 0,
            left: vec![],
        };
        self.put(at_ms, Some(step), event).attempt = Some(1);
    }

    pub(super) fn ended(
        &mut self,
        at_ms: u64,
        step: &str,
        outcome: Outcome,
        says: Option<StepVerdict>,
        captures: &[(&str, Json)],
    ) {
        self.put(at_ms, Some(step), step_ended(outcome, says, captures, vec![], None));
    }
}

pub(super) fn step_ended(
    outcome: Outcome,
    verdict: Option<StepVerdict>,
    captures: &[(&str, Json)],
    checks: Vec<CheckView>,
    reason: Option<&str>,
) -> Event {
    Event::StepEnded {
        outcome,
        verdict,
        captures: captures
            .iter()
            .map(|(name, value)| ((*name).to_owned(), StoredValue::Value(value.clone())))
            .collect(),
        checks,
        shown: vec![],
        reason: reason.map(str::to_owned),
        handled: false,
        facts: Box::default(),
    }
}

pub(super) fn start() -> Timestamp {
    "2026-11-21T01:14:00Z".parse().unwrap()
}

pub(super) fn ana() -> Operator {
    Operator { name: "ana".into(), identity: IdentityKind::OsUser, host: Some("desk1".into()) }
}

pub(super) fn kept(stream: &str, size: u64, excerpt: &str) -> EvidenceRef {
    EvidenceRef {
        stream: stream.into(),
        size,
        sha256: "ab".repeat(32),
        excerpt: excerpt.into(),
        inline: size == excerpt.len() as u64,
        cut: false,
    }
}

pub(super) fn used(name: &str, value: Json) -> UsedView {
    UsedView { name: name.into(), value: StoredValue::Value(value) }
}

pub(super) fn started(warnings: &[&str]) -> Event {
    let input = |name: &str, value: Json, source: &str| InputView {
        name: name.into(),
        value: StoredValue::Value(value),
        source: source.into(),
    };
    Event::RunStarted {
        run: RunId::try_from(RUN.to_owned()).unwrap(),
        semantics: 1,
        version: "0.1.0".into(),
        mode: Mode::Run,
        runbook: "quarantine-overflow".into(),
        title: "Quarantine overflow".into(),
        file: "runbooks/quarantine-overflow.yaml".into(),
        text: String::new(),
        digest: "cd".repeat(32),
        library: Some("a1b2c3d".into()),
        environment: Some("prod".into()),
        production: true,
        operator: ana(),
        host: "desk1".into(),
        boot: "b".into(),
        pid: 4711,
        store: "s".into(),
        inputs: vec![
            input("url", json!("http://10.0.3.7:18180"), "environment prod"),
            input("ban", json!({"$duration": "1h"}), "default"),
            InputView {
                name: "admin".into(),
                value: StoredValue::Secret("admin".into()),
                source: "env STEMEDB_ADMIN_KEY".into(),
            },
        ],
        programs: vec![],
        warnings: warnings.iter().map(|text| (*text).to_owned()).collect(),
        called: Vec::new(),
        settings: None,
        folder: None,
        began: None,
        undo_of: None,
    }
}

fn answers(step: &str) -> Vec<String> {
    let names: &[&str] = match step {
        "cause" => &["flooding", "aggressive", "surge"],
        "reject" => &["count", "why"],
        _ => &[],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn steps() -> StepTable {
    let step = |kind: &str, id: &str, title: &str, depth: usize| {
        let info =
            StepInfo { kind: kind.into(), id: id.into(), title: title.into(), depth, risk: None, answers: answers(id) };
        (StepPath(id.to_owned()), info)
    };
    StepTable::from(HashMap::from([
        step("diagnose", "queue", "Who fills the quarantine?", 0),
        step("diagnose", "rates", "Is this a surge, or are good items caught?", 0),
        step("decide", "cause", "Which cause fits the evidence?", 0),
        step("remediate", "ban_agent", "Open the circuit breaker of {{ queue.top_agent }}", 1),
        step("remediate", "reject", "Reject the {{ items | length }} items of that agent", 1),
        step("remediate", "loosen", "Loosen the content defence", 1),
        step("validate", "under_50", "Fewer than 50 items wait", 0),
        step("validate", "alert_gone", "The alert's own expression is false", 0),
    ]))
}

pub(super) fn card() -> CardView {
    CardView {
        title: "Open the circuit breaker of 8f3a2b1c".into(),
        risk: "high".into(),
        act: ActView {
            action: "http".into(),
            text: "POST http://10.0.3.7:18180/v1/admin/circuit_breakers/8f3a2b1c/open".into(),
            more: vec![Line {
                label: "json".into(),
                text: r#"{"reason":"flooding_quarantine","duration_seconds":3600}"#.into(),
            }],
            target: Some("api".into()),
            holes: vec![],
        },
        items: vec![],
        target: Some("api = cluster 7f3a-prod-eu (proven 2 s ago)".into()),
        because: vec![used("queue.top_share", json!(0.951_171_875)), used("queue.pending", json!(512))],
        missing: vec![],
        preview: None,
        verify: Some("GET /v1/admin/circuit_breakers/8f3a2b1c expects body.state == 'OPEN' within 10 s".into()),
        undo: Some("POST /v1/admin/circuit_breakers/8f3a2b1c/reset".into()),
        irreversible: None,
        idempotent: false,
        stale: Vec::new(),
        warning: None,
        moved: vec![],
        limit: Some("act 1 of at most 50".into()),
        requires: GateRequirement::Type { text: "api".into(), what: "the target's name".into() },
        terms: crate::event::GateTerms::default(),
    }
}

pub(super) fn options() -> Vec<OptionView> {
    let option = |name: &str, title: &str, percent: f64, verdict, when: Option<&str>, used: Vec<UsedView>| OptionView {
        name: name.into(),
        title: title.into(),
        likelihood: Some(percent),
        verdict,
        expression: when.map(str::to_owned),
        used,
        reason: None,
    };
    vec![
        option(
            "flooding",
            "One agent floods the queue",
            45.0,
            OptionVerdict::Holds,
            Some("queue.top_share > 0.5"),
            vec![used("queue.top_share", json!(0.95))],
        ),
        option(
            "aggressive",
            "Content defence is too aggressive",
            25.0,
            OptionVerdict::DoesNotHold,
            Some("rates.false_positives > 0.3"),
            vec![used("rates.false_positives", json!(0.04))],
        ),
        option("surge", "A legitimate surge", 10.0, OptionVerdict::PersonsChoice, None, vec![]),
    ]
}

pub(super) fn decided() -> Event {
    Event::Decided {
        chosen: vec!["flooding".into()],
        by: "evidence".into(),
        options: options(),
        shown: vec![used("queue.pending", json!(512))],
        reason: None,
        values: IndexMap::new(),
    }
}

pub(super) fn gate_opened() -> Event {
    let expires = start() + std::time::Duration::from_secs(601);
    Event::GateOpened { number: 1, digest: DIGEST.into(), expires, card: Box::new(card()) }
}

pub(super) fn gate_answered(answer: AnswerKind) -> Event {
    let answer = GateAnswer { answer, door: Door::Terminal, reason: None };
    Event::GateAnswered { number: 1, digest: DIGEST.into(), answer }
}

/// Everything up to the gate: two reads and the decision.
pub(super) fn diagnosis() -> Tape {
    let mut tape = Tape::default();
    tape.put(0, None, started(&["last reviewed 283 days ago (every 90d)"]));
    let proven = Event::TargetProven {
        target: "api".into(),
        address: "10.0.3.7:18180".into(),
        identity: Some("cluster 7f3a-prod-eu".into()),
    };
    tape.put(40, None, proven);
    tape.attempt(50, "queue", "http", "GET http://10.0.3.7:18180/v1/admin/quarantine", false);
    tape.attempt(51, "rates", "http", "GET http://10.0.3.7:18180/metrics", false);
    tape.attempt_ended(180, "rates", Outcome::Succeeded);
    tape.ended(181, "rates", Outcome::Succeeded, None, &[("false_positives", json!(0.04)), ("rejected", json!(12))]);
    tape.attempt_ended(250, "queue", Outcome::Succeeded);
    let agents = json!([{"agent": "8f3a2b1c", "count": 487}, {"agent": "77aa", "count": 25}]);
    let captures = [
        ("pending", json!(512)),
        ("agents", agents),
        ("top_agent", json!("8f3a2b1c")),
        ("top_share", json!(0.951_171_875)),
    ];
    tape.ended(251, "queue", Outcome::Succeeded, None, &captures);
    tape.put(260, Some("cause"), decided());
    let reason = "its option `aggressive` was not taken".to_owned();
    tape.put(261, Some("loosen"), Event::StepSkipped { reason, deviation: false, blocked: false, ending: false });
    tape.put(1000, Some("ban_agent"), gate_opened());
    tape
}

/// The whole run, resolved, with one temporary change left open.
pub(super) fn resolved() -> Tape {
    let mut tape = diagnosis();
    tape.by_ana(231_000, Some("ban_agent"), gate_answered(AnswerKind::Approved));
    tape.attempt(
        231_100,
        "ban_agent",
        "http",
        "POST http://10.0.3.7:18180/v1/admin/circuit_breakers/8f3a2b1c/open",
        true,
    );
    tape.attempt_ended(231_300, "ban_agent", Outcome::Succeeded);
    let check = CheckView {
        expression: "body.state == 'OPEN'".into(),
        verdict: StepVerdict::Holds,
        used: vec![used("body.state", json!("OPEN"))],
        reason: None,
    };
    tape.put(
        231_500,
        Some("ban_agent"),
        step_ended(Outcome::Succeeded, Some(StepVerdict::Holds), &[], vec![check], None),
    );
    let note = Event::Noted { text: "told the agent's owner by phone".into() };
    tape.by_ana(232_000, Some("ban_agent"), note);
    tape.put(
        233_000,
        Some("reject"),
        Event::StepSkipped {
            reason: "ana: the owner wants them kept".into(),
            deviation: true,
            blocked: false,
            ending: false,
        },
    );
    let again = "`reject` was left out: ana: the owner wants them kept".to_owned();
    tape.put(233_001, None, Event::Deviated { text: again });
    tape.attempt(240_000, "under_50", "http", "GET http://10.0.3.7:18180/v1/admin/quarantine", false);
    tape.attempt_ended(240_200, "under_50", Outcome::Succeeded);
    let check = CheckView {
        expression: "body.items | length < 50".into(),
        verdict: StepVerdict::Holds,
        used: vec![used("body.items | length", json!(12))],
        reason: None,
    };
    tape.put(
        240_210,
        Some("under_50"),
        step_ended(Outcome::Succeeded, Some(StepVerdict::Holds), &[], vec![check], None),
    );
    tape.put(
        252_000,
        None,
        Event::RunEnded {
            result: RunResult::Resolved,
            ran_to_end: true,
            reasons: vec![],
            holds: 1,
            validations: 1,
            changes: 1,
            open_changes: vec!["ban_agent: agent 8f3a2b1c banned until 02:19 UTC".into()],
            waited_ms: 231_000,
            cleaned_up: None,
            outputs: indexmap::IndexMap::new(),
        },
    );
    tape
}

/// Another person takes the run up on another machine, and everything that can be said of that is said.
pub(super) fn resumed() -> Event {
    // Read as it is kept, so that what is left out there is left out here.
    let resumption = json!({
        "operator": { "name": "bo", "identity": "claimed", "host": "desk2" }, "host": "desk2", "boot": "c", "pid": 4712,
        "version": "0.1.0", "store": "t", "moved_from": "desk1", "reason": "ana is asleep", "torn": 12,
        "leftovers": [kept("stdout", 214, "text")], "refresh": true, "folder": "/srv/runbooks",
        "runbook": { "runbook": "quarantine-overflow", "file": "fixed.yaml", "text": "", "digest": "ef".repeat(32) },
    });
    Event::RunResumed(serde_json::from_value(resumption).unwrap())
}

/// One of each of the rarer events, at the end of a run that goes on.
pub(super) fn rarities() -> Tape {
    let mut tape = diagnosis();
    let text = || "text".to_owned();
    let waiting = |what: &str| Waiting {
        step: StepPath("reject".into()),
        what: what.into(),
        text: text(),
        wants: None,
        digest: None,
    };
    tape.put(
        2000,
        Some("reject"),
        Event::ItemsListed { items: vec![StoredValue::Value(json!("one")), StoredValue::Unknown(text())] },
    );
    let captures = IndexMap::from([(text(), StoredValue::Unknown(text()))]);
    tape.put(2001, Some("reject"), Event::Sampled { verdict: StepVerdict::Holds, captures, left_ms: 1 });
    tape.put(2001, Some("reject"), Event::BackgroundReady { after_ms: 7 });
    tape.put(2001, Some("reject"), Event::Paused { for_ms: 1000, reason: text() });
    tape.put(2001, Some("reject"), Event::Asked { questions: vec![text()] });
    let values = IndexMap::from([("count".to_owned(), StoredValue::Value(json!("three")))]);
    tape.by_ana(2002, Some("reject"), Event::Answered { values, door: Door::Inbox });
    let when = Event::Decided {
        chosen: vec!["yes".into()],
        by: "person".into(),
        options: vec![],
        shown: vec![],
        reason: Some(text()),
        values: IndexMap::new(),
    };
    tape.by_ana(2003, Some("under_50"), when);
    tape.put(2004, Some("reject"), Event::ProcessStarted { pid: 7, started: None });
    let failed = |change| Event::AttemptEnded {
        outcome: Outcome::Failed,
        error: Some(crate::event::ErrorClass::Exit(3)),
        message: Some("text".into()),
        fields: IndexMap::new(),
        evidence: vec![kept("stderr", 4000, if change { "one\ntwo" } else { "three" })],
        took_ms: 5,
        left: vec!["pid 4".into()],
    };
    for (step, change) in [("loosen", true), ("under_50", false), ("reject[1]", true)] {
        tape.attempt(2010, step, "shell", "echo one\necho two", change);
        tape.put(2020, Some(step), failed(change)).attempt = Some(1);
        let check = CheckView {
            expression: text(),
            verdict: StepVerdict::CannotTell,
            used: vec![used("name", json!({"deep": ["list"]}))],
            reason: Some(text()),
        };
        let verdict = Some(StepVerdict::CannotTell);
        tape.put(
            2030,
            Some(step),
            step_ended(Outcome::Failed, verdict, &[("captured", json!([]))], vec![check], Some("text")),
        );
    }
    tape.put(2040, None, Event::Deviated { text: text() });
    tape.put(2041, None, Event::ClockMoved { by_ms: -7000 });
    let (target, address, expected, found) = (text(), text(), text(), text());
    tape.put(2042, Some("queue"), Event::TargetRefused { target, address, expected, found });
    tape.put(2043, None, Event::Escalated { to: Some(text()), text: "first\nsecond".into() });
    let settled = Event::Settled { settlement: Settlement::Done, reason: text(), door: Door::Terminal };
    tape.by_ana(2043, Some("loosen"), settled);
    let until = Some(start() + std::time::Duration::from_hours(1));
    tape.put(2043, Some("loosen"), Event::ChangeMade { undo: Some(text()), until, temporary: false });
    tape.put(2043, Some("reject[1]"), Event::ChangeMade { undo: None, until: None, temporary: true });
    let marked = |mark| Event::Marked { mark, at: start(), text: Some(text()) };
    tape.by_ana(2043, None, marked(Mark::Detected));
    tape.by_ana(2043, None, marked(Mark::Mitigated));
    tape.by_ana(2043, None, Event::Aborted { reason: text() });
    tape.put(2044, None, Event::RunSuspended { reason: text() });
    tape.put(2044, None, resumed());
    tape.put(2045, None, Event::RunParked { waiting: vec![waiting("gate"), waiting("ask")] });
    tape
}
