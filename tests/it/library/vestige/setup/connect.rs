//! The first start, whole and half-way.

use super::extension;
use crate::library::vestige::bench::Bench;
use crate::support::ROLE_PASSWORD;

/// A database as `vestige-set-up` leaves it, before the service ever ran.
fn set_up() -> Bench {
    let bench = Bench::ready();
    _ = bench.vestige.services.systemctl("stop", "vestige-mcp");
    let tables = "drop table review_events, scheduling, edges, domains, embedding_model, knowledge_nodes, group_memberships, \
                  groups, users, _sqlx_migrations";
    bench.vestige.database().execute(tables);
    bench
}

#[test]
fn vestige_first_connect_finishes_what_a_dead_service_began() {
    let bench = set_up();
    _ = bench.vestige.steer("VESTIGE_STAND_IN_DIE_AFTER", "1").services.systemctl("start", "vestige-mcp");
    bench.vestige.waits_for("killed");
    _ = bench.vestige.steer("VESTIGE_STAND_IN_DIE_AFTER", "0");
    assert_eq!(bench.vestige.database().value("select count(*) from _sqlx_migrations"), "1");
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0);
    _ = ran.reached(&["vestige-first-connect.start", "vestige-first-connect.migrations", "vestige-ready.index"]);
    assert_eq!(bench.vestige.database().value("select count(*) from _sqlx_migrations"), "2");
}

/// It dies at its start as well: the second start is the one that counts.
#[test]
fn vestige_first_connect_starts_again_after_a_cut_off_start() {
    let bench = set_up();
    _ = bench.vestige.steer("VESTIGE_STAND_IN_DIE_ONCE", &bench.vestige.path("once").display().to_string());
    std::fs::write(bench.vestige.path("once"), "").unwrap();
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0);
    let ran = ran.came_to(&["vestige-first-connect.start"], &["failed"]);
    _ = ran.tells("It was cut off").reached(&["vestige-first-connect.again", "vestige-ready.tables"]);
}

/// V7: an unfinished record without a memory. The tables go, and the service makes them anew.
#[test]
fn vestige_first_connect_begins_anew_where_nothing_is_lost() {
    let bench = set_up();
    _ = bench.vestige.services.systemctl("start", "vestige-mcp").systemctl("stop", "vestige-mcp");
    bench.vestige.database().execute("update _sqlx_migrations set checksum = null where version = 2");
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0).tells("with no checksum");
    let ran = ran.reached(&[
        "vestige-first-connect.midway",
        "vestige-first-connect.start_over",
        "vestige-first-connect.again",
        "vestige-ready.registry",
    ]);
    _ = ran.tells("there is no memory yet");
    assert_eq!(bench.vestige.database().value("select count(*) from _sqlx_migrations where checksum is not null"), "2");
}

/// With memories nothing is dropped.
#[test]
fn vestige_first_connect_touches_no_memory() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(30).services.systemctl("stop", "vestige-mcp");
    bench.vestige.database().execute("update _sqlx_migrations set checksum = null where version = 1");
    let ran = bench.shelf.run("vestige-first-connect", "", &[]);
    let ran = ran.tells("and there are memories").came_to(&["vestige-first-connect.start"], &["failed"]);
    let ran = ran.reached(&["vestige-first-connect.midway"]);
    _ = ran.came_to(&["vestige-migration-no-checksum.some"], &["does_not_hold"]);
    assert_eq!(bench.vestige.database().value("select count(*) from knowledge_nodes"), "30");
}

/// V7 with memories: the dump of before takes the place of the database, and the service runs on it.
#[test]
fn vestige_first_connect_goes_back_to_a_backup() {
    let bench = Bench::ready();
    let vestige = &bench.vestige;
    let mut pg_dump = vestige.remember(30).cluster.program("pg_dump");
    _ = pg_dump.args(["-Fc", "-h", "127.0.0.1", "-p", &vestige.cluster.port.to_string(), "-U", "vestige", "vestige"]);
    let dumped = pg_dump.env("PGPASSWORD", ROLE_PASSWORD).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let kept = vestige.path("backups/vestige-20260301T030000Z.dump");
    std::fs::write(&kept, dumped.stdout).unwrap();
    _ = vestige.services.systemctl("stop", "vestige-mcp");
    vestige.database().execute("update _sqlx_migrations set checksum = null where version = 1");
    let answers = format!("from_backup/which: {{ file: {} }}", kept.display());
    let parked = bench.shelf.run("vestige-first-connect", &answers, &[]).exits(5);
    let ran = bench.shelf.approve(&parked, "from_backup/replace/stop").exits(0);
    _ = ran.reached(&[
        "vestige-first-connect.from_backup",
        "vestige-migration-no-checksum.mended",
        "vestige-replace-live.works",
        "vestige-ready.registry",
    ]);
    let database = vestige.database();
    assert_eq!(database.value("select count(*) from _sqlx_migrations where checksum is not null"), "2");
    assert_eq!(database.value("select count(*) from knowledge_nodes"), "30");
}

#[test]
fn vestige_first_connect_calls_for_a_missing_extension() {
    let bench = set_up();
    bench.vestige.database().execute("drop extension vector");
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0).tells("permission denied to create extension");
    _ = ran.reached(&["vestige-first-connect.extensions", "vestige-extensions.create_vector", "vestige-ready.index"]);
}

#[test]
fn vestige_first_connect_without_the_package_says_what_to_install() {
    let bench = set_up();
    bench.vestige.database().execute("drop extension vector");
    std::fs::remove_file(extension(&bench, "vector.control")).unwrap();
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).tells("extension \"vector\" is not available");
    let ran = ran.tells("postgresql-16-pgvector").came_to(&["vestige-extensions.available"], &["does_not_hold"]);
    assert_ne!(ran.output.code, 0, "{}", ran.output);
    assert_eq!(bench.vestige.services.process("vestige-mcp"), None);
}

#[test]
fn vestige_first_connect_gives_the_role_its_rights() {
    let bench = set_up();
    bench
        .vestige
        .database()
        .execute("alter schema public owner to postgres; revoke create on schema public from vestige, public");
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(0).tells("permission denied for schema public");
    _ = ran.reached(&["vestige-grants.grant", "vestige-first-connect.again", "vestige-ready.tables"]);
}

/// What it does not know it hands over, in the words of the service.
#[test]
fn vestige_first_connect_with_a_wrong_address_hands_over() {
    let bench = set_up();
    _ = bench.vestige.secret("vestige.env", &format!("DATABASE_URL={}\n", bench.vestige.url().replace("lamp", "lump")));
    let ran = bench.shelf.run("vestige-first-connect", "", &[]).exits(6);
    _ = ran.tells("password authentication failed for user \"vestige\"").reached(&["vestige-first-connect.midway"]);
    _ = bench.vestige.secret("vestige.env", "");
    _ = bench.shelf.run("vestige-first-connect", "", &[]).exits(6).tells("DATABASE_URL is not set");
}
