//! Migrations of the schema: before one, back from one, and one that was never finished.

use super::backup::{databases, dump, given};
use super::bench::Bench;
use crate::library::shelf::Ran;
use crate::support::repository;
use serde_json::json;

const COUNT: &str = "select count(*) from knowledge_nodes";

/// A machine with 100 memories, with `sqlx` and the migrations of its release as files.
fn bench() -> Bench {
    let bench = Bench::ready();
    _ = bench.vestige.remember(100);
    let script = std::fs::read_to_string(repository("tests/simulators/sqlx")).unwrap();
    _ = bench.shelf.sandbox.program("sqlx", &script);
    for entry in std::fs::read_dir(repository("tests/simulators/vestige/migrations")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        _ = bench.shelf.sandbox.write(&format!("migrations/{name}"), &std::fs::read_to_string(&path).unwrap());
    }
    _ = bench.shelf.set("migrations", bench.shelf.sandbox.path("migrations").display().to_string());
    bench
}

fn migration(bench: &Bench, name: &str, text: &str) {
    _ = bench.shelf.sandbox.write(&format!("migrations/{name}.sql"), text);
}

#[test]
fn a_migration_is_read_backed_up_and_run_on_a_copy_first() {
    let bench = bench();
    let check = |answers: &str| bench.shelf.run("vestige-migration-check", answers, &[]);
    _ = check("").exits(0).tells("The live database has all of them");
    migration(
        &bench,
        "0003_codebase.up",
        "alter table knowledge_nodes add column language text not null default 'english';\n",
    );
    // Without a way down it goes no further.
    let ran = check("read: { fine: true }").exits(1).came_to(&["vestige-migration-check.paired"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-migration-check.migrate_copy"], &["skipped"]);
    migration(&bench, "0003_codebase.down", "alter table knowledge_nodes drop column language;\n");
    // Nor when who read it says no.
    _ = check("read: { fine: false }").exits(1).came_to(&["vestige-migration-check.backup"], &["skipped"]);
    // What is asked shows the scripts.
    _ = check("").exits(5).tells("add column language text not null").tells("drop column language");
    let ran = check("read: { fine: true }").exits(0).reached(&[
        "vestige-migration-check.read",
        "vestige-migration-check.backup",
        "vestige-migration-check.rehearsal",
        "vestige-migration-check.migrate_copy",
        "vestige-migration-check.migrated",
        "vestige-migration-check.nothing_lost",
        "vestige-migration-check.drop_copy",
    ]);
    assert_eq!(ran.value("vestige-migration-check.migrate_copy", "lines"), json!(["Applied 3/migrate codebase (1ms)"]));
    // The live database is as it was, and the copy is gone.
    assert_eq!(bench.vestige.database().value("select max(version) from _sqlx_migrations"), "2");
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    // One that loses rows is found on the copy.
    migration(
        &bench,
        "0003_codebase.up",
        "delete from scheduling where node_id in (select node_id from scheduling limit 10);\n",
    );
    let ran = check("read: { fine: true }").exits(1);
    let ran = ran.came_to(&["vestige-migration-check.nothing_lost"], &["does_not_hold"]);
    assert_eq!(
        ran.value("vestige-migration-check.nothing_lost", "fewer"),
        json!([{ "table": "scheduling", "before": 100, "after": 90 }])
    );
    // One that fails, too.
    migration(&bench, "0003_codebase.up", "alter table knowledge_node add column language text;\n");
    _ = check("read: { fine: true }").exits(7).tells("relation \"knowledge_node\" does not exist");
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}

/// Parked at the typed gate, before the service is stopped.
fn at_the_gate(bench: &Bench) -> Ran {
    let parked = bench.shelf.run("vestige-migration-revert", "read: { fine: true }", &[]).exits(5);
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
    parked.reached(&[
        "vestige-migration-revert.backup",
        "vestige-migration-revert.rehearsed",
        "vestige-migration-revert.lost",
    ])
}

#[test]
fn the_last_migration_is_taken_back_after_a_rehearsal() {
    let bench = bench();
    let asked = bench.shelf.run("vestige-migration-revert", "", &[]).exits(5);
    _ = asked.tells("DROP INDEX idx_knowledge_nodes_embedding_hnsw");
    let parked = at_the_gate(&bench).tells("to take migration 2 back");
    assert_eq!(parked.value("vestige-migration-revert.lost", "rows"), 0);
    let parked = bench
        .shelf
        .approve(&parked, "stop")
        .exits(5)
        .reached(&["vestige-migration-revert.revert", "vestige-migration-revert.reverted"]);
    let database = bench.vestige.database();
    assert_eq!(database.value("select max(version) from _sqlx_migrations"), "1");
    assert_eq!(database.value("select to_regclass('idx_knowledge_nodes_embedding_hnsw') is null"), "t");
    assert_eq!(database.value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_none(), "it would apply the migration again");
    _ = bench.shelf.answer(&parked, "program", "result=done").exits(0).reached(&["vestige-migration-revert.runs"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
}

#[test]
fn a_revert_that_fails_halfway_gives_the_backup_back() {
    let bench = bench();
    // Without a transaction: the index goes, then it fails. The copy has no such view, so the rehearsal is fine.
    migration(
        &bench,
        "0002_hnsw.down",
        "-- no-transaction\nDROP INDEX idx_knowledge_nodes_embedding_hnsw;\n\
         DO $$ BEGIN IF current_database() = 'vestige' THEN RAISE 'disk full'; END IF; END $$;\n",
    );
    let parked = at_the_gate(&bench);
    let parked = bench.shelf.approve(&parked, "stop").exits(5);
    assert_eq!(bench.vestige.database().value("select to_regclass('idx_knowledge_nodes_embedding_hnsw') is null"), "t");
    // The called runbook has a gate of its own.
    let ran = bench.shelf.approve(&parked, "give_back/stop");
    let ran = ran.came_to(&["vestige-migration-revert.revert"], &["failed"]).tells("disk full");
    let ran = ran.reached(&["vestige-migration-revert.give_back", "vestige-replace-live.works"]);
    let database = bench.vestige.database();
    assert_eq!(database.value("select max(version) from _sqlx_migrations"), "2", "{}", ran.output);
    assert_eq!(database.value("select to_regclass('idx_knowledge_nodes_embedding_hnsw') is not null"), "t");
    assert_eq!(database.value(COUNT), "100");
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
}

#[test]
fn a_migration_without_a_checksum_is_answered_by_a_dump_of_before() {
    let bench = bench();
    _ = bench.shelf.run("vestige-migration-no-checksum", "", &[]).exits(0).tells("Every migration is whole");
    let good = dump(&bench, "good.dump");
    let kept = bench.vestige.path("backups/vestige-20260301T030000Z.dump");
    std::fs::rename(good, &kept).unwrap();
    // As a death in the middle leaves it; the service does not start any more.
    bench.vestige.database().execute("update _sqlx_migrations set checksum = null where version = 2");
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    bench.vestige.waits_for("with no checksum");
    let answers = format!("which: {{ file: {} }}", kept.display());
    let parked = bench.shelf.run("vestige-migration-no-checksum", &answers, &[]).exits(5).tells("has no checksum");
    let parked = parked.reached(&["vestige-migration-no-checksum.state", "vestige-replace-live.bookkeeping"]);
    let ran = bench.shelf.approve(&parked, "replace/stop").exits(0);
    _ = ran.reached(&[
        "vestige-migration-no-checksum.replace",
        "vestige-migration-no-checksum.mended",
        "vestige-ready.said_ready",
    ]);
    let database = bench.vestige.database();
    assert_eq!(database.value("select count(*) from _sqlx_migrations where checksum is null"), "0");
    assert_eq!(database.value(COUNT), "100");
}

/// A dump that has the same fault is no way out, and is found before anything is taken away.
#[test]
fn a_dump_with_the_same_fault_replaces_nothing() {
    let bench = bench();
    bench.vestige.database().execute("update _sqlx_migrations set checksum = null where version = 2");
    let file = dump(&bench, "faulty.dump");
    let ran = bench.shelf.run("vestige-replace-live", "", &["-i", &given("file", &file)]).exits(1);
    let ran = ran.came_to(&["vestige-replace-live.bookkeeping"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-replace-live.stop"], &["skipped"]).reached(&["vestige-replace-live.clear"]);
    assert_eq!(databases(&bench.vestige), ["vestige"]);
    // No dump of before: nothing is touched either.
    let ran = bench.shelf.run("vestige-migration-no-checksum", "", &[]).exits(1);
    _ = ran.came_to(&["vestige-migration-no-checksum.some"], &["does_not_hold"]);
}

#[test]
fn before_a_major_upgrade_there_is_a_backup_that_was_restored_once() {
    let bench = bench();
    let answers = "packages: { pgvector: '0.8.0', programs: true }";
    let ran = bench.shelf.run("vestige-before-major-upgrade", answers, &["-i", "new_major=17"]).exits(0);
    _ = ran.reached(&[
        "vestige-before-major-upgrade.now_running",
        "vestige-before-major-upgrade.backup",
        "vestige-before-major-upgrade.proven",
    ]);
    let ran = bench.shelf.run("vestige-before-major-upgrade", answers, &["-i", "new_major=16"]).exits(1);
    let ran = ran.came_to(&["vestige-before-major-upgrade.now_running"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-before-major-upgrade.backup"], &["skipped"]);
}

#[test]
fn who_has_only_the_error_finds_the_runbook() {
    let shelf = crate::library::shelf::Shelf::new();
    let finds = |words: &str, runbook: &str| {
        let output = crate::support::finish(&mut shelf.command(["lookup", words])).exits(0);
        assert!(output.stdout.lines().any(|line| line.starts_with(&format!("1  {runbook}: "))), "{output}");
    };
    finds("Error: migration 1 was previously applied but is missing a checksum", "vestige-migration-no-checksum");
    finds("pg_restore: error: unsupported version (1.17) in file header", "vestige-dump-check");
    finds("pg_restore: error: could not read from input file: end of file", "vestige-dump-check");
    finds("how do I restore a backup", "vestige-restore");
    finds("roll back a migration", "vestige-migration-revert");
    finds("take a backup", "vestige-backup");
}
