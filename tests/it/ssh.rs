//! Steps on another machine, through a real sshd.

use crate::support::sshd::{kill, make_key, needs};
use crate::support::{Output, Sandbox, Sshd, Terminal};
use std::path::Path;
use std::time::{Duration, Instant};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A library with an environment in which nothing asks.
fn bench() -> Sandbox {
    let sandbox = Sandbox::new();
    let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
    let text = format!("library: test\nenvironments:\n  free: {{ production: false, gates: {gates} }}\n");
    _ = sandbox.write("runwright.yaml", &text);
    sandbox
}

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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
fn a_timeout_ends_what_runs_there() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let (one, two, three) = (long_sleep(), long_sleep(), long_sleep());
    let steps = format!(
        "
  - {{ id: read, target: web, diagnose: Wait, timeout: 5s, shell: 'sleep {one} & setsid sleep {two} & echo begun; wait' }}
  - {{ id: change, target: web, remediate: Wait, timeout: 5s, irreversible: It is nothing., run: [sleep, '{three}'], on_failure: continue }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox).says("TIMED OUT");
    assert!([&one, &two, &three].iter().all(|number| sleeps(number).is_empty()), "something still runs");
    let run = sandbox.only_run();
    let read = ended(&run, "read");
    assert_eq!((&read["outcome"], &read["error"]), (&"timed_out".into(), &"timeout".into()), "{read}");
    assert_eq!(field(&read, "stdout"), "begun\n");
    assert!(read["message"].as_str().unwrap().contains("was ended there"), "{read}");
    let change = ended(&run, "change");
    assert_eq!((&change["outcome"], &change["error"]), (&"unknown".into(), &"timeout".into()), "{change}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_ignores_a_polite_word_is_killed_there() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: deaf, target: web, diagnose: Wait, timeout: 5s, shell: 'trap \"\" TERM; echo begun; sleep {number}; sleep {number}' }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let began = Instant::now();
    _ = run(&sandbox).says("TIMED OUT");
    // Five seconds, ten of grace, and what a slow machine needs.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(sleeps(&number).is_empty());
    assert!(ended(&sandbox.only_run(), "deaf")["message"].as_str().unwrap().contains("was ended there"));
}

#[test]
fn what_outlives_its_program_is_ended_and_told() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let (one, two) = (long_sleep(), long_sleep());
    let steps = format!(
        "
  - {{ id: left, target: web, diagnose: Leave, shell: 'sleep {one} & setsid sleep {two} >/dev/null 2>&1 & echo done' }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    _ = run(&sandbox).exits(0);
    let end = ended(&sandbox.only_run(), "left");
    assert_eq!(end["left"].as_array().map(Vec::len), Some(2), "{end}");
    assert!(end["left"][0].as_str().unwrap().contains("sleep ("), "{end}");
    assert!(sleeps(&one).is_empty() && sleeps(&two).is_empty());
}

#[test]
fn a_connection_that_is_cut_leaves_a_change_unknown_and_nothing_running() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: change, target: web, remediate: Wait, irreversible: It is nothing., run: [sleep, '{number}'], on_failure: continue }}
  - {{ id: after, target: web, diagnose: Look, run: [echo, again] }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let call = sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the program", || !sleeps(&number).is_empty());
    sshd.cut();
    _ = call.wait_with_output().unwrap();
    let run = sandbox.only_run();
    let change = ended(&run, "change");
    assert_eq!((&change["outcome"], &change["error"]), (&"unknown".into(), &"connection".into()), "{change}");
    wait_until("the end of the program", || sleeps(&number).is_empty());
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_connection_is_made_again_after_it_was_cut() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let number = long_sleep();
    let steps = format!(
        "
  - {{ id: cut, target: web, diagnose: Wait, run: [sleep, '{number}'] }}
  - {{ id: between, set: {{ a: '1' }} }}
  - {{ id: after, target: web, diagnose: Look, run: [echo, again] }}
"
    );
    runbook(&sandbox, &sshd, &steps.replace("  - { id: between, set: { a: '1' } }\n", ""));
    let steps = format!(
        "
  - {{ id: cut, target: web, diagnose: Wait, run: [sleep, '{number}'] }}
  - {{ id: after, target: web, diagnose: Look, run: [echo, again], needs: [cut] }}
"
    );
    runbook(&sandbox, &sshd, &steps);
    let call = sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the program", || !sleeps(&number).is_empty());
    sshd.cut();
    _ = call.wait_with_output().unwrap();
    let run = sandbox.only_run();
    let cut = ended(&run, "cut");
    assert_eq!((&cut["outcome"], &cut["error"]), (&"failed".into(), &"connection".into()), "{cut}");
    assert_eq!(field(&ended(&run, "after"), "stdout"), "again\n");
    assert_eq!(sshd.logins(), 2);
}

#[test]
fn when_we_are_killed_nothing_goes_on_there() {
    for victim in ["us", "the client"] {
        let (sandbox, sshd) = (bench(), Sshd::start());
        let number = long_sleep();
        let steps = format!("\n  - {{ id: wait, target: web, diagnose: Wait, run: [sleep, '{number}'] }}\n");
        runbook(&sandbox, &sshd, &steps);
        let mut call =
            sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        wait_until("the program", || !sleeps(&number).is_empty());
        if victim == "us" {
            kill(call.id(), "KILL");
        } else {
            // The client of the attempt carries its marker; the one that holds the connection does not.
            let clients: Vec<u32> = processes("environ", &sandbox.folder().parent().unwrap().display().to_string())
                .into_iter()
                .filter(|pid| !processes("environ", "RUNWRIGHT_ATTEMPT=").iter().all(|marked| marked != pid))
                .collect();
            assert_eq!(clients.len(), 1, "{clients:?}");
            kill(clients[0], "KILL");
        }
        _ = call.wait().unwrap();
        wait_until("the end of the program", || sleeps(&number).is_empty());
        wait_until("the end of our clients", || sandbox.processes().is_empty());
        wait_until("the end of every session", || sshd.servers().is_empty());
        if victim == "the client" {
            let end = ended(&sandbox.only_run(), "wait");
            assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &"connection".into()), "{end}");
        }
    }
}

#[test]
fn ctrl_c_ends_what_runs_there() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let number = long_sleep();
    runbook(&sandbox, &sshd, &format!("\n  - {{ id: wait, target: web, diagnose: Wait, run: [sleep, '{number}'] }}\n"));
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "free"]);
    wait_until("the program", || !sleeps(&number).is_empty());
    _ = terminal.presses("\x03");
    _ = terminal.presses("\x03");
    wait_until("the end of the program", || sleeps(&number).is_empty());
    wait_until("the end of our clients", || sandbox.processes().is_empty());
}

#[test]
fn strangers_and_closed_doors_have_their_own_words() {
    let sandbox = bench();
    let sshd = Sshd::start();
    let other_key = sandbox.path("other_key");
    make_key(&other_key);
    let hosts = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let other = std::fs::read_to_string(sandbox.path("other_key.pub")).unwrap();
    let words: Vec<_> = other.split_whitespace().collect();
    _ = sandbox.write("none", "");
    _ = sandbox.write("changed", &format!("{} {} {}\n", hosts.split_whitespace().next().unwrap(), words[0], words[1]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // One takes calls and says nothing, one says something else.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = mute.local_addr().unwrap().port();
    let talker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let garbage = talker.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write as _;
        while let Ok((mut stream, _)) = talker.accept() {
            _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let good = sshd.target("web");
    let known = |name: &str| {
        good.replace(&sshd.path("known_hosts").display().to_string(), &sandbox.path(name).display().to_string())
    };
    let rows = [
        ("changed", known("changed"), "denied", "its host key is not the one"),
        ("unknown", known("none"), "denied", "its host key is not in"),
        (
            "key",
            good.replace(&sshd.path("client_key").display().to_string(), &other_key.display().to_string()),
            "denied",
            "it did not let us in",
        ),
        (
            "refused",
            good.replace(&format!("\"{}\"", sshd.port), &format!("\"{free}\"")),
            "refused",
            "Connection refused",
        ),
        ("dns", good.replace("@127.0.0.1", "@no-such-host.invalid"), "dns", "Could not resolve hostname"),
        ("silent", good.replace(&format!("\"{}\"", sshd.port), &format!("\"{silent}\"")), "timeout", "timed out"),
        (
            "garbage",
            good.replace(&format!("\"{}\"", sshd.port), &format!("\"{garbage}\"")),
            "connection",
            "nothing was sent",
        ),
        ("allow", format!("{good}    allow: [public]\n"), "address", "which is loopback"),
    ];
    for (name, target, class, words) in rows {
        let step = "{ id: act, target: web, remediate: Do, irreversible: It is nothing., run: [touch, /no/such/file] }";
        let trial = bench();
        _ = trial.runbook("case", &format!("targets:\n{target}steps:\n  - {step}\n"));
        let output = run(&trial).exits(7);
        let end = ended(&trial.only_run(), "act");
        assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &class.into()), "{name}: {end}\n{output}");
        assert!(end["message"].as_str().unwrap().contains(words), "{name}: {end}");
        trial.leaves_nothing_behind();
    }
}

#[test]
fn login_shells_may_be_and_say_what_they_like() {
    for name in ["zsh", "fish", "tcsh"] {
        needs(name, name);
    }
    let noise = "echo garbage; echo more garbage >&2; printf 'runwright no newline'";
    let shells = [
        ("noise", format!("ForceCommand {noise}; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"")),
        ("zsh", "ForceCommand exec zsh -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("fish", "ForceCommand exec fish -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("tcsh", "ForceCommand exec tcsh -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("dash", "ForceCommand exec dash -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()),
        ("hostile", "SetEnv BASH_ENV=/tmp/x ENV=/tmp/x IFS=x FOO=bar LD_LIBRARY_PATH=/tmp PS4=x".to_owned()),
        ("single", "MaxSessions 1".to_owned()),
    ];
    for (name, config) in shells {
        let (sandbox, sshd) = (bench(), Sshd::with(&config));
        let steps = "
  - { id: say, target: web, diagnose: Say, shell: 'printf \"%s|\" \"$A\"; echo err >&2; exit 3', env: { A: \"it's $x\\n!!\" }, ok: [3] }
  - { id: vars, target: web, diagnose: Look, run: [env] }
";
        runbook(&sandbox, &sshd, steps);
        let output = run(&sandbox).exits(0);
        let run = sandbox.only_run();
        let say = ended(&run, "say");
        assert_eq!(
            (field(&say, "stdout"), field(&say, "stderr")),
            (&"it's $x\n!!|".into(), &"err\n".into()),
            "{name}: {say}\n{output}"
        );
        let env = ended(&run, "vars");
        let names: Vec<&str> =
            field(&env, "stdout").as_str().unwrap().lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let allowed = ["HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUNWRIGHT_ATTEMPT", "_"];
        assert!(names.iter().all(|name| allowed.contains(name)), "{name}: {names:?}");
        sandbox.leaves_nothing_behind();
    }
}

#[test]
fn an_account_without_a_shell_gets_nothing() {
    let (sandbox, sshd) = (bench(), Sshd::with("ForceCommand echo This account is closed."));
    let steps =
        "\n  - { id: act, target: web, remediate: Do, irreversible: It is nothing., run: [true], env: { A: b } }\n";
    runbook(&sandbox, &sshd, &steps.replace("[true]", "['true']"));
    _ = run(&sandbox).exits(7);
    let end = ended(&sandbox.only_run(), "act");
    assert_eq!((&end["outcome"], &end["error"]), (&"failed".into(), &"denied".into()), "{end}");
    assert!(end["message"].as_str().unwrap().contains("This account is closed"), "{end}");
}

#[test]
fn secrets_stand_in_no_command_line() {
    let (sandbox, sshd) = (bench(), Sshd::start());
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
    let (sandbox, one, two) = (bench(), Sshd::start(), Sshd::start());
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
fn a_jump_is_gone_through() {
    let (sandbox, gate, sshd) = (bench(), Sshd::start(), Sshd::start());
    // The key of the target opens the gate too, and both are known.
    std::fs::copy(sshd.path("authorized_keys"), gate.path("authorized_keys")).unwrap();
    let hosts = ["known_hosts"].map(|name| {
        std::fs::read_to_string(gate.path(name)).unwrap() + &std::fs::read_to_string(sshd.path(name)).unwrap()
    });
    std::fs::write(sshd.path("known_hosts"), hosts.concat()).unwrap();
    let user = crate::support::sshd::user();
    let target = format!("{}      jump: {user}@127.0.0.1:{}\n", sshd.target("web"), gate.port);
    _ = sandbox.runbook(
        "case",
        &format!("targets:\n{target}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [echo, hi] }}\n"),
    );
    _ = run(&sandbox).exits(0);
    assert_eq!((gate.logins(), sshd.logins()), (1, 1));
    sandbox.leaves_nothing_behind();
}

#[test]
fn an_identity_is_proven_there() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    _ = sandbox.write("name", "web-one\n");
    for (wanted, code) in [("web-one", 0), ("web-two", 9)] {
        let identity = format!(
            "    identity: {{ run: [cat, {}], read: stdout | trim, expect: stdout | trim == \"{wanted}\" }}\n",
            sandbox.path("name").display()
        );
        let body = format!(
            "targets:\n{}{identity}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [echo, hi] }}\n",
            sshd.target("web")
        );
        _ = sandbox.runbook("case", &body);
        _ = run(&sandbox).exits(code);
    }
}

#[test]
fn a_plan_connects_to_nobody_and_shows_what_would_be_sent() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let steps = "
  - { id: say, target: web, diagnose: Say, run: [echo, 'a b', \"it's\"], env: { A: b }, cwd: /usr }
";
    runbook(&sandbox, &sshd, steps);
    let output = sandbox.call(["plan", "case"]).exits(0).says("echo 'a b' 'it'\\''s'");
    assert!(output.all().contains(&format!("@127.0.0.1:{}", sshd.port)), "{output}");
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}

#[test]
fn files_are_edited_and_written_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, sshd) = (bench(), Sshd::start());
    let file = sandbox.write("there/config.toml", "# keep me\n[pool]\nsize = 5 # small\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let fresh = sandbox.path("there/fresh.txt");
    let steps = format!(
        "
  - {{ id: size, target: web, remediate: More, irreversible: It is nothing., edit: {{ file: {file}, format: toml, set: {{ pool.size: 9 }} }} }}
  - {{ id: same, target: web, remediate: More, irreversible: It is nothing., edit: {{ file: {file}, format: toml, set: {{ pool.size: 9 }} }} }}
  - {{ id: fresh, target: web, remediate: Write, irreversible: It is nothing., write: {{ file: {fresh}, text: \"a\\nü\\n\", mode: \"0604\" }} }}
  - {{ id: again, target: web, remediate: Write, irreversible: It is nothing., write: {{ file: {fresh}, text: \"b\\n\" }} }}
",
        file = file.display(),
        fresh = fresh.display()
    );
    runbook(&sandbox, &sshd, &steps);
    let output = run(&sandbox);
    let run = sandbox.only_run();
    for step in ["size", "same", "fresh", "again"] {
        assert_eq!(ended(&run, step)["outcome"], "succeeded", "{}\n{output}", ended(&run, step));
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# keep me\n[pool]\nsize = 9 # small\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(std::fs::read_to_string(&fresh).unwrap(), "b\n");
    assert_eq!(std::fs::metadata(&fresh).unwrap().permissions().mode() & 0o7777, 0o604);
    let size = ended(&run, "size");
    assert_eq!((field(&size, "changed"), field(&size, "created")), (&true.into(), &false.into()));
    assert_eq!(size["evidence"][0]["excerpt"], "# keep me\n[pool]\nsize = 5 # small\n", "{size}");
    let diff = size["evidence"][1]["excerpt"].as_str().unwrap();
    assert!(diff.contains("-size = 5 # small") && diff.contains("+size = 9 # small"), "{diff}");
    assert_eq!(field(&ended(&run, "same"), "changed"), &serde_json::Value::from(false));
    assert_eq!(field(&ended(&run, "fresh"), "created"), &serde_json::Value::from(true));
    let names: Vec<_> =
        std::fs::read_dir(sandbox.path("there")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(sshd.logins(), 1);
}

#[test]
fn files_that_cannot_be_changed_safely_are_left_alone() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let file = sandbox.write("there/a.toml", "a = 1\n");
    std::os::unix::fs::symlink(&file, sandbox.path("there/link.toml")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("there"), sandbox.path("way")).unwrap();
    _ = sandbox.write("there/one", "x");
    std::fs::hard_link(sandbox.path("there/one"), sandbox.path("there/two")).unwrap();
    _ = sandbox.write("there/bad.toml", "a = \n");
    let rows = [
        ("there/link.toml", "symbolic link"),
        ("way/a.toml", "symbolic link"),
        ("there/one", "hard links"),
        ("there/none.toml", "use `write`"),
        ("no/a.toml", "is not there"),
        ("there/bad.toml", "not valid TOML"),
        ("there", "not a regular file"),
    ];
    for (name, words) in rows {
        let trial = bench();
        let act = format!("edit: {{ file: {}, format: toml, set: {{ a: 2 }} }}", sandbox.path(name).display());
        let step = format!("  - {{ id: act, target: web, remediate: Do, irreversible: It is nothing., {act} }}\n");
        runbook(&trial, &sshd, &step);
        let output = run(&trial).exits(7);
        let said = output.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{name}: {output}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 1\n");
    let act = format!(
        "edit: {{ file: {}, format: toml, set: {{ a: 2 }}, follow: true }}",
        sandbox.path("way/link.toml").display()
    );
    let trial = bench();
    runbook(
        &trial,
        &sshd,
        &format!("  - {{ id: act, target: web, remediate: Do, irreversible: It is nothing., {act} }}\n"),
    );
    _ = run(&trial);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 2\n");
    assert!(std::fs::symlink_metadata(sandbox.path("there/link.toml")).unwrap().is_symlink());
}

/// The example of the language reference, as it stands there.
#[test]
fn the_example_of_the_reference_runs() {
    let page = std::fs::read_to_string(crate::support::repository("docs/language.md")).unwrap();
    let start = page.find("runbook: example-ssh\n").unwrap();
    let text = page[start..].split("\n```").next().unwrap();
    let (sandbox, sshd) = (bench(), Sshd::start());
    _ = sandbox.write("example-ssh.yaml", &format!("{text}\n"));
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
fn keys_of_an_agent_are_used_only_when_the_target_says_so() {
    needs("ssh-agent", "openssh-client");
    let (sandbox, sshd) = (bench(), Sshd::start());
    let socket = sandbox.path("agent").display().to_string();
    let mut agent = std::process::Command::new("ssh-agent")
        .args(["-D", "-a", &socket])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the agent", || Path::new(&socket).exists());
    let added = std::process::Command::new("ssh-add")
        .arg(sshd.path("client_key"))
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(added.success());
    let key = format!("      key: {}\n", sshd.path("client_key").display());
    let bare = sshd.target("web").replace(&key, "");
    for (target, word) in [(bare.clone(), "denied"), (format!("{bare}      agent: true\n"), "succeeded")] {
        let trial = bench();
        let step = "  - { id: say, target: web, diagnose: Say, run: [sh, -c, 'echo \"$SSH_AUTH_SOCK\"'] }\n";
        _ = trial.runbook("case", &format!("targets:\n{target}steps:\n{step}"));
        let call = trial.command(["run", "case", "--env", "free"]).env("SSH_AUTH_SOCK", &socket).output().unwrap();
        let end = ended(&trial.only_run(), "say");
        assert!(end["outcome"] == word || end["error"] == word, "{word}: {end}\n{call:?}");
        if word == "succeeded" {
            assert_eq!(field(&end, "stdout"), "\n", "the agent was forwarded");
        }
    }
    kill(agent.id(), "TERM");
    _ = agent.wait().unwrap();
}

#[test]
fn the_line_for_the_hand_does_the_same() {
    let (sandbox, sshd) = (bench(), Sshd::start());
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
fn a_stop_while_it_connects_is_heard() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let target = sshd.target("web").replace(&format!("\"{}\"", sshd.port), &format!("\"{port}\""));
    _ = sandbox.runbook(
        "case",
        &format!("targets:\n{target}steps:\n  - {{ id: say, target: web, diagnose: Say, run: [date] }}\n"),
    );
    let mut call =
        sandbox.command(["run", "case", "--env", "free"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Held, so that nobody hangs up.
    let _caller = mute.accept().unwrap();
    let began = Instant::now();
    kill(call.id(), "TERM");
    _ = call.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_step_on_a_list_of_machines_acts_on_each() {
    let (sandbox, one, two) = (bench(), Sshd::start(), Sshd::start());
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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
    let (sandbox, sshd) = (bench(), Sshd::start());
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
