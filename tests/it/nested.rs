//! Groups for each item of a list, groups side by side, and runbooks as one step, through the program.

use crate::support::{Sandbox, Terminal, documented};
use serde_json::Value;
use std::time::Duration;

const STORES: &str = "
inputs:
  names: { type: list, default: [north, south, west] }
steps:
  - id: store
    group: Give each of {{ items | length }} stores a token
    for_each: names
    as: name
    steps:
      - { id: look, diagnose: \"Look at {{ name }}\", run: [echo, \"{{ name }}\"], capture: { size: stdout | length } }
      - { id: mint, remediate: \"Mint for {{ name }}\", run: [touch, \"{{ name }}.token\"], undo: { run: [rm, \"{{ name }}.token\"] } }
      - { id: check, validate: \"{{ name }} has its token\", run: [test, -e, \"{{ name }}.token\"] }
  - id: sum
    validate: All stores have one
    assert: store.results | length == 3 and store.results[2].captures.look.size == 5
";

const RESTART: &str = "
inputs:
  name: { type: string, pattern: '[a-z]+' }
  count: { type: integer, default: 1 }
outputs:
  file: look.file
steps:
  - { id: look, diagnose: \"Look at {{ name }}\", run: [echo, \"{{ name }}\"], env: { N: \"{{ count }}\" }, capture: { file: stdout | trim } }
  - { id: act, remediate: \"Restart {{ name }}\", run: [touch, \"{{ name }}.done\"], irreversible: it is nothing, risk: low }
  - { id: proof, validate: It is done, run: [test, -e, \"{{ name }}.done\"] }
finally:
  - { id: tidy, diagnose: Tidy, run: [touch, tidy] }
";

fn steps(sandbox: &Sandbox) -> Vec<Value> {
    let shown = sandbox.runwright("show last --format json").exits(0).json();
    shown["steps"].as_array().expect("steps").clone()
}

fn outcomes(sandbox: &Sandbox) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps(sandbox).iter().map(|step| (text(&step["step"]), text(&step["outcome"]))).collect()
}

#[test]
fn a_group_runs_for_each_item_and_the_record_says_of_which() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("stores", STORES);
    let output = sandbox.runwright("run stores --env free").exits(0).says("RESOLVED");
    let output = output.says("store[1]/look").says("Look at south").tells("3 items done");
    assert!(!output.all().contains("{{"), "a title holds its values\n{output}");
    for name in ["north", "south", "west"] {
        assert!(sandbox.path(&format!("{name}.token")).exists());
    }
    let found = outcomes(&sandbox);
    for path in ["store", "store[0]", "store[2]/look", "store[2]/mint", "store[2]/check", "sum"] {
        assert!(found.contains(&(path.to_owned(), "succeeded".to_owned())), "{path}: {found:#?}");
    }
    let text = sandbox.runwright("show last").exits(0).says("store[2]/mint").says("passed by the environment's policy");
    let page = sandbox.runwright("show last --format markdown").exits(0).says("`store[1]/look`").says("Look at south");
    assert!(!page.stdout.contains("\\{\\{") && !text.stdout.contains("{{"), "{page}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn one_card_at_the_terminal_approves_the_whole_list() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("stores", STORES);
    let mut terminal = Terminal::open(&sandbox, &["run", "stores", "--env", "prod"]);
    terminal.sees("Give each of 3 stores a token").sees("for each of 3 items");
    terminal.sees("touch north.token").sees("3: north, south, west");
    terminal.sees("go on?").types("y");
    let screen = terminal.sees("RESOLVED").exits(0);
    assert_eq!(screen.matches("go on?").count(), 1, "one answer is enough\n{screen}");
    assert_eq!(screen.matches("passed with its list").count(), 3, "{screen}");
    let gates = sandbox.runwright("show last --format json").exits(0).json()["gates"].clone();
    let doors: Vec<_> = gates.as_array().expect("gates").iter().map(|gate| gate["answer"]["door"].clone()).collect();
    assert_eq!(doors, ["terminal", "list", "list", "list"]);
}

#[test]
fn a_parked_list_names_its_gate_and_does_nothing() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("stores", STORES);
    let output =
        sandbox.runwright("run stores --env prod").exits(5).says("PARKED").says("runwright approve ").says(" store\n");
    assert!(!sandbox.path("north.token").exists(), "{output}");
    _ = sandbox.runwright("run stores --env prod --yes=medium").exits(0).says("RESOLVED");
}

#[test]
fn a_failed_item_stops_the_list_and_points_at_its_line() {
    let sandbox = Sandbox::library();
    let body = STORES.replace(
        "run: [touch, \"{{ name }}.token\"]",
        "shell: 'test \"$N\" != south && touch \"$N.token\"', env: { N: \"{{ name }}\" }",
    );
    _ = sandbox.runbook("stores", &body);
    let output = sandbox.runwright("run stores --env free").exits(7);
    let output = output.tells("1 of 3 items failed, 1 were not performed; store[1]: `mint` failed");
    _ = output.says("stores.yaml:").tells("change `store[1]/mint` failed");
    assert!(sandbox.path("north.token").exists() && !sandbox.path("west.token").exists());
}

#[test]
fn a_probe_reads_for_each_item_and_a_plan_shows_the_loop() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("stores", STORES);
    let body = STORES.replace("  - id: sum\n    validate: All stores have one\n", "  - id: sum\n    diagnose: Sum\n");
    _ = sandbox.runbook("looks", &body);
    _ = sandbox
        .runwright("plan stores")
        .exits(0)
        .says("store/mint")
        .tells("each of 3 items of names")
        .says("Give each of 3 stores");
    _ = sandbox.runwright("probe looks").exits(1).says("store[2]/look").tells("a probe changes nothing");
    assert!(!sandbox.path("north.token").exists());
}

#[test]
fn a_runbook_is_one_step_of_another() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("restart", RESTART);
    let body = "
steps:
  - id: call
    remediate: Restart the database
    runbook: { name: restart, inputs: { name: db } }
  - id: after
    validate: It was the database
    assert: call.file == 'db' and call.result == 'resolved'
";
    _ = sandbox.runbook("caller", body);
    _ = sandbox.runwright("check").exits(0).says("nothing to mend");
    let plan =
        sandbox.runwright("plan caller --env prod").exits(0).says("call/act").says("touch db.done").says("Restart db");
    assert!(plan.tells("up to 1 change behind 1 gate").stdout.contains("call the runbook restart"));
    let output = sandbox.runwright("run caller --env free").exits(0).says("RESOLVED");
    _ = output.says("calls restart").says("call/look").says("Look at db").says("call/tidy");
    assert!(sandbox.path("db.done").exists() && sandbox.path("tidy").exists());
    let found = outcomes(&sandbox);
    assert!(found.contains(&("call/proof".to_owned(), "succeeded".to_owned())), "{found:#?}");
    // What was called stands in the record: it is read again without its file.
    std::fs::remove_file(sandbox.path("restart.yaml")).expect("a file");
    _ = sandbox.runwright("show last").exits(0).says("call/act").says("Restart db");
    let events = Sandbox::events(&sandbox.only_run());
    assert_eq!(events[0]["event"]["called"][0]["runbook"], "restart");
    sandbox.is_whole();
}

#[test]
fn a_file_outside_a_library_calls_what_stands_beside_it() {
    let sandbox = Sandbox::new();
    _ = sandbox.write("far/restart.yaml", &format!("runbook: restart\ntitle: A case\n{}", RESTART.trim_start()));
    let caller = "steps:\n  - { id: call, remediate: Call, runbook: { name: restart, inputs: { name: db } } }\n";
    _ = sandbox.write("far/caller.yaml", &format!("runbook: caller\ntitle: A case\n{caller}"));
    _ = sandbox.runwright("check far/caller.yaml").exits(0);
    _ = sandbox.runwright("run far/caller.yaml --yes=medium").exits(0).says("RESOLVED");
    let wrong = caller.replace("name: restart,", "name: restrat,");
    _ = sandbox.write("far/caller.yaml", &format!("runbook: caller\ntitle: A case\n{wrong}"));
    _ = sandbox.runwright("run far/caller.yaml").exits(3).says("[unknown-runbook]").says("did you mean `restart`");
    assert_eq!(sandbox.runs().len(), 1);
}

#[test]
fn what_is_wrong_with_a_call_is_said_before_the_first_step() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("restart", RESTART);
    _ = sandbox.runbook("secretive", "inputs:\n  key: { type: string, secret: true, from: { env: NO_SUCH_KEY } }\nsteps:\n  - { diagnose: Look, run: [env], env: { KEY: \"{{ key }}\" } }\n");
    let call = |text: &str| {
        format!("steps:\n  - {{ id: first, diagnose: First, run: [touch, first] }}\n  - {{ id: call, {text} }}\n")
    };
    let rows = [
        ("remediate: Call, runbook: restart", "[call-input]", "`name`"),
        ("remediate: Call, runbook: { name: restart, inputs: { name: db, colour: red } }", "[call-input]", "`colour`"),
        (
            "remediate: Call, runbook: { name: restart, inputs: { name: db, count: many } }",
            "[input-value]",
            "not a whole number",
        ),
        ("remediate: Call, runbook: { name: restart, inputs: { name: UPPER } }", "[input-value]", "pattern"),
        ("diagnose: Call, runbook: { name: restart, inputs: { name: db } }", "[call-changes]", "remediate"),
        ("diagnose: Call, runbook: case", "[call-ring]", "case -> case"),
        ("diagnose: Call, runbook: secretive", "[input-missing]", "NO_SUCH_KEY"),
    ];
    for (text, code, words) in rows {
        _ = sandbox.runbook("case", &call(text));
        _ = sandbox.runwright("run case --env free").exits(3).says(code).tells(words);
        assert!(!sandbox.path("first").exists() && sandbox.runs().is_empty(), "{text}");
    }
}

#[test]
fn a_ring_of_two_is_told_whole_from_each_side() {
    let sandbox = Sandbox::library();
    for (one, other) in [("here", "there"), ("there", "here")] {
        let call = format!("steps:\n  - {{ id: call, diagnose: Call, runbook: {other} }}\n");
        _ = sandbox.runbook(one, &call);
    }
    _ = sandbox.runwright("check").exits(3).says("here -> there -> here").says("there -> here -> there");
}

#[test]
fn a_gate_inside_a_call_is_answered_from_another_terminal() {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("restart", RESTART);
    _ = sandbox.runbook(
        "caller",
        "steps:\n  - { id: call, remediate: Call, runbook: { name: restart, inputs: { name: db } } }\n",
    );
    let mut run =
        sandbox.command(["run", "caller", "--env", "prod", "--park-after", "60s"]).spawn().expect("it starts");
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    let digest = loop {
        let open = sandbox.runs().first().map(|run| std::fs::read_to_string(run.join("transcript.jsonl")));
        let open = open.and_then(Result::ok).unwrap_or_default();
        let gate = open
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["event"]["kind"] == "gate_opened");
        if let Some(gate) = gate {
            assert_eq!(gate["step"], "call/act");
            break gate["event"]["digest"].as_str().expect("a digest").to_owned();
        }
        assert!(std::time::Instant::now() < deadline, "no gate was opened");
        std::thread::sleep(Duration::from_millis(20));
    };
    _ = sandbox.call(["approve", "last", "call/act", "--digest", &digest[..8]]).exits(0).says("approved");
    assert!(run.wait().expect("it ends").success());
    assert!(sandbox.path("db.done").exists());
}

#[test]
fn side_by_side_groups_start_together_and_the_first_failure_ends_the_reads() {
    let sandbox = Sandbox::library();
    let body = "
steps:
  - id: all
    group: Side by side
    parallel: true
    first_failure: cancel
    steps:
      - { id: fails, diagnose: Fails, shell: 'until test -e started; do sleep 0.02; done; exit 3' }
      - id: reads
        group: Reads
        steps:
          - { id: hangs, diagnose: Hangs, shell: 'touch started; sleep 300' }
          - { id: never, remediate: Never, run: [touch, never], irreversible: it is nothing, risk: low }
  - { id: proof, validate: The other one was there, run: [test, -e, started] }
";
    _ = sandbox.runbook("case", body);
    let output = sandbox.runwright("run case --env free").exits(0);
    _ = output.tells("`fails` failed, and `all` stops at its first failure");
    assert!(sandbox.path("started").exists() && !sandbox.path("never").exists());
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_examples_of_the_reference_run() {
    let sandbox = Sandbox::new();
    for name in ["group-loop-example", "parallel-example", "folder-example", "runbook-example"] {
        _ = sandbox.write(&format!("{name}.yaml"), &documented(name));
    }
    _ = sandbox.runwright("run group-loop-example.yaml --yes=medium").exits(0).says("RESOLVED").says("store[1]/mint");
    assert!(sandbox.path("north.token").exists() && sandbox.path("south.token").exists());
    _ = sandbox.runwright("run parallel-example.yaml").exits(0).says("COMPLETED");
    let folder = sandbox.folder().display().to_string();
    let output = sandbox.call(["run", "runbook-example.yaml", "-i", &format!("folder={folder}")]);
    _ = output.exits(0).says("RESOLVED").says("disk/size");
}

/// What an operator says of an input counts in the runbooks that are called, too.
#[test]
fn inputs_of_the_same_name_are_handed_on() {
    let sandbox = Sandbox::library();
    let inner = "
inputs:
  port: { type: integer, default: 1 }
  host: { type: string, default: inner }
  user: { type: string, default: nobody }
  token: { type: string, secret: true, optional: true }
outputs: { said: look.said }
steps:
  - id: look
    diagnose: Look
    run: [bash, -c, 'echo \"$0 $1 $2 ${TOKEN:-no token}\" | tr a-z A-Z', \"{{ host }}\", \"{{ port }}\", \"{{ user }}\"]
    env: { TOKEN: \"{{ token | default('') }}\" }
    capture: { said: stdout | trim }
";
    let outer = "
inputs:
  port: { type: integer, default: 2 }
  host: { type: string, default: outer }
  user: { type: string, optional: true }
  token: { type: string, secret: true, optional: true, from: { env: TOKEN } }
steps:
  - { id: one, diagnose: By itself, runbook: inner }
  - { id: two, diagnose: With a value of its own, runbook: { name: inner, inputs: { port: 9 } } }
  - { id: said, diagnose: What was said, set: { all: \"[one.said, two.said]\" }, show: [all] }
";
    _ = sandbox.runbook("inner", inner);
    _ = sandbox.runbook("outer", outer);
    let output = sandbox.call(["run", "outer", "--env", "free", "-i", "port=5433"]).exits(0);
    let output = output.tells("OUTER 5433 NOBODY NO TOKEN").tells("OUTER 9 NOBODY NO TOKEN");
    // Both are in the record of the call.
    let run = sandbox.only_run();
    let called = Sandbox::events(&run).into_iter().filter(|event| event["event"]["kind"] == "called");
    let mut ports: Vec<_> = called.map(|event| event["event"]["inputs"]["port"]["value"].as_i64()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [Some(9), Some(5433)], "{output}");
    let mut command = sandbox.command(["run", "outer", "--env", "free", "-i", "user=ana"]);
    let output = crate::support::finish(command.env("TOKEN", "canary-41f0"));
    _ = output.exits(0).tells("OUTER 2 ANA CANARY-41F0");
    _ = sandbox.call(["plan", "outer", "--env", "free", "-i", "port=5433"]).exits(0).says("5433");
}
