//! A gate under fire: approvals, refusals, expiry, the window, the terminal, signals and moving facts, all at once and in
//! any order. One opening has one end, and nothing is done without an approval in force.

use super::approvals::{Flaw, gated, people, signed, start};
use super::fixture::Played;
use crate::engine::{Answer, RunState, Signed, Statement};
use crate::event::{Actor, AnswerKind, Door, Event, Record};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Move {
    /// A signed yes by the key of a seed, for the newest card or the one before it.
    Approve(u8, Flaw, bool),
    /// A yes without a signature.
    Unsigned,
    Deny,
    Skip,
    /// The same letter twice in one look.
    Twice(u8),
    /// At the run's own terminal.
    Terminal(u8),
    Signal,
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![
        20 => Just(Flaw::None),
        1 => Just(Flaw::OtherRun),
        1 => Just(Flaw::OtherDigest),
        1 => Just(Flaw::OtherAnswer),
        1 => Just(Flaw::Old),
        1 => Just(Flaw::Changed),
    ]
}

fn one_move() -> impl Strategy<Value = (u64, Move)> {
    let what = prop_oneof![
        12 => (1_u8..6, flaw(), proptest::bool::weighted(0.1)).prop_map(|(seed, flaw, old)| Move::Approve(seed, flaw, old)),
        2 => (2_u8..4).prop_map(Move::Twice),
        2 => Just(Move::Unsigned),
        1 => Just(Move::Deny),
        1 => Just(Move::Skip),
        2 => (0_u8..5).prop_map(Move::Terminal),
        1 => Just(Move::Signal),
    ];
    // Many at the very same moment: the inbox is looked at three times a second.
    (prop_oneof![0_u64..2_000, 0_u64..80_000], what)
}

fn gate() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("{ approvals: 2, from: dba, not_operator: true, expires: 60s }"),
        2 => Just("{ approvals: 1, from: [dba], expires: 60s }"),
        2 => Just("{ confirm: true, expires: 60s }"),
        // The window opens only next week, or before the gate expires.
        1 => Just("{ confirm: true, expires: 60s, window: 'Sat 00:00-01:00 UTC' }"),
        2 => Just("{ approvals: 1, expires: 70s, window: 'Sat 01:01-02:00 UTC' }"),
    ]
}

async fn play(gate: &str, moves: Vec<(u64, Move)>, files: &[u8], attended: bool) -> Played {
    let digests: Vec<String> = files.iter().map(ToString::to_string).collect();
    let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
    let mut scripted = gated(gate).files(&digests).park_after(Duration::from_secs(100));
    if attended {
        scripted = scripted.person(|_| None);
    }
    let (letters, opened) = (scripted.letters.clone(), scripted.opened.clone());
    let mut post = Vec::new();
    for (after, what) in moves {
        let after = Duration::from_millis(after);
        scripted = match what {
            Move::Terminal(0) => scripted.says_later(after, Answer::Approve),
            Move::Terminal(1) => scripted.says_later(after, Answer::Decline { reason: None }),
            Move::Terminal(2) => scripted.says_later(after, Answer::Skip { reason: "done".into() }),
            Move::Terminal(3) => scripted.says_later(after, Answer::Abort { reason: "enough".into() }),
            Move::Terminal(_) => scripted.says_later(after, Answer::Suspend),
            Move::Signal => scripted.signal(after, 15),
            other => {
                post.push((after, other));
                scripted
            }
        };
    }
    post.sort_by_key(|(after, _)| *after);
    tokio::spawn(async move {
        let begin = tokio::time::Instant::now();
        for (after, what) in post {
            tokio::time::sleep_until(begin + after).await;
            let now = start() + SignedDuration::try_from(after).expect("small");
            let opened = opened.lock().expect("lock").clone();
            let newest = opened.last().cloned().unwrap_or_else(|| "0".repeat(64));
            let older = opened.iter().rev().nth(1).cloned().unwrap_or_else(|| newest.clone());
            let letter = |seed, answer, flaw, digest: &str| signed(digest, seed, answer, now, flaw);
            let unsigned = |answer| {
                let mut letter = letter(2, answer, Flaw::None, &newest);
                letter.signed = None;
                letter
            };
            let new = match what {
                Move::Approve(seed, flaw, old) => {
                    vec![letter(seed, AnswerKind::Approved, flaw, if old { &older } else { &newest })]
                }
                Move::Twice(seed) => vec![letter(seed, AnswerKind::Approved, Flaw::None, &newest); 2],
                Move::Unsigned => vec![unsigned(AnswerKind::Approved)],
                Move::Deny => vec![unsigned(AnswerKind::Declined)],
                _ => vec![unsigned(AnswerKind::Skipped)],
            };
            letters.lock().expect("lock").extend(new);
        }
    });
    scripted.play().await
}

/// What an opening came to.
#[derive(Default)]
struct Opening<'r> {
    digest: &'r str,
    expires: Option<jiff::Timestamp>,
    wanted: u32,
    from: Vec<String>,
    not_operator: bool,
    approved_by: BTreeSet<&'r str>,
    ends: Vec<(AnswerKind, Door, jiff::Timestamp)>,
}

/// Judges a record by its own reading of it, not by the fold that the engine uses.
fn judge(records: &[Record], is_over: bool, kinds: &Mutex<BTreeMap<String, u32>>) -> Result<(), TestCaseError> {
    let mut openings: Vec<Opening<'_>> = Vec::new();
    let mut acts = 0;
    for record in records {
        match &record.event {
            Event::GateOpened { digest, expires, card, .. } => {
                if let Some(before) = openings.last() {
                    prop_assert_eq!(before.ends.len(), 1, "opened again before it was answered");
                }
                let terms = card.terms.approvals.clone();
                openings.push(Opening {
                    digest,
                    expires: card.terms.expires_ms.map(|_| *expires),
                    wanted: terms.as_ref().map_or(0, |terms| terms.wanted),
                    from: terms.as_ref().map(|terms| terms.from.clone()).unwrap_or_default(),
                    not_operator: terms.is_some_and(|terms| terms.not_operator),
                    ..Opening::default()
                });
            }
            Event::GateApproved { digest, approval, .. } => {
                let open = openings.last_mut().ok_or_else(|| TestCaseError::fail("nothing is open"))?;
                prop_assert!(open.ends.is_empty() && open.digest == digest);
                let Actor::Person(person) = &record.actor else { return Err(TestCaseError::fail("nobody")) };
                prop_assert!(open.approved_by.insert(&person.name), "{} counts twice", person.name);
                if let Some(signature) = &approval.signature {
                    let statement = Statement {
                        run: "20261121-0100-test".into(),
                        step: "change".into(),
                        digest: digest.clone(),
                        answer: AnswerKind::Approved,
                        at: approval.at,
                    };
                    let proof = Signed { statement: statement.text(), signature: signature.text.clone() };
                    let (_, signer) = proof.prove(&people()).map_err(|error| TestCaseError::fail(error.to_string()))?;
                    prop_assert_eq!(&signer.name, &person.name);
                    let member = people().members(&open.from).iter().any(|other| other.name == person.name);
                    prop_assert!(member && !(open.not_operator && person.name == "ana"));
                } else {
                    prop_assert_eq!(open.wanted, 0, "an unsigned approval was counted");
                }
            }
            Event::GateAnswered { digest, answer, .. } => {
                let open = openings.last_mut().ok_or_else(|| TestCaseError::fail("nothing is open"))?;
                prop_assert_eq!(open.digest, digest);
                open.ends.push((answer.answer, answer.door, record.time));
                *kinds.lock().expect("lock").entry(format!("{:?}", answer.answer)).or_default() += 1;
                let count = u32::try_from(open.approved_by.len()).expect("few");
                if answer.answer == AnswerKind::Approved {
                    prop_assert!(count >= open.wanted, "passed with {count} of {}", open.wanted);
                    prop_assert!(open.expires.is_none_or(|expires| record.time < expires), "passed after it expired");
                }
                if answer.answer == AnswerKind::Expired {
                    prop_assert!(
                        open.expires.is_some_and(|expires| expires <= record.time) && answer.door == Door::Clock
                    );
                }
            }
            Event::AttemptStarted { change: true, .. } => {
                acts += 1;
                let last = openings.last().and_then(|open| open.ends.first()).map(|(kind, ..)| *kind);
                prop_assert_eq!(last, Some(AnswerKind::Approved), "an act without an approval in force");
            }
            _ => {}
        }
    }
    prop_assert!(acts <= 1);
    let several = openings.iter().filter(|open| open.ends.len() > 1).count();
    prop_assert_eq!(several, 0, "an opening has several ends");
    let open = openings.iter().filter(|open| open.ends.is_empty()).count();
    prop_assert!(open == 0 || (!is_over && open == 1), "an opening has no end, and the run does");
    if openings.len() > 1 {
        *kinds.lock().expect("lock").entry("opened again".into()).or_default() += 1;
    }
    if acts == 1 {
        *kinds.lock().expect("lock").entry("acted".into()).or_default() += 1;
    }
    Ok(())
}

#[test]
fn of_a_thousand_races_each_opening_has_one_end() {
    let kinds = Mutex::new(BTreeMap::new());
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let moves = prop::collection::vec(one_move(), 1..14);
    let files = prop_oneof![3 => Just(vec![1]), 2 => prop::collection::vec(1_u8..3, 1..6)];
    let all = (gate(), moves, files, any::<bool>());
    let outcome = runner.run(&all, |(gate, moves, files, attended)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let played = runtime.expect("a runtime").block_on(play(gate, moves, &files, attended));
        let performed = played.seen().iter().filter(|act| *act == "change").count();
        let attempts = played
            .records
            .iter()
            .filter(|record| matches!(record.event, Event::AttemptStarted { change: true, .. }))
            .count();
        prop_assert!(performed <= attempts && performed <= 1);
        let is_over = matches!(played.end.as_ref().map(|end| &end.state), Ok(RunState::Ended(_)));
        judge(&played.records, is_over, &kinds)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let kinds = kinds.lock().expect("lock");
    for kind in ["Approved", "Declined", "Skipped", "Expired", "Voided", "opened again", "acted"] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= 10), "{kind} happens too seldom: {kinds:?}");
    }
}
