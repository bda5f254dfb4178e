//! Another embedding model: when it is needed, what must be so before, the long run, and a run that was cut off.

use super::session::Session;
use crate::library::shelf::Ran;
use crate::library::vestige::bench::Bench;
use crate::support::{Sandbox, finish};
use std::process::{Child, Stdio};

const READY: &str = "ready: { ingest_paused: true, model_here: true }";

/// A service on memories. Several of these machines are one machine in truth, so the tool is looked for by its file.
fn bench(memories: u32) -> Bench {
    let bench = Bench::ready();
    let file = bench.vestige.path("vestige.toml").display().to_string();
    _ = bench.shelf.set("reembed_process", format!("{file} migrate reembed --model"));
    _ = bench.vestige.remember(memories);
    bench
}

/// As a person would say it: which model, and in a test nobody needs to be quiet for long.
const TO_SIXTEEN: [&str; 6] = ["-i", "new_model=stand-in-16", "-i", "new_dimension=16", "-i", "quiet_for=1s"];

/// Whether registry, vectors and index are those of one model: a question that says `t`.
fn belongs_to(model: &str, length: u32) -> String {
    format!(
        "select (select name = '{model}' and dimension = {length} from embedding_model)
            and (select count(*) = 0 from knowledge_nodes where embedding is null or vector_dims(embedding) <> {length})
            and (select count(*) = 1 from pg_index where indexrelid = to_regclass('idx_knowledge_nodes_embedding_hnsw') and indisvalid)"
    )
}

/// Says that the work by hand is done, and lets the run go on.
fn done_by_hand(bench: &Bench, parked: &Ran, step: &str) -> Ran {
    _ = finish(&mut bench.shelf.command(["answer", &parked.name(), step, "result=done"])).exits(0);
    bench.shelf.resume(parked)
}

/// Waits until the tool has done some memories, and not yet all.
fn waits_until_it_is_in_the_middle(bench: &Bench, length: u32) {
    bench.vestige.database().waits_until(&format!(
        "select count(*) filter (where vector_dims(embedding) = {length}) between 5 and count(*) - 5 from knowledge_nodes"
    ));
}

/// Kills the processes of this machine whose command line has all these words, as a machine does that has no memory left.
fn kill(bench: &Bench, words: &[&str]) {
    let mark = bench.shelf.sandbox.folder().display().to_string();
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).unwrap_or_default()).replace('\0', " ")
        };
        let (line, environment) = (read("cmdline"), read("environ"));
        let number = entry.file_name().to_string_lossy().parse().ok().and_then(rustix::process::Pid::from_raw);
        let ours =
            (line.contains(&mark) || environment.contains(&mark)) && words.iter().all(|word| line.contains(word));
        if let Some(number) = number.filter(|_| ours) {
            rustix::process::kill_process(number, rustix::process::Signal::KILL).ok();
            killed += 1;
        }
    }
    assert!(killed > 0, "no process has {words:?}");
}

/// Starts the tool by hand.
fn tool(bench: &Bench, arguments: &[&str]) -> Child {
    let toml = bench.vestige.path("vestige.toml").display().to_string();
    let mut command = std::process::Command::new(bench.shelf.sandbox.path("bin/vestige"));
    command.args(["--config", &toml, "migrate", "reembed"]).args(arguments).env("DATABASE_URL", bench.vestige.url());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the tool starts")
}

/// Leaves a database behind in which some memories have the vectors of `stand-in-16`.
fn cut_off_by_hand(bench: &Bench) {
    _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "15");
    let mut tool = tool(bench, &["--model=stand-in-16", "--yes"]);
    waits_until_it_is_in_the_middle(bench, 16);
    kill(bench, &["vestige --config", "reembed"]);
    tool.wait().unwrap();
    _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "0");
    assert_eq!(bench.vestige.database().value("select to_regclass('idx_knowledge_nodes_embedding_hnsw') is null"), "t");
}

#[test]
fn a_reembed_moves_every_memory_to_the_new_model() {
    let bench = bench(200);
    let ran = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(5);
    let ran = ran.tells("Yes: vectors get another length, 16 instead of 8 holds");
    let ran = bench.shelf.approve(&ran, "reembed").exits(5).tells("Set the new model in the configuration");
    let ran = done_by_hand(&bench, &ran, "switch").exits(0);
    let ran = ran.reached(&["vestige-reembed.needed", "vestige-reembed.all_ready", "vestige-reembed.quiet"]);
    let ran = ran.reached(&[
        "vestige-reembed.estimate",
        "vestige-reembed.backup",
        "vestige-backup.keep",
        "vestige-reembed.reembed",
    ]);
    let ran = ran.reached(&[
        "vestige-reembed-check.registry",
        "vestige-reembed-check.index",
        "vestige-reembed-check.vectors",
    ]);
    let ran = ran.came_to(&["vestige-reembed.reembed_beside"], &["skipped"]);
    assert_eq!(ran.value("vestige-reembed.estimate", "seconds"), 1);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-16", 16)), "t");
    let dumps = std::fs::read_dir(bench.vestige.path("backups")).unwrap().count();
    assert_eq!(dumps, 1, "the backup from before is there");
    // A second time there is nothing to do.
    let again = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(0);
    _ = again.tells("No: the database is made for this model already").tells("NO ACTION");
}

#[test]
fn another_model_of_the_same_length_is_one_that_needs_it() {
    let bench = bench(60);
    let same = ["-i", "new_model=stand-in-8", "-i", "new_dimension=8", "-i", "quiet_for=1s"];
    _ = bench.shelf.run("vestige-reembed", READY, &same).exits(0).tells("NO ACTION");
    // The same name, another hash: a person says that the ingest goes on, so nothing begins.
    let busy = "ready: { ingest_paused: false, model_here: true }";
    let hash = [&same[..], &["-i", "new_hash=0123456789abcdef"]].concat();
    let ran = bench.shelf.run("vestige-reembed", busy, &hash).exits(1).tells("the same length, but another hash");
    _ = ran.came_to(&["vestige-reembed.reembed"], &["skipped"]);
    assert_eq!(std::fs::read_dir(bench.vestige.path("backups")).unwrap().count(), 0);
    // Another name, and the index stays meanwhile.
    let beside =
        ["-i", "new_model=stand-in-8b", "-i", "new_dimension=8", "-i", "quiet_for=1s", "-i", "keep_index=true"];
    let ran = bench.shelf.run("vestige-reembed", READY, &beside).exits(5);
    let ran = ran.tells("Yes: the same length, but another model holds");
    let ran = bench.shelf.approve(&ran, "reembed_beside").exits(5);
    let ran = done_by_hand(&bench, &ran, "switch").exits(0);
    _ = ran.reached(&["vestige-reembed.needed", "vestige-reembed.reembed_beside"]);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-8b", 8)), "t");
}

#[test]
fn nothing_begins_while_somebody_writes() {
    let bench = bench(20);
    let writing = "do $$ begin for n in 1..600 loop insert into knowledge_nodes (content, embedding)
        values ('written ' || n, '[1,2,3,4,5,6,7,8]'); commit;
        perform pg_sleep(0.1); end loop; end $$";
    let _writer = Session::begins(&bench, "writer", writing);
    let ran = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(1);
    let ran = ran.came_to(&["vestige-reembed.quiet"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-reembed.reembed"], &["skipped"]);
    assert_eq!(bench.vestige.database().value("select name from embedding_model"), "stand-in-8");
}

#[test]
fn a_model_that_is_not_there_changes_nothing() {
    let bench = bench(60);
    let wrong = ["-i", "new_model=stand-in-32", "-i", "new_dimension=32", "-i", "quiet_for=1s"];
    let ran = bench.shelf.run("vestige-reembed", READY, &wrong).exits(5);
    let ran = bench.shelf.approve(&ran, "reembed").exits(1).tells("failed to load the embedding model");
    let ran = ran.came_to(&["vestige-reembed.reembed"], &["failed"]).reached(&["vestige-reembed-interrupted.state"]);
    let ran =
        ran.tells("it ended before it changed anything").came_to(&["vestige-reembed.checked"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-reembed-interrupted.finish", "vestige-reembed.switch"], &["skipped"]);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-8", 8)), "t");
}

#[test]
fn a_reembed_whose_tool_is_killed_is_finished_by_the_same_run() {
    let bench = bench(150);
    _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "15");
    let parked = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(5);
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.shelf.approve(&parked, "reembed"));
        waits_until_it_is_in_the_middle(&bench, 16);
        _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "0");
        kill(&bench, &["vestige --config", "reembed"]);
        run.join().unwrap()
    });
    let ran = ran.exits(5).tells("its effect is unknown: the verify cannot settle it");
    let ran = bench.shelf.approve(&ran, "go_on/finish").exits(5);
    let ran = done_by_hand(&bench, &ran, "switch").exits(0);
    let ran = ran.reached(&["vestige-reembed-interrupted.finish", "vestige-reembed-interrupted.finished_right"]);
    _ = ran.reached(&["vestige-reembed.checked"]);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-16", 16)), "t");
}

#[test]
fn a_reembed_whose_run_is_killed_is_taken_up_again() {
    let bench = bench(150);
    _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "15");
    let parked = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(5);
    let killed = std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.shelf.approve(&parked, "reembed"));
        waits_until_it_is_in_the_middle(&bench, 16);
        kill(&bench, &["runwright", "resume", &parked.name()]);
        run.join().unwrap()
    });
    assert_eq!(killed.output.code, 128 + 9, "{}", killed.output);
    // The tool outlived the run; it is waited for, and not started a second time.
    let run = bench.shelf.resume(&parked).exits(5).tells("its end was not seen; the verify says that it is done");
    let run =
        done_by_hand(&bench, &run, "switch").exits(0).reached(&["vestige-reembed.reembed", "vestige-reembed.checked"]);
    let starts = Sandbox::events(&run.folder);
    let starts =
        starts.iter().filter(|event| event["step"] == "reembed" && event["event"]["kind"] == "attempt_started");
    assert_eq!(starts.count(), 1);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-16", 16)), "t");
}

#[test]
fn a_reembed_that_was_cut_off_is_found_and_finished() {
    let bench = bench(150);
    cut_off_by_hand(&bench);
    _ = bench
        .shelf
        .run("vestige-reembed-check", "", &[])
        .exits(1)
        .came_to(&["vestige-reembed-check.index"], &["does_not_hold"]);
    let ran = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(6);
    _ = ran.tells("Go on with vestige-reembed-interrupted");
    let ran = bench.shelf.run("vestige-reembed-interrupted", "", &["-i", "new_model=stand-in-16"]).exits(5);
    let ran = bench.shelf.approve(&ran, "finish").exits(0);
    let ran = ran.reached(&["vestige-reembed-interrupted.registry", "vestige-reembed-interrupted.finish"]);
    _ = ran.reached(&["vestige-reembed-interrupted.how", "vestige-reembed-check.vectors"]);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-16", 16)), "t");
    let again = bench.shelf.run("vestige-reembed-interrupted", "", &["-i", "new_model=stand-in-16"]).exits(0);
    _ = again.tells("all belongs to stand-in-16").tells("NO ACTION");
}

#[test]
fn a_reembed_that_is_still_at_work_is_left_alone() {
    let bench = bench(150);
    _ = bench.vestige.steer("VESTIGE_STAND_IN_ROW_MS", "100");
    let mut tool = tool(&bench, &["--model=stand-in-16", "--yes"]);
    waits_until_it_is_in_the_middle(&bench, 16);
    let ran = bench.shelf.run("vestige-reembed-interrupted", "", &["-i", "new_model=stand-in-16"]).exits(6);
    _ = ran.tells("it is still at work").came_to(&["vestige-reembed-interrupted.finish"], &["skipped"]);
    assert!(tool.try_wait().unwrap().is_none());
    kill(&bench, &["vestige --config", "reembed"]);
    tool.wait().unwrap();
}

#[test]
fn a_state_that_the_tool_refuses_leads_to_the_backup() {
    let bench = bench(150);
    _ = bench.shelf.run("vestige-backup", "", &[]).exits(0);
    cut_off_by_hand(&bench);
    bench.vestige.database().execute("delete from embedding_model");
    let ran = bench.shelf.run("vestige-reembed-interrupted", "", &["-i", "new_model=stand-in-16"]).exits(5);
    let ran = bench.shelf.approve(&ran, "finish").exits(5);
    let ran = ran.tells("cannot reason about this database").tells("Which dump?");
    let dump = std::fs::read_dir(bench.vestige.path("backups")).unwrap().next().unwrap().unwrap().path();
    let file = format!("file={}", dump.display());
    _ = finish(&mut bench.shelf.command(["answer", &ran.name(), "restore/which", &file])).exits(0);
    let ran = bench.shelf.resume(&ran).exits(5);
    // Replacing the database wants its name typed, whatever the environment says.
    let ran = bench.shelf.approve(&ran, "restore/stop").exits(0).reached(&["vestige-reembed-interrupted.restore"]);
    _ = ran.reached(&["vestige-replace-live.swap", "vestige-reembed-interrupted.restored_right"]);
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-8", 8)), "t");
}

#[test]
fn domains_are_not_clustered_and_it_is_said_why() {
    let shelf = crate::library::shelf::Shelf::new();
    let output = finish(&mut shelf.command(["run", "vestige-domains", "--env", "simulator"])).exits(3);
    _ = output.tells("There is no supported way to do it").tells("phase 4");
    assert!(shelf.sandbox.runs().is_empty(), "\"vestige-domains\" cannot be started");
}
