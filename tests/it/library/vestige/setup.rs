//! From nothing to the first connection, and a pool that is large enough.

mod checks;
mod connect;
mod install;
mod pool;

use super::bench::Bench;
use crate::support::Cluster;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A file of pgvector or another extension, of the server of this bench.
fn extension(bench: &Bench, name: &str) -> PathBuf {
    bench.vestige.cluster.binaries().join("../share/postgresql/extension").join(name)
}

fn mode(path: &Path) -> u32 {
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
    _ = vestige.remember(20);
    assert_eq!(vestige.database().value("select count(*) from _sqlx_migrations where success"), "2");
    assert_eq!(vestige.database().value("select name || ' ' || dimension from embedding_model"), "stand-in-8 8");
    let before = vestige.services.process("postgresql");
    _ = vestige.services.systemctl("restart", "postgresql");
    vestige.cluster.waits_until_it_answers();
    assert_ne!(vestige.services.process("postgresql"), before);
    vestige.waits_for("the connection to Postgres is back");
    let output = bench.shelf.sandbox.program("look", "#!/bin/sh\njournalctl -u vestige-mcp --no-pager -o cat\n");
    let mut look = std::process::Command::new(output);
    _ = look.env_clear().envs(bench.shelf.sandbox.environment());
    let said = String::from_utf8(look.output().unwrap().stdout).unwrap();
    assert!(said.contains("Postgres backend ready"), "{said}");
}
