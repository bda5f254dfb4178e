//! Gates that one yes does not pass: signatures, windows, expiry, and who counts.

use super::Scripted;
use super::fixture::Played;
use crate::engine::{Answer, InboxDecision, PromptKind, RunState, Signed, Statement};
use crate::event::{AnswerKind, Door, Event, IdentityKind, Operator, Outcome, RunResult, StepPath};
use crate::library::{Approver, Approvers};
use crate::plan::{GateLevel, GatePolicy};
use crate::runbook::Risk;
use crate::signature::PrivateKey;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A key that is made from one byte.
pub(super) fn key(seed: u8) -> PrivateKey {
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    let text = ssh_key::PrivateKey::from(pair).to_openssh(ssh_key::LineEnding::LF).expect("a key file");
    PrivateKey::parse(&text, None).expect("a key")
}

/// Ana runs the tests' runs; ben and cem are in `dba`, dan is in nothing. Ben runs things as `ben.root` too.
pub(super) fn people() -> Approvers {
    let person =
        |name: &str, seed: u8| Approver { name: name.into(), keys: vec![key(seed).public()], users: Vec::new() };
    let ben = Approver { users: vec!["ben.root".into()], ..person("ben", 2) };
    let all = Approvers::default().with(person("ana", 1)).with(ben).with(person("cem", 3)).with(person("dan", 4));
    all.with_group("dba", &["ana", "ben", "cem"])
}

pub(super) const STEPS: &str = "
steps:
  - id: change
    remediate: Change
    run: [change]
    undo: { run: [back] }
    gate: GATE
  - { id: proof, validate: Proof, run: [proof] }
";

pub(super) fn gated(gate: &str) -> Scripted {
    Scripted::new(&STEPS.replace("GATE", gate)).approvers(people()).park_after(Duration::from_mins(5))
}

pub(super) fn start() -> Timestamp {
    "2026-11-21T01:00:00Z".parse().expect("a time")
}

/// What may be wrong with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    OtherRun,
    OtherStep,
    OtherDigest,
    OtherAnswer,
    Old,
    Future,
    Changed,
}

pub(super) fn signed(digest: &str, seed: u8, answer: AnswerKind, at: Timestamp, flaw: Flaw) -> InboxDecision {
    let statement = Statement {
        run: if flaw == Flaw::OtherRun { "20261121-0100-other" } else { "20261121-0100-test" }.to_owned(),
        step: if flaw == Flaw::OtherStep { "proof" } else { "change" }.to_owned(),
        digest: if flaw == Flaw::OtherDigest { "0".repeat(64) } else { digest.to_owned() },
        answer: if flaw == Flaw::OtherAnswer { AnswerKind::Declined } else { answer },
        at: match flaw {
            Flaw::Old => at - SignedDuration::from_mins(61),
            Flaw::Future => at + SignedDuration::from_mins(6),
            _ => at,
        },
    };
    let mut signed: Signed = statement.sign(&key(seed)).expect("a signature");
    if flaw == Flaw::Changed {
        signed.statement = signed.statement.replace("change", "chance");
    }
    InboxDecision {
        step: StepPath("change".into()),
        digest: digest.to_owned(),
        answer: Some(answer),
        chosen: None,
        values: indexmap::IndexMap::new(),
        reason: None,
        // Who it says it is does not matter: the key tells.
        by: Operator { name: "somebody".into(), identity: IdentityKind::Signature, host: None },
        at,
        signed: Some(signed),
    }
}

fn unsigned(digest: &str, name: &str, answer: AnswerKind, at: Timestamp) -> InboxDecision {
    let by = Operator { name: name.into(), identity: IdentityKind::OsUser, host: None };
    InboxDecision { by, signed: None, ..signed(digest, 1, answer, at, Flaw::None) }
}

/// The digest of the gate's first card: the same in every run of the same runbook here.
pub(super) async fn digest(gate: &str) -> String {
    let played = gated(gate).park_after(Duration::ZERO).play().await;
    let found = played.records.iter().find_map(|record| match &record.event {
        Event::GateOpened { digest, .. } => Some(digest.clone()),
        _ => None,
    });
    found.expect("a gate")
}

type Letters = Arc<Mutex<Vec<InboxDecision>>>;

/// Leaves letters at times, in seconds after the start.
fn post(letters: Letters, all: Vec<(u64, InboxDecision)>) {
    tokio::spawn(async move {
        let begin = tokio::time::Instant::now();
        for (after, letter) in all {
            tokio::time::sleep_until(begin + Duration::from_secs(after)).await;
            letters.lock().expect("lock").push(letter);
        }
    });
}

async fn play(gate: &str, letters: Vec<(u64, InboxDecision)>) -> Played {
    let scripted = gated(gate);
    post(scripted.letters.clone(), letters);
    scripted.play().await
}

fn approvals(played: &Played) -> Vec<String> {
    let of = |record: &crate::event::Record| match (&record.event, &record.actor) {
        (Event::GateApproved { .. }, crate::event::Actor::Person(person)) => Some(person.name.clone()),
        _ => None,
    };
    played.records.iter().filter_map(of).collect()
}

fn answers(played: &Played) -> Vec<(AnswerKind, Door)> {
    let of = |record: &crate::event::Record| match &record.event {
        Event::GateAnswered { answer, .. } => Some((answer.answer, answer.door)),
        _ => None,
    };
    played.records.iter().filter_map(of).collect()
}

fn deviations(played: &Played) -> String {
    let of = |record: &crate::event::Record| match &record.event {
        Event::Deviated { text } => Some(text.clone()),
        _ => None,
    };
    played.records.iter().filter_map(of).collect::<Vec<_>>().join("\n")
}

fn wants(played: &Played) -> String {
    match &played.end.as_ref().expect("an end").state {
        RunState::Parked(waiting) => waiting[0].wants.clone().unwrap_or_default(),
        other => panic!("not parked: {other:?}"),
    }
}

const TWO: &str = "{ approvals: 2, from: dba, not_operator: true }";

#[tokio::test(start_paused = true)]
async fn two_signatures_of_two_people_pass() {
    let digest = digest(TWO).await;
    let yes = |seed, at| signed(&digest, seed, AnswerKind::Approved, at, Flaw::None);
    let one = play(TWO, vec![(1, yes(2, start()))]).await;
    assert_eq!(wants(&one), "2 approvals of dba, not of the operator, 1 given by ben");
    assert_eq!((approvals(&one), one.seen()), (vec!["ben".to_owned()], vec![]));
    let two = play(TWO, vec![(1, yes(2, start())), (9, yes(3, start()))]).await;
    assert_eq!(approvals(&two), ["ben", "cem"]);
    assert_eq!((answers(&two), two.result()), (vec![(AnswerKind::Approved, Door::Inbox)], RunResult::Resolved));
    let by = two.records.iter().find_map(|record| match (&record.event, &record.actor) {
        (Event::GateAnswered { .. }, crate::event::Actor::Person(person)) => Some(person.clone()),
        _ => None,
    });
    assert_eq!(by, Some(Operator { name: "cem".into(), identity: IdentityKind::Signature, host: None }));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_count_is_told_and_recorded() {
    let digest = digest(TWO).await;
    let yes = |seed, flaw| signed(&digest, seed, AnswerKind::Approved, start(), flaw);
    for (letter, said) in [
        (yes(1, Flaw::None), "ana runs this run, and the operator does not count"),
        (yes(4, Flaw::None), "dan is not in dba"),
        (yes(9, Flaw::None), "is of nobody under `approvers`"),
        (yes(2, Flaw::OtherRun), "it was signed for run 20261121-0100-other"),
        (yes(2, Flaw::OtherStep), "it was signed for step `proof`"),
        (yes(2, Flaw::OtherDigest), "the facts have moved"),
        (yes(2, Flaw::OtherAnswer), "another answer was signed"),
        (yes(2, Flaw::Old), "more than an hour old"),
        (yes(2, Flaw::Future), "a time that has not come"),
        (yes(2, Flaw::Changed), "one of them was changed"),
        (unsigned(&digest, "ben", AnswerKind::Approved, start()), "counts signatures only"),
    ] {
        let played = play(TWO, vec![(1, letter)]).await;
        assert!(deviations(&played).contains(said), "{said}: {}", deviations(&played));
        assert!(approvals(&played).is_empty() && played.seen().is_empty(), "{said}");
        assert!(matches!(played.end.expect("an end").state, RunState::Parked(_)), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_person_counts_once_whatever_is_left() {
    let digest = digest(TWO).await;
    let yes = |seed| signed(&digest, seed, AnswerKind::Approved, start(), Flaw::None);
    let played = play(TWO, vec![(1, yes(2)), (2, yes(2)), (3, yes(2))]).await;
    assert_eq!((approvals(&played), played.seen()), (vec!["ben".to_owned()], vec![]));
    assert!(deviations(&played).contains("ben has approved this already"), "{}", deviations(&played));
    // The same key under another name is the same person.
    let twin = Approver { name: "twin".into(), keys: vec![key(2).public()], users: Vec::new() };
    let both = people().with(twin).with_group("dba", &["ben", "twin"]);
    let scripted = gated(TWO).approvers(both);
    post(scripted.letters.clone(), vec![(1, yes(2)), (2, yes(2))]);
    assert_eq!(approvals(&scripted.play().await), ["ben"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_it_and_needs_no_signature() {
    let digest = digest(TWO).await;
    let yes = signed(&digest, 2, AnswerKind::Approved, start(), Flaw::None);
    let no = unsigned("", "eve", AnswerKind::Declined, start());
    let later = signed(&digest, 3, AnswerKind::Approved, start(), Flaw::None);
    let played = play(TWO, vec![(1, yes), (2, no), (3, later)]).await;
    assert_eq!(answers(&played), [(AnswerKind::Declined, Door::Inbox)]);
    assert_eq!((played.outcome("change"), played.result()), (Some(Outcome::Declined), RunResult::Declined));
}

#[tokio::test(start_paused = true)]
async fn the_operators_own_yes_does_not_pass_it_and_no_flag_does() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let person = move |prompt: &crate::engine::Prompt| {
        let mut count = count.lock().expect("lock");
        *count += 1;
        assert!(matches!(prompt.kind, PromptKind::Gate { .. }));
        Some(if *count == 1 { Answer::Approve } else { Answer::Suspend })
    };
    let played = gated(TWO).person(person).yes(Risk::Medium).play().await;
    assert_eq!((answers(&played), played.seen()), (vec![], vec![]));
    assert_eq!(*asked.lock().expect("lock"), 2, "it is asked again");
    // The environment lets everything pass: the runbook's floor stays.
    let lax = GatePolicy { production: false, medium: Some(GateLevel::Pass), ..GatePolicy::default() };
    for gate in [TWO, "{ expires: 1h }", "{ window: 'Mon 02:00-03:00 UTC' }", "{ approvals: 1 }"] {
        let played = gated(gate).policy(lax).yes(Risk::Medium).park_after(Duration::ZERO).play().await;
        assert!(matches!(played.end.expect("an end").state, RunState::Parked(_)), "{gate}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_passed_in_time_is_declined() {
    const GATE: &str = "{ approvals: 2, expires: 2m }";
    let digest = digest(GATE).await;
    let yes = |seed, at| signed(&digest, seed, AnswerKind::Approved, at, Flaw::None);
    let late = start() + SignedDuration::from_secs(121);
    let played = play(GATE, vec![(5, yes(2, start())), (121, yes(3, late))]).await;
    assert_eq!(answers(&played), [(AnswerKind::Expired, Door::Clock)]);
    assert_eq!((played.outcome("change"), played.seen()), (Some(Outcome::Declined), vec!["proof".to_owned()]));
    assert!(played.reason("change").contains("expired"), "{}", played.reason("change"));
    let in_time = play(GATE, vec![(5, yes(2, start())), (110, yes(3, start()))]).await;
    assert_eq!(in_time.result(), RunResult::Resolved);
}

#[tokio::test(start_paused = true)]
async fn an_approval_before_the_window_counts_inside_it() {
    // The run begins on Saturday 2026-11-21, 01:00 UTC.
    const GATE: &str = "{ window: 'Sat 01:02-02:00 UTC' }";
    let yes =
        |prompt: &crate::engine::Prompt| matches!(prompt.kind, PromptKind::Gate { .. }).then_some(Answer::Approve);
    let mut once = Some(());
    let person = move |prompt: &crate::engine::Prompt| once.take().and_then(|()| yes(prompt));
    let played = gated(GATE).person(person).play().await;
    assert_eq!(
        (approvals(&played), answers(&played)),
        (vec!["ana".into()], vec![(AnswerKind::Approved, Door::Terminal)])
    );
    let passed =
        played.records.iter().find(|record| matches!(record.event, Event::GateAnswered { .. })).expect("passed");
    let waited = passed.time.duration_since(start()).as_secs();
    assert!((120..=121).contains(&waited), "{waited}");
    assert_eq!(played.result(), RunResult::Resolved);
    // Inside it, one yes passes at once.
    let open = gated("{ window: ['Sun 01:00-02:00 UTC', 'Sat 00:30-02:00 UTC'] }").yes_man().play().await;
    assert_eq!((approvals(&open).len(), open.result()), (0, RunResult::Resolved));
}

#[tokio::test(start_paused = true)]
async fn outside_its_window_it_parks_and_says_when_it_opens() {
    const GATE: &str = "{ approvals: 1, window: 'Sun 02:00-04:00 Europe/Berlin', expires: 3h }";
    let digest = digest(GATE).await;
    let yes = signed(&digest, 2, AnswerKind::Approved, start(), Flaw::None);
    let played = play(GATE, vec![(1, yes)]).await;
    assert_eq!(
        wants(&played),
        "approved by ben; the window Sun 02:00-04:00 Europe/Berlin opens Sun 2026-11-22 02:00; expires 2026-11-21T04:00:00Z"
    );
    // It expires before its window opens: declined, although it was approved.
    let yes = signed(&digest, 2, AnswerKind::Approved, start(), Flaw::None);
    let scripted = gated(GATE).park_after(Duration::from_hours(5));
    post(scripted.letters.clone(), vec![(1, yes)]);
    let played = scripted.play().await;
    assert_eq!((answers(&played), played.seen()), (vec![(AnswerKind::Expired, Door::Clock)], vec!["proof".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_forges_a_proof_is_only_a_claim() {
    let digest = digest("{ confirm: true }").await;
    let mut letter = unsigned(&digest, "ben", AnswerKind::Approved, start());
    letter.by.identity = IdentityKind::Signature;
    let played = play("{ confirm: true }", vec![(1, letter)]).await;
    let by = played.records.iter().find_map(|record| match (&record.event, &record.actor) {
        (Event::GateAnswered { .. }, crate::event::Actor::Person(person)) => Some(person.identity),
        _ => None,
    });
    assert_eq!(by, Some(IdentityKind::Claimed));
}

#[tokio::test(start_paused = true)]
async fn a_moved_value_opens_the_gate_again_and_says_what_moved() {
    let played =
        Scripted::new(&STEPS.replace("GATE", "{ confirm: true }")).files(&["1", "2", "2", "2"]).yes_man().play().await;
    let opened: Vec<_> = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::GateOpened { number, card, .. } => Some((*number, card.moved.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(opened, [(1, vec![]), (2, vec!["the file change.sh has another content".to_owned()])]);
    assert_eq!(answers(&played).len(), 2);
    assert_eq!(played.seen(), ["change", "proof"]);
}

#[tokio::test(start_paused = true)]
async fn work_by_hand_waits_for_its_approvals_too() {
    let steps = "
steps:
  - id: change
    remediate: Change
    manual: Turn it.
    irreversible: It is turned.
    gate: { approvals: 1, from: dba }
  - { id: proof, validate: Proof, run: [proof] }
";
    let scripted = || Scripted::new(steps).approvers(people()).park_after(Duration::from_mins(5));
    let alone = scripted().answer("change", serde_json::json!("done")).park_after(Duration::ZERO).play().await;
    assert!(matches!(alone.end.as_ref().expect("an end").state, RunState::Parked(_)), "an answers file passes no gate");
    let digest = alone.records.iter().find_map(|record| match &record.event {
        Event::GateOpened { digest, .. } => Some(digest.clone()),
        _ => None,
    });
    let yes = signed(&digest.expect("a gate"), 2, AnswerKind::Approved, start(), Flaw::None);
    let scripted = scripted().answer("change", serde_json::json!("done"));
    post(scripted.letters.clone(), vec![(1, yes)]);
    let played = scripted.play().await;
    assert_eq!((approvals(&played), played.outcome("change")), (vec!["ben".into()], Some(Outcome::Succeeded)));
}
