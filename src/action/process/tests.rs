//! Tests of programs, with real children.

#![expect(clippy::disallowed_methods, reason = "the tests measure deadlines and are their own helper program")]

use super::lines::Lines;
use super::{Isolation, exec_mode};
use crate::action::fixture::{Memory, SECRET, Trial, assert_no_orphan, field};
use crate::action::{BaseEnvironment, Hands, find_program, refused_variable};
use crate::engine::{Performed, Performer};
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Piece, Rendered, SecretText, Value};
use crate::plan::{Act, CommandAct};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn command(argv: &[&str]) -> CommandAct {
    CommandAct {
        argv: argv.iter().map(|argument| Rendered::text(*argument)).collect(),
        script: None,
        program: None,
        env: indexmap::IndexMap::new(),
        pass_env: Vec::new(),
        cwd: None,
        stdin: None,
        ok: vec![0],
        machine: crate::plan::Machine::Here,
    }
}

fn script(text: &str) -> CommandAct {
    command(&["bash", "-p", "-euo", "pipefail", "-c", text])
}

async fn run(trial: Trial, act: CommandAct) -> Performed {
    let marker = trial.context.marker.clone();
    let performed = trial.perform(Act::Command(act)).await;
    assert_no_orphan(&marker);
    performed
}

fn message(performed: &Performed) -> &str {
    performed.message.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn success_has_every_field() {
    let trial = Trial::new();
    let memory = trial.memory.clone();
    let performed = run(trial, script("printf '[1,\\n 2]\\n'; echo oops >&2")).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    assert_eq!(performed.error, None);
    assert_eq!(performed.message, None);
    assert_eq!(field(&performed, "exit"), 0);
    assert_eq!(field(&performed, "stdout"), "[1,\n 2]\n");
    assert_eq!(field(&performed, "stderr"), "oops\n");
    assert_eq!(field(&performed, "lines"), serde_json::json!(["[1,", " 2]"]));
    assert_eq!(field(&performed, "json"), serde_json::json!([1, 2]));
    assert!(field(&performed, "elapsed").as_f64().unwrap() > 0.0);
    assert_eq!(performed.evidence.len(), 2);
    assert_eq!(memory.kept("stdout").start, b"[1,\n 2]\n");
    assert!(memory.kept("stdout").finished && memory.kept("stderr").finished);
}

#[tokio::test]
async fn failure_quotes_the_last_words_masked_and_escaped() {
    let performed = run(Trial::new(), script(&format!("printf 'first\\nno \\033[2J{SECRET}\\n\\n' >&2; exit 3"))).await;
    assert_eq!(performed.outcome, Outcome::Failed);
    assert_eq!(performed.error, Some(ErrorClass::Exit(3)));
    assert_eq!(message(&performed), "`bash` ended with exit code 3: no \\u{1b}[2J***");
    assert_eq!(field(&performed, "exit"), 3);
}

#[tokio::test]
async fn other_exit_codes_can_be_fine() {
    let mut act = script("exit 1");
    act.ok = vec![0, 1];
    let performed = run(Trial::new().change(), act).await;
    assert_eq!(performed.outcome, Outcome::Succeeded);
    assert_eq!(field(&performed, "exit"), 1);
}

#[tokio::test]
async fn arguments_arrive_byte_by_byte() {
    let arguments =
        ["a b", "", "it's \"so\"", "$(id) `id` $HOME", "line\nbreak\r\n", "-n", "ünï → 🦀", "\u{1b}[31m", "*"];
    let argv: Vec<&str> = ["printf", "%s\\0"].into_iter().chain(arguments).collect();
    let performed = run(Trial::new(), command(&argv)).await;
    let expected = format!("{}\0", arguments.join("\0"));
    assert_eq!(field(&performed, "stdout"), expected);
}

#[tokio::test]
async fn a_found_program_runs_under_the_name_as_written() {
    let mut act = command(&["my-name", "-c", "echo $0"]);
    act.program = Some(find_program("sh", std::ffi::OsStr::new("/usr/bin:/bin")).unwrap());
    let performed = run(Trial::new(), act).await;
    assert_eq!(field(&performed, "stdout"), "my-name\n");
}

#[tokio::test]
async fn stdin_is_null_unless_given_and_then_exact() {
    let performed = run(Trial::new(), command(&["cat"])).await;
    assert_eq!(field(&performed, "stdout"), "");
    assert_eq!(performed.evidence.len(), 0);

    let text = "äx\0y\n".repeat(300_000);
    let mut act = command(&["cat"]);
    act.stdin = Some(Rendered::text(text.clone()));
    let performed = run(Trial::new(), act).await;
    assert_eq!(field(&performed, "stdout"), text);
}

#[tokio::test]
async fn a_program_need_not_read_its_stdin() {
    let mut act = script("exec 0<&-; echo done");
    act.stdin = Some(Rendered::text("x".repeat(1 << 20)));
    let performed = run(Trial::new(), act).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    assert_eq!(field(&performed, "stdout"), "done\n");
}

#[tokio::test]
async fn the_environment_is_the_least_that_is_needed() {
    let base = [
        ("PATH", "relative:/usr/bin::/bin"),
        ("HOME", "/h"),
        ("LC_ALL", "C"),
        ("BASH_ENV", "/evil"),
        ("BASH_FUNC_ls%%", "() { evil; }"),
        ("TOKEN", "t"),
        ("OTHER", "o"),
    ];
    let base = base.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let hands = Hands::new(BaseEnvironment::from_vars(base), Isolation::Group, None);
    let trial = Trial::new();
    let marker = trial.context.marker.clone();
    let mut act = command(&["env"]);
    act.pass_env = vec!["TOKEN".to_owned(), "ABSENT".to_owned()];
    let secret = Piece::Secret(SecretText::new("key", SECRET));
    act.env.insert("KEY".to_owned(), Rendered { pieces: vec![Piece::Text("k=".to_owned()), secret] });
    let performed = hands.perform(Act::Command(act), trial.context).await;
    let mut seen: Vec<String> = field(&performed, "stdout").as_str().unwrap().lines().map(str::to_owned).collect();
    seen.sort();
    let expected = ["HOME=/h", &format!("KEY=k={SECRET}"), "LC_ALL=C", "PATH=/usr/bin:/bin", "TOKEN=t"];
    let own = format!("RUNWRIGHT_ATTEMPT={marker}");
    let mut expected: Vec<&str> = expected.into_iter().chain([own.as_str()]).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn variables_that_run_code_are_refused() {
    for name in [
        "BASH_ENV",
        "ENV",
        "SHELLOPTS",
        "BASHOPTS",
        "LD_PRELOAD",
        "DYLD_X",
        "IFS",
        "PATH",
        "PS4",
        "BASH_FUNC_a%%",
        "a b",
        "1A",
        "",
    ] {
        let mut act = command(&["true"]);
        act.env.insert(name.to_owned(), Rendered::text("x"));
        let performed = run(Trial::new().change(), act).await;
        assert_eq!(
            (performed.outcome, performed.error.clone()),
            (Outcome::Failed, Some(ErrorClass::BadValue)),
            "{name}"
        );
        assert!(message(&performed).contains(&format!("`{name}`")), "{}", message(&performed));
        let mut act = command(&["true"]);
        act.pass_env.push(name.to_owned());
        assert_eq!(run(Trial::new(), act).await.error, Some(ErrorClass::BadValue), "{name}");
    }
    assert_eq!(refused_variable("PGPASSWORD"), None);
}

#[tokio::test]
async fn values_that_cannot_be_passed_are_refused() {
    let mut large = command(&["true"]);
    large.env.insert("A".to_owned(), Rendered::text("x".repeat(128 * 1024 - 2)));
    let mut nul = command(&["true"]);
    nul.env.insert("A".to_owned(), Rendered::text("a\0b"));
    let hole = Rendered { pieces: vec![Piece::Hole { expression: "a.b".to_owned(), reason: "gone".to_owned() }] };
    let mut unknown = command(&["true"]);
    unknown.argv.push(hole);
    let argument = command(&["true", "a\0"]);
    let long = command(&["true", &"x".repeat(128 * 1024)]);
    for act in [large, nul, unknown, argument, long, command(&[]), command(&[""])] {
        let performed = run(Trial::new(), act).await;
        assert_eq!(
            (performed.outcome, performed.error),
            (Outcome::Failed, Some(ErrorClass::BadValue)),
            "{:?}",
            performed.message
        );
    }
    let mut fits = command(&["true"]);
    fits.env.insert("A".to_owned(), Rendered::text("x".repeat(128 * 1024 - 3)));
    assert_eq!(run(Trial::new(), fits).await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn programs_and_folders_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("plain"), "text").unwrap();
    let executable = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(here.join(name), text).unwrap();
        std::fs::set_permissions(here.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    executable("no-interpreter", "#!/no/such/interpreter\n");
    executable("no-shebang", "echo hello\n");
    let at = |name: &str| here.join(name).to_str().unwrap().to_owned();
    let expect = [
        ("no-such-program-x".to_owned(), ErrorClass::NotFound, "there is no program `no-such-program-x` in /"),
        (at("absent"), ErrorClass::NotFound, "there is no file"),
        (at("plain"), ErrorClass::Denied, "is not executable"),
        (at(""), ErrorClass::Denied, "is not a file"),
        (at("no-interpreter"), ErrorClass::NotFound, "interpreter"),
        (at("no-shebang"), ErrorClass::Denied, "begins with `#!`"),
    ];
    for (program, class, text) in expect {
        let performed = run(Trial::new().change(), command(&[&program])).await;
        assert_eq!(
            (performed.outcome, performed.error.clone()),
            (Outcome::Failed, Some(class)),
            "{program}: {performed:?}"
        );
        assert!(message(&performed).contains(text), "{}", message(&performed));
    }
    let mut act = command(&["true"]);
    act.cwd = Some(Rendered::text(at("absent")));
    let performed = run(Trial::new(), act).await;
    assert_eq!(performed.error, Some(ErrorClass::NotFound));
    assert!(message(&performed).starts_with("`cwd`: cannot enter"), "{}", message(&performed));
    let mut act = command(&["true"]);
    act.cwd = Some(Rendered::text(at("plain")));
    assert!(message(&run(Trial::new(), act).await).ends_with("is not a folder"));

    executable("hello", "#!/bin/sh\npwd\n");
    let mut act = command(&["./hello"]);
    act.cwd = Some(Rendered::text(here.to_str().unwrap()));
    let performed = run(Trial::new(), act).await;
    assert_eq!(field(&performed, "stdout"), format!("{}\n", here.canonicalize().unwrap().display()), "{performed:?}");
}

#[tokio::test]
async fn a_timeout_of_a_change_is_unknown_and_ends_everything() {
    for (change, outcome) in [(true, Outcome::Unknown), (false, Outcome::TimedOut)] {
        let mut trial = Trial::new().timeout(300);
        trial.context.change = change;
        let began = Instant::now();
        let performed = run(trial, script("echo begun; sleep 1000 & sleep 1000 | cat")).await;
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!((performed.outcome, performed.error.clone()), (outcome, Some(ErrorClass::Timeout)), "{performed:?}");
        assert_eq!(field(&performed, "stdout"), "begun\n");
        assert!(field(&performed, "exit")["unknown"].is_string());
        assert!(message(&performed).contains("300ms"), "{}", message(&performed));
    }
}

#[tokio::test]
async fn a_child_that_ignores_term_is_killed_after_the_grace() {
    let began = Instant::now();
    let performed =
        run(Trial::new().timeout(300), script("trap '' TERM; echo ready; while :; do sleep 1000; done")).await;
    let took = began.elapsed();
    assert_eq!(performed.outcome, Outcome::TimedOut);
    assert!(took > Duration::from_millis(600) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_child_may_clean_up_within_the_grace() {
    let mut trial = Trial::new().timeout(300);
    trial.context.grace = Duration::from_secs(20);
    let performed = run(trial, script("trap 'echo cleaned; exit 0' TERM; echo ready; sleep 1000 & wait")).await;
    assert_eq!(performed.outcome, Outcome::TimedOut);
    assert_eq!(field(&performed, "stdout"), "ready\ncleaned\n");
}

/// Waits for the first output before it stops the attempt.
async fn stopped_after_first_output(change: bool, text: &str) -> (Performed, Duration) {
    let mut trial = Trial::new();
    trial.context.change = change;
    let (live, mut heard) = tokio::sync::mpsc::channel(4);
    trial.context.live = Some(live);
    let (cancel, act) = (trial.cancel.clone(), script(text));
    let stop = async {
        heard.recv().await.unwrap();
        cancel.cancel();
        Instant::now()
    };
    let (performed, stopped) = tokio::join!(run(trial, act), stop);
    (performed, stopped.elapsed())
}

#[tokio::test]
async fn a_stop_is_seen_at_once() {
    for (change, outcome) in [(true, Outcome::Unknown), (false, Outcome::Cancelled)] {
        let (performed, took) = stopped_after_first_output(change, "echo begun; sleep 1000").await;
        assert_eq!((performed.outcome, performed.error), (outcome, Some(ErrorClass::Cancelled)));
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[tokio::test]
async fn a_stop_before_the_start_starts_nothing() {
    let trial = Trial::new().change();
    trial.cancel.cancel();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let performed = run(trial, command(&["touch", file.to_str().unwrap()])).await;
    assert_eq!(performed.outcome, Outcome::Cancelled);
    assert!(!file.exists());
}

#[tokio::test]
async fn death_by_signal_is_unknown_for_a_change() {
    for (change, outcome) in [(true, Outcome::Unknown), (false, Outcome::Failed)] {
        let mut trial = Trial::new();
        trial.context.change = change;
        let performed = run(trial, script("echo going >&2; kill -9 $$")).await;
        assert_eq!((performed.outcome, performed.error.clone()), (outcome, Some(ErrorClass::Signal(9))));
        assert_eq!(message(&performed), "`bash` was ended by signal 9 (KILL): going");
    }
}

#[tokio::test]
async fn a_background_child_that_holds_the_pipe_does_not_hang_us_and_is_ended() {
    let began = Instant::now();
    let performed = run(Trial::new(), script("sleep 1000 & echo done")).await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(performed.outcome, Outcome::Succeeded);
    assert_eq!(field(&performed, "stdout"), "done\n");
    assert_eq!(performed.left.len(), 1, "{performed:?}");
    assert!(performed.left[0].starts_with("sleep ("), "{performed:?}");
}

#[tokio::test]
async fn a_background_child_without_the_pipe_is_ended_too() {
    let performed = run(Trial::new(), script("sleep 1000 >/dev/null 2>&1 & echo done")).await;
    assert_eq!(performed.left.len(), 1, "{performed:?}");
}

#[tokio::test]
async fn a_child_that_left_the_group_is_found_by_its_marker() {
    let performed = run(Trial::new(), script("setsid sleep 1000 & echo done")).await;
    assert_eq!(performed.outcome, Outcome::Succeeded);
    assert_eq!(performed.left.len(), 1, "{performed:?}");

    let twice = "(setsid bash -c 'trap \"\" TERM; echo away; while :; do sleep 1000; done' &) ; sleep 1000";
    let (performed, took) = stopped_after_first_output(true, twice).await;
    assert_eq!(performed.outcome, Outcome::Unknown);
    assert!(performed.left.iter().any(|left| left.starts_with("bash (")), "{performed:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn those_that_are_just_going_are_not_left_behind() {
    let performed = run(Trial::new(), script("exec > >(sed s/a/b/); echo a")).await;
    assert_eq!(field(&performed, "stdout"), "b\n");
    assert_eq!(performed.left, Vec::<String>::new());
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn floods_are_kept_whole_in_bounded_memory() {
    let before = peak_memory();
    let trial = Trial::new();
    let memory = trial.memory.clone();
    let performed = run(trial, script("head -c 200M /dev/zero; echo last words >&2; exit 1")).await;
    let kept = memory.kept("stdout");
    assert_eq!(kept.size, 200 << 20);
    assert!(kept.largest <= 64 << 10, "{}", kept.largest);
    for name in ["stdout", "lines", "json"] {
        assert_eq!(field(&performed, name), serde_json::json!({ "unknown": "too large: 200 MiB" }));
    }
    assert_eq!(field(&performed, "stderr"), "last words\n");
    assert_eq!(message(&performed), "`bash` ended with exit code 1: last words");
    // Other tests run in this process too; a flood held in memory would be four times this.
    assert!(peak_memory() - before < 100 << 20, "{}", peak_memory() - before);
}

#[tokio::test]
async fn output_is_shown_as_it_comes_and_a_full_screen_is_not_waited_for() {
    let mut trial = Trial::new();
    let (live, mut heard) = tokio::sync::mpsc::channel(1);
    trial.context.live = Some(live);
    let (started, pid) = tokio::sync::oneshot::channel();
    trial.context.started = Some(started);
    let performed = run(trial, script(&format!("echo {SECRET}; head -c 1M /dev/zero"))).await;
    assert_eq!(performed.outcome, Outcome::Succeeded);
    let process = pid.await.unwrap();
    assert!(process.pid > 1 && process.at.is_some_and(|at| at > 0), "{process:?}");
    let first = heard.recv().await.unwrap();
    assert_eq!((first.stream, first.step.0.as_str()), ("stdout", "step"));
    assert!(first.bytes.starts_with(b"***\n"), "{:?}", first.bytes.get(..20));
}

#[tokio::test]
async fn output_that_cannot_be_kept_is_told() {
    let mut trial = Trial::new();
    trial.context.evidence = Arc::new(Memory { full: true, ..Memory::default() });
    let performed = run(trial, script("echo hello")).await;
    assert_eq!(performed.outcome, Outcome::Succeeded);
    assert_eq!(field(&performed, "stdout"), "hello\n");
    assert!(message(&performed).starts_with("its output was not kept: only 0 bytes"), "{}", message(&performed));
}

#[tokio::test]
async fn json_is_unknown_with_a_reason() {
    let deep = format!("printf '%s' '{}{}'", "[".repeat(200), "]".repeat(200));
    for (text, reason) in [("echo '{\"a\": }'", "at line 1 column 7"), (&deep, "recursion limit"), ("true", "empty")] {
        let performed = run(Trial::new(), script(text)).await;
        let json = field(&performed, "json");
        assert!(json["unknown"].as_str().unwrap().contains(reason), "{json}");
    }
}

/// Not a test of its own: the launcher that the tests below start. It becomes another program.
#[expect(clippy::exit, reason = "it stands for `main`")]
#[test]
fn launcher_entry() {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "__exec");
    if arguments.next().is_some() {
        assert_eq!(exec_mode(arguments), std::process::ExitCode::from(127));
        std::process::exit(127);
    }
}

fn in_session() -> Hands {
    let arguments = ["--exact", "action::process::tests::launcher_entry", "--nocapture", "--"];
    let arguments = arguments.map(OsString::from).into();
    let isolation = Isolation::Session { launcher: "/proc/self/exe".into(), arguments };
    Hands::new(BaseEnvironment::from_vars(std::env::vars_os()), isolation, None)
}

#[tokio::test]
async fn with_a_terminal_children_get_a_session_of_their_own() {
    let trial = Trial::new();
    let marker = trial.context.marker.clone();
    let mut act = command(&["bash", "-c", "echo; echo $0 \"$1\"; ps -o pid=,pgid=,sid= -p $$", "own name"]);
    act.argv.extend([Rendered::text("a  b")]);
    act.argv[0] = Rendered::text("bash");
    let performed = in_session().perform(Act::Command(act), trial.context).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    let out = field(&performed, "stdout");
    // The test harness speaks before its test becomes the program.
    let lines: Vec<&str> = out.as_str().unwrap().lines().collect();
    let [.., name, ids] = lines.as_slice() else { panic!("{out}") };
    assert_eq!(*name, "own name a  b");
    let ids: Vec<&str> = ids.split_whitespace().collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_no_orphan(&marker);
}

#[tokio::test]
async fn in_a_session_too_everything_is_ended() {
    let trial = Trial::new().timeout(1500);
    let marker = trial.context.marker.clone();
    let act = script("set -m; echo begun; sleep 1000 & sleep 1000 & wait");
    let performed = in_session().perform(Act::Command(act), trial.context).await;
    assert_eq!(performed.outcome, Outcome::TimedOut, "{performed:?}");
    assert_no_orphan(&marker);
}

#[tokio::test]
async fn a_program_that_cannot_start_in_a_session_was_not_started() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-interpreter");
    std::fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let act = command(&[file.to_str().unwrap()]);
    let performed = in_session().perform(Act::Command(act), Trial::new().change().context).await;
    assert_eq!(
        (performed.outcome, performed.error.clone()),
        (Outcome::Failed, Some(ErrorClass::NotFound)),
        "{performed:?}"
    );
    assert!(message(&performed).contains("interpreter"), "{performed:?}");
}

#[test]
fn the_launcher_says_why_it_failed() {
    let said = super::launcher::launcher_failure("abc", Some(127), b"runwright-exec-failed abc 13\n", "/x".as_ref());
    assert_eq!(said.unwrap().class, ErrorClass::Denied);
    let other = super::launcher::launcher_failure("abd", Some(127), b"runwright-exec-failed abc 13\n", "/x".as_ref());
    assert!(other.is_none());
}

#[test]
fn lines_are_counted_like_people_do() {
    let lines = |text: &str| {
        let value = Value::from_object(Lines::new(text.into()));
        assert_eq!(value.len(), Some(value.try_iter().unwrap().count()));
        serde_json::to_value(&value).unwrap()
    };
    assert_eq!(lines(""), serde_json::json!([]));
    assert_eq!(lines("\n"), serde_json::json!([""]));
    assert_eq!(lines("a"), serde_json::json!(["a"]));
    assert_eq!(lines("a\r\n\nü\n"), serde_json::json!(["a", "", "ü"]));
}

#[test]
fn programs_are_found_on_absolute_entries_only() {
    let path = std::ffi::OsStr::new("relative::/usr/bin:/bin");
    assert!(find_program("sh", path).unwrap().is_absolute());
    let error = find_program("no-such-program-x", path).unwrap_err();
    assert_eq!(error.to_string(), "there is no program `no-such-program-x` in /usr/bin:/bin");
    assert!(find_program("", path).is_err());
}

#[test]
fn threads_are_used_again_and_end_with_the_crew() {
    use super::crew::{Crew, Duty};
    use std::sync::mpsc::channel;
    /// Tells when the thread that owns it has ended.
    struct Last(std::sync::mpsc::Sender<()>);
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.send(()).ok();
        }
    }
    let crew = Crew::default();
    let (told, ids) = channel();
    let (gone, ended) = channel();
    for _ in 0..3 {
        let (told, gone) = (told.clone(), gone.clone());
        let (report, reported) = tokio::sync::oneshot::channel();
        let attempt = Box::new(move || {
            LAST.with_borrow_mut(|last| drop(last.get_or_insert_with(|| Last(gone)).0.clone()));
            told.send(std::thread::current().id()).unwrap();
            crate::action::outcome::cancelled_before_start()
        });
        crew.assign(Duty { attempt, report }).unwrap();
        assert_eq!(reported.blocking_recv().unwrap().outcome, Outcome::Cancelled);
    }
    let ids: Vec<_> = ids.try_iter().collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(ended.try_recv().is_err());
    drop(crew);
    ended.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[tokio::test]
async fn at_once_means_without_grace() {
    let ignores = "trap '' TERM; echo begun; (setsid sleep 1000 &); while :; do sleep 1000; done";
    // The second word comes while the grace runs, or together with the first.
    for wait in [true, false] {
        let mut trial = Trial::new();
        trial.context.grace = Duration::from_mins(1);
        let (live, mut heard) = tokio::sync::mpsc::channel(8);
        trial.context.live = Some(live);
        let (cancel, kill, marker) = (trial.cancel.clone(), trial.context.kill.clone(), trial.context.marker.clone());
        let stop = async {
            heard.recv().await.expect("its first words");
            cancel.cancel();
            if wait {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            kill.cancel();
        };
        let began = Instant::now();
        let (performed, ()) = tokio::join!(trial.perform(Act::Command(script(ignores))), stop);
        assert_eq!(performed.outcome, Outcome::Cancelled, "{performed:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_no_orphan(&marker);
    }
}
