//! Steps on another machine, through a real sshd.

mod doors;
mod ending;
mod files;
mod restoring;

use crate::support::{Output, Sandbox, Sshd, Terminal, example};
use std::path::Path;
use std::time::{Duration, Instant};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes a runbook with one machine, `web`.
fn runbook(sandbox: &Sandbox, sshd: &Sshd, steps: &str) {
    _ = sandbox.runbook("case", &format!("targets:\n{}steps:\n{}", sshd.target("web"), steps.trim_start_matches('\n')));
}

fn run(sandbox: &Sandbox) -> Output {
    sandbox.call(["run", "case", "--env", "free"])
}

/// What a step came to: the last end of an attempt of it.
#[track_caller]
fn ended(run: &Path, step: &str) -> serde_json::Value {
    let events = Sandbox::events(run);
    let of = |event: &&serde_json::Value| event["event"]["kind"] == "attempt_ended" && event["step"] == step;
    events.iter().rfind(of).unwrap_or_else(|| panic!("no end of {step}: {events:#?}"))["event"].clone()
}

/// A field of a result.
fn field<'a>(end: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    &end["fields"][name]["value"]
}

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes with these words in their command line or environment.
fn processes(file: &str, words: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    })
    .collect()
}

/// A number of seconds that no other test sleeps.
fn long_sleep() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", 10_000 + std::process::id() % 50_000, 100 + COUNT.fetch_add(1, Ordering::Relaxed))
}

fn sleeps(number: &str) -> Vec<u32> {
    processes("cmdline", &format!("sleep {number}"))
}

#[test]
fn programs_and_scripts_run_there_over_one_connection() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let steps = "
  - { id: hello, target: web, diagnose: Say, run: [echo, 'a  b', \"it's $HOME\"], expect: stdout == \"a  b it's $HOME\\n\" }
  - { id: script, target: web, diagnose: Say, shell: 'echo \"$WORD\" | tr a-z A-Z; pwd', env: { WORD: 'x $(y)' }, cwd: /usr }
  - { id: input, target: web, diagnose: Count, run: [wc, -c], stdin: four, expect: 'stdout == \"4\\n\"' }
  - { id: relay, target: web, diagnose: Count, run: [cat], stdin: \"{{ script.stdout }}\", expect: 'lines == [\"X $(Y)\", \"/usr\"]' }
  - { id: plain, target: web, diagnose: Say, shell: 'echo \"$0\"', with: sh }
";
    runbook(&sandbox, &sshd, steps);
    _ = run(&sandbox).exits(0);
    assert_eq!(field(&ended(&sandbox.only_run(), "script"), "stdout"), "X $(Y)\n/usr\n");
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    assert_eq!(sshd.log().matches("Starting session: command").count(), 6, "{}", sshd.log());
    sandbox.leaves_nothing_behind();
    wait_until("the end of every session", || sshd.servers().is_empty());
}

#[test]
fn exit_codes_are_told_apart() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let mut steps = String::new();
    for code in [0, 1, 2, 126, 127, 128, 254, 255] {
        steps.push_str(&format!(
            "  - {{ id: c{code}, target: web, diagnose: End, run: [sh, -c, 'echo out; exit {code}'] }}\n"
        ));
    }
    steps.push_str("  - { id: killed, target: web, diagnose: End, shell: 'kill -9 $$' }\n");
    steps.push_str("  - { id: fine, target: web, diagnose: End, run: [sh, -c, 'exit 255'], ok: [255] }\n");
    steps.push_str("  - { id: missing, target: web, diagnose: End, run: [no-such-program-x] }\n");
    steps.push_str("  - { id: file, target: web, diagnose: End, run: [/no/such/file] }\n");
    steps.push_str("  - { id: denied, target: web, diagnose: End, run: [/etc/passwd] }\n");
    steps.push_str("  - { id: folder, target: web, diagnose: End, run: [pwd], cwd: /no/such/folder }\n");
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox);
    let run = sandbox.only_run();
    assert_eq!(ended(&run, "c0")["outcome"], "succeeded");
    for code in [1, 2, 126, 127, 128, 254, 255] {
        let end = ended(&run, &format!("c{code}"));
        assert_eq!(end["error"]["exit"], code, "{end}");
        assert_eq!((field(&end, "exit"), field(&end, "stdout")), (&code.into(), &"out\n".into()), "{end}");
    }
    assert_eq!(ended(&run, "fine")["outcome"], "succeeded");
    assert_eq!(ended(&run, "killed")["error"]["signal"], 9);
    for (step, class) in
        [("missing", "not_found"), ("file", "not_found"), ("denied", "denied"), ("folder", "not_found")]
    {
        assert_eq!(ended(&run, step)["error"], class, "{}", ended(&run, step));
    }
}

/// Values that shells, terminals and protocols stumble over.
const HOSTILE: [&str; 16] = [
    "",
    " ",
    "plain",
    "it's \"quoted\"",
    "$HOME `id` $(id) ${x} \\ \\\\ \\n",
    "line one\nline two\n",
    "\n",
    "tab\tand\rreturn",
    "* ? [a-z] ~ !! #",
    "; & | < > ( ) { }",
    "--option",
    "ünïcode ☃ 🦀 \u{202e}",
    "\u{1}\u{7f}\u{1b}[31m",
    "\u{81}\u{88}\u{9f}",
    "'",
    "rw_id=1; exit 3",
];

#[test]
fn every_byte_arrives() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let json = |text: &str| serde_json::to_string(text).expect("a text").replace('\u{7f}', "\\u007f");
    // As a person would write them, between single quotes there is nothing to escape: so they come from a file.
    let mut inputs = String::from("inputs:\n");
    let (mut argv, mut env, mut print) = (String::new(), String::new(), String::new());
    let mut arguments: Vec<String> = vec!["run".into(), "case".into(), "--env".into(), "free".into()];
    for (place, value) in HOSTILE.iter().enumerate() {
        inputs.push_str(&format!("  v{place}: {{ type: string }}\n"));
        argv.push_str(&format!(", \"{{{{ v{place} }}}}\""));
        env.push_str(&format!("{}V{place}: \"{{{{ v{place} }}}}\"", if place == 0 { "" } else { ", " }));
        print.push_str(&format!(" \"$V{place}\""));
        arguments.extend(["-i".into(), format!("v{place}={value}")]);
    }
    let stdin: String = HOSTILE.concat();
    arguments.extend(["-i".into(), format!("all={stdin}")]);
    inputs.push_str("  all: { type: string }\n");
    let steps = format!(
        "
  - {{ id: argv, target: web, diagnose: Say, run: [printf, '[%s]', --{argv}] }}
  - {{ id: vars, target: web, diagnose: Say, shell: \"printf '[%s]'{print}\", env: {{ {env} }} }}
  - {{ id: stdin, target: web, diagnose: Say, run: [cat], stdin: \"{{{{ all }}}}\" }}
",
        print = print.replace('"', "\\\"")
    );
    let body = format!("{inputs}targets:\n{}steps:{steps}", sshd.target("web"));
    _ = sandbox.runbook("case", &body);
    let output = sandbox.call(&arguments).exits(0);
    let run = sandbox.only_run();
    let wanted: String = HOSTILE.iter().map(|value| format!("[{value}]")).collect();
    let dashes = format!("[--]{wanted}");
    for (step, wanted) in [("argv", &dashes), ("vars", &wanted), ("stdin", &stdin)] {
        let got = field(&ended(&run, step), "stdout").as_str().unwrap_or_default().to_owned();
        assert_eq!(json(&got), json(wanted), "{step}\n{output}");
    }
}

#[test]
fn much_input_and_much_output_pass() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let big: String = (0..700_000).map(|line| format!("line {line:08}\n")).collect();
    _ = sandbox.write("big", &big);
    let steps = "
  - { id: put, target: web, diagnose: Count, run: [md5sum], stdin: \"{{ big }}\" }
  - { id: here, diagnose: Count, run: [md5sum], stdin: \"{{ big }}\" }
  - { id: get, target: web, diagnose: Say, shell: 'head -c 10000000 /dev/zero | tr \"\\0\" x; echo done >&2' }
";
    let body = format!("inputs:\n  big: {{ type: string }}\ntargets:\n{}steps:{steps}", sshd.target("web"));
    _ = sandbox.runbook("case", &body);
    _ = sandbox.call(["run", "case", "--env", "free", "-i", "big=@big"]).exits(0);
    let run = sandbox.only_run();
    assert_eq!(field(&ended(&run, "put"), "stdout"), field(&ended(&run, "here"), "stdout"));
    let get = ended(&run, "get");
    assert_eq!((&get["evidence"][0]["size"], field(&get, "stderr")), (&10_000_000.into(), &"done\n".into()), "{get}");
}

#[test]
fn secrets_stand_in_no_command_line() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let (secret, number) = ("swordfish-and-chips-42", long_sleep());
    let body = format!(
        "inputs:\n  word: {{ type: string, secret: true }}\ntargets:\n{}steps:
  - {{ id: wait, target: web, diagnose: Wait, shell: 'read -r x; [ \"$x\" = \"$W\" ] && echo same; echo \"$x\"; sleep {number}', env: {{ W: \"{{{{ word }}}}\" }}, stdin: \"{{{{ word }}}}\\n\", timeout: 10s }}\n",
        sshd.target("web")
    );
    _ = sandbox.runbook("case", &body);
    _ = sandbox.write("word", secret);
    let call = sandbox
        .command(["run", "case", "--env", "free", "-i", "word=@word"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while sleeps(&number).is_empty() {
        assert_eq!(processes("cmdline", secret), Vec::<u32>::new());
    }
    assert_eq!(processes("cmdline", secret), Vec::<u32>::new());
    let output = call.wait_with_output().unwrap();
    let run = sandbox.only_run();
    assert!(String::from_utf8_lossy(&output.stdout).contains("same"), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(secret), "{output:?}");
    assert!(!std::fs::read_to_string(run.join("transcript.jsonl")).unwrap().contains(secret));
    assert!(!sshd.log().contains(secret));
}

#[test]
fn several_machines_at_once_have_a_connection_each() {
    let (sandbox, one, two) = (Sandbox::library(), Sshd::start(), Sshd::start());
    let mut body = format!("targets:\n{}{}steps:\n", one.target("one"), two.target("two"));
    for step in 0..6 {
        let target = if step % 2 == 0 { "one" } else { "two" };
        body.push_str(&format!(
            "  - {{ id: s{step}, target: {target}, diagnose: Say, run: [sh, -c, 'sleep 0.3; echo {step}'] }}\n"
        ));
    }
    _ = sandbox.runbook("case", &body);
    _ = run(&sandbox).exits(0);
    for step in 0..6 {
        assert_eq!(field(&ended(&sandbox.only_run(), &format!("s{step}")), "stdout"), &format!("{step}\n"));
    }
    assert_eq!((one.logins(), two.logins()), (1, 1));
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_plan_connects_to_nobody_and_shows_what_would_be_sent() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let steps = "
  - { id: say, target: web, diagnose: Say, run: [echo, 'a b', \"it's\"], env: { A: b }, cwd: /usr }
";
    runbook(&sandbox, &sshd, steps);
    let output = sandbox.call(["plan", "case"]).exits(0).says("echo 'a b' 'it'\\''s'");
    assert!(output.all().contains(&format!("@127.0.0.1:{}", sshd.port)), "{output}");
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}

/// The example of the language reference, as it stands there.
#[test]
fn the_example_of_the_reference_runs() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    _ = sandbox.write("example-ssh.yaml", &example("example-ssh"));
    _ = sandbox.write("cache/a.old", "x");
    _ = sandbox.write("cache/b.new", "x");
    let inputs = [
        format!("host={}@127.0.0.1", crate::support::sshd::user()),
        format!("port={}", sshd.port),
        format!("key={}", sshd.path("client_key").display()),
        format!("hosts={}", sshd.path("known_hosts").display()),
        format!("folder={}", sandbox.path("cache").display()),
    ];
    let mut words = vec!["run".to_owned(), "example-ssh".to_owned(), "--env".to_owned(), "free".to_owned()];
    words.extend(inputs.into_iter().flat_map(|input| ["-i".to_owned(), input]));
    _ = sandbox.call(&words).exits(0).says("RESOLVED");
    assert!(!sandbox.path("cache/a.old").exists() && sandbox.path("cache/b.new").exists());
    assert_eq!(std::fs::read_to_string(sandbox.path("cache/keep.conf")).unwrap(), "keep = 3\n");
    assert_eq!(sshd.logins(), 1);
}

#[test]
fn the_line_for_the_hand_does_the_same() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let steps = "
  - { id: say, target: web, diagnose: Say, run: [printf, '[%s]', 'a  b', \"it's $HOME `x`\", 'c\\d'], env: { A: 'x y' }, cwd: /usr }
";
    runbook(&sandbox, &sshd, steps);
    let plan = sandbox.call(["plan", "case", "--format", "json"]).exits(0).json();
    let more = plan["rows"][0]["act"]["more"].as_array().unwrap_or_else(|| panic!("{plan}")).clone();
    let line = more.iter().find(|line| line["label"] == "by hand").unwrap()["text"].as_str().unwrap().to_owned();
    let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[a  b][it's $HOME `x`][c\\d]", "{line}\n{output:?}");
}

#[test]
fn a_step_on_a_list_of_machines_acts_on_each() {
    let (sandbox, one, two) = (Sandbox::library(), Sshd::start(), Sshd::start());
    let body = format!(
        "targets:
{}{}steps:
  - {{ id: make, target: [one, two], remediate: Make it, irreversible: It is nothing., shell: 'echo x >>\"$FILE\"', env: {{ FILE: {file} }} }}
  - {{ id: made, validate: Twice, run: [cat, {file}], expect: lines | length == 2 }}
",
        one.target("one"),
        two.target("two"),
        file = sandbox.path("made").display(),
    );
    _ = sandbox.runbook("case", &body);
    let output = run(&sandbox).exits(0).says("RESOLVED");
    assert_eq!((one.logins(), two.logins()), (1, 1), "{output}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn logs_and_services_of_another_machine() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let lines: String = (0..50).map(|line| format!("2026-02-01T00:00:{line:02}Z line {line}\n")).collect();
    let log = sandbox.write("there/app.log", &lines);
    let state = sandbox.write("there/state", "stopped\n");
    let driver = format!(
        "    service:
      start: [sh, -c, 'echo running >{state}', '{{{{ name }}}}']
      stop: [sh, -c, 'echo stopped >{state}', '{{{{ name }}}}']
      restart: [sh, -c, 'echo running >{state}', '{{{{ name }}}}']
      status: [sh, -c, 'grep -q running {state} || exit 3', '{{{{ name }}}}']
",
        state = state.display()
    );
    let steps = format!(
        "steps:
  - {{ id: found, target: web, diagnose: Look, log: {{ file: {}, include: 'line 4[0-9]$' }}, expect: [count == 10, 'first is endingwith(\"line 40\")'] }}
  - {{ id: start, target: web, remediate: Start it, risk: low, irreversible: It is nothing., service: {{ start: app }} }}
  - {{ id: runs, target: web, validate: It runs, service: {{ status: app }}, expect: running }}
",
        log.display()
    );
    _ = sandbox.runbook("case", &format!("targets:\n{}{driver}{steps}", sshd.target("web")));
    _ = run(&sandbox).exits(0).says("RESOLVED");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "running\n");
    assert_eq!(sshd.logins(), 1);
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_person_talks_to_a_program_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let script = "printf 'word> '; read -r word; echo \\\"got $word in $(pwd) with $A\\\"; tty; exit 3";
    let step = format!(
        "
  - {{ id: talk, target: web, diagnose: Talk, interactive: [sh, -c, \"{script}\"], env: {{ A: \"it's !$x\" }}, cwd: /usr }}
"
    );
    runbook(&sandbox, &sshd, &step);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free"]);
    terminal
        .sees("start it?")
        .types("y")
        .sees("word>")
        .types("xyzzy")
        .sees("got xyzzy in /usr with it's !$x")
        .sees("/dev/pts/");
    terminal
        .sees("ended with exit code 3")
        .sees("how did it go?")
        .types("d")
        .sees("what did you see?")
        .types("fine")
        .types(".");
    _ = terminal.exits(0);
    assert_eq!(sshd.logins(), 1);
    wait_until("the end of our clients", || sandbox.processes().is_empty());
}
