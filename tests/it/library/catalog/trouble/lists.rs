//! Slow lists: the index that is not there, callers who ask for too much, and a broken index in the way.

use super::{Bench, Session};
use serde_json::json;

const INDEX: &str = "select coalesce(bool_and(indisvalid), false) from pg_index where indexrelid = to_regclass('idx_context_namespace')";

/// A bench whose lists read a whole table, and take their time for it.
fn without_an_index() -> Bench {
    let bench = Bench::start();
    bench.catalog.database.execute(
        r#"drop index idx_context_namespace;
           insert into "Context" (name, namespace) select 'server ' || n, 'team-' || n % 40 from generate_series(1, 2000) n;
           analyze "Context""#,
    );
    bench.catalog.control(&json!({ "slow": { "no_index_ms": 600 } }));
    bench.shelf.set("samples", 4).set("slow", 500);
    bench
}

#[test]
fn an_index_on_the_namespace_is_made_when_lists_read_a_whole_table() {
    let bench = without_an_index();
    let parked = bench.run("catalog-slow-lists", "which_tables: { table: Context }", &[]).exits(5);
    assert_eq!(bench.catalog.database.value(INDEX), "f", "not before a person says yes");
    let ran = bench.shelf.approve(&parked, "make_index").exits(0).reached(&[
        "catalog-slow-lists.logged",
        "catalog-slow-lists.statements",
        "catalog-slow-lists.scans",
        "catalog-slow-lists.covered",
        "catalog-slow-lists.broken",
        "catalog-slow-lists.timed",
        "catalog-slow-lists.timed_large",
        "catalog-slow-lists.findings",
        "catalog-slow-lists.cause",
        "catalog-slow-lists.make_index",
        "catalog-slow-lists.count_again",
        "catalog-slow-lists.timed_again",
        "catalog-slow-lists.fast_enough",
    ]);
    assert_eq!(bench.catalog.database.value(INDEX), "t");
    let number = |name: &str| ran.value("catalog-slow-lists.fast_enough", name).as_f64().unwrap();
    assert!(number("before") > 600.0 && number("after") < 500.0, "{} then {}", number("before"), number("after"));
    _ = bench.shelf.undo(&ran);
    assert_eq!(bench.catalog.database.value(INDEX), "f", "as it was");
}

#[test]
fn large_pages_and_filters_without_an_index_are_told_with_advice() {
    let bench = Bench::start();
    bench.shelf.set("samples", 3).set("slow", 500);
    bench.catalog.control(&json!({ "slow": { "item_ms": 8, "filter_ms": 300 } }));
    let path = "/api/mcp_catalog/v1alpha1/mcpservers?namespace=team-a&pageSize=100&filterQuery=description+LIKE+%27%25server%25%27";
    assert_eq!(bench.catalog.get(path, "alice", "team-a-engineers").0, 200);
    bench.catalog.waits("it is in the log", || bench.catalog.log().contains("description+LIKE"));
    let ran = bench.run("catalog-slow-lists", "", &[]).exits(0).reached(&[
        "catalog-slow-lists.logged",
        "catalog-slow-lists.findings",
        "catalog-slow-lists.smaller_pages",
        "catalog-slow-lists.better_filters",
        "catalog-slow-lists.fast_enough",
    ]);
    let ran = ran.tells("pages of 100 entries are asked for").tells("filter on description, which is in no index");
    assert_eq!(ran.value("catalog-slow-lists.logged", "largest"), 100);
    let told = ran.value("catalog-slow-lists.smaller_pages", "advice").to_string();
    assert!(told.contains("pageSize=20") && told.contains("pageSize=100"), "{told}");
}

#[test]
fn a_broken_index_of_an_attempt_that_was_stopped_is_dropped_before_it_is_made_anew() {
    let bench = without_an_index();
    // It fails half-way, and stays behind.
    let _stopped = Session::of(
        &bench.catalog,
        "before",
        r#"create unique index concurrently idx_context_namespace on "Context" (namespace);"#,
    );
    bench.catalog.database.waits_until(
        "select count(*) = 1 from pg_index where indexrelid = to_regclass('idx_context_namespace') and not indisvalid
             and not exists (select from pg_stat_progress_create_index)",
    );
    let parked = bench.run("catalog-slow-lists", "which_tables: { table: Context }", &[]).exits(5);
    let parked = parked.reached(&["catalog-slow-lists.broken", "catalog-slow-lists.drop_broken"]);
    _ = bench.shelf.approve(&parked, "make_index").exits(0).reached(&["catalog-slow-lists.make_index"]);
    assert_eq!(bench.catalog.database.value(INDEX), "t");
}

#[test]
fn lists_that_are_fast_need_nothing_and_a_role_that_owns_no_table_changes_nothing() {
    let bench = Bench::start();
    bench.shelf.set("samples", 3);
    _ = bench.run("catalog-slow-lists", "", &[]).exits(0).tells("NO ACTION");
    let other = without_an_index();
    let database = &other.catalog.database;
    database.execute(&format!(
        "create role reader_{0} login password 'only-for-reading'; grant pg_read_all_data to reader_{0}",
        database.name
    ));
    other
        .shelf
        .set("catalog_db_role", format!("reader_{}", database.name))
        .set("catalog_db_password", "only-for-reading");
    let parked = other.run("catalog-slow-lists", "which_tables: { table: Context }", &[]).exits(5);
    _ = other.shelf.approve(&parked, "make_index").exits(7).tells("must be owner of table Context");
    assert_eq!(database.value(INDEX), "f");
}

#[test]
fn lists_that_are_slow_for_no_known_reason_are_handed_over() {
    let bench = Bench::start();
    bench.shelf.set("samples", 3).set("slow", 100);
    bench.catalog.control(&json!({ "slow": { "base_ms": 200 } }));
    _ = bench.run("catalog-slow-lists", "", &[]).exits(6).tells("none of the known causes is there");
}
