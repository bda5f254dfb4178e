//! Gates that one yes does not pass, through the program: signatures by OpenSSH keys, groups, expiry, windows, and
//! decisions left for a run that nobody has.

use crate::support::{Output, Sandbox, Terminal};
use sha2::{Digest as _, Sha256};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Makes a key below `keys`, and gives its public half.
fn key(sandbox: &Sandbox, name: &str, passphrase: &str) -> String {
    std::fs::create_dir_all(sandbox.path("keys")).expect("a folder");
    let file = sandbox.path(&format!("keys/{name}"));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen (Debian package openssh-client) is needed for this test");
    assert!(made.success());
    std::fs::read_to_string(file.with_extension("pub")).expect("a public key").trim().to_owned()
}

/// A library in which ana, ben and cem are `dba`, dan is in no group, and eve is nobody; and a change behind a gate.
fn library(gate: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let people: String = ["ana", "ben", "cem", "dan"]
        .map(|name| {
            format!("  {name}: {{ key: {} }}\n", key(&sandbox, name, if name == "cem" { "open sesame" } else { "" }))
        })
        .concat();
    _ = key(&sandbox, "eve", "");
    let text = format!(
        "library: test\napprovers:\n{people}groups: {{ dba: [ana, ben, cem] }}\n\
         environments: {{ free: {{ production: false, gates: {{ medium: pass }} }} }}\n"
    );
    _ = sandbox.write("runwright.yaml", &text);
    let steps = format!(
        "targets: {{ here: {{ local: true }} }}\nsteps:\n  - id: act\n    remediate: Act\n    run: [touch, made]\n    \
         undo: {{ run: [rm, made] }}\n    gate: {gate}\n  - {{ id: there, validate: There, run: [test, -e, made] }}\n"
    );
    _ = sandbox.runbook("case", &steps);
    sandbox
}

const TWO: &str = "{ approvals: 2, from: dba, not_operator: true }";

fn run(sandbox: &Sandbox, more: &[&str]) -> Command {
    sandbox.command([&["run", "case", "--env", "free", "--as", "ana"], more].concat())
}

/// A run that has parked at its gate, and the digest of the card.
fn parked(sandbox: &Sandbox) -> String {
    let output = sandbox.call(["run", "case", "--env", "free", "--as", "ana"]).exits(5);
    digest_on(&output.all())
}

fn digest_on(text: &str) -> String {
    let (_, rest) = text.split_once("digest ").expect("a card");
    rest.chars().take(8).collect()
}

/// A run that waits at its gate in another process.
struct Waiting {
    child: Child,
    digest: String,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Waiting {
    fn new(sandbox: &Sandbox) -> Self {
        let mut child =
            run(sandbox, &["--park-after", "120s"]).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let card = lines.by_ref().map_while(Result::ok).find(|line| line.contains("digest "));
        let digest = digest_on(&card.expect("the card shows its digest"));
        // Read to its end, or the run would wait for us.
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        Self { child, digest, rest: Some(rest) }
    }

    fn ends(mut self, code: i32) -> String {
        let status = self.child.wait().expect("it ends");
        let rest = self.rest.take().expect("once").join().expect("its lines");
        assert_eq!(status.code(), Some(code), "{rest}");
        rest
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Gone already when the test went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn approve(sandbox: &Sandbox, digest: &str, more: &[&str]) -> Output {
    sandbox.call([&["approve", "last", "act", "--digest", digest], more].concat())
}

fn approvals(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let events = Sandbox::events(&sandbox.only_run());
    events.into_iter().filter(|record| record["event"]["kind"] == "gate_approved").collect()
}

#[test]
fn two_people_sign_from_other_terminals() {
    let sandbox = library(TWO);
    let waiting = Waiting::new(&sandbox);
    let digest = waiting.digest.clone();
    // Who cannot count is told before anything is left.
    _ = approve(&sandbox, &digest, &["--as", "ben"]).exits(2).says("counts signatures only");
    _ = approve(&sandbox, &digest, &["--sign", "keys/ana"]).exits(2).says("the operator does not count");
    _ = approve(&sandbox, &digest, &["--sign", "keys/dan"]).exits(2).says("dan is not in dba");
    _ = approve(&sandbox, &digest, &["--sign", "keys/eve"]).exits(2).says("there are keys of ana, ben, cem, dan");
    _ = approve(&sandbox, &digest, &["--sign", "keys/ben.pub"]).exits(2).says("without .pub");
    _ = approve(&sandbox, &digest, &["--sign", "keys/cem"]).exits(2).says("encrypted with a passphrase");
    _ = approve(&sandbox, "00000000", &["--sign", "keys/ben"]).exits(2).says("the facts have moved");
    _ = sandbox.call(["approve", "last", "ackt", "--sign", "keys/ben"]).exits(2).says("has no step `ackt`");
    _ = sandbox
        .call(["approve", "last", "there", "--sign", "keys/ben"])
        .exits(2)
        .says("no gate of step `there` is open");
    assert!(!sandbox.path("made").exists() && approvals(&sandbox).is_empty());
    _ = approve(&sandbox, &digest, &["--sign", "keys/ben"]).exits(0).says("1 given by ben");
    _ = approve(&sandbox, &digest, &["--sign", "keys/ben"]).exits(2).says("ben has approved this already");
    assert!(!sandbox.path("made").exists());
    let mut terminal = Terminal::open(&sandbox, &["approve", "last", "act", "--sign", "keys/cem"]);
    terminal.sees("1 given by ben").sees("passphrase of keys/cem").types("wrong");
    terminal.sees("2 of 3: passphrase").types("open sesame").sees("answer yes?").types("y");
    let screen = terminal.exits(0);
    assert!(!screen.contains("sesame"), "{screen}");
    assert!(waiting.ends(0).contains("RESOLVED") && sandbox.path("made").exists());
    _ = sandbox.runwright("verify last").exits(0).says("2 approvals are signed");
    let show = sandbox.runwright("show last --format json").json();
    assert_eq!(show["gates"][0]["approvals"].as_array().map(Vec::len), Some(2), "{show:#}");
    _ = sandbox.runwright("show last").exits(0).says("ben (signature)");
    checked_by_ssh_keygen(&sandbox);
}

/// What is on record can be checked without this program.
fn checked_by_ssh_keygen(sandbox: &Sandbox) {
    let record = approvals(sandbox).remove(0);
    let run = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    let (event, step) = (&record["event"], record["step"].as_str().expect("a step"));
    let (digest, at) = (event["digest"].as_str().expect("hex"), event["approval"]["at"].as_str().expect("a time"));
    let text = format!(
        "runwright gate decision, form 1\nrun: {run}\nstep: {step}\ndigest: {digest}\nanswer: approved\nat: {at}\n"
    );
    _ = sandbox.write("text.sig", event["approval"]["signature"]["text"].as_str().expect("a signature"));
    let key = std::fs::read_to_string(sandbox.path("keys/ben.pub")).expect("a key");
    _ = sandbox.write("allowed", &format!("ben {key}"));
    let text = std::fs::File::open(sandbox.write("text", &text)).expect("the text");
    let checked = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-f", "allowed", "-I", "ben", "-n", "gate@runwright", "-s", "text.sig"])
        .current_dir(sandbox.folder())
        .stdin(text)
        .output()
        .expect("ssh-keygen");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn anybody_may_refuse_and_a_refusal_ends_it() {
    let sandbox = library(TWO);
    let waiting = Waiting::new(&sandbox);
    _ = approve(&sandbox, &waiting.digest, &["--sign", "keys/ben"]).exits(0);
    _ = sandbox
        .call(["deny", "last", "act", "--reason", "wrong cluster", "--as", "eve"])
        .exits(0)
        .says("declined by eve");
    let screen = waiting.ends(4);
    assert!(screen.contains("wrong cluster") && !sandbox.path("made").exists(), "{screen}");
    sandbox.is_whole();
}

#[test]
fn nothing_typed_at_the_runs_own_terminal_passes_it() {
    let sandbox = library(TWO);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free", "--as", "ana", "--yes=medium"]);
    terminal.sees("2 approvals of dba, not of the operator, signed").sees("signatures, or an answer:").types("y");
    terminal.sees("counts signatures only").sees("signatures, or an answer:");
    _ = sandbox.call(["deny", "last", "act"]).exits(0);
    let screen = terminal.exits(4);
    assert!(screen.contains("answered elsewhere") && !sandbox.path("made").exists(), "{screen}");
}

#[test]
fn a_key_that_is_elsewhere_signs_the_text() {
    let sandbox = library("{ approvals: 1, from: dba }");
    _ = parked(&sandbox);
    let text = sandbox.call(["approve", "last", "act", "--to-sign"]).exits(0).says("ssh-keygen -Y sign").stdout;
    _ = sandbox.write("text", &text);
    let sign = |namespace: &str| {
        _ = std::fs::remove_file(sandbox.path("text.sig"));
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-f", "keys/ben", "-n", namespace, "text"])
            .current_dir(sandbox.folder())
            .stderr(Stdio::null())
            .status()
            .expect("ssh-keygen");
        assert!(signed.success());
    };
    sign("file");
    _ = sandbox.call(["approve", "last", "act", "--signed", "text"]).exits(2).says("signed for `file`");
    sign("gate@runwright");
    _ = sandbox.write("text", &text.replace("step: act", "step: art"));
    _ = sandbox.call(["approve", "last", "act", "--signed", "text"]).exits(2).says("does not fit the text");
    _ = sandbox.write("text", &text);
    _ = sandbox
        .call(["approve", "last", "act", "--signed", "text"])
        .exits(0)
        .says("approved by ben")
        .says("runwright resume");
}

#[test]
fn a_parked_run_is_approved_and_taken_up() {
    let sandbox = library(TWO);
    let digest = parked(&sandbox);
    _ = sandbox.runwright("show last").exits(0).says("2 approvals of dba, not of the operator");
    let left = approve(&sandbox, &digest, &["--sign", "keys/ben"]).exits(0).says("no process has this run now");
    assert!(left.all().contains("runwright resume 2"), "{left}");
    // One is not enough: it parks again, with the approval on record.
    _ = sandbox.call(["resume", "last", "--as", "ana"]).exits(5).says("1 given by ben");
    assert_eq!(approvals(&sandbox).len(), 1);
    _ = approve(&sandbox, &digest, &["--sign", "keys/ben"]).exits(2).says("ben has approved this already");
    let mut terminal = Terminal::open(&sandbox, &["approve", "last", "act", "--sign", "keys/cem"]);
    terminal.sees("passphrase").types("open sesame").sees("answer yes?").types("y");
    _ = terminal.exits(0);
    _ = sandbox.call(["resume", "last", "--as", "ana"]).exits(0).says("RESOLVED");
    assert!(sandbox.path("made").exists());
    _ = sandbox.runwright("verify last").exits(0).says("2 approvals are signed");
}

#[test]
fn who_took_a_run_up_is_an_operator_too() {
    let sandbox = library(TWO);
    let digest = parked(&sandbox);
    _ = sandbox.call(["resume", "last", "--as", "ben"]).exits(5);
    _ = approve(&sandbox, &digest, &["--sign", "keys/ben"]).exits(2).says("the operator does not count");
}

#[test]
fn a_gate_expires_while_its_run_is_parked() {
    let sandbox = library("{ approvals: 1, expires: 1s }");
    let digest = parked(&sandbox);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = approve(&sandbox, &digest, &["--sign", "keys/ben"]);
        if answer.code == 2 {
            _ = answer.says("has expired");
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
    _ = sandbox.call(["resume", "last", "--as", "ana"]).exits(4).says("expired");
    assert!(!sandbox.path("made").exists());
    sandbox.is_whole();
}

/// The days of the week around now, by UTC: those on which a window is open or closed whatever the hour is.
fn days() -> (String, String) {
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let name = |offset: i64| {
        let day = today.checked_add(jiff::Span::new().days(offset)).expect("a day");
        day.strftime("%a").to_string()
    };
    (format!("{},{}", name(0), name(1)), format!("{},{}", name(3), name(4)))
}

#[test]
fn a_gate_is_passed_inside_its_window_only() {
    let (open, closed) = days();
    let sandbox = library(&format!("{{ window: '{open} 00:00-24:00 UTC' }}"));
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free"]);
    terminal.sees("go on?").types("y");
    assert!(terminal.exits(0).contains("RESOLVED") && sandbox.path("made").exists());

    let sandbox = library(&format!("{{ window: '{closed} 00:00-24:00 UTC' }}"));
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free", "--as", "ana"]);
    terminal.sees("closed now, opens").sees("go on?").types("y").sees("has an approval of ana");
    terminal.sees("go on?").types("n").sees("why?").types("too late");
    _ = terminal.exits(4);
    assert!(!sandbox.path("made").exists());
    assert_eq!(approvals(&sandbox).len(), 1);
    sandbox.is_whole();
}

/// Whoever can write the store can write the chain anew; not so the signatures in it.
#[test]
fn a_signature_does_not_move_with_the_chain() {
    let sandbox = library(TWO);
    let waiting = Waiting::new(&sandbox);
    _ = approve(&sandbox, &waiting.digest, &["--sign", "keys/ben"]).exits(0);
    drop(waiting);
    _ = sandbox.runwright("verify last").exits(0).says("1 approval is signed");
    let file = sandbox.only_run().join("transcript.jsonl");
    let whole = std::fs::read_to_string(&file).expect("a transcript");
    for (from, to, said) in [
        (r#""name":"ben","identity":"signature""#, r#""name":"cem","identity":"signature""#, "the key is of ben"),
        (r#""approval":{"at":"2"#, r#""approval":{"at":"3"#, "one of them was changed"),
    ] {
        assert!(whole.contains(from), "{whole}");
        std::fs::write(&file, chained_anew(&whole.replacen(from, to, 1))).expect("a transcript");
        _ = sandbox.runwright("verify last").exits(1).says("the approval of `act` does not hold").says(said);
    }
    std::fs::write(&file, &whole).expect("a transcript");
    _ = sandbox.runwright("verify last").exits(0);
}

fn chained_anew(text: &str) -> String {
    let mut before = "0".repeat(64);
    let mut lines = String::new();
    for line in text.lines() {
        let start = line.find(r#""prev":""#).expect("a link") + r#""prev":""#.len();
        let line = format!("{}{before}{}", &line[..start], &line[start + 64..]);
        before = Sha256::digest(&line).iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
