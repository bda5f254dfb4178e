//! `lookup`: from what a person sees to the runbook, through the program.

use crate::support::{Output, Sandbox, Terminal, repository};
use std::io::Write as _;
use std::process::Stdio;

const POOL: &str = "
system: Vestige
owner: vestige-oncall
contacts: { vestige-oncall: { reach: the pager } }
symptoms: ['The log says `pool timed out while waiting for an open connection`']
alerts: { alert: VestigePoolExhausted, summary: Every connection is taken }
steps:
  - decide: What holds the connections?
    id: cause
    options:
      idle: { title: Sessions that are idle in a transaction, end: no_action }
      busy: { title: More clients than connections, end: no_action }
";

const SPACE: &str = "
system: Vestige
symptoms: [The disk of the database is nearly full]
refuse: Nobody may remove files of a database by hand.
";

fn library() -> Sandbox {
    let sandbox = Sandbox::library();
    _ = sandbox
        .write("vestige/vestige-pool.yaml", &format!("runbook: vestige-pool\ntitle: The pool is exhausted{POOL}"));
    _ = sandbox.write("vestige/vestige-space.yaml", &format!("runbook: vestige-space\ntitle: Make room{SPACE}"));
    sandbox
}

/// Calls `lookup -` with these bytes.
fn piped(sandbox: &Sandbox, more: &[&str], bytes: &[u8]) -> Output {
    let mut command = sandbox.command(["lookup", "-"].iter().chain(more));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("its stdin");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writer").expect("all of it is read");
    Output::new("runwright lookup -".to_owned(), &output)
}

#[test]
fn a_runbook_is_told_with_its_reason_its_owner_and_its_command() {
    let sandbox = library();
    let told = sandbox.call(["lookup", "error: Pool timed out while", "waiting for an open connection (60s)"]).exits(0);
    let expected = "\
1  vestige-pool: The pool is exhausted
   symptom  The log says `pool timed out while waiting for an open connection`
            (word for word)
   owner    vestige-oncall (the pager)
   start    runwright run vestige-pool
";
    assert!(told.stdout.starts_with(expected), "{told}");
    _ = sandbox.runwright("lookup idle sessions").exits(0).tells("option `idle` of `cause`").says("(idle, sessions)");
    _ = sandbox.runwright("lookup VestigePoolExhausted").exits(0).says("   alert    VestigePoolExhausted\n");
    _ = sandbox.runwright("lookup vestigepoolexausted").exits(0).says("(is it `vestigepoolexausted`?)");
    let refused = sandbox.runwright("lookup the disk of the database is full").exits(0);
    assert!(refused.stdout.starts_with("1  vestige-space"), "{refused}");
    assert!(refused.stdout.contains("   refused  it must not be run: Nobody may remove"), "{refused}");
    assert!(!refused.stdout.contains("run vestige-space"), "{refused}");
}

/// The command is there to be pasted: from another folder, with a library by option.
#[test]
fn the_command_that_is_told_starts_the_runbook() {
    let (sandbox, elsewhere) = (library(), Sandbox::new());
    _ = sandbox
        .write("vestige/fine.yaml", "runbook: fine\ntitle: Fine weather\nsteps: [{ validate: Sun, assert: true }]\n");
    let folder = sandbox.folder().display().to_string();
    let told = elsewhere.call(["lookup", "fine", "weather", "--library", &folder]).exits(0);
    let line = told.stdout.lines().find_map(|line| line.strip_prefix("   start    runwright ")).expect("a command");
    _ = elsewhere.call(line.split(' ')).exits(0).says("Sun");
}

#[test]
fn equals_are_a_tie_and_the_best_five_are_told() {
    let sandbox = library();
    let tie = sandbox.runwright("lookup vestige").exits(0);
    _ = tie.says("1  vestige-pool").says("1  vestige-space").says("a tie: the first 2 fit equally well");
    for number in 1..=6 {
        _ = sandbox.runbook(&format!("other-{number}"), "system: Other\nsteps: [{ validate: Fine, assert: true }]\n");
    }
    _ = sandbox.runbook("more", "system: Other\nsummary: Rain\nsteps: [{ validate: Fine, assert: true }]\n");
    let torn = sandbox.runwright("lookup other").exits(0);
    assert_eq!(torn.stdout.matches("   start    ").count(), 5, "{torn}");
    _ = torn.says("a tie: the first 7 fit equally well").says("not shown: 2 more; to see them, too: --all");
    let words = ["snow", "hail", "fog", "ice", "dew", "wind", "rime"];
    // Those with more than half of the words of the line, or of their own.
    for count in 2..=words.len() {
        let rest = format!("summary: {}\nsteps: [{{ validate: Fine, assert: true }}]\n", words[..count].join(" "));
        _ = sandbox.runbook(&format!("s-{count}"), &rest);
    }
    let best = sandbox.runwright("lookup snow hail fog ice dew wind rime").exits(0);
    assert_eq!(best.stdout.matches("   start    ").count(), 5, "{best}");
    assert!(best.stdout.starts_with("1  s-7") && best.stdout.contains("5  s-3"), "{best}");
    assert!(best.stderr.contains("not shown: 1 more; to see them, too: --all"), "{best}");
    let all = sandbox.runwright("lookup snow hail fog ice dew wind rime --all").exits(0);
    assert_eq!(all.stdout.matches("   start    ").count(), 6, "{all}");
}

#[test]
fn the_tail_of_a_log_is_looked_at_line_by_line() {
    let sandbox = library();
    let mut log = b"INFO all is well\n\xff\xfe\x00\x1b[31m binary \x9b\n".to_vec();
    for _ in 0..3 {
        log.extend(
            b"2026-11-26T01:02:03Z \x1b[31mERROR\x1b[0m pool timed out  while waiting for an open connection\r\n",
        );
    }
    let told = piped(&sandbox, &[], &log).exits(0);
    assert!(told.stdout.starts_with("1  vestige-pool"), "{told}");
    _ = told.tells("(word for word) - line 3, and 2 more");
    _ = piped(&sandbox, &[], b"INFO all is well\n").exits(1).says("no runbook fits");
    _ = piped(&sandbox, &[], b"").exits(1).says("no runbook fits");
    // What Alertmanager sends.
    let payload = br#"{"alerts":[{"labels":{"alertname":"VestigePoolExhausted","severity":"critical"}}]}"#;
    _ = piped(&sandbox, &[], payload).exits(0).says("alert    VestigePoolExhausted - line 1");
    _ = sandbox.call(["lookup", "-", "word"]).exits(2).says("`-` is stdin");
    _ = sandbox.call(["lookup"]).exits(2);
}

/// A file of hundreds of megabytes, one line without an end: looked at, not kept.
#[test]
fn a_huge_input_needs_little_memory() {
    let sandbox = library();
    let mut command = sandbox.command(["lookup", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its stdin");
    let (line, unbroken) =
        (b"INFO the database does what it is asked to do, client 17\n".repeat(256), vec![b'.'; 1 << 20]);
    for _ in 0..32 {
        stdin.write_all(&line).expect("it is read");
        stdin.write_all(&unbroken).expect("it is read");
    }
    stdin.write_all(b"\npool timed out while waiting for an open connection\n").expect("it is read");
    // All but a pipe of it, of 32 MiB, is looked at by now.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    drop(stdin);
    let output = Output::new("runwright lookup -".to_owned(), &child.wait_with_output().expect("its output")).exits(0);
    assert!(output.stdout.starts_with("1  vestige-pool"), "{output}");
    assert!(peak < 48 * 1024, "{peak} kB");
}

#[test]
fn nothing_found_says_so_and_names_words_that_are_near() {
    let sandbox = library();
    let nothing = sandbox.runwright("lookup exhuasted").exits(1);
    assert_eq!(nothing.stdout, "");
    let nothing = nothing.says("`exhuasted` stands in no runbook; `exhausted` does\n");
    _ = nothing.says("no runbook fits; searched: 3; their names: runwright list --runbooks\n");
    let partly = sandbox.runwright("lookup walrus pool exhausted").exits(0);
    assert!(
        partly.stdout.starts_with("1  vestige-pool") && partly.stderr.contains("`walrus` stands in no runbook\n"),
        "{partly}"
    );
    // Without a library, what is inside the program is searched.
    let elsewhere = Sandbox::new();
    _ = elsewhere.runwright("lookup disk filling").exits(0).says("no library was found here").says("1  disk-filling");
    _ = elsewhere.runwright("lookup pool").exits(1);
}

#[test]
fn a_broken_runbook_is_told_and_keeps_no_other_from_being_found() {
    let sandbox = library();
    _ = sandbox.write("vestige/torn.yaml", "runbook: torn\ntitle: A torn page\nsymptoms: [\n");
    _ = sandbox.write("half.yaml", "runbook: half\ntitle: A frozen pipe\nsymptoms: [ice]\nsteps: 5\n");
    _ = sandbox.write("odd.yaml", "\u{7}");
    let found =
        sandbox.runwright("lookup pool exhausted").exits(0).says("vestige/torn.yaml cannot be read: runwright check");
    assert!(found.stdout.starts_with("1  vestige-pool"), "{found}");
    let half = sandbox.runwright("lookup frozen pipe").exits(0);
    _ = half
        .says("1  half: A frozen pipe")
        .says("broken   half.yaml has errors")
        .says("start    runwright check half\n");
    // What is broken could be what is looked for.
    _ = sandbox.runwright("lookup walrus").exits(3).says("no runbook fits");
    _ = sandbox.write("runwright.yaml", "librarry: x\n");
    _ = sandbox.runwright("lookup pool exhausted").exits(0);
}

#[test]
fn the_json_says_what_the_text_says() {
    let sandbox = library();
    let json = sandbox.call(["lookup", "--json", "sessions idle in a transaction, quarrel"]).exits(0).json();
    assert_eq!(json["format"], 1);
    let first = &json["found"][0];
    assert_eq!(
        (&first["place"], &first["id"], &first["reach"]),
        (&1.into(), &"vestige-pool".into(), &"the pager".into())
    );
    assert_eq!(
        (&first["file"], &first["start"]),
        (&"vestige/vestige-pool.yaml".into(), &"runwright run vestige-pool".into())
    );
    let reason = &first["reasons"][0];
    assert_eq!(
        (&reason["by"], &reason["kind"], &reason["step"], &reason["option"]),
        (&"words".into(), &"option".into(), &"cause".into(), &"idle".into())
    );
    assert_eq!(reason["words"], serde_json::json!(["sessions", "idle", "transaction"]));
    assert_eq!(json["unknown"], serde_json::json!([{ "word": "quarrel", "like": null }]));
    let nothing = sandbox.call(["lookup", "--json", "walrus"]).exits(1);
    assert_eq!(nothing.json()["found"], serde_json::json!([]));
    assert_eq!(nothing.stderr, "");
}

/// Texts of a runbook and of the input go through the same sieve as everywhere.
#[test]
fn no_text_moves_the_cursor() {
    let sandbox = library();
    let title = "title: \"Wind \\e[2J\\u202E and rain\"";
    _ = sandbox.write("wind.yaml", &format!("runbook: wind\n{title}\nsteps: [{{ validate: Fine, assert: true }}]\n"));
    let told = sandbox.call(["lookup", "rain \u{1b}[31m\u{202e}wind", "\u{9b}pup\u{200b}"]).exits(0);
    let is_bad = |char: char| (char.is_control() && char != '\n') || char == '\u{202e}' || char == '\u{200b}';
    assert!(told.stdout.contains("wind: Wind \\u{1b}[2J"), "{told}");
    assert!(!told.all().contains(is_bad), "{told:?}", told = told.all());
}

#[test]
fn at_a_terminal_it_says_how_lines_end() {
    let sandbox = library();
    let mut terminal = Terminal::open(&sandbox, &["lookup", "-"]);
    terminal.sees("Ctrl-D").types("the pool is exhausted").presses("\u{4}").sees("1  vestige-pool");
    _ = terminal.exits(0);
}

/// What a person on call would type or paste, against the library that comes with the program.
#[test]
fn the_library_of_the_program_is_found_by_what_people_see() {
    let sandbox = Sandbox::new();
    let library = repository("runbooks").display().to_string();
    for (words, wanted) in [
        ("No space left on device", "disk-filling"),
        ("the disk is full", "disk-filling"),
        ("StemeDBQuarantineOverflow", "quarantine-overflow"),
        ("one agent floods the quarantine", "quarantine-overflow"),
        ("false positives in quarantine", "quarantine-overflow"),
        ("lift the ban of an agent", "unban-agent"),
        ("ERROR:  extension \"vector\" is not available", "vestige-extensions"),
        ("WARN sqlx: pool timed out while waiting for an open connection", "vestige-pool"),
        ("ERROR: vector dimensions do not match", "vestige-reembed"),
        ("ERROR:  permission denied for schema public", "vestige-grants"),
        ("the reembed was interrupted", "vestige-reembed-interrupted"),
        ("the index is half built", "vestige-index-rebuild"),
        ("monthly restore drill", "vestige-restore-drill"),
        ("back up vestige", "vestige-backup"),
        ("replace the live database by a dump", "vestige-replace-live"),
        ("why must I not cluster the domains again?", "vestige-domains"),
    ] {
        let found = sandbox.call(["lookup", words, "--json", "--library", &library]).exits(0);
        let json = found.json();
        let all = json["found"].as_array().expect("a list");
        let is_first = all.iter().any(|found| found["place"] == 1 && found["id"] == wanted);
        assert!(is_first, "{wanted} is not the first for: {words}\n{found}");
    }
}
