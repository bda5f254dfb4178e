//! A start that hangs: who holds the lock of the migration, and what is done about it.

use super::{Bench, Session, changes, inside, object};
use crate::library::shelf::Ran;
use crate::support::CatalogPlan;
use serde_json::json;

/// A bench without pods, whose database has its tables.
fn stopped() -> Bench {
    let bench = Bench::start();
    inside(&bench.catalog, "000");
    scale(&bench, 0);
    bench.catalog.waits("nothing listens", || bench.catalog.get("/livez?namespace=team-a", "", "").0 == 0);
    bench.shelf.set("patience", "20s").set("look_every", "100ms").set("idle_at_least", "0s");
    bench
}

fn scale(bench: &Bench, pods: u32) {
    _ = bench.catalog.kubectl(&format!("scale deployment catalog-server --replicas={pods}")).exits(0);
}

/// Two pods start, and wait for the lock.
fn hanging(bench: &Bench) {
    scale(bench, 2);
    let database = &bench.catalog.database;
    database.waits_until("select count(*) = 2 from pg_locks where locktype = 'advisory' and not granted");
    bench.catalog.waits("the logs say so", || bench.catalog.log().matches("running migrations with lock").count() >= 2);
}

fn restarts(bench: &Bench) -> bool {
    let deployment = object(&bench.catalog, "-n catalog-system get deployment catalog-server");
    deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string()
}

fn run(bench: &Bench) -> Ran {
    bench.run("catalog-migration-stuck", "", &[])
}

#[test]
fn an_idle_session_that_holds_the_lock_is_ended_and_nobody_else() {
    let bench = stopped();
    let database = &bench.catalog.database;
    let _holder = Session::with_the_lock(&bench.catalog, "crashed-pod", "");
    let _other = Session::of(&bench.catalog, "somebody", "select pg_advisory_lock(4711);");
    database.waits_until("select count(*) = 1 from pg_locks where locktype = 'advisory' and objid = 4711 and granted");
    hanging(&bench);
    let parked = run(&bench).exits(5).reached(&[
        "catalog-migration-stuck.readiness",
        "catalog-migration-stuck.messages",
        "catalog-migration-stuck.holders",
        "catalog-migration-stuck.table_lock",
        "catalog-migration-stuck.from_inside",
        "catalog-migration-stuck.cause",
    ]);
    // Nothing listens, and no such table is there: findings, both of them.
    let parked = parked.tells("refused").tells("undefined_table").tells("crashed-pod");
    assert_eq!(parked.value("catalog-migration-stuck.holders", "waiting"), 2);
    let ran = bench.shelf.approve(&parked, "end_session").exits(0).reached(&[
        "catalog-migration-stuck.end_session",
        "catalog-migration-stuck.comes_by_itself",
        "catalog-migration-stuck.ready_now",
        "catalog-migration-stuck.lock_free",
    ]);
    _ = ran.came_to(&["catalog-migration-stuck.restart_pods"], &["skipped"]);
    assert_eq!(bench.catalog.get("/readyz?namespace=team-a", "", "").0, 200);
    let left = "select string_agg(application_name, ',' order by 1) from pg_stat_activity
        where datname = current_database() and application_name in ('crashed-pod', 'somebody')";
    assert_eq!(database.value(left), "somebody", "only the holder is gone");
}

#[test]
fn a_session_that_works_under_the_lock_is_left_alone() {
    let bench = stopped();
    let _holder =
        Session::with_the_lock(&bench.catalog, "migrating", "select pg_sleep(3); select pg_advisory_unlock(86669445);");
    hanging(&bench);
    let ran = run(&bench).exits(0).reached(&[
        "catalog-migration-stuck.cause",
        "catalog-migration-stuck.let_it_work",
        "catalog-migration-stuck.ready_now",
    ]);
    assert_eq!(ran.value("catalog-migration-stuck.holders", "waiting"), 2);
    assert!(!restarts(&bench));
    // One that does not come to its end is for people, and still nobody ends it.
    let bench = stopped();
    bench.shelf.set("patience", "1s");
    let _holder = Session::with_the_lock(&bench.catalog, "migrating", "select pg_sleep(600);");
    hanging(&bench);
    _ = run(&bench).exits(6).tells("holds the lock and works: select pg_sleep(600)");
    let there =
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'migrating'";
    assert_eq!(bench.catalog.database.value(there), "1");
}

#[test]
fn when_nobody_holds_the_lock_it_is_waited_for_and_the_pods_are_restarted_if_that_is_not_enough() {
    let bench = stopped();
    let catalog = &bench.catalog;
    // As the document has it: it answers 503, with a pending initial load.
    catalog.control(&json!({ "loading": true }));
    scale(&bench, 2);
    catalog.waits("it answers", || catalog.get("/readyz?namespace=team-a", "", "").0 == 503);
    bench.shelf.set("patience", "2s");
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            catalog.waits("the pods are restarted", || restarts(&bench));
            catalog.control(&json!({ "loading": false }));
        });
        run(&bench)
    });
    let ran = ran.exits(0).reached(&[
        "catalog-migration-stuck.readiness",
        "catalog-migration-stuck.restart_pods",
        "catalog-migration-stuck.ready_now",
    ]);
    assert_eq!(ran.value("catalog-migration-stuck.readiness", "load"), "pending");
    // A second time it comes by itself.
    let again = stopped();
    let catalog = &again.catalog;
    catalog.control(&json!({ "loading": true }));
    scale(&again, 2);
    catalog.waits("it answers", || catalog.get("/readyz?namespace=team-a", "", "").0 == 503);
    let seen = catalog.requests().len();
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            catalog.waits("somebody looks twice", || catalog.requests().len() >= seen + 3);
            catalog.control(&json!({ "loading": false }));
        });
        run(&again)
    });
    _ = ran
        .exits(0)
        .reached(&["catalog-migration-stuck.comes_by_itself", "catalog-migration-stuck.ready_now"])
        .came_to(&["catalog-migration-stuck.restart_pods"], &["skipped"]);
}

#[test]
fn a_lock_in_the_table_is_waited_for_and_then_deleted_by_hand() {
    let bench = stopped();
    let catalog = &bench.catalog;
    let database = &catalog.database;
    database.execute(&format!(
        "create table migration_lock (id text primary key, locked_by text, locked_at timestamptz);
         alter table migration_lock owner to {};
         insert into migration_lock values ('migration', 'pod-1', now() - interval '10 minutes')",
        catalog.role
    ));
    catalog.control(&json!({ "loading": true }));
    scale(&bench, 2);
    catalog.waits("it answers", || catalog.get("/readyz?namespace=team-a", "", "").0 == 503);
    bench.shelf.set("patience", "5s");
    let parked =
        run(&bench).exits(5).reached(&["catalog-migration-stuck.table_lock", "catalog-migration-stuck.still_there"]);
    let parked = parked.came_to(&["catalog-migration-stuck.clears_itself"], &["does_not_hold"]);
    assert_eq!(database.value("select count(*) from migration_lock"), "1", "not before somebody types it");
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            catalog.waits("it is deleted", || database.value("select count(*) from migration_lock") == "0");
            catalog.control(&json!({ "loading": false }));
        });
        bench.shelf.approve(&parked, "delete_lock")
    });
    _ = ran.exits(0).reached(&["catalog-migration-stuck.delete_lock", "catalog-migration-stuck.ready_now"]);
    // One that the server clears by itself is never deleted.
    database.execute("insert into migration_lock values ('migration', 'pod-2', now())");
    catalog.control(&json!({ "loading": true }));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let looked = "select count(*) > 0 from pg_stat_activity where datname = current_database()
                and application_name like 'runwright %/clears_itself/%'";
            catalog.waits("somebody looks", || database.value(looked) == "t");
            database.execute("delete from migration_lock");
            catalog.control(&json!({ "loading": false }));
        });
        run(&bench)
    });
    _ = ran
        .exits(0)
        .reached(&["catalog-migration-stuck.clears_itself", "catalog-migration-stuck.ready_now"])
        .came_to(&["catalog-migration-stuck.delete_lock"], &["skipped"]);
}

#[test]
fn a_database_that_does_not_answer_is_for_its_owners_and_then_it_goes_on() {
    let bench = stopped();
    let catalog = &bench.catalog;
    catalog.database.execute(&format!("alter role {} nologin", catalog.role));
    scale(&bench, 2);
    catalog.waits("the pods say so", || catalog.log().contains("Failed to connect to database"));
    let parked = run(&bench).exits(5).tells("The database says: denied");
    catalog.database.execute(&format!("alter role {} login", catalog.role));
    let name = parked.name();
    let mut answer = bench.shelf.command(["answer", &name, "mend_database", "result=done"]);
    _ = crate::support::finish(&mut answer).exits(0);
    _ = bench.shelf.resume(&parked).exits(0).reached(&[
        "catalog-migration-stuck.mend_database",
        "catalog-migration-stuck.database_back",
        "catalog-migration-stuck.ready_now",
    ]);
}

#[test]
fn a_server_that_is_ready_needs_nothing() {
    let bench = Bench::with(&CatalogPlan { replicas: 1, ..CatalogPlan::default() });
    inside(&bench.catalog, "200");
    let before = changes(&bench.catalog);
    _ = run(&bench).exits(0).tells("NO ACTION");
    assert_eq!(changes(&bench.catalog), before);
}
