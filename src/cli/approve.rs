//! `approve` and `deny`: answers to a gate from elsewhere, signed or not, left for the process that has the run or will
//! have it.

use super::arguments::{ApproveArguments, DenyArguments};
use super::console::Console;
use super::decide::{end_is_final, leave};
use super::exit::Exit;
use super::failure::CommandError;
use super::keys::private_key;
use super::person::{operator, typed_line};
use super::recorded::Read;
use super::session::Session;
use super::signatures::approvers_on_record;
use super::stale::stale;
use crate::engine::{GateTally, History, InboxDecision, Signed, Signer, Statement, operators};
use crate::event::{AnswerKind, CardView, Event, GateRequirement, Record, StepPath};
use crate::report::sanitize::visible;
use crate::report::{CardFrame, card};
use crate::signature::PrivateKey;
use indexmap::IndexMap;
use jiff::Timestamp;
use std::io::Read as _;

/// The longest statement or signature that is read.
const FILE_LIMIT: u64 = 64 * 1024;

/// A gate that is open.
struct OpenGate<'r> {
    digest: &'r str,
    expires: Timestamp,
    card: &'r CardView,
}

/// Answers a gate with no.
pub(super) fn deny(session: &Session, arguments: &DenyArguments) -> Result<Exit, CommandError> {
    let arguments = ApproveArguments {
        run: arguments.run.clone(),
        step: arguments.step.clone(),
        deny: true,
        skip: false,
        reason: arguments.reason.clone(),
        digest: None,
        sign: arguments.sign.clone(),
        to_sign: false,
        signed: None,
        as_name: arguments.as_name.clone(),
    };
    approve(session, &arguments)
}

/// Answers a gate, after showing its card. What cannot count is told here, before anything is left.
pub(super) fn approve(session: &Session, arguments: &ApproveArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let read = Read::run(&store, &arguments.run)?;
    let step = StepPath(arguments.step.clone());
    end_is_final(&store, &read)?;
    let gates = open_gates(&read.transcript.records);
    let Some(gate) = gates.get(&step) else { return Err(no_gate(&read, &step, gates.keys())) };
    let may_skip = !is_required(&read, &step);
    let tally = tally(&read, &step);
    show(session, &read, &step, gate, may_skip, tally.as_ref());
    let answer = match (arguments.deny, arguments.skip) {
        (true, _) => AnswerKind::Declined,
        (_, true) if !may_skip => {
            return Err(CommandError::usage(format!("step `{step}` is required and cannot be left out"), "say --deny"));
        }
        (_, true) => AnswerKind::Skipped,
        _ => AnswerKind::Approved,
    };
    if let Some(tally) = tally.as_ref().filter(|tally| tally.is_over(Timestamp::now())) {
        let message =
            format!("the gate of `{step}` has expired: {}", tally.waits_for(gate.expires).unwrap_or_default());
        return Err(CommandError::usage(message, "it is declined; start the runbook anew"));
    }
    if arguments.to_sign {
        return to_sign(session, &read, &step, gate, answer);
    }
    let asker = Asker { session, read: &read, step: &step, gate, tally: tally.as_ref(), answer };
    let (signed, signer) = match &arguments.signed {
        Some(path) => asker.brought(path)?,
        None => asker.signed(arguments)?,
    };
    if answer == AnswerKind::Approved && !arguments.is_settled() && !agrees(session, arguments, gate)? {
        session.console.say("nothing was answered: the gate is still open\n");
        return Ok(Exit::Declined);
    }
    let host = Some(crate::store::host_name());
    let by = signer.map_or_else(|| operator(arguments.as_name.as_deref()), |signer| signer.operator(host));
    let decision = InboxDecision {
        step: step.clone(),
        digest: gate.digest.to_owned(),
        answer: Some(answer),
        chosen: None,
        values: IndexMap::new(),
        reason: arguments.reason.clone(),
        by,
        at: Timestamp::now(),
        signed,
    };
    leave(session, &store, &read, &decision)
}

impl ApproveArguments {
    /// Whether nothing is to be asked any more: a statement that was signed elsewhere says it all.
    fn is_settled(&self) -> bool {
        self.signed.is_some()
    }
}

fn show(
    session: &Session,
    read: &Read,
    step: &StepPath,
    gate: &OpenGate<'_>,
    may_skip: bool,
    tally: Option<&GateTally>,
) {
    let now = Timestamp::now();
    let left = gate.expires.duration_since(now).as_millis();
    let mut shown = gate.card.clone();
    if shown.stale.is_empty() {
        shown.stale = stale(read, gate.card, now);
    }
    let frame = CardFrame {
        step: &read.steps.find(step),
        card: &shown,
        digest: gate.digest,
        good_for_ms: u64::try_from(left).unwrap_or(0),
        may_skip,
        answers: false,
    };
    session.console.say_lines(&card(&frame, &session.console.error_style()));
    if let Some(waits) = tally.and_then(|tally| tally.waits_for(now)) {
        session.console.say(&format!("waits for {}\n", visible(&waits)));
    }
}

/// The approvals so far, as the record tells them.
fn tally(read: &Read, step: &StepPath) -> Option<GateTally> {
    let history = History::of(&read.transcript.records).ok()?;
    history.steps.get(step)?.tally.clone()
}

/// What one person wants to say at one gate.
struct Asker<'a> {
    session: &'a Session,
    read: &'a Read,
    step: &'a StepPath,
    gate: &'a OpenGate<'a>,
    tally: Option<&'a GateTally>,
    answer: AnswerKind,
}

impl Asker<'_> {
    /// Signs the answer where a key is named; whoever cannot count is told before the key is used.
    fn signed(&self, arguments: &ApproveArguments) -> Result<(Option<Signed>, Option<Signer>), CommandError> {
        let Some(path) = &arguments.sign else {
            self.counts(&operator(arguments.as_name.as_deref()).name, None)?;
            return Ok((None, None));
        };
        let key = private_key(self.session, path)?;
        let signer = self.signer(&key)?;
        self.counts(&signer.name, Some(&signer))?;
        let signed = self.statement(Timestamp::now()).sign(&key);
        let signed =
            signed.map_err(|error| CommandError::usage(format!("{}: {error}", path.display()), "use another key"))?;
        Ok((Some(signed), Some(signer)))
    }

    /// Whose key it is, by the groups that were frozen into the record.
    fn signer(&self, key: &PrivateKey) -> Result<Signer, CommandError> {
        let fingerprint = key.public().fingerprint();
        let approvers = approvers_on_record(&self.read.transcript.records);
        let Some((person, _)) = approvers.by_key(&fingerprint) else {
            let message =
                format!("the key {fingerprint} is of nobody under `approvers`, as they were when the run began");
            let known: Vec<&str> = approvers.people().map(|person| person.name.as_str()).collect();
            let hint = match known.as_slice() {
                [] => "runwright.yaml had no `approvers` then".to_owned(),
                known => format!("there are keys of {}", known.join(", ")),
            };
            return Err(CommandError::usage(message, hint));
        };
        Ok(Signer { name: person.name.clone(), key: fingerprint, users: person.users.clone() })
    }

    /// A statement that was signed elsewhere, with its signature beside it.
    fn brought(&self, path: &std::path::Path) -> Result<(Option<Signed>, Option<Signer>), CommandError> {
        let signature = path.with_added_extension("sig");
        let signed = Signed { statement: text_of(self.session, path)?, signature: text_of(self.session, &signature)? };
        let refused = |why: String| {
            CommandError::usage(
                format!("{} does not count: {why}", path.display()),
                "sign what `approve --to-sign` prints now",
            )
        };
        let (statement, signer) = signed
            .prove(&approvers_on_record(&self.read.transcript.records))
            .map_err(|error| refused(error.to_string()))?;
        if statement != self.statement(statement.at) {
            return Err(refused("it is about another run, step, card or answer".to_owned()));
        }
        self.counts(&signer.name, Some(&signer))?;
        Ok((Some(signed), Some(signer)))
    }

    fn statement(&self, at: Timestamp) -> Statement {
        let (run, step, digest) = (self.read.id.to_string(), self.step.0.clone(), self.gate.digest.to_owned());
        Statement { run, step, digest, answer: self.answer, at }
    }

    /// Whether an approval would count. The run itself decides; this only says it early.
    fn counts(&self, by: &str, signer: Option<&Signer>) -> Result<(), CommandError> {
        let records = &self.read.transcript.records;
        let Some(tally) = self.tally.filter(|_| self.answer == AnswerKind::Approved) else { return Ok(()) };
        match tally.refuses(by, signer, &approvers_on_record(records), &operators(records)) {
            None => Ok(()),
            Some(why) if signer.is_none() && tally.wants_signatures() => {
                Err(CommandError::usage(why, "sign it: --sign ~/.ssh/id_ed25519; anybody may say --deny"))
            }
            Some(why) => Err(CommandError::usage(why, "somebody else has to approve; anybody may say --deny")),
        }
    }
}

/// Prints the text to be signed where the key is.
fn to_sign(
    session: &Session,
    read: &Read,
    step: &StepPath,
    gate: &OpenGate<'_>,
    answer: AnswerKind,
) -> Result<Exit, CommandError> {
    let (run, digest) = (read.id.to_string(), gate.digest.to_owned());
    let statement = Statement { run, step: step.0.clone(), digest, answer, at: Timestamp::now() };
    session.console.data(&statement.text())?;
    session.console.say(&format!(
        "\nsign it within the hour, where the key is: ssh-keygen -Y sign -f KEY -n {} FILE\n\
         then bring FILE and FILE.sig: runwright approve {} {step} --signed FILE\n",
        crate::signature::Namespace::Gate.as_str(),
        read.id,
    ));
    Ok(Exit::Done)
}

fn text_of(session: &Session, path: &std::path::Path) -> Result<String, CommandError> {
    let path = session.folder().join(path);
    let read = |source| CommandError::Read { path: path.clone(), source };
    let mut text = String::new();
    std::fs::File::open(&path).map_err(read)?.take(FILE_LIMIT).read_to_string(&mut text).map_err(read)?;
    Ok(text)
}

/// Whether the person says yes to exactly this card: by its digest, or at the terminal.
fn agrees(session: &Session, arguments: &ApproveArguments, gate: &OpenGate<'_>) -> Result<bool, CommandError> {
    if let Some(digest) = &arguments.digest {
        if gate.digest.starts_with(digest.as_str()) {
            return Ok(true);
        }
        let message = format!("the digest on the card is {}, not {digest}", short(gate.digest));
        return Err(CommandError::usage(
            message,
            "the facts have moved, or it is another step: look at the card above",
        ));
    }
    if !Console::has_person() {
        return Err(CommandError::usage(
            "there is no terminal to answer at",
            format!("name the digest on the card: --digest {}", short(gate.digest)),
        ));
    }
    Ok(match &gate.card.requires {
        GateRequirement::Confirm => {
            session.console.say("answer yes? [y/N] ");
            typed_line().is_some_and(|line| matches!(line.trim(), "y" | "yes"))
        }
        GateRequirement::Type { text, what } => {
            let what = visible(what);
            session.console.say(&format!("type {what} to say yes: "));
            typed_line().is_some_and(|line| line.trim() == text.trim())
        }
    })
}

fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

/// The gates that were opened and not answered, by step, the latest opening of each.
fn open_gates(records: &[Record]) -> IndexMap<StepPath, OpenGate<'_>> {
    let mut open = IndexMap::new();
    for record in records {
        let Some(step) = &record.step else { continue };
        match &record.event {
            Event::GateOpened { digest, expires, card, .. } => {
                open.insert(step.clone(), OpenGate { digest, expires: *expires, card });
            }
            Event::GateAnswered { .. } | Event::StepEnded { .. } | Event::StepSkipped { .. } => {
                open.shift_remove(step);
            }
            _ => {}
        }
    }
    open
}

fn is_required(read: &Read, step: &StepPath) -> bool {
    let graph = read.graph.as_ref();
    graph.and_then(|graph| graph.at_path(&step.0)).is_some_and(|node| node.step.required)
}

fn no_gate<'r>(read: &Read, step: &StepPath, open: impl Iterator<Item = &'r StepPath>) -> CommandError {
    let known = read.graph.as_ref().is_none_or(|graph| graph.at_path(&step.0).is_some());
    let open: Vec<String> = open.map(ToString::to_string).collect();
    let hint = match open.as_slice() {
        [] => "no gate is open in this run".to_owned(),
        steps => format!("gates are open at {}", steps.join(", ")),
    };
    if !known {
        return CommandError::usage(format!("run `{}` has no step `{step}`", read.id), hint);
    }
    CommandError::usage(format!("no gate of step `{step}` is open in run `{}`", read.id), hint)
}
