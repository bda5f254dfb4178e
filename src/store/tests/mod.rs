//! Tests of the store, and what they share.

mod evidence;
mod inbox;
mod kill;
mod mask;
mod record;
mod root;
mod take;
mod verify;

use super::{DirRun, Owner, Store};
use crate::engine::RunStore;
use crate::event::{
    Actor, Event, EvidenceRef, IdentityKind, Mode, Operator, Outcome, Record, RunId, RunResult, StepPath, StoredValue,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::path::PathBuf;

/// A store in a folder that goes away.
struct Place {
    store: Store,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), true).unwrap();
        Self { store, dir }
    }

    fn again(&self) -> Store {
        Store::open(&self.dir.path().join("store"), true).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.path().join(name)
    }

    fn transcript(&self, run: &str) -> PathBuf {
        self.path("runs").join(run).join("transcript.jsonl")
    }

    /// A closed run with five lines.
    fn closed_run(&self, name: &str) -> RunId {
        let mut run = self.begin(name);
        run.append(&mut [attempt_started(), attempt_ended(Vec::new()), noted("a note"), ended()]).unwrap();
        run.close().unwrap();
        run.id().clone()
    }

    fn begin(&self, name: &str) -> DirRun {
        let id = id(name);
        let mut run = self.store.create(&id, &owner()).unwrap();
        run.append(&mut [started(&id, self.store.id())]).unwrap();
        run.sync().unwrap();
        run
    }
}

fn id(text: &str) -> RunId {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T01:14:09.5Z".parse().unwrap()
}

fn operator() -> Operator {
    Operator { name: "anna".into(), identity: IdentityKind::OsUser, host: Some("ops1".into()) }
}

fn owner() -> Owner {
    Owner {
        pid: 4711,
        host: "ops1".into(),
        boot: "b".into(),
        operator: operator(),
        since: now(),
        machine: "m".into(),
        started: 0,
    }
}

fn record(event: Event) -> Record {
    Record {
        seq: 0,
        time: now(),
        elapsed_ms: 12,
        actor: Actor::Runwright,
        step: Some(StepPath("cause".into())),
        attempt: Some(1),
        event,
        prev: String::new(),
    }
}

fn started(run: &RunId, store: &str) -> Record {
    record(Event::RunStarted {
        run: run.clone(),
        semantics: 1,
        version: "0.1.0".into(),
        mode: Mode::Run,
        runbook: "db-failover".into(),
        title: "Fail the database over".into(),
        file: "db-failover.yaml".into(),
        text: "id: db-failover\n".into(),
        digest: "d".repeat(64),
        library: None,
        environment: Some("prod".into()),
        production: true,
        operator: operator(),
        host: "ops1".into(),
        boot: "b".into(),
        pid: 4711,
        store: store.into(),
        inputs: Vec::new(),
        programs: Vec::new(),
        warnings: Vec::new(),
        called: Vec::new(),
        settings: None,
        folder: None,
        began: None,
        undo_of: None,
    })
}

fn noted(text: &str) -> Record {
    record(Event::Noted { text: text.into() })
}

fn attempt_started() -> Record {
    record(Event::AttemptStarted { act: Box::default(), change: true })
}

fn attempt_ended(evidence: Vec<EvidenceRef>) -> Record {
    ended_with(IndexMap::from([("code".to_owned(), StoredValue::Value(serde_json::json!(0)))]), evidence)
}

fn ended_with(fields: IndexMap<String, StoredValue>, evidence: Vec<EvidenceRef>) -> Record {
    record(Event::AttemptEnded {
        outcome: Outcome::Succeeded,
        error: None,
        message: None,
        fields,
        evidence,
        took_ms: 31,
        left: Vec::new(),
    })
}

fn parked() -> Record {
    record(Event::RunParked { waiting: Vec::new() })
}

fn ended() -> Record {
    record(Event::RunEnded {
        result: RunResult::Resolved,
        ran_to_end: true,
        reasons: Vec::new(),
        holds: 1,
        validations: 1,
        changes: 1,
        open_changes: Vec::new(),
        waited_ms: 0,
        cleaned_up: None,
        outputs: indexmap::IndexMap::new(),
    })
}
