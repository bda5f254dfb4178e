//! `verify` under attack: every way to change a record after it was written, through the program, on real runs.

use crate::support::Sandbox;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;

/// A read with more output than an event holds, a change, what proves it. The second time the change is let through.
const CASE: &str = "
steps:
  - { id: look, diagnose: Look, run: [seq, \"2000\"] }
  - { id: act, remediate: Make it, run: [touch, made], undo: { run: [rm, made] } }
  - { id: made, validate: It is made, run: [test, -e, made] }
";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A closed record that was parked on its way, lost the end of a line in a crash, and was taken up again.
struct Attacked {
    sandbox: Sandbox,
    run: PathBuf,
    whole: String,
    ledger: String,
}

impl Attacked {
    fn new() -> Self {
        let sandbox = Sandbox::library();
        _ = sandbox.runbook("case", CASE);
        _ = sandbox.call(["run", "case", "--env", "prod"]).exits(5);
        let run = sandbox.only_run();
        let path = run.join("transcript.jsonl");
        let mut torn = fs::read(&path).expect("a transcript");
        torn.extend(b"{\"seq\":99,\"ti");
        fs::write(&path, torn).expect("a torn transcript");
        _ = sandbox.call(["resume", "last", "--yes=medium"]).exits(0);
        let whole = fs::read_to_string(&path).expect("a transcript");
        let ledger = fs::read_to_string(sandbox.store().join("ledger.jsonl")).expect("a ledger");
        let attacked = Self { sandbox, run, whole, ledger };
        attacked.is_whole();
        assert!(attacked.whole.contains("\"run_resumed\"") && attacked.whole.contains("\"torn\":13"));
        attacked
    }

    fn lines(&self) -> Vec<&str> {
        self.whole.lines().collect()
    }

    fn put(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.run.join("transcript.jsonl"), bytes).expect("the transcript");
    }

    fn put_lines<L: AsRef<str>>(&self, lines: &[L]) {
        self.put(lines.iter().map(|line| format!("{}\n", line.as_ref())).collect::<String>());
    }

    fn mend(&self) {
        self.put(&self.whole);
        fs::write(self.sandbox.store().join("ledger.jsonl"), &self.ledger).expect("the ledger");
    }

    #[track_caller]
    fn is_whole(&self) {
        _ = self.sandbox.call(["verify", "last"]).exits(0).says("WHOLE");
        _ = self.sandbox.call(["verify", "--all"]).exits(0);
    }

    /// Fails unless the attack is found, at this line when there is one, and said with these words.
    #[track_caller]
    fn is_found(&self, what: &str, line: Option<usize>, words: &str) {
        // By its name: `last` is no word for a run whose first line cannot be read.
        let name = self.run.file_name().expect("a name").to_string_lossy().into_owned();
        let output = self.sandbox.call(["verify", &name]);
        assert_eq!(output.code, 1, "{what}\n{output}");
        let wrong: Vec<&str> = output.stdout.lines().filter(|line| line.contains("WRONG")).collect();
        let place = line.map(|line| format!("transcript.jsonl:{line}  "));
        assert!(
            wrong.iter().any(|said| said.contains(words) && place.as_ref().is_none_or(|place| said.contains(place))),
            "{what}, at {place:?}, {words:?}\n{output}"
        );
        _ = self.sandbox.call(["verify", "--all"]).exits(1);
    }
}

/// The lines with numbers and hashes made anew from the first one on: what somebody does who knows how the chain works.
fn chained_anew<L: AsRef<str>>(lines: &[L]) -> Vec<String> {
    let mut prev = "0".repeat(64);
    let mut out = Vec::new();
    for (seq, line) in (1..).zip(lines) {
        let line = line.as_ref();
        let (head, tail) = line.split_once(',').expect("fields");
        assert!(head.starts_with("{\"seq\":"));
        let end = tail.rfind("\"prev\":\"").expect("a hash");
        let line = format!("{{\"seq\":{seq},{}\"prev\":\"{prev}\"}}", &tail[..end]);
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        prev = sha256(line.as_bytes());
        out.push(line);
    }
    out
}

#[test]
fn a_flipped_byte_is_found_in_every_line() {
    let case = Attacked::new();
    let last = case.lines().len();
    let mut start = 0;
    for (number, line) in (1..).zip(case.lines()) {
        let mut bytes = case.whole.clone().into_bytes();
        // A letter of a value, so that the line is JSON still.
        bytes[start + line.find("\"kind\":\"").expect("a kind") + 8] ^= 1;
        case.put(&bytes);
        let words = if number == last { "the last line was changed" } else { "was changed" };
        let output = case.sandbox.call(["verify", case.run.file_name().unwrap().to_str().unwrap()]);
        assert_eq!(output.code, 1, "line {number}\n{output}");
        assert!(output.stdout.contains(&format!("transcript.jsonl:{number}  ")), "line {number}\n{output}");
        assert!(output.stdout.contains(words), "line {number}\n{output}");
        start += line.len() + 1;
    }
    case.mend();
    case.is_whole();
}

#[test]
fn a_cut_is_found_at_every_line() {
    let case = Attacked::new();
    let lines = case.lines();
    for kept in 1..lines.len() {
        case.put_lines(&lines[..kept]);
        let words = format!("the ledger counted {} lines when the run was closed, and {kept} are left", lines.len());
        case.is_found(&format!("cut after line {kept}"), Some(kept), &words);
    }
    case.put("");
    case.is_found("an empty file", None, "the end was cut");
}

#[test]
fn a_line_dropped_moved_or_put_in_is_found_at_its_place() {
    let case = Attacked::new();
    let lines = case.lines();
    for at in 0..lines.len() - 1 {
        let mut dropped = lines.clone();
        dropped.remove(at);
        case.put_lines(&dropped);
        let words = format!("number {} is missing before line {}: dropped", at + 1, at + 1);
        case.is_found(&format!("line {} dropped", at + 1), Some(at + 1), &words);
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        case.put_lines(&swapped);
        case.is_found(&format!("lines {} and {} swapped", at + 1, at + 2), None, "");
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        case.put_lines(&doubled);
        case.is_found(&format!("line {} twice", at + 1), Some(at + 2), "inserted or ");
    }
}

#[test]
fn a_tail_that_was_chained_anew_is_found_from_outside_the_chain() {
    let case = Attacked::new();
    let head = sha256(case.lines().last().expect("a line").as_bytes());
    let forged: Vec<String> = case
        .lines()
        .iter()
        .map(|line| line.replace("\"operator\":{\"name\":\"", "\"operator\":{\"name\":\"x"))
        .collect();
    let forged = chained_anew(&forged);
    case.put_lines(&forged);
    case.is_found("a forged operator", Some(forged.len()), "all were written anew after the run was closed");
    // The ledger written anew as well: only what was kept elsewhere tells.
    let mut entry: Value = serde_json::from_str(case.ledger.trim()).expect("an entry");
    entry["head"] = sha256(forged.last().expect("a line").as_bytes()).into();
    let ledger = case.ledger.replace(&head, entry["head"].as_str().expect("a head"));
    fs::write(case.sandbox.store().join("ledger.jsonl"), ledger).expect("the ledger");
    _ = case.sandbox.call(["verify", "--all"]).exits(0).tells("only a head that was kept somewhere else");
    _ = case.sandbox.call(["verify", "last", "--against", &head]).exits(1).says("no line has the given head");
    case.mend();
    _ = case.sandbox.call(["verify", "last", "--against", &head[..12]]).exits(0).says("end: in the ledger");
}

#[test]
fn a_change_without_its_gate_is_found_though_the_chain_holds() {
    let case = Attacked::new();
    let without: Vec<&str> = case.lines().into_iter().filter(|line| !line.contains("gate_answered")).collect();
    case.put_lines(&chained_anew(&without));
    fs::remove_file(case.sandbox.store().join("ledger.jsonl")).expect("the ledger");
    // Nobody marks it as open: an end that the ledger does not know is wrong too.
    case.is_found("no ledger", None, "the ledger has no entry for it");
    fs::write(case.sandbox.store().join("open").join(case.run.file_name().expect("a name")), "").expect("a mark");
    let name = case.run.file_name().expect("a name").to_string_lossy().into_owned();
    _ = case.sandbox.call(["list"]);
    let output = case.sandbox.call(["verify", &name]).exits(1);
    _ = output.says("no run writes this");
}

#[test]
fn records_put_in_each_others_place_are_found() {
    let case = Attacked::new();
    _ = case.sandbox.call(["run", "case", "--env", "free"]).exits(0);
    let other = case.sandbox.runs().into_iter().find(|run| *run != case.run).expect("another run");
    let (one, two) = (case.run.join("transcript.jsonl"), other.join("transcript.jsonl"));
    let texts = (fs::read(&one).expect("one"), fs::read(&two).expect("two"));
    fs::write(&one, &texts.1).expect("one");
    fs::write(&two, &texts.0).expect("two");
    for run in [&case.run, &other] {
        let name = run.file_name().expect("a name").to_string_lossy().into_owned();
        _ = case.sandbox.call(["verify", &name]).exits(1).says("this is the transcript of run");
    }
}

#[test]
fn a_ledger_that_was_touched_is_found() {
    let case = Attacked::new();
    for _ in 0..2 {
        _ = case.sandbox.call(["run", "case", "--env", "free"]).exits(0);
    }
    let path = case.sandbox.store().join("ledger.jsonl");
    let whole = fs::read_to_string(&path).expect("a ledger");
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 3);
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let attacks = [
        ("a dropped first line", joined(&lines[1..]), "ledger.jsonl:1  "),
        ("a dropped line", joined(&[lines[0], lines[2]]), "ledger.jsonl:2  "),
        ("swapped lines", joined(&[lines[0], lines[2], lines[1]]), "ledger.jsonl:2  "),
        ("a changed number of lines", whole.replacen("\"lines\":", "\"lines\":1", 1), "ledger.jsonl:1  "),
        ("rubbish", whole.replacen("{\"seq\":2", "{\"seq\":x", 1), "ledger.jsonl:2  "),
    ];
    for (what, text, place) in attacks {
        fs::write(&path, text).expect("the ledger");
        let output = case.sandbox.call(["verify", "--all"]);
        assert!(output.code == 1 && output.stdout.contains(place), "{what}\n{output}");
    }
    fs::write(&path, joined(&lines[..2])).expect("the ledger");
    _ = case.sandbox.call(["verify", "--all"]).exits(1).says("the ledger has no entry for it");
    fs::write(&path, &whole).expect("the ledger");
    fs::remove_dir_all(&case.run).expect("a run removed");
    _ = case.sandbox.call(["verify", "--all"]).exits(1).says("its folder is missing");
}

#[test]
fn evidence_that_was_touched_is_found() {
    let case = Attacked::new();
    let folder = case.run.join("evidence");
    let kept = fs::read_dir(&folder).expect("evidence").map(|entry| entry.expect("an entry").path()).next();
    let kept = kept.expect("output that was kept");
    let bytes = fs::read(&kept).expect("its bytes");
    let mut flipped = bytes.clone();
    flipped[1000] ^= 1;
    fs::write(&kept, flipped).expect("its bytes");
    case.is_found("a flipped byte", None, "its content has another hash");
    fs::remove_file(&kept).expect("it is there");
    case.is_found("a removed file", None, "is missing");
    std::os::unix::fs::symlink("/etc/hostname", &kept).expect("a link");
    case.is_found("a link in its place", None, "cannot be read");
    fs::remove_file(&kept).expect("the link");
    fs::write(&kept, bytes).expect("its bytes");
    fs::write(folder.join("more"), "put in by somebody").expect("a file");
    _ = case.sandbox.call(["verify", "last"]).exits(0).says("note").says("evidence/more");
}

#[test]
fn rubbish_in_the_inbox_harms_nothing() {
    let case = Attacked::new();
    let inbox = case.run.join("inbox");
    fs::write(inbox.join("0-a.json"), [0xff, 0, b'{']).expect("a file");
    fs::create_dir(inbox.join("1-b.json")).expect("a folder");
    case.is_whole();
    _ = case.sandbox.call(["show", "last"]).exits(0);
    _ = case.sandbox.call(["list"]).exits(0);
}

#[test]
fn the_end_of_a_run_that_has_not_ended_is_not_proven() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CASE);
    _ = sandbox.call(["run", "case", "--env", "prod"]).exits(5);
    let path = sandbox.only_run().join("transcript.jsonl");
    let text = fs::read_to_string(&path).expect("a transcript");
    let lines: Vec<&str> = text.lines().collect();
    let head = sha256(lines.last().expect("a line").as_bytes());
    _ = sandbox.call(["verify", "last"]).exits(0).says("open: end not provable");
    _ = sandbox.call(["verify", "last", "--against", &head]).exits(0).says("end: as given");
    let cut: String = lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, cut).expect("a cut transcript");
    _ = sandbox.call(["verify", "last"]).exits(0).says("open: end not provable");
    _ = sandbox.call(["verify", "last", "--against", &head]).exits(1).says("the end was cut");
}

fn key(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.path(name).display().to_string();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path])
        .status()
        .expect("ssh-keygen: the package openssh-client");
    assert!(made.success());
    path
}

#[test]
fn a_signed_head_tells_what_a_chain_cannot() {
    let sandbox = Sandbox::library();
    let (ana, bo) = (key(&sandbox, "ana"), key(&sandbox, "bo"));
    _ = sandbox.runbook("case", CASE);
    _ = sandbox.call(["run", "case", "--env", "prod", "--sign", "nowhere"]).exits(2);
    _ = sandbox.call(["run", "case", "--env", "prod", "--sign", &format!("{ana}.pub")]).exits(2).says("without .pub");
    assert!(sandbox.runs().is_empty());
    _ = sandbox.call(["run", "case", "--env", "prod", "--sign", &ana]).exits(5);
    let run = sandbox.only_run();
    assert!(!run.join("head.sig").exists(), "what has not ended is not signed");
    _ = sandbox.call(["resume", "last", "--yes=medium", "--sign", &ana]).exits(0).says("signed by SHA256:");
    let by = |name: &str| ["verify".to_owned(), "last".to_owned(), "--key".to_owned(), format!("{name}.pub")];
    _ = sandbox.call(by(&ana)).exits(0).says("the head is signed by SHA256:");
    _ = sandbox.call(by(&bo)).exits(1).says("the head is not signed by SHA256:");
    _ = sandbox.call(["verify", "--all"]).exits(0).says("it says that SHA256:");
    // Other people's tools agree.
    let path = run.join("transcript.jsonl");
    let whole = fs::read_to_string(&path).expect("a transcript");
    let head = sha256(whole.lines().last().expect("a line").as_bytes());
    let name = run.file_name().expect("a name").to_string_lossy().into_owned();
    let statement = sandbox.write("statement", &format!("runwright head v1\nrun {name}\nhead {head}\n"));
    let checked = std::process::Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "head@runwright", "-s"])
        .arg(run.join("head.sig"))
        .stdin(fs::File::open(statement).expect("the statement"))
        .output()
        .expect("ssh-keygen: the package openssh-client");
    assert!(checked.status.success(), "{checked:?}");
    // A chain and a ledger that were made anew.
    let forged: Vec<String> =
        whole.lines().map(|line| line.replace("\"operator\":{\"name\":\"", "\"operator\":{\"name\":\"x")).collect();
    let forged = chained_anew(&forged);
    fs::write(&path, forged.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("the transcript");
    let ledger = sandbox.store().join("ledger.jsonl");
    let text = fs::read_to_string(&ledger).expect("a ledger");
    fs::write(&ledger, text.replace(&head, &sha256(forged.last().expect("a line").as_bytes()))).expect("the ledger");
    _ = sandbox.call(["verify", "last"]).exits(0);
    _ = sandbox.call(by(&ana)).exits(1).says("the head is not signed by SHA256:");
    fs::write(run.join("head.sig"), "rubbish").expect("the signature");
    _ = sandbox.call(["verify", "last"]).exits(1).says("cannot be read");
    fs::remove_file(run.join("head.sig")).expect("the signature");
    _ = sandbox.call(by(&ana)).exits(1).says("the head is not signed");
}
