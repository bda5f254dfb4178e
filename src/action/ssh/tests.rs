//! The script of the far end, in the shells of this machine, without a connection.

#![expect(clippy::disallowed_methods, reason = "these tests start shells")]

use super::far::{COMMAND, Errand, HELLO};
use super::sieve::{Said, Sieve};
use proptest::prelude::*;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// A far end that has been told everything.
fn told(mut shell: Command, errand: &Errand<'_>) -> Child {
    shell.env_clear().env("HOME", "/").env("IFS", "x").env("BASH_ENV", "/no/such/file");
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&errand.text().unwrap()).unwrap();
    child
}

/// What came out of it, once the channel has been held open to the end.
fn heard(child: &mut Child) -> (Vec<u8>, Vec<u8>, Vec<Said>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    child.wait().unwrap();
    let (mut out, mut err) = (Sieve::stdout(NONCE), Sieve::stderr(NONCE));
    let (stdout, stderr) = (out.sift(&stdout), err.sift(&stderr));
    assert!(out.is_reading());
    (stdout, stderr, err.said().to_vec())
}

fn shell(name: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-c", COMMAND]);
    command
}

/// The marker is the test's own: what carries the same one is ended.
fn errand<'a>(
    marker: &'a str,
    argv: &'a [String],
    environment: &'a [(String, Zeroizing<String>)],
    stdin: &'a [u8],
) -> Errand<'a> {
    Errand { nonce: NONCE, marker, argv, environment, folder: None, stdin, grace: 5 }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, ..ProptestConfig::default() })]

    /// Whatever a value is made of, the program gets it.
    #[test]
    fn any_value_arrives(
        values in prop::collection::vec("([\\PC\n\t\r'\"$`\\\\\u{1}-\u{1f}\u{7f}-\u{9f}]{0,12})", 1..4),
        stdin in prop::collection::vec(any::<u8>(), 0..300),
        bash in any::<bool>(),
    ) {
        let mut argv = words(&["sh", "-c", "for v; do printf '[%s]' \"$v\"; done; printf '{%s}' \"$V\"; cat", "sh"]);
        argv.extend(values.iter().cloned());
        let environment = [("V".to_owned(), Zeroizing::new(values.concat()))];
        let mut child = told(shell(if bash { "bash" } else { "sh" }), &errand("far-values/1@[web]", &argv, &environment, &stdin));
        let (stdout, stderr, said) = heard(&mut child);
        let mut wanted: Vec<u8> = values.iter().map(|value| format!("[{value}]")).collect::<String>().into_bytes();
        wanted.extend(format!("{{{}}}", values.concat()).into_bytes());
        wanted.extend(&stdin);
        prop_assert_eq!(String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&wanted));
        prop_assert_eq!((stderr, said), (Vec::new(), vec![Said::Started, Said::End(0)]));
    }
}

#[test]
fn without_setsid_too_everything_is_ended() {
    // A machine with a few tools only.
    let tools = tempfile::tempdir().unwrap();
    for name in ["sh", "env", "sleep", "grep", "sort", "head", "wc", "mktemp", "rm", "cat"] {
        let found = crate::action::find_program(name, "/usr/bin:/bin".as_ref()).unwrap();
        std::os::unix::fs::symlink(found, tools.path().join(name)).unwrap();
    }
    let command =
        COMMAND.replace("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PATH=\"$TOOLS\"");
    assert_ne!(command, COMMAND);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &command]);
    let argv = words(&["sh", "-c", "trap '' TERM; sleep 4321.5 & echo begun; sleep 4321.5; sleep 4321.5"]);
    let tools = tools.path().display().to_string();
    let errand = errand("far-plain/1@[web]", &argv, &[], b"");
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear().env("TOOLS", tools);
    let mut child = shell.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&errand.text().unwrap()).unwrap();
    let mut begun = Vec::new();
    while !begun.ends_with(b"begun\n") {
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        begun.extend(byte);
    }
    assert!(begun.starts_with(HELLO.as_bytes()));
    let at = Instant::now();
    drop(child.stdin.take());
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    child.wait().unwrap();
    assert!(at.elapsed() < Duration::from_secs(20), "{:?}", at.elapsed());
    let mut err = Sieve::stderr(NONCE);
    assert_eq!(err.sift(&stderr), b"");
    assert_eq!(err.said().last(), Some(&Said::End(137)), "{:?}", err.said());
    crate::action::fixture::assert_no_orphan("far-plain/1@[web]");
}

#[test]
fn input_that_does_not_arrive_whole_starts_nothing() {
    let argv = words(&["touch", "/no/such/folder/file"]);
    let errand = Errand { stdin: b"abc", ..errand("far-cut/1@[web]", &argv, &[], b"") };
    let mut text = errand.text().unwrap().to_vec();
    text.pop();
    let mut shell = shell("sh");
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let (_, _, said) = heard(&mut child);
    assert!(matches!(said.as_slice(), [Said::Refused(class, _)] if class == "system"), "{said:?}");
}
