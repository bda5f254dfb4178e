//! Signatures on record: whose count, and whether they still hold.

use crate::engine::{Signed, Statement, operators};
use crate::event::{Actor, AnswerKind, Event, FrozenSettings, GateApproval, GateTerms, Record, StepPath};
use crate::library::{Approvers, parse_library};
use crate::source::{Diagnostics, Source};
use std::collections::HashMap;

/// The people whose signatures count in a run: as `runwright.yaml` was when it began.
pub(super) fn approvers_on_record(records: &[Record]) -> Approvers {
    match records.first().map(|record| &record.event) {
        Some(Event::RunStarted { settings, .. }) => approvers(settings.as_deref()),
        _ => Approvers::default(),
    }
}

/// The people in a `runwright.yaml` that was frozen.
pub(super) fn approvers(settings: Option<&FrozenSettings>) -> Approvers {
    let Some(settings) = settings else { return Approvers::default() };
    let source = Source::new(settings.file.as_str(), settings.text.as_str());
    parse_library(&source, &mut Diagnostics::new()).map(|file| file.approvers).unwrap_or_default()
}

/// Signed approvals that do not hold: the number of the record, and what is wrong. Also how many do.
pub(super) fn judge(records: &[Record]) -> (u64, Vec<(u64, String)>) {
    let approvers = approvers_on_record(records);
    let run = match records.first().map(|record| &record.event) {
        Some(Event::RunStarted { run, .. }) => run.to_string(),
        _ => return (0, Vec::new()),
    };
    let mut terms: HashMap<&StepPath, &GateTerms> = HashMap::new();
    let (mut holds, mut wrong) = (0, Vec::new());
    for (place, record) in records.iter().enumerate() {
        let Some(step) = &record.step else { continue };
        match &record.event {
            Event::GateOpened { card, .. } => {
                terms.insert(step, &card.terms);
            }
            Event::GateApproved { digest, approval, .. } if approval.signature.is_some() => {
                let statement = Statement {
                    run: run.clone(),
                    step: step.0.clone(),
                    digest: digest.clone(),
                    answer: AnswerKind::Approved,
                    at: approval.at,
                };
                let asked = terms.get(step).copied();
                match problem(&approvers, &records[..place], asked, &statement, approval, &record.actor) {
                    None => holds += 1,
                    Some(why) => wrong.push((record.seq, format!("the approval of `{step}` does not hold: {why}"))),
                }
            }
            _ => {}
        }
    }
    (holds, wrong)
}

fn problem(
    approvers: &Approvers,
    before: &[Record],
    asked: Option<&GateTerms>,
    statement: &Statement,
    approval: &GateApproval,
    actor: &Actor,
) -> Option<String> {
    let signature = approval.signature.as_ref()?;
    let signed = Signed { statement: statement.text(), signature: signature.text.clone() };
    let signer = match signed.prove(approvers) {
        Ok((_, signer)) => signer,
        Err(refused) => return Some(refused.to_string()),
    };
    if signer.key != signature.key {
        return Some(format!("it names the key {}, and {} signed", signature.key, signer.key));
    }
    if !matches!(actor, Actor::Person(person) if person.name == signer.name) {
        return Some(format!("the key is of {}", signer.name));
    }
    let terms = asked.and_then(|terms| terms.approvals.as_ref())?;
    if !approvers.members(&terms.from).iter().any(|person| person.name == signer.name) {
        return Some(format!("{} is not in {}", signer.name, terms.from.join(" or ")));
    }
    let runs = operators(before).iter().any(|name| *name == signer.name || signer.users.contains(name));
    (terms.not_operator && runs).then(|| format!("{} ran this run, and the operator does not count here", signer.name))
}
