//! The seven checkpoints of an installation.

use crate::library::vestige::bench::Bench;

fn bench() -> Bench {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let library = "#!/bin/sh\n[ \"$*\" = '--modversion libpq' ] && echo 16.2\n";
    _ = bench.shelf.sandbox.program("pkg-config", library);
    _ = bench.shelf.run("vestige-backup", "", &[]).exits(0);
    bench
}

#[test]
fn an_installation_that_is_whole_passes_all_seven() {
    let bench = bench();
    let ran = bench.shelf.run("vestige-checkpoints", "", &[]).exits(0).reached(&[
        "vestige-checkpoints.programs",
        "vestige-checkpoints.extensions",
        "vestige-checkpoints.login",
        "vestige-checkpoints.configuration",
        "vestige-checkpoints.connected",
        "vestige-checkpoints.backup",
        "vestige-checkpoints.drill",
    ]);
    let ran =
        ran.reached(&["vestige-checkpoints.library", "vestige-checkpoints.package", "vestige-checkpoints.all_good"]);
    assert_eq!(ran.value("vestige-checkpoints.mend", "failing"), serde_json::json!([]));
    let left = "select count(*) from pg_database where datname = 'vestige_restore_drill'";
    assert_eq!(bench.vestige.cluster.named("postgres").value(left), "0");
}

#[test]
fn the_first_part_that_is_not_right_is_named_and_all_seven_are_shown() {
    let bench = bench();
    bench.vestige.database().execute("drop extension pgcrypto");
    for dump in std::fs::read_dir(bench.vestige.path("backups")).unwrap() {
        let dump = dump.unwrap().path();
        let half = std::fs::metadata(&dump).unwrap().len() / 2;
        std::fs::OpenOptions::new().write(true).open(dump).unwrap().set_len(half).unwrap();
    }
    let ran = bench.shelf.run("vestige-checkpoints", "", &[]).exits(6);
    let ran = ran.tells("The first part that is not as it should be: Extensions (vestige-extensions).");
    let ran =
        ran.reached(&["vestige-checkpoints.programs", "vestige-checkpoints.login", "vestige-checkpoints.connected"]);
    let ran = ran.came_to(&["vestige-checkpoints.extensions", "vestige-checkpoints.all_good"], &["does_not_hold"]);
    let ran = ran.came_to(&["vestige-checkpoints.backup"], &["does_not_hold", "failed"]);
    let failing = ran.value("vestige-checkpoints.mend", "failing");
    assert_eq!(failing.as_array().map(Vec::len), Some(3), "{failing}");
}
