//! From nothing to the first connection, and a pool that is large enough.

use super::bench::Bench;
use crate::support::{Cluster, PASSWORD, ROLE_PASSWORD};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

/// The folder of pgvector's control files of the server of this bench.
fn extension(bench: &Bench, name: &str) -> std::path::PathBuf {
    bench.vestige.cluster.binaries().join("../share/postgresql/extension").join(name)
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn there_is_a_server_with_vectors() {
    let cluster = Cluster::vector();
    let database = cluster.database();
    database.execute("create extension vector; create extension pgcrypto");
    assert_eq!(database.value("select '[1,2]'::vector(2) <-> '[1,3]'"), "1");
    assert_eq!(database.value("show server_version_num"), "160002");
}

/// The ground of all tests of Vestige: real restarts, a real journal, the errors that operators know.
#[test]
fn the_machine_of_the_tests_is_honest() {
    let bench = Bench::ready();
    let vestige = &bench.vestige;
    let _ = vestige.remember(20);
    assert_eq!(vestige.database().value("select count(*) from _sqlx_migrations where success"), "2");
    assert_eq!(vestige.database().value("select name || ' ' || dimension from embedding_model"), "stand-in-8 8");
    let before = vestige.services.process("postgresql");
    let _ = vestige.services.systemctl("restart", "postgresql");
    vestige.cluster.waits_until_it_answers();
    assert_ne!(vestige.services.process("postgresql"), before);
    vestige.waits_for("the connection to Postgres is back");
    let output = bench.shelf.sandbox.program("look", "#!/bin/sh\njournalctl -u vestige-mcp --no-pager -o cat\n");
    let mut look = std::process::Command::new(output);
    let _ = look.env_clear().envs(bench.shelf.sandbox.environment());
    let said = String::from_utf8(look.output().unwrap().stdout).unwrap();
    assert!(said.contains("Postgres backend ready"), "{said}");
}

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
    let _ = ran.reached(&["vestige-prerequisites.network", "vestige-prerequisites.disk_room"]);
}

/// F7: Debian 12 ships 15, and no package of pgvector.
#[test]
fn vestige_prerequisites_tell_the_truth_about_debian_12() {
    let bench = Bench::bare();
    let debian = Cluster::new();
    let release = bench.shelf.sandbox.write("os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    let _ = bench.shelf.set("vestige_port", u64::from(debian.port)).set("postgres_password", PASSWORD);
    let release = format!("os_release={}", release.display());
    let ran = bench.shelf.run("vestige-prerequisites", "", &["-i", &release]).exits(1);
    let ran = ran.tells("apt.postgresql.org").tells("Debian 12 ships PostgreSQL 15 and no pgvector");
    let ran = ran.reached(&["vestige-prerequisites.packages", "vestige-prerequisites.install"]);
    let _ = ran.came_to(&["vestige-prerequisites.version", "vestige-prerequisites.pgvector"], &["does_not_hold"]);
}

#[test]
fn vestige_prerequisites_of_a_server_that_does_not_answer() {
    let bench = Bench::bare();
    let _ = bench.vestige.services.systemctl("stop", "postgresql");
    let ran = bench.shelf.run("vestige-prerequisites", "", &[]).exits(1).tells("refused");
    let _ = ran.came_to(&["vestige-prerequisites.server"], &["failed"]);
}

/// From an empty server to a service that answers, and then once more: nothing is made twice.
#[test]
fn vestige_set_up_and_first_connect_from_nothing() {
    let bench = Bench::bare();
    let vestige = &bench.vestige;
    let few = ["-i", "vestige_memories=1000"];
    // F1: what the document does first cannot work before there is a database.
    let first = bench.shelf.run("vestige-extensions", "", &[]).exits(1);
    let _ = first.came_to(&["vestige-extensions.database_there"], &["does_not_hold"]);

    let ran = bench.shelf.run("vestige-set-up", "", &few).exits(0);
    let ran = ran.reached(&[
        "vestige-set-up.prerequisites",
        "vestige-set-up.role",
        "vestige-set-up.database",
        "vestige-grants.grant",
        "vestige-extensions.create_vector",
        "vestige-extensions.two_rows",
        "vestige-set-up.password_file",
        "vestige-set-up.env_file",
        "vestige-set-up.new_toml",
        "vestige-set-up.login",
        "vestige-set-up.private",
        "vestige-set-up.config",
    ]);
    let _ = ran.came_to(&["vestige-set-up.old_toml", "vestige-set-up.new_password"], &["skipped"]);
    let toml = std::fs::read_to_string(vestige.path("vestige.toml")).unwrap();
    assert!(toml.contains("url = \"${DATABASE_URL}\"") && !toml.contains(ROLE_PASSWORD), "{toml}");
    for file in ["vestige.toml", "vestige.env", "password"] {
        assert_eq!(mode(&vestige.path(file)), 0o600, "{file}");
    }
    assert_eq!(
        std::fs::read_to_string(vestige.path("vestige.env")).unwrap(),
        format!("DATABASE_URL={}\n", vestige.url())
    );
    let server = vestige.cluster.named("postgres");
    assert_eq!(
        server.value("select rolsuper::text || rolcreatedb from pg_roles where rolname = 'vestige'"),
        "falsetrue"
    );
    assert_eq!(
        vestige.database().value("select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'public'"),
        "vestige"
    );
    // The password is in no log of the server, and in nothing that is kept.
    assert!(!vestige.log("postgresql").contains(ROLE_PASSWORD));

    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0);
    let ran = ran.reached(&[
        "vestige-first-connect.start",
        "vestige-first-connect.midway",
        "vestige-ready.running",
        "vestige-ready.said_ready",
        "vestige-ready.tables",
        "vestige-ready.registry",
        "vestige-ready.index",
    ]);
    // F6: nine tables, not eight.
    let _ = ran.tells("All 9 tables are there");
    assert_eq!(vestige.database().value("select count(*) from pg_tables where schemaname = 'public'"), "10");
    assert!(vestige.services.process("vestige-mcp").is_some());

    // F5: again and again.
    let again = bench.shelf.run("vestige-set-up", "", &few).exits(0);
    let again = again.came_to(
        &[
            "vestige-set-up.role",
            "vestige-set-up.new_password",
            "vestige-set-up.database",
            "vestige-grants.grant",
            "vestige-extensions.create_vector",
            "vestige-extensions.create_pgcrypto",
            "vestige-set-up.password_file",
            "vestige-set-up.env_file",
            "vestige-set-up.new_toml",
            "vestige-set-up.old_toml",
            "vestige-set-up.close",
        ],
        &["skipped"],
    );
    let _ = again.reached(&["vestige-set-up.login", "vestige-set-up.private"]);
    let again = bench.shelf.run("vestige-first-connect", "", &[]).exits(0);
    let _ = again.came_to(&["vestige-first-connect.start"], &["skipped"]).reached(&["vestige-ready.tables"]);
}
