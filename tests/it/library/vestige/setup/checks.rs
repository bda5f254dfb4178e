//! The checklist before anything is set up.

use super::extension;
use crate::library::vestige::bench::Bench;
use crate::support::{Cluster, PASSWORD};
use serde_json::json;

#[test]
fn vestige_prerequisites_that_all_hold() {
    let bench = Bench::bare();
    let ran = bench.shelf.run("vestige-prerequisites", "", &["-i", "vestige_memories=1000"]).exits(0);
    let ran = ran.reached(&[
        "vestige-prerequisites.packages",
        "vestige-prerequisites.version",
        "vestige-prerequisites.pgvector",
        "vestige-prerequisites.pgcrypto",
        "vestige-prerequisites.superuser",
        "vestige-prerequisites.folder",
        "vestige-prerequisites.disk_room",
    ]);
    // Both on one machine: there is no rule to look for.
    let ran = ran.came_to(&["vestige-prerequisites.network"], &["skipped"]);
    assert_eq!(ran.value("vestige-prerequisites.size", "index"), json!(1000 * 768 * 4 * 4));
    assert!(ran.value("vestige-prerequisites.disk", "free").as_i64().unwrap() > 0);
}

#[test]
fn vestige_prerequisites_that_miss_pgvector_room_and_a_rule() {
    let bench = Bench::bare();
    std::fs::remove_file(extension(&bench, "vector.control")).unwrap();
    let arch = bench.shelf.sandbox.write("os-release", "NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n");
    let more = ["-i", "vestige_memories=900000000000", "-i", "vestige_client=10.1.2.3", "-i"];
    let release = format!("os_release={}", arch.display());
    let ran = bench.shelf.run("vestige-prerequisites", "", &[&more[..], &[&release]].concat()).exits(1);
    let ran = ran.tells("pacman -S postgresql pgvector").reached(&["vestige-prerequisites.version"]);
    let ran = ran.came_to(
        &["vestige-prerequisites.pgvector", "vestige-prerequisites.disk_room", "vestige-prerequisites.network"],
        &["does_not_hold"],
    );
    assert!(ran.value("vestige-prerequisites.room", "free").as_i64().unwrap() > 0);
    // With a rule for its network, the row holds.
    let rules = bench.vestige.cluster.data().join("pg_hba.conf");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("{text}host vestige vestige 10.1.0.0/16 scram-sha-256\n")).unwrap();
    let ran = bench.shelf.run("vestige-prerequisites", "", &["-i", "vestige_client=10.1.2.3"]).exits(1);
    _ = ran.reached(&["vestige-prerequisites.network", "vestige-prerequisites.disk_room"]);
}

/// F7: Debian 12 ships 15, and no package of pgvector.
#[test]
fn vestige_prerequisites_tell_the_truth_about_debian_12() {
    let bench = Bench::bare();
    let debian = Cluster::new();
    let release = bench.shelf.sandbox.write("os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    _ = bench.shelf.set("vestige_port", u64::from(debian.port)).set("postgres_password", PASSWORD);
    let release = format!("os_release={}", release.display());
    let ran = bench.shelf.run("vestige-prerequisites", "", &["-i", &release]).exits(1);
    let ran = ran.tells("apt.postgresql.org").tells("Debian 12 ships PostgreSQL 15 and no pgvector");
    let ran = ran.reached(&["vestige-prerequisites.packages", "vestige-prerequisites.install"]);
    _ = ran.came_to(&["vestige-prerequisites.version", "vestige-prerequisites.pgvector"], &["does_not_hold"]);
}

#[test]
fn vestige_prerequisites_of_a_server_that_does_not_answer() {
    let bench = Bench::bare();
    _ = bench.vestige.services.systemctl("stop", "postgresql");
    let ran = bench.shelf.run("vestige-prerequisites", "", &[]).exits(1).tells("refused");
    _ = ran.came_to(&["vestige-prerequisites.server"], &["failed"]);
}
