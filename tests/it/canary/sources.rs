//! A secret comes from each source that there is, right or wrong, and in several lines.

use crate::support::{CANARY, Canary, Terminal};

/// A runbook with this input.
fn runbook(canary: &Canary, input: &str) {
    let rest = format!(
        "inputs:\n  token: {input}\n  count: {{ type: integer, default: 1 }}\n  level: {{ type: choice, choices: [low, high], \
         default: low }}\n  label: {{ type: string, optional: true, pattern: \"[a-z]+\", from: {{ label: l }} }}\nsteps:\n  - \
         {{ id: uses, diagnose: It is used, stdin: \"{{{{ token }}}}\", run: [cat], show: [stdout, count] }}\n"
    );
    _ = canary.sandbox.runbook("case", &rest);
}

#[test]
fn every_source_of_an_input() {
    let canary = Canary::new();
    let file = canary.sandbox.write("token.txt", &format!("{CANARY}\n")).display().to_string();
    let (given, at) = (format!("token={CANARY}"), format!("token=@{file}"));
    let plain = "{ type: string, secret: true }".to_owned();
    for (input, more) in [
        ("{ type: string, secret: true, from: { env: CANARY } }".to_owned(), vec![]),
        (format!("{{ type: string, secret: true, from: {{ file: {file} }} }}"), vec![]),
        (format!("{{ type: string, secret: true, from: {{ run: [cat, {file}] }} }}"), vec![]),
        (plain.clone(), vec!["-i", given.as_str()]),
        (plain, vec!["-i", at.as_str()]),
    ] {
        runbook(&canary, &input);
        for command in [&["plan"][..], &["probe"], &["run"]] {
            let words = [command, &["case", "--env", "free"], &more].concat();
            _ = canary.call(&words).exits(0);
        }
        canary.is_nowhere();
        let field = canary.sandbox.field("uses", "stdout");
        assert_eq!(field, serde_json::json!({ "value": "‹secret token›" }), "{input}");
    }
}

#[test]
fn a_secret_that_is_asked_for_before_the_run() {
    let canary = Canary::new();
    runbook(&canary, "{ type: string, secret: true }");
    let mut terminal = Terminal::open(&canary.sandbox, &["run", "case", "--env", "free"]);
    let screen = terminal.sees("token: ").types(CANARY).exits(0);
    canary.is_not_in("the screen", screen.as_bytes());
    canary.is_nowhere();
}

#[test]
fn a_secret_in_the_wrong_place() {
    let canary = Canary::new();
    let file = canary.sandbox.write("fails", &format!("#!/bin/sh\necho '{CANARY}' >&2\necho 'x{CANARY}'\nexit 3\n"));
    let fails = format!("{{ type: string, secret: true, from: {{ run: [sh, {}] }} }}", file.display());
    runbook(&canary, &fails);
    _ = canary.call(&["run", "case", "--env", "free"]).exits(3).tells("what it said is not shown");
    runbook(&canary, "{ type: string, secret: true, pattern: \"[0-9]+\", from: { env: CANARY } }");
    _ = canary.call(&["run", "case", "--env", "free"]).exits(3).tells("does not match the pattern");
    // Where it was meant for another input.
    runbook(&canary, "{ type: string, secret: true, from: { env: CANARY } }");
    for name in ["count", "level"] {
        let given = format!("{name}={CANARY}");
        let output = canary.call(&["run", "case", "--env", "free", "-i", &given]).exits(3);
        assert!(output.all().contains("‹secret token›"), "{output}");
    }
    let label = format!("l={CANARY}");
    _ = canary.call(&["run", "case", "--env", "free", "--label", &label]).exits(3);
    let long = format!("count={}{CANARY}", "x".repeat(50));
    _ = canary.call(&["run", "case", "--env", "free", "-i", &long]).exits(3);
    assert!(canary.sandbox.runs().is_empty());
}

#[test]
fn a_secret_of_several_lines() {
    let lines: Vec<String> = (0..4).map(|line| format!("line{line}/Abc+{}'=\\", "kEy".repeat(15))).collect();
    let secret = format!("-----BEGIN A KEY-----\n{}\n-----END A KEY-----\n", lines.join("\n"));
    let canary = Canary::of(&secret);
    let rest = r#"
inputs:
  token: { type: string, secret: true, from: { env: CANARY } }
steps:
  - id: tells
    diagnose: A child tells it, line by line
    env: { T: "{{ token }}" }
    shell: |
      printf '%s' "$T"; printf '%s' "$T" | while read -r line; do echo "> $line <"; printf '%q\n' "$line"; done
      printf '%s' "$T" | base64; printf '%s' "$T" | base64 -w0; printf '%s' "$T" | od -An -tx1 -v | tr -d ' \n'
      printf '%s' "$T" >&2; exit 3
    show: [stdout, lines]
    on_failure: continue
  - id: written
    remediate: It goes into a file
    risk: low
    write: { file: FOLDER/key.pem, text: "{{ token }}" }
    irreversible: A test.
  - id: found
    diagnose: And comes back
    run: [cat, FOLDER/key.pem]
    capture: { key: { value: stdout, secret: true } }
"#;
    let folder = canary.sandbox.folder().display().to_string();
    let output = canary.runs(&rest.trim_start().replace("FOLDER", &folder));
    assert!(output.all().contains("‹secret token›"), "{output}");
    assert_eq!(std::fs::read_to_string(canary.sandbox.path("key.pem")).unwrap(), secret);
}
