//! A dump takes the place of the live database, and whatever goes wrong there is a way back.

use super::backup::{databases, dump, dumps, given};
use super::bench::Bench;
use crate::library::shelf::Ran;
use crate::support::{Output, Sandbox};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

const COUNT: &str = "select count(*) from knowledge_nodes";

/// A live database with 100 memories of which a dump has 40, and the run that is parked before Vestige is stopped.
fn before_the_stop(bench: &Bench) -> Ran {
    _ = bench.vestige.remember(40);
    let file = dump(bench, "wanted.dump");
    _ = bench.vestige.remember(60);
    let ran = bench.shelf.run("vestige-replace-live", "old: keep", &["-i", &given("file", &file)]).exits(5);
    // Until here Vestige has worked on.
    assert_eq!(databases(&bench.vestige), ["vestige", "vestige_incoming"]);
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
    ran.tells("Vestige is away from now on")
}

/// The name under which an undo has kept what was live until then.
#[track_caller]
fn kept_aside(bench: &Bench, undone: &Ran) -> String {
    match databases(&bench.vestige).as_slice() {
        [live, aside] if live == "vestige" && aside.starts_with("vestige_aside_") => aside.clone(),
        left => panic!("{left:?}\n{}", undone.output),
    }
}

#[test]
fn the_live_database_is_replaced_and_put_back() {
    let bench = Bench::ready();
    let parked = before_the_stop(&bench).reached(&["vestige-replace-live.backup", "vestige-replace-live.proof"]);
    let ran = bench.shelf.approve(&parked, "stop").exits(0).reached(&[
        "vestige-replace-live.safety",
        "vestige-replace-live.bookkeeping",
        "vestige-replace-live.stop",
        "vestige-replace-live.swap",
        "vestige-replace-live.in_place",
        "vestige-replace-live.start",
        "vestige-replace-live.works",
    ]);
    let old = ran.value("vestige-replace-live.picked", "old");
    assert_eq!(databases(&bench.vestige), ["vestige", old.as_str().unwrap()]);
    assert_eq!(bench.vestige.database().value(COUNT), "40");
    assert_eq!(bench.vestige.cluster.named(old.as_str().unwrap()).value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
    assert_eq!(dumps(&bench.vestige).len(), 1, "a dump of what was live");
    // And back; what came meanwhile is not lost.
    _ = bench.vestige.remember(3);
    let meanwhile = bench.vestige.database().value(COUNT);
    assert_ne!(meanwhile, "40");
    let undone = bench.shelf.undo(&ran);
    let aside = kept_aside(&bench, &undone);
    assert_eq!(bench.vestige.cluster.named(&aside).value(COUNT), meanwhile);
    assert_eq!(bench.vestige.database().value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_some(), "{}", undone.output);
    assert_eq!(dumps(&bench.vestige).len(), 1, "backups are kept");
}

/// F8: a dump that cannot be read to its end is found while the live database is still there and Vestige works.
#[test]
fn a_bad_dump_replaces_nothing() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(100);
    let file = dump(&bench, "cut.dump");
    let bytes = std::fs::read(&file).unwrap();
    let process = bench.vestige.services.process("vestige-mcp");
    let replace = || bench.shelf.run("vestige-replace-live", "", &["-i", &given("file", &file)]);
    std::fs::write(&file, &bytes[..bytes.len() - 1000]).unwrap();
    let ran = replace().exits(7).came_to(&["vestige-dump-check.whole"], &["does_not_hold"]);
    _ = ran
        .came_to(&["vestige-replace-live.proof"], &["failed"])
        .came_to(&["vestige-replace-live.stop", "vestige-replace-live.swap"], &["skipped"]);
    // One of a newer pg_dump.
    let mut newer = bytes.clone();
    newer[6] = 99;
    std::fs::write(&file, &newer).unwrap();
    _ = replace().exits(7).tells("made by a newer pg_dump");
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    assert_eq!(bench.vestige.database().value(COUNT), "100");
    assert_eq!(bench.vestige.services.process("vestige-mcp"), process, "the service was never touched");
}

#[test]
fn who_says_no_keeps_everything_as_it_was() {
    let bench = Bench::ready();
    let parked = before_the_stop(&bench);
    _ = bench.shelf.decides(&parked, "stop", &["--deny", "--reason", "not tonight"]).exits(0);
    _ = bench.shelf.resume(&parked).exits(4).reached(&["vestige-replace-live.clear"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    assert_eq!(bench.vestige.database().value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
}

/// What the new database lacks shows only when Vestige starts on it: then the way back is said, and works.
#[test]
fn a_service_that_does_not_work_on_the_new_database_is_put_back() {
    let bench = Bench::ready();
    let parked = before_the_stop(&bench);
    // A migration that this release does not know.
    bench.vestige.cluster.named("vestige_incoming").execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9, 'of a newer release', true, '\\x00', 1)",
    );
    let ran = bench.shelf.approve(&parked, "stop").exits(6).tells("The way back is `runwright undo");
    let old = ran.value("vestige-replace-live.picked", "old");
    assert_eq!(databases(&bench.vestige), ["vestige", old.as_str().unwrap()]);
    // The service could not be started again at the end of the run, so that is asked for like the stop.
    let undone = bench.shelf.undo(&ran).exits(5);
    let undone = bench.shelf.approve(&undone, "stop/undo");
    _ = kept_aside(&bench, &undone);
    assert_eq!(bench.vestige.database().value(COUNT), "100");
    bench.vestige.waits_for("Postgres backend ready");
    assert!(bench.vestige.services.process("vestige-mcp").is_some(), "{}", undone.output);
}

/// Somebody followed the document to the letter, and stands there without a database.
#[test]
fn a_database_that_was_dropped_already_is_brought_back() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(40);
    let file = dump(&bench, "wanted.dump");
    _ = bench.vestige.services.systemctl("stop", "vestige-mcp");
    bench.vestige.cluster.named("postgres").execute("drop database vestige with (force)");
    let parked = bench.shelf.run("vestige-replace-live", "", &["-i", &given("file", &file)]).exits(5);
    let ran = bench.shelf.approve(&parked, "stop").exits(0);
    _ = ran.reached(&["vestige-replace-live.bring_in", "vestige-replace-live.in_place", "vestige-replace-live.works"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    assert_eq!(bench.vestige.database().value(COUNT), "40");
}

/// Starts the run again and ends it by `kill -9` when its record has grown by so many events. Gives back how it ended when it
/// came to its end before.
fn killed_after(bench: &Bench, run: &Ran, events: usize) -> Option<Output> {
    let transcript = run.folder.join("transcript.jsonl");
    let length = || std::fs::read_to_string(&transcript).unwrap_or_default().lines().count();
    let goal = length() + events;
    let mut command = bench.shelf.command(["resume", &run.name()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while length() < goal && matches!(child.try_wait(), Ok(None)) {
        assert!(Instant::now() < deadline, "it neither goes on nor ends");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().ok();
    let output = child.wait_with_output().unwrap();
    output.status.code().is_some().then(|| Output::new("runwright resume".to_owned(), &output))
}

/// kill -9 at one place after the other, from the stop of the service to the end.
#[test]
fn a_replacement_that_is_killed_again_and_again_comes_to_its_end() {
    let bench = Bench::ready();
    let parked = before_the_stop(&bench);
    _ = bench.shelf.decides(&parked, "stop", &[]).exits(0);
    let mut killed = 0;
    let output = loop {
        // It gets further each time.
        match killed_after(&bench, &parked, 3 + killed) {
            // The stop itself was cut off: it is offered again, with a card of its own.
            Some(output) if output.code == 5 => {
                let output = bench.shelf.sandbox.call(["show", &parked.name()]);
                let again = Ran { output, folder: parked.folder.clone() };
                _ = bench.shelf.decides(&again, "stop", &[]).exits(0);
            }
            Some(output) => break output,
            None => killed += 1,
        }
        let databases = databases(&bench.vestige);
        assert!(databases.contains(&"vestige".to_owned()), "there is always a database: {databases:?}");
        assert!(killed < 60, "it never ends");
    };
    assert!(killed >= 3, "{killed}");
    let ran = Ran { output, folder: parked.folder.clone() }.exits(0);
    let old = ran.value("vestige-replace-live.picked", "old");
    assert_eq!(databases(&bench.vestige), ["vestige", old.as_str().unwrap()]);
    assert_eq!(bench.vestige.database().value(COUNT), "40");
    assert_eq!(bench.vestige.cluster.named(old.as_str().unwrap()).value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
    let ends = |event: &&Value| event["step"] == "swap" && event["event"]["kind"] == "step_ended";
    assert_eq!(Sandbox::events(&parked.folder).iter().filter(ends).count(), 1);
}

/// The old database is dropped only by a decision and a typed answer of its own.
#[test]
fn the_old_database_goes_by_its_own_gate() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(40);
    let file = dump(&bench, "wanted.dump");
    let parked = bench.shelf.run("vestige-replace-live", "old: drop", &["-i", &given("file", &file)]).exits(5);
    let parked = bench.shelf.approve(&parked, "stop").exits(5).tells("After this the only way back is another restore");
    assert_eq!(databases(&bench.vestige).len(), 2);
    let ran = bench.shelf.approve(&parked, "drop_old").exits(0);
    _ = ran.reached(&["vestige-replace-live.drop_old", "vestige-replace-live.old_gone"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}
