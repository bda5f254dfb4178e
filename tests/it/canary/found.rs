//! Secrets that a run finds by itself: in the output of an act, in the answer of a person.

use super::server;
use crate::support::{CANARY, Canary, Sandbox, Terminal, example};
use serde_json::json;

/// Steps that find the secret in a file that only they know, and use it in every way that is allowed.
fn steps(file: &str) -> String {
    format!(
        r#"
steps:
  - id: login
    diagnose: A program tells a secret
    run: [cat, {file}]
    capture: {{ key: {{ value: json.key, secret: true }}, whole: json, other: json.user }}
    expect: [key != none, other == 'app']
    show: [whole, stdout]
  - id: uses
    diagnose: It goes to a child, which tells it in every way it knows
    env: {{ T: "{{{{ login.key }}}}" }}
    stdin: "{{{{ login.key }}}}"
    shell: |
      cat; echo; printf '%s\n' "$T"; printf '%s\n' "$T" >&2
      printf 'x%s' "$T" | base64 -w0; echo
      printf '%q\n' "$T"
      for ((i = 0; i < ${{#T}}; i++)); do printf '%s' "${{T:i:1}}"; done
    capture: {{ back: stdout }}
    show: [back]
  - id: computes
    diagnose: What was read beside it stands in values
    set: {{ all: login.whole, text: login.stdout, quoted: login.whole | tojson, passed: login.key }}
  - id: again
    diagnose: It goes on from there
    stdin: "{{{{ computes.passed }}}}"
    run: [cat]
"#
    )
}

/// The event in which a step ended.
#[track_caller]
fn ended(canary: &Canary, step: &str) -> serde_json::Value {
    let run = canary.sandbox.runs().pop().expect("a run");
    let is_end = |event: &serde_json::Value| event["step"] == step && event["event"]["kind"] == "step_ended";
    let events = Sandbox::events(&run);
    events.into_iter().rfind(is_end).unwrap_or_else(|| panic!("no end of {step}"))["event"].clone()
}

fn secret_file(canary: &Canary) -> String {
    let text = json!({ "user": "app", "key": CANARY }).to_string();
    canary.sandbox.write("login.json", &text).display().to_string()
}

#[test]
fn a_secret_out_of_a_program_stands_nowhere() {
    let canary = Canary::new();
    let steps = steps(&secret_file(&canary));
    _ = canary.runs(&steps).exits(0).says("‹secret login.key›");
    let login = ended(&canary, "login");
    assert_eq!(login["captures"]["key"], json!({ "secret": "login.key" }));
    assert_eq!(login["captures"]["other"], json!({ "value": "app" }));
    assert_eq!(login["captures"]["whole"]["value"]["key"], "‹secret login.key›");
    // The output is there, with its secret masked.
    let field = canary.sandbox.field("login", "stdout");
    assert!(field["value"].as_str().is_some_and(|text| text.contains("‹secret login.key›")), "{field}");
    let field = canary.sandbox.field("again", "stdout");
    assert_eq!(field, json!({ "value": "‹secret login.key›" }), "the real value went to the child and came back");
}

#[test]
fn a_secret_out_of_an_answer_opens_the_next_door() {
    let canary = Canary::new();
    let url = server();
    _ = canary.sandbox.write("key.json", &json!({ "key": CANARY }).to_string());
    let out = canary
        .runs(&format!(
            r#"
targets:
  open: {{ http: "{url}", allow: [loopback] }}
  closed: {{ http: "{url}", allow: [loopback], auth: {{ bearer: "{{{{ login.key }}}}" }} }}
steps:
  - id: login
    remediate: A server gives a token
    target: open
    http: {{ post: /echo, json: {{ user: app }} }}
    capture: {{ key: {{ value: body.raw, secret: true }}, seen: headers }}
    show: [seen, body]
    verify: {{ target: open, http: {{ get: /echo }}, capture: {{ k: {{ value: body.raw, secret: true }} }}, expect: k != none }}
    irreversible: A test.
  - id: closed
    diagnose: It is used
    target: closed
    http: {{ get: /echo, headers: {{ X-T: "{{{{ login.key }}}}" }} }}
    show: [body]
  - id: proves
    validate: The server saw it
    assert: "'Bearer' in closed.body.came"
"#
        ))
        .exits(0);
    assert!(out.all().contains("‹secret login.k"), "{out}");
}

#[test]
fn what_cannot_be_kept_out_of_sight_fails_the_step_and_is_not_kept() {
    let too_long = "x".repeat(1024 * 1024);
    for (text, words) in [
        (json!({ "key": "short" }), "shorter than 8 bytes"),
        (json!({ "key": "harmless-text" }), "the same text as input `plain`"),
        (json!({ "key": "recorded-text" }), "the same text as the result `stdout` of `before`"),
        (json!({ "key": ["a-list-of-texts"] }), "a secret is one text"),
        (json!({ "key": "attempt_started" }), "a part of the record's own word"),
        (json!({ "key": CANARY, "more": too_long }), "more than the 1048576 that are held back"),
    ] {
        let canary = Canary::new();
        let file = canary.sandbox.write("login.json", &json!({ "mark": "marked", "login": text }).to_string());
        let steps = format!(
            "inputs:\n  plain: {{ type: string, default: harmless-text }}\nsteps:\n  - id: before\n    diagnose: A\n    \
             run: [echo, recorded-text]\n    capture: {{ seen: \"stdout | trim\" }}\n  - id: login\n    diagnose: A\n    \
             needs: [before]\n    run: [cat, {}]\n    capture: {{ key: {{ value: json.login.key, secret: true }} }}\n",
            file.display()
        );
        _ = canary.runs(&steps).tells(words);
        assert_eq!(ended(&canary, "login")["outcome"], "failed", "{words}");
        let run = canary.sandbox.only_run();
        let all = std::fs::read_to_string(run.join("transcript.jsonl")).unwrap();
        assert!(!all.contains("marked"), "the output is on record: {words}");
        assert_eq!(std::fs::read_dir(run.join("evidence")).unwrap().count(), 0, "{words}");
    }
}

#[test]
fn output_in_which_the_secret_was_not_found_is_not_kept() {
    let canary = Canary::new();
    // Cut in the middle of the secret: no JSON, and half of the secret.
    let half = format!("{{\"mark\": \"marked\", \"key\": \"{}", &CANARY[..15]);
    let file = canary.sandbox.write("login.json", &half).display().to_string();
    let script = |code: u32| format!("cat {file}; cat {file} >&2; exit {code}");
    let steps = format!(
        "steps:\n  - id: cut\n    diagnose: A\n    shell: {:?}\n    capture: {{ key: {{ value: json.key, secret: true }}, \
         all: stdout }}\n    show: [stdout, all]\n    expect: (stdout | json) == 5\n    on_failure: continue\n  - id: fails\n    \
         diagnose: A\n    shell: {:?}\n    capture: {{ key: {{ value: json.key, secret: true }} }}\n    on_failure: \
         continue\n  - id: after\n    diagnose: A\n    set: {{ a: cut.stdout | default('none'), b: fails.stderr | \
         default('none') }}\n",
        script(0),
        script(3)
    );
    let output = canary.runs(&steps);
    assert!(!output.all().contains("marked"), "{output}");
    assert_eq!(ended(&canary, "fails")["outcome"], "failed");
    assert_eq!(canary.sandbox.field("fails", "exit"), json!({ "value": 3 }));
    let run = canary.sandbox.only_run();
    let all = std::fs::read_to_string(run.join("transcript.jsonl")).unwrap();
    assert!(!all.contains("marked"), "{all}");
    assert_eq!(ended(&canary, "after")["captures"]["a"], json!({ "value": "none" }));
}

#[test]
fn a_failing_act_that_told_its_secret_is_kept_masked() {
    let canary = Canary::new();
    let file = secret_file(&canary);
    let steps = format!(
        "steps:\n  - id: login\n    diagnose: A\n    shell: \"cat {file}; echo; cat {file} >&2; exit 3\"\n    capture: {{ \
         key: {{ value: json.key, secret: true }} }}\n    on_failure: continue\n  - id: tolerated\n    diagnose: A\n    \
         shell: \"cat {file}; exit 4\"\n    tolerate: [exit_4]\n    capture: {{ key: {{ value: json.key, secret: true }} \
         }}\n  - id: uses\n    diagnose: A\n    stdin: \"{{{{ tolerated.key }}}}\"\n    run: [cat]\n"
    );
    let output = canary.runs(&steps);
    let field = canary.sandbox.field("login", "stdout");
    assert!(field["value"].as_str().is_some_and(|text| text.contains("\"‹secret ")), "{field} {output}");
    let field = canary.sandbox.field("uses", "stdout");
    assert!(field["value"].as_str().is_some_and(|text| text.starts_with("‹secret ")), "{field}");
}

#[test]
fn loops_polls_and_stretches_find_secrets_too() {
    let canary = Canary::new();
    let file = secret_file(&canary);
    let steps = format!(
        r#"
inputs:
  token: {{ type: string, secret: true, from: {{ env: CANARY }} }}
steps:
  - id: each
    diagnose: Several logins
    for_each: "['a', 'b']"
    shell: "cat {file}"
    capture: {{ key: {{ value: json.key, secret: true }} }}
  - id: group
    group: Several groups
    for_each: "['a', 'b']"
    steps:
      - id: inner
        diagnose: A login
        shell: "cat {file}"
        capture: {{ key: {{ value: json.key, secret: true }} }}
      - {{ id: uses, diagnose: It is used, stdin: "{{{{ inner.key }}}}", run: [cat] }}
  - id: poll
    diagnose: It comes later
    shell: "test -e {file}.there && cat {file} || {{ touch {file}.there; echo nothing; }}"
    until: {{ expect: key != none, every: 50ms, within: 10s }}
    capture: {{ key: {{ value: json.key, secret: true }} }}
  - id: stretch
    diagnose: It is watched
    shell: "cat {file}"
    hold: {{ for: 200ms, every: 100ms, while: key != none }}
    capture: {{ key: {{ value: json.key, secret: true }} }}
  - id: values
    diagnose: Out of the results
    set: {{ rows: each.results, first: "each.results[0].captures.key", samples: stretch.samples }}
  - id: passed
    diagnose: It goes on
    stdin: "{{{{ values.first }}}}"
    run: [cat]
  - id: argument
    diagnose: It does not go into argv
    run: [echo, "{{{{ each.results[0].captures.key }}}}"]
    on_failure: continue
  - id: raw
    diagnose: Nor does what stood beside it
    run: [echo, "{{{{ poll.json.key }}}}"]
    on_failure: continue
"#
    );
    let output = canary.runs(&steps);
    let field = canary.sandbox.field("passed", "stdout");
    assert!(field["value"].as_str().is_some_and(|text| text.starts_with("‹secret ")), "{field}\n{output}");
    assert_eq!(ended(&canary, "argument")["outcome"], "failed");
    let raw = ended(&canary, "raw");
    assert_eq!(raw["outcome"], "failed");
    assert!(raw["reason"].as_str().is_some_and(|reason| reason.contains("where others can read it")), "{raw}");
}

#[test]
fn a_secret_is_no_value_of_an_earlier_run() {
    let canary = Canary::new();
    let file = secret_file(&canary);
    let steps = format!(
        "steps:\n  - id: old\n    diagnose: A\n    set: {{ key: \"last('case', 'key') | default('nothing')\" }}\n  - id: \
         login\n    diagnose: A\n    run: [cat, {file}]\n    capture: {{ key: {{ value: json.key, secret: true }} }}\n"
    );
    _ = canary.runs(&steps).exits(0);
    _ = canary.runs(&steps).exits(0);
    for run in canary.sandbox.runs() {
        let events = Sandbox::events(&run);
        let end = events.iter().find(|event| event["step"] == "old" && event["event"]["kind"] == "step_ended");
        assert_eq!(end.unwrap()["event"]["captures"]["key"], json!({ "value": "nothing" }));
    }
}

#[test]
fn a_secret_answer_is_not_echoed_and_not_kept() {
    let canary = Canary::new();
    _ = canary.sandbox.runbook(
        "case",
        r#"
steps:
  - id: asks
    diagnose: Somebody knows it
    ask:
      questions:
        user: { question: Which user? }
        key: { question: And the key?, secret: true }
  - id: uses
    diagnose: It is used
    env: { T: "{{ asks.key }}" }
    shell: printf '%s' "$T"
  - id: again
    diagnose: And once more
    ask: { question: The other key?, secret: true }
"#,
    );
    let mut terminal = Terminal::open(&canary.sandbox, &["run", "case", "--env", "free"]);
    terminal.sees("user (string)").types("app");
    terminal.sees("key (string)").types("short");
    terminal.sees("fewer than 8 bytes").sees("key (string)").types(CANARY);
    // A secret that was named already is no new one.
    terminal.sees("answer (string)").types(CANARY);
    let screen = terminal.exits(0);
    canary.is_not_in("the screen", screen.as_bytes());
    assert!(!screen.contains("short\n"), "{screen}");
    canary.is_nowhere();
    assert_eq!(canary.sandbox.field("uses", "stdout"), json!({ "value": "‹secret asks.key›" }));
}

#[test]
fn a_secret_answer_comes_by_no_other_door() {
    let canary = Canary::new();
    let steps = "steps:\n  - id: asks\n    diagnose: A\n    ask: { question: The key?, secret: true }\n  - id: uses\n    \
                 diagnose: A\n    stdin: \"{{ asks.answer }}\"\n    run: [cat]\n";
    _ = canary.sandbox.runbook("case", steps);
    _ = canary.call(&["run", "case", "--env", "free"]).exits(5);
    let output = canary.command(&["answer", "last", "asks", &format!("answer={CANARY}")]).output().unwrap();
    assert!(!output.status.success());
    canary.is_nowhere();
    // An answers file is the person's own, and read where the person put it.
    let answers = canary.sandbox.write("answers.txt", &format!("asks: {}\n", json!(CANARY)));
    _ = canary.call(&["run", "case", "--env", "free", "--answers", &answers.display().to_string()]).exits(0);
    canary.is_nowhere();
    assert_eq!(canary.sandbox.field("uses", "stdout"), json!({ "value": "‹secret asks.answer›" }));
}

#[test]
fn the_example_of_the_reference_runs() {
    let canary = Canary::new();
    _ = canary.sandbox.write("secrets-example.yaml", &example("secrets-example"));
    let account = json!({ "user": "app", "token": CANARY }).to_string();
    let account = canary.sandbox.write("account.json", &account).display().to_string();
    let input = format!("account={account}");
    let mut terminal = Terminal::open(&canary.sandbox, &["run", "secrets-example", "-e", "free", "-i", &input]);
    terminal.sees("answer (string)").types("another1pin");
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED") && !screen.contains("another1pin"), "{screen}");
    canary.is_not_in("the screen", screen.as_bytes());
    canary.is_nowhere();
    assert_eq!(canary.sandbox.field("uses", "stdout"), json!({ "value": "‹secret login.token›\n" }));
}

#[test]
fn a_run_that_is_taken_up_again_finds_its_secrets_again() {
    let canary = Canary::new();
    let file = secret_file(&canary);
    let steps = format!(
        "steps:\n  - id: login\n    diagnose: A\n    run: [cat, {file}]\n    capture: {{ key: {{ value: json.key, secret: \
         true }} }}\n    show: [stdout]\n  - id: hand\n    diagnose: A person\n    manual: Look at it.\n  - id: uses\n    \
         diagnose: A\n    stdin: \"{{{{ login.key }}}}\"\n    run: [cat]\n    show: [stdout]\n"
    );
    _ = canary.runs(&steps).exits(5);
    _ = canary.call(&["answer", "last", "hand", "result=done"]).exits(0);
    _ = canary.call(&["resume", "last"]).exits(0);
    canary.is_nowhere();
    assert_eq!(canary.sandbox.field("uses", "stdout"), json!({ "value": "‹secret login.key›" }));
    let events = Sandbox::events(&canary.sandbox.only_run());
    let ends = |step: &str| {
        events.iter().filter(|event| event["step"] == step && event["event"]["kind"] == "attempt_ended").count()
    };
    assert_eq!((ends("login"), ends("uses")), (2, 1), "only the read that gave the secret is performed again");
}
