//! Dumps that are proven, restores and drills.

use super::bench::Bench;
use crate::support::Vestige;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const COUNT: &str = "select count(*) from knowledge_nodes";

/// The databases of the server that are not PostgreSQL's own.
pub(super) fn databases(vestige: &Vestige) -> Vec<String> {
    let rows = vestige
        .cluster
        .named("postgres")
        .rows("select datname from pg_database where datname not in ('postgres', 'template0', 'template1') order by 1");
    rows.into_iter().flatten().flatten().collect()
}

/// The files in the folder for dumps, by name.
pub(super) fn dumps(vestige: &Vestige) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(vestige.path("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A dump made by the runbook, under a name of its own.
pub(super) fn dump(bench: &Bench, name: &str) -> PathBuf {
    let ran = bench.shelf.run("vestige-backup", "", &[]).exits(0);
    let made = PathBuf::from(ran.value("vestige-backup.name", "file").as_str().unwrap());
    let to = bench.vestige.path(name);
    std::fs::rename(made, &to).unwrap();
    to
}

fn rows_of(rows: &Value, table: &str) -> Value {
    let row = rows.as_array().unwrap().iter().find(|row| row["table"] == table);
    row.unwrap_or_else(|| panic!("{table} is not in {rows}"))["rows"].clone()
}

/// The input `NAME=PATH` for the command line.
pub(super) fn given(name: &str, path: &std::path::Path) -> String {
    format!("{name}={}", path.display())
}

#[test]
fn a_backup_is_proven_and_put_on_record() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let ran = bench.shelf.run("vestige-backup", "", &[]).exits(0).reached(&[
        "vestige-backup.sizes",
        "vestige-backup.which",
        "vestige-backup.dump",
        "vestige-dump-check.whole",
        "vestige-backup.kept",
    ]);
    let [name] = &dumps(&bench.vestige)[..] else { panic!("{:?}", dumps(&bench.vestige)) };
    assert!(name.starts_with("vestige-20") && name.ends_with("Z.dump") && name.len() == 29, "{name}");
    let path = bench.vestige.path("backups").join(name);
    let about = std::fs::metadata(&path).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(ran.value("vestige-backup.kept", "bytes"), json!(about.len()));
    let rows = ran.value("vestige-dump-check.whole", "rows");
    assert_eq!(rows_of(&rows, "knowledge_nodes"), 200);
    assert_eq!(rows_of(&rows, "review_events"), 20);
    let sum = ran.value("vestige-dump-check.sum", "sha256");
    let said = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
    assert_eq!(sum.as_str(), String::from_utf8(said.stdout).unwrap().split(' ').next());
}

#[test]
fn rows_that_can_be_made_again_are_left_out_when_a_person_says_so() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(50);
    bench.vestige.database().execute(
        "insert into edges (source_id, target_id) select a.id, b.id from knowledge_nodes a, knowledge_nodes b where a.id < b.id limit 300",
    );
    let large = ["-i", "vestige_large=1K"];
    let ran = bench.shelf.run("vestige-backup", "which: without_optional", &large).exits(0);
    let ran = ran.reached(&["vestige-backup.which", "vestige-backup.kept"]);
    // The tables are there, empty, so that a restored Vestige starts.
    let tables = ran.value("vestige-dump-check.list", "tables");
    assert!(tables.as_array().unwrap().contains(&json!("edges")), "{tables}");
    assert_eq!(ran.value("vestige-dump-check.list", "left_out"), json!(["domains", "edges"]));
    assert!(!ran.value("vestige-dump-check.whole", "rows").to_string().contains("edges"));
    // With nobody to ask, all of them: nothing is lost because nobody was there. The name of a dump holds the second.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let ran = bench.shelf.run("vestige-backup", "", &large);
    assert_eq!(rows_of(&ran.value("vestige-dump-check.whole", "rows"), "edges"), 300);
    _ = ran.exits(0);
}

#[test]
fn a_backup_that_fails_leaves_nothing_that_looks_like_one() {
    let bench = Bench::ready();
    // As if the connection broke in the middle: a part is there, and the exit code says so.
    _ = bench.shelf.sandbox.program("pg_dump.new", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 16.2' && exit\nfor a; do case $a in --file=*) echo PGDMP >\"${a#--file=}\";; esac; done\necho 'pg_dump: error: connection to server was lost' >&2; exit 1\n");
    let bin = bench.shelf.sandbox.path("bin");
    std::fs::rename(bin.join("pg_dump.new"), bin.join("pg_dump")).unwrap();
    _ = bench
        .shelf
        .run("vestige-backup", "", &[])
        .exits(7)
        .tells("connection to server was lost")
        .came_to(&["vestige-backup.dump"], &["failed"])
        .reached(&["vestige-backup.clear"]);
    assert!(dumps(&bench.vestige).is_empty(), "{:?}", dumps(&bench.vestige));
}

/// V44: what failed can be read from the record alone, long after the screen is gone.
#[test]
fn the_record_keeps_the_command_the_exit_code_and_the_log_line_of_what_failed() {
    let bench = Bench::ready();
    _ = bench.shelf.set("vestige_backups", "/nowhere");
    let ran = bench.shelf.run("vestige-backup", "", &[]).exits(1).came_to(&["vestige-backup.room"], &["does_not_hold"]);
    let events = std::fs::read_to_string(ran.folder.join("transcript.jsonl")).unwrap();
    assert!(events.contains("test -w \\\"$FOLDER/.\\\" && df"), "{events}");
    _ = bench.shelf.set("vestige_backups", bench.vestige.path("backups").display().to_string());
    std::fs::remove_file(bench.shelf.sandbox.path("bin/pg_dump")).unwrap();
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 16.2' && exit\n\
                  echo 'pg_dump: error: FATAL: password authentication failed for user \"vestige\"' >&2; exit 1\n";
    _ = bench.shelf.sandbox.program("pg_dump", script);
    let ran = bench.shelf.run("vestige-backup", "", &[]).exits(7).came_to(&["vestige-backup.dump"], &["failed"]);
    let name = ran.name();
    for command in ["show", "handover"] {
        let output = bench.shelf.sandbox.runwright(&format!("{command} {name}")).exits(0);
        let output = output.tells("vestige-backup").tells("exit code 1").tells("password authentication failed");
        assert!(output.all().contains("pg_dump"), "{output}");
    }
}

#[test]
fn a_dump_that_is_none_or_not_whole_is_told_apart() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let good = std::fs::read(dump(&bench, "good.dump")).unwrap();
    let check = |bytes: &[u8]| {
        let file = bench.vestige.path("other.dump");
        std::fs::write(&file, bytes).unwrap();
        bench.shelf.run("vestige-dump-check", "", &["-i", &given("file", &file)])
    };
    _ = check(&good).exits(0).reached(&["vestige-dump-check.list", "vestige-dump-check.whole"]);
    // Its list is still there, so only reading it to the end shows what is missing.
    _ = check(&good[..good.len() - 2000])
        .exits(1)
        .reached(&["vestige-dump-check.list", "vestige-dump-check.nine"])
        .came_to(&["vestige-dump-check.whole"], &["does_not_hold"])
        .tells("could not read from input file: end of file");
    // The third number of the format stands in the seventh byte.
    let mut newer = good.clone();
    newer[6] = 99;
    _ = check(&newer).exits(1).tells("made by a newer pg_dump");
    _ = check(b"-- a script\nselect 1;\n").exits(1).tells("no dump in the custom format");
    _ = check(b"").exits(1).tells("`size` does not hold");
}

/// F2: the role alone cannot make the extension, and loses every table with a vector in it.
#[test]
fn a_restore_makes_the_extensions_first() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let file = dump(&bench, "good.dump");
    // As the document has it.
    bench.vestige.cluster.named("postgres").execute("create database as_written owner vestige");
    let mut by_hand = bench.vestige.cluster.program("pg_restore");
    _ = by_hand.env("PGPASSWORD", crate::support::ROLE_PASSWORD);
    _ = by_hand.args(["--host=127.0.0.1", "--username=vestige", "--dbname=as_written", "--jobs=4"]);
    _ = by_hand.arg(format!("--port={}", bench.vestige.cluster.port)).arg(&file);
    // The server's user must be able to read it.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let own = bench.shelf.sandbox.folder().parent().unwrap().to_owned();
    for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(&own)) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = by_hand.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("permission denied to create extension \"vector\""), "{said}");
    let written = bench.vestige.cluster.named("as_written");
    assert_eq!(written.value("select to_regclass('knowledge_nodes') is null"), "t");
    // Here.
    let ran = bench.shelf.run("vestige-restore", "", &["-i", &given("file", &file)]).exits(0).reached(&[
        "vestige-restore.extensions",
        "vestige-restore.restore",
        "vestige-restore.there",
        "vestige-restore.same",
        "vestige-restore.usable",
    ]);
    let restored = bench.vestige.cluster.named("vestige_restore");
    assert_eq!(restored.value(COUNT), "200");
    assert_eq!(restored.value("select tableowner from pg_tables where tablename = 'knowledge_nodes'"), "vestige");
    // What pg_restore says of the extensions is told apart from what matters.
    assert_eq!(ran.value("vestige-restore.restore", "serious"), json!([]));
    assert_eq!(ran.value("vestige-restore.restore", "harmless").as_array().map(Vec::len), Some(2));
    _ = bench.shelf.undo(&ran).exits(0).tells("UNDONE");
    assert_eq!(databases(&bench.vestige), ["as_written", "vestige"]);
}

#[test]
fn a_restore_never_goes_over_what_is_there_and_takes_no_broken_dump() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let file = dump(&bench, "good.dump");
    let over = ["-i", &given("file", &file), "-i", "database=vestige"];
    _ = bench.shelf.run("vestige-restore", "", &over).exits(1).came_to(&["vestige-restore.free"], &["does_not_hold"]);
    assert_eq!(bench.vestige.database().value(COUNT), "20");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let ran = bench.shelf.run("vestige-restore", "", &["-i", &given("file", &file)]).exits(1);
    _ = ran.came_to(&["vestige-restore.create", "vestige-restore.restore"], &["skipped"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}

/// A dump that holds fewer rows than it should is no dump that can be proven by its exit code.
/// A trigger for the whole server would do the same: the rows of one table are refused.
fn fails_in_the_middle(bench: &Bench) {
    let wrapper = bench.shelf.sandbox.path("bin/pg_restore");
    let real = std::fs::read_link(&wrapper).unwrap();
    std::fs::remove_file(&wrapper).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--dbname=*) '{}' --exclude-schema=none --section=pre-data \"$@\" 2>/dev/null\n\
         echo 'pg_restore: error: could not execute query: ERROR:  out of memory' >&2; exit 1;; esac\nexec '{0}' \"$@\"\n",
        real.display()
    );
    _ = bench.shelf.sandbox.program("pg_restore", &script);
}

#[test]
fn a_restore_in_which_a_table_fails_is_no_success() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let file = dump(&bench, "good.dump");
    fails_in_the_middle(&bench);
    _ = bench
        .shelf
        .run("vestige-restore", "", &["-i", &given("file", &file)])
        .exits(7)
        .came_to(&["vestige-restore.restore"], &["does_not_hold"])
        .tells("out of memory");
}

#[test]
fn the_monthly_drill_restores_compares_and_leaves_nothing() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(100);
    _ = bench.shelf.run("vestige-backup", "", &[]).exits(0);
    let drill = |more: &[&str]| bench.shelf.run("vestige-restore-drill", "", more);
    let ran = drill(&[]).exits(0).tells("no drill on record").reached(&[
        "vestige-restore-drill.recent",
        "vestige-restore.restore",
        "vestige-restore-drill.same",
        "vestige-restore-drill.search",
        "vestige-restore-drill.drop",
    ]);
    let compared = ran.value("vestige-restore-drill.same", "compared").to_string();
    assert!(compared.contains(r#"{"table":"knowledge_nodes","live":100,"restored":100}"#), "{compared}");
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    // The second one knows how long the first took.
    let took = ran.value("vestige-restore-drill.clock", "took");
    let ran = drill(&[]).exits(0);
    assert_eq!(ran.value("vestige-restore-drill.clock", "last_time"), took);
    // The live database has lost most of its rows since: that is found.
    bench.vestige.database().execute("delete from knowledge_nodes where content > 'memory 3'");
    _ = drill(&[]).exits(1).came_to(&["vestige-restore-drill.same"], &["does_not_hold"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}

#[test]
fn a_drill_drops_its_database_after_a_failure_and_only_its_own() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(100);
    let file = dump(&bench, "old.dump");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 500]).unwrap();
    let broken = ["-i", &given("dump", &file)];
    _ = bench
        .shelf
        .run("vestige-restore-drill", "", &broken)
        .exits(7)
        .came_to(&["vestige-restore-drill.drop"], &["skipped"]);
    assert_eq!(databases(&bench.vestige), ["vestige"], "nothing was made, so nothing is dropped");
    // Somebody's own database of that name.
    bench.vestige.cluster.named("postgres").execute("create database vestige_restore_drill");
    let ran = bench.shelf.run("vestige-restore-drill", "", &broken).exits(1);
    _ = ran.came_to(&["vestige-restore-drill.free"], &["does_not_hold"]);
    assert_eq!(databases(&bench.vestige), ["vestige", "vestige_restore_drill"]);
    // No dump at all, and none for a day, are findings.
    bench.vestige.cluster.named("postgres").execute("drop database vestige_restore_drill");
    let old = bench.vestige.path("backups/vestige-20260101T030000Z.dump");
    std::fs::write(old, &bytes).unwrap();
    _ = bench
        .shelf
        .run("vestige-restore-drill", "", &[])
        .exits(1)
        .came_to(&["vestige-restore-drill.recent"], &["does_not_hold"]);
    // A failure after the database was made.
    std::fs::write(&file, &bytes).unwrap();
    fails_in_the_middle(&bench);
    _ = bench.shelf.run("vestige-restore-drill", "", &broken).exits(7).reached(&["vestige-restore-drill.drop"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}
