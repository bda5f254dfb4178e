//! A pool that is too small: whether it is, how large it may be, and the way back.

use crate::library::vestige::bench::Bench;
use crate::support::{Cluster, ROLE_PASSWORD, postgres_programs};
use serde_json::json;

const ONE: &str = "clients: { count: 1, dreams: false }";

/// A machine of another size than this one; watched for a moment only.
const LARGE: [&str; 6] = ["-i", "database_cores=16", "-i", "database_memory=1GiB", "-i", "settle=2s"];

/// Fifteen clients with long questions, and ten connections for them.
fn crowded() -> Bench {
    let bench = Bench::ready();
    let vestige = &bench.vestige;
    _ = vestige.steer("VESTIGE_STAND_IN_CLIENTS", "15").steer("VESTIGE_STAND_IN_QUERY_MS", "700");
    _ = vestige.steer("VESTIGE_STAND_IN_POOL_MS", "400").services.systemctl("restart", "vestige-mcp");
    vestige.waits_for("pool timed out while waiting for an open connection");
    bench
}

fn files(bench: &Bench) -> (String, String) {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    (read(&bench.vestige.path("vestige.toml")), read(&bench.vestige.cluster.data().join("postgresql.conf")))
}

#[test]
fn vestige_pool_that_is_large_enough_stays() {
    let bench = Bench::ready();
    let before = files(&bench);
    let ran = bench.shelf.run("vestige-pool", ONE, &LARGE).exits(0).tells("None of the five reasons holds");
    let ran = ran.reached(&["vestige-pool.waits", "vestige-pool.limits", "vestige-pool.clients", "vestige-pool.raise"]);
    let ran = ran.came_to(&["vestige-pool.statements"], &["skipped"]);
    assert_eq!(ran.value("vestige-pool.pool_now", "size"), json!(10));
    assert_eq!(files(&bench), before);
}

/// Each reason by itself. One core refuses every larger pool, so nothing is changed.
#[test]
fn vestige_pool_has_five_reasons_and_one_is_enough() {
    let bench = Bench::ready();
    let before = files(&bench);
    let small = ["-i", "database_cores=1", "-i", "database_memory=1GiB"];
    let of = |answers: &str, reason: &str, more: &[&str]| {
        let ran = bench.shelf.run("vestige-pool", answers, &[&small[..], more].concat()).exits(1);
        assert_eq!(ran.value("vestige-pool.reasons", reason), json!(true), "{reason}\n{}", ran.output);
        let ran = ran.came_to(&["vestige-pool.not_above_cores"], &["does_not_hold"]);
        let left_out = ["vestige-pool.pool_larger", "vestige-pool.restart_server", "vestige-pool.no_more_waiting"];
        _ = ran.came_to(&left_out, &["skipped"]);
    };
    of("clients: { count: 4, dreams: false }", "many_clients", &[]);
    of("clients: { count: 1, dreams: true }", "dreams", &[]);
    bench.vestige.cluster.named("postgres").execute("alter system set max_connections = 40");
    _ = bench.vestige.services.systemctl("restart", "postgresql");
    bench.vestige.cluster.waits_until_it_answers();
    of("clients: { count: 3, dreams: false }", "tight", &[]);
    _ = bench.vestige.steer("VESTIGE_STAND_IN_CLIENTS", "2").steer("VESTIGE_STAND_IN_QUERY_MS", "20000");
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    let busy = "select count(*) > 0 from pg_stat_activity where query like '%pg_sleep%' and state = 'active'
                and now() - query_start > interval '0.6 s' and usename = 'vestige'";
    bench.vestige.database().waits_until(busy);
    of(ONE, "slow", &[]);
    assert_eq!(files(&bench), before);
}

#[test]
fn vestige_pool_reads_slow_statements_where_they_are_counted() {
    let bench = Bench::ready();
    let debian = Cluster::with(postgres_programs(), "shared_preload_libraries = 'pg_stat_statements'\n");
    debian.named("postgres").execute(&format!("create role vestige with login password '{ROLE_PASSWORD}'"));
    debian.named("postgres").execute("create database vestige owner vestige");
    let database = debian.named("vestige");
    database.execute("create extension pg_stat_statements");
    for _ in 0..10 {
        database.execute("set role vestige; select pg_sleep(0.55)");
    }
    _ = bench.shelf.set("vestige_port", u64::from(debian.port));
    let ran = bench.shelf.run("vestige-pool", ONE, &["-i", "database_cores=1"]).exits(1);
    let ran = ran.reached(&["vestige-pool.statements"]);
    assert!(ran.value("vestige-pool.statements", "p99").as_f64().unwrap() > 0.5, "{}", ran.output);
    assert_eq!(ran.value("vestige-pool.reasons", "slow"), json!(true));
}

#[test]
fn vestige_pool_is_raised_read_back_and_taken_back() {
    let bench = crowded();
    let vestige = &bench.vestige;
    let before = files(&bench);
    let ran = bench.shelf.run("vestige-pool", ONE, &LARGE).exits(0);
    let ran = ran.reached(&[
        "vestige-pool.reasons",
        "vestige-pool.raise",
        "vestige-pool.not_above_cores",
        "vestige-pool.pool_larger",
        "vestige-pool.server_larger",
        "vestige-pool.settings_read",
        "vestige-pool.restart_server",
        "vestige-pool.restart_vestige",
        "vestige-pool.read_back",
        "vestige-pool.pool_read_back",
        "vestige-pool.no_more_waiting",
    ]);
    assert_eq!(ran.value("vestige-pool.reasons", "waiting"), json!(true));
    let database = vestige.database();
    assert_eq!(database.value("show max_connections"), "200");
    assert_eq!(database.value("show shared_buffers"), "256MB");
    // More than the ten of before are really open.
    database.waits_until("select count(*) > 10 from pg_stat_activity where application_name = 'vestige-mcp'");
    let (toml, conf) = files(&bench);
    assert!(toml.contains("max_connections = 20") && toml.contains("${DATABASE_URL}"), "{toml}");
    assert!(conf.contains("max_connections = 200"), "{conf}");

    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(files(&bench), before);
    assert_eq!(database.value("show max_connections"), "100");
    vestige.waits_for("pool of 10");
    assert!(vestige.services.process("vestige-mcp").is_some());
}

/// With its new settings the server does not come up. `undo` puts both files back, and both services run.
#[test]
fn vestige_pool_that_keeps_the_server_down_is_taken_back() {
    let bench = crowded();
    let vestige = &bench.vestige;
    // As many have it: the password stands in the file.
    let toml = files(&bench).0.replace("${DATABASE_URL}", &vestige.url());
    _ = vestige.secret("vestige.toml", &toml);
    let before = files(&bench);
    let unit = vestige.cluster.unit();
    let (start, rest) = unit.strip_prefix("ExecStart=").unwrap().split_once('\n').unwrap();
    let conf = vestige.cluster.data().join("postgresql.conf");
    let script = format!(
        "#!/bin/sh\nif grep -q '^max_connections = 200' '{}'; then\n  echo 'FATAL: could not map anonymous shared memory'\n  \
         exit 1\nfi\nexec {start}\n",
        conf.display()
    );
    _ = bench.shelf.sandbox.program("server-of-little-memory", &script);
    let program = bench.shelf.sandbox.path("bin/server-of-little-memory");
    _ = vestige.services.unit("postgresql", &format!("ExecStart={}\n{rest}", program.display()));

    let ran = bench.shelf.run("vestige-pool", ONE, &LARGE).exits(6).tells("runwright undo");
    let ran = ran.came_to(&["vestige-pool.restart_server"], &["failed"]);
    let ran = ran.tells("could not map anonymous shared memory");
    assert_eq!(vestige.services.process("postgresql"), None);
    assert_ne!(files(&bench), before);

    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(files(&bench), before);
    assert_eq!(vestige.database().value("show max_connections"), "100");
    assert!(vestige.services.process("vestige-mcp").is_some());
}

/// The program is killed while PostgreSQL restarts. Taken up again, the restart is made for sure, and the rest follows.
#[test]
fn vestige_pool_killed_in_the_restart_is_taken_up_again() {
    let bench = crowded();
    let vestige = &bench.vestige;
    let unit = vestige.cluster.unit();
    let (start, rest) = unit.strip_prefix("ExecStart=").unwrap().split_once('\n').unwrap();
    let (begun, free) = (vestige.path("begun"), vestige.path("free"));
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", free.display());
    let script = format!("#!/bin/sh\ntouch '{}'\n{wait}\nexec {start}\n", begun.display());
    let program = bench.shelf.sandbox.program("slow-server", &script);
    _ = vestige.services.unit("postgresql", &format!("ExecStart={}\n{rest}", program.display()));

    let ran = bench.shelf.killed("vestige-pool", ONE, &LARGE, || begun.exists());
    std::fs::write(&free, "").unwrap();
    let ran = bench.shelf.resume(&ran).exits(0);
    _ = ran.reached(&["vestige-pool.restart_server", "vestige-pool.restart_vestige", "vestige-pool.no_more_waiting"]);
    assert_eq!(vestige.database().value("show max_connections"), "200");
}

/// Above some 200 connections another way is the right one.
#[test]
fn vestige_pool_above_two_hundred_asks_for_pgbouncer() {
    let bench = Bench::ready();
    let before = files(&bench);
    let ran =
        bench.shelf.run("vestige-pool", "clients: { count: 11, dreams: false }", &LARGE).exits(6).tells("PgBouncer");
    _ = ran.reached(&["vestige-pool.numbers", "vestige-pool.raise"]);
    assert_eq!(files(&bench), before);
}

/// Somebody has changed the file since: nothing of theirs is lost.
#[test]
fn vestige_pool_is_not_taken_back_over_a_later_edit() {
    let bench = crowded();
    let ran = bench.shelf.run("vestige-pool", ONE, &LARGE).exits(0).reached(&["vestige-pool.server_larger"]);
    let conf = bench.vestige.cluster.data().join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).unwrap() + "work_mem = 8MB\n";
    std::fs::write(&conf, &text).unwrap();
    let output = bench.shelf.undo(&ran).output;
    assert_ne!(output.code, 0, "{output}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), text);
}
