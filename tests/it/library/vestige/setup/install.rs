//! Role, database, rights, extensions and files, from nothing and again.

use super::{extension, mode};
use crate::library::vestige::bench::Bench;
use crate::support::{PASSWORD, ROLE_PASSWORD};
use std::io::Write as _;
use std::process::Stdio;

const FEW: [&str; 2] = ["-i", "vestige_memories=1000"];

/// From an empty server to a service that answers, and then once more: nothing is made twice.
#[test]
fn vestige_set_up_and_first_connect_from_nothing() {
    let bench = Bench::bare();
    let vestige = &bench.vestige;
    // F1: what the document does first cannot work before there is a database.
    let first = bench.shelf.run("vestige-extensions", "", &[]).exits(1);
    _ = first.came_to(&["vestige-extensions.database_there"], &["does_not_hold"]);

    let ran = bench.shelf.run("vestige-set-up", "", &FEW).exits(0);
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
    _ = ran.came_to(&["vestige-set-up.old_toml", "vestige-set-up.new_password"], &["skipped"]);
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
    _ = ran.tells("All 9 tables are there");
    assert_eq!(vestige.database().value("select count(*) from pg_tables where schemaname = 'public'"), "10");
    assert!(vestige.services.process("vestige-mcp").is_some());

    // F5: again and again.
    let again = bench.shelf.run("vestige-set-up", "", &FEW).exits(0);
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
    _ = again.reached(&["vestige-set-up.login", "vestige-set-up.private"]);
    let again = bench.shelf.run("vestige-first-connect", "", &[]).exits(0);
    _ = again.came_to(&["vestige-first-connect.start"], &["skipped"]).reached(&["vestige-ready.tables"]);
}

/// What is refused before it begins leaves nothing.
#[test]
fn vestige_set_up_stops_before_the_first_change() {
    let bench = Bench::bare();
    let server = bench.vestige.cluster.named("postgres");
    let control = extension(&bench, "vector.control");
    let kept = std::fs::read(&control).unwrap();
    std::fs::remove_file(&control).unwrap();
    let ran = bench.shelf.run("vestige-set-up", "", &FEW).exits(1).tells("pgvector");
    _ = ran
        .came_to(&["vestige-prerequisites.pgvector"], &["does_not_hold"])
        .came_to(&["vestige-set-up.role"], &["skipped"]);
    std::fs::write(&control, kept).unwrap();
    // A superuser with another password: nothing is known, so nothing is changed.
    _ = bench.shelf.set("postgres_password", "another-password");
    let ran = bench.shelf.run("vestige-set-up", "", &FEW).tells("password authentication failed");
    assert_ne!(ran.output.code, 0, "{}", ran.output);
    assert_eq!(server.value("select count(*) from pg_roles where rolname = 'vestige'"), "0");
    assert!(!bench.vestige.path("vestige.toml").exists());
}

/// PostgreSQL refuses the role. Neither its log nor what it answers holds the password.
#[test]
fn vestige_set_up_keeps_the_password_out_of_the_log_of_the_server() {
    let bench = Bench::bare();
    let more = [&FEW[..], &["-i", "vestige_role=pg_reserved"]].concat();
    let ran = bench.shelf.run("vestige-set-up", "", &more).exits(7).tells("is reserved");
    let ran = ran.came_to(&["vestige-set-up.role"], &["failed"]);
    assert!(bench.vestige.log("postgresql").contains("is reserved"));
    assert!(!bench.vestige.log("postgresql").contains(ROLE_PASSWORD), "{}", bench.vestige.log("postgresql"));
    assert!(!ran.output.all().contains(ROLE_PASSWORD));
}

/// The program is killed while the server waits to make the role. Nothing was made, and taken up again all of it is.
#[test]
fn vestige_set_up_killed_half_way_is_taken_up_again() {
    let bench = Bench::bare();
    let vestige = &bench.vestige;
    let server = vestige.cluster.named("postgres");
    // Reading the roles goes on, making one waits.
    let mut holder = vestige.cluster.program("psql");
    _ = holder.args(["-h", "127.0.0.1", "-p", &vestige.cluster.port.to_string(), "-U", "postgres", "-q"]);
    _ = holder.env("PGPASSWORD", PASSWORD).stdin(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut input = holder.stdin.take().unwrap();
    writeln!(input, "begin; lock table pg_authid in share mode;").unwrap();
    server
        .waits_until("select count(*) > 0 from pg_locks where relation = 'pg_authid'::regclass and mode = 'ShareLock'");
    let waiting = "select count(*) from pg_locks where relation = 'pg_authid'::regclass and not granted";
    let ran = bench.shelf.killed("vestige-set-up", "", &FEW, || server.value(waiting) == "1");
    drop(input);
    _ = holder.wait().unwrap();
    server.waits_until("select count(*) = 0 from pg_stat_activity where application_name like 'runwright %'");
    assert_eq!(server.value("select count(*) from pg_roles where rolname = 'vestige'"), "0");
    let ran = bench.shelf.resume(&ran).exits(0);
    _ = ran.reached(&["vestige-set-up.role", "vestige-set-up.database", "vestige-set-up.login"]);
    assert_eq!(server.value("select count(*) from pg_roles where rolname = 'vestige'"), "1");
}

/// An installation that somebody began: another password, files that everybody reads, a configuration for SQLite.
#[test]
fn vestige_set_up_mends_what_was_begun() {
    let bench = Bench::bare();
    let vestige = &bench.vestige;
    let server = vestige.cluster.named("postgres");
    server.execute("create role vestige with login password 'long-forgotten-1'");
    std::fs::write(vestige.path("password"), "long-forgotten-1\n").unwrap();
    let mine = "# mine\n[storage]\nbackend = \"sqlite\"\n\n[embedding]\nmodel = \"stand-in-16\"\n";
    std::fs::write(vestige.path("vestige.toml"), mine).unwrap();
    let ran = bench.shelf.run("vestige-set-up", "", &FEW).exits(0);
    let ran = ran.reached(&[
        "vestige-set-up.old_login",
        "vestige-set-up.new_password",
        "vestige-set-up.old_toml",
        "vestige-set-up.close",
        "vestige-set-up.private",
        "vestige-set-up.config",
    ]);
    _ = ran.came_to(&["vestige-set-up.role", "vestige-set-up.new_toml"], &["skipped"]);
    let toml = std::fs::read_to_string(vestige.path("vestige.toml")).unwrap();
    assert!(toml.starts_with("# mine\n") && toml.contains("backend = \"postgres\""), "{toml}");
    assert!(toml.contains("url = \"${DATABASE_URL}\"") && toml.contains("model = \"stand-in-16\""), "{toml}");
    for file in ["vestige.toml", "password"] {
        assert_eq!(mode(&vestige.path(file)), 0o600, "{file}");
    }
}

#[test]
fn vestige_set_up_leaves_a_broken_configuration_alone() {
    let bench = Bench::bare();
    let broken = "[storage\nbackend = \"postgres\"\n";
    std::fs::write(bench.vestige.path("vestige.toml"), broken).unwrap();
    let ran = bench.shelf.run("vestige-set-up", "", &FEW).exits(7).tells("vestige.toml");
    _ = ran.came_to(&["vestige-set-up.old_toml"], &["failed"]);
    assert_eq!(std::fs::read_to_string(bench.vestige.path("vestige.toml")).unwrap(), broken);
}

/// While nothing was stored, all of it can be taken back; once a table is there, the database stays.
#[test]
fn vestige_set_up_is_taken_back_while_the_database_is_empty() {
    let bench = Bench::bare();
    let server = bench.vestige.cluster.named("postgres");
    let ran = bench.shelf.run("vestige-set-up", "", &FEW).exits(0).reached(&["vestige-set-up.database"]);
    bench.vestige.database().execute("create table kept (a int)");
    let output = bench.shelf.undo(&ran).output;
    assert_ne!(output.code, 0, "{output}");
    assert_eq!(server.value("select count(*) from pg_database where datname = 'vestige'"), "1", "{output}");
    bench.vestige.database().execute("drop table kept");
    let output = bench.shelf.undo(&ran).exits(0).output;
    assert_eq!(server.value("select count(*) from pg_database where datname = 'vestige'"), "0", "{output}");
    assert_eq!(server.value("select count(*) from pg_roles where rolname = 'vestige'"), "0", "{output}");
    assert!(!bench.vestige.path("vestige.env").exists() && !bench.vestige.path("vestige.toml").exists());
}

/// F4: psql goes on after an error in the middle of its input and ends with 0; here all of it stands or falls.
#[test]
fn vestige_grants_that_fail_in_the_middle_leave_nothing() {
    let bench = Bench::ready();
    let database = bench.vestige.database();
    database.execute(
        "alter schema public owner to postgres;
         create function refuse() returns event_trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
         create event trigger refuse on ddl_command_start when tag in ('ALTER DEFAULT PRIVILEGES') execute function refuse()",
    );
    let owner = "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'public'";
    let ran = bench.shelf.run("vestige-grants", "", &[]).exits(7).tells("not today");
    _ = ran.came_to(&["vestige-grants.grant"], &["failed"]);
    assert_eq!(database.value(owner), "postgres");

    // As the document does it: psql says nothing by its exit code, and half of it is done.
    let mut psql = bench.vestige.cluster.program("psql");
    _ = psql.args([
        "-h",
        "127.0.0.1",
        "-p",
        &bench.vestige.cluster.port.to_string(),
        "-U",
        "postgres",
        "-d",
        "vestige",
        "-q",
    ]);
    _ = psql.env("PGPASSWORD", PASSWORD);
    _ = psql.args(["-f", "-"]).stdin(Stdio::piped());
    let mut child = psql.stderr(Stdio::piped()).spawn().unwrap();
    let script = "alter schema public owner to vestige;\nalter default privileges in schema public grant all on tables to vestige;\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("not today"), "{output:?}");
    assert_eq!((output.status.code(), database.value(owner).as_str()), (Some(0), "vestige"));
}

/// V4's grants by themselves, as they mend "permission denied for schema public"; and back.
#[test]
fn vestige_grants_let_the_role_create_tables_again() {
    let bench = Bench::ready();
    let database = bench.vestige.database();
    database.execute("alter schema public owner to postgres; revoke all on schema public from vestige");
    let may = "select has_schema_privilege('vestige', 'public', 'CREATE')::text";
    assert_eq!(database.value(may), "false");
    let ran = bench.shelf.run("vestige-grants", "", &[]).exits(0);
    let ran = ran.reached(&["vestige-grants.role_there", "vestige-grants.grant", "vestige-grants.owns"]);
    assert_eq!(database.value(may), "true");
    let again = bench.shelf.run("vestige-grants", "", &[]).exits(0);
    _ = again.came_to(&["vestige-grants.grant"], &["skipped"]);
    _ = bench.shelf.undo(&ran).exits(0);
    assert_eq!(database.value(may), "false");
}
