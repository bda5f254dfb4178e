//! Is the database well, and is its index whole?

use super::session::Session;
use crate::library::shelf::Shelf;
use crate::library::vestige::bench::Bench;
use crate::support::{Cluster, PASSWORD, Stop, postgres_programs};
use serde_json::json;

const INDEX_IS_WHOLE: &str = "select count(*) = 1 from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relname = 'idx_knowledge_nodes_embedding_hnsw' and i.indisvalid and i.indisready";

/// The document's own question for the health of indexes.
const OF_THE_DOCUMENT: &str =
    "SELECT indexname, pg_size_pretty(pg_relation_size(indexrelid)) AS size, idx_scan, idx_tup_read
    FROM pg_indexes JOIN pg_stat_user_indexes USING (indexrelid)
    WHERE schemaname = 'public' AND relname = 'knowledge_nodes'";

/// Leaves an index behind that is really half built: whoever builds it waits for a writer, and is cancelled.
fn half_build(bench: &Bench, statement: &str) {
    let writer = "begin; lock table knowledge_nodes in row exclusive mode; select pg_sleep(120)";
    let writer = Session::begins(bench, "writer", writer);
    let database = bench.vestige.database();
    database.waits_until("select count(*) > 0 from pg_locks where relation = 'knowledge_nodes'::regclass and mode = 'RowExclusiveLock' and granted");
    let builder = Session::begins(bench, "builder", statement);
    database.waits_until("select count(*) > 0 from pg_index where not indisvalid");
    database.execute("select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'builder'");
    let (done, said) = builder.ends();
    assert!(!done && said.contains("canceling statement"), "{said}");
    database.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'writer'");
    drop(writer);
    database.waits_until("select count(*) = 0 from pg_stat_activity where application_name in ('writer', 'builder')");
}

#[test]
fn a_database_that_is_well_is_told_with_its_numbers() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let ran = bench.shelf.run("vestige-health", "", &[]).exits(0);
    let ran = ran.reached(&["vestige-health.counts", "vestige-health.model", "vestige-health.in_flight"]);
    let ran = ran.reached(&["vestige-health.statistics", "vestige-health.indexes", "vestige-health.findings"]);
    let ran = ran.came_to(&["vestige-health.patterns"], &["skipped"]).tells("`statistics.kept` does not hold");
    assert_eq!(ran.value("vestige-health.counts", "memories"), 200);
    assert_eq!(ran.value("vestige-health.model", "name"), "stand-in-8");
    assert_eq!(ran.value("vestige-health.in_flight", "all"), json!([]), "our own sessions are none of Vestige's");
    _ = ran.tells("Nothing, all is well (by evidence)");
}

#[test]
fn a_query_that_hangs_is_shown_and_cancelled_when_a_person_says_so() {
    let bench = Bench::ready();
    let hanging = Session::begins(&bench, "hanging", "select pg_sleep(120), 'the one that hangs'");
    let database = bench.vestige.database();
    database.waits_until(
        "select clock_timestamp() - query_start > '300 ms' from pg_stat_activity where application_name = 'hanging'",
    );
    let slow = ["-i", "slow_query=200ms"];
    let ran = bench.shelf.run("vestige-health", "", &slow).exits(5).tells("the one that hangs");
    _ = ran.came_to(&["vestige-health.in_flight"], &["succeeded"]);
    // Nobody said anything, so nothing happened to it.
    database.waits_until("select count(*) = 1 from pg_stat_activity where application_name = 'hanging'");
    let ran = bench.shelf.run("vestige-health", "which: { answer: none }", &slow).exits(0);
    _ = ran.came_to(&["vestige-health.cancel"], &["skipped"]);
    database.waits_until("select count(*) = 1 from pg_stat_activity where application_name = 'hanging'");
    let ran = bench.shelf.run("vestige-health", "which: { answer: all }", &slow).exits(0);
    _ = ran.reached(&["vestige-health.in_flight", "vestige-health.cancel", "vestige-health.none_hangs"]);
    let (done, said) = hanging.ends();
    assert!(!done && said.contains("canceling statement due to user request"), "{said}");
}

/// Debian's server has the module; its tables stand in for those with vectors.
#[test]
fn statements_that_drifted_are_listed_where_the_server_keeps_statistics() {
    let cluster = Cluster::with(postgres_programs(), "shared_preload_libraries = 'pg_stat_statements'\n");
    let database = cluster.database();
    database.execute(
        "create table knowledge_nodes (n integer, content text, embedding real[]);
         insert into knowledge_nodes select n, 'memory', '{1}' from generate_series(1, 10) n;
         create table embedding_model (name text, dimension integer, hash text);
         insert into embedding_model values ('stand-in-8', 8, 'abcd');
         create access method hnsw type index handler hashhandler;
         create operator class numbers default for type integer using hnsw as operator 1 =, function 1 hashint4(integer);
         create index idx_knowledge_nodes_embedding_hnsw on knowledge_nodes using hnsw (n)",
    );
    let shelf = Shelf::new();
    _ = shelf.set("vestige_port", u64::from(cluster.port)).set("vestige_database", database.name.as_str());
    _ = shelf.set("vestige_role", "postgres").set("vestige_password", PASSWORD);
    // Loaded, but not created in this database: no answer is an answer.
    let ran = shelf.run("vestige-health", "", &[]).exits(0);
    _ = ran.came_to(&["vestige-health.patterns"], &["skipped"]);
    database.execute("create extension pg_stat_statements");
    database.execute("select count(*) from knowledge_nodes, pg_sleep(0.15)");
    let ran = shelf.run("vestige-health", "", &[]).exits(0).reached(&["vestige-health.patterns"]);
    let slow = ran.value("vestige-health.patterns", "slow");
    assert_eq!(slow.as_array().map(Vec::len), Some(1), "{slow}");
    assert!(
        slow[0]["query"].as_str().unwrap().contains("pg_sleep") && slow[0]["mean_ms"].as_f64() > Some(150.0),
        "{slow}"
    );
    drop(cluster);
}

#[test]
fn the_documents_question_about_indexes_fails_and_ours_is_answered() {
    let bench = Bench::ready();
    let (done, said) = Session::runs(&bench, OF_THE_DOCUMENT);
    assert!(!done && said.contains("does not exist in left table"), "{said}");
    let ran = bench.shelf.run("vestige-health", "", &[]).exits(0).reached(&["vestige-health.indexes"]);
    let table = ran.value("vestige-health.indexes", "table");
    let names: Vec<_> = table.as_array().unwrap().iter().filter_map(|row| row["index"].as_str()).collect();
    assert!(names.contains(&"idx_knowledge_nodes_embedding_hnsw") && names.len() >= 2, "{table}");
}

#[test]
fn an_index_that_is_never_used_is_built_again_unless_memories_are_few() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let (read, said) = Session::runs(&bench, "select count(*) from knowledge_nodes");
    assert!(read, "{said}");
    bench
        .vestige
        .database()
        .waits_until("select seq_scan > 0 from pg_stat_user_tables where relname = 'knowledge_nodes'");
    let ran = bench.shelf.run("vestige-health", "", &["-i", "traffic=0s"]).exits(0);
    _ = ran.tells("need not be with so few memories (by evidence)").reached(&["vestige-health.indexes"]);
    let file = "select pg_relation_filenode('idx_knowledge_nodes_embedding_hnsw')";
    let before = bench.vestige.database().value(file);
    let ran = bench.shelf.run("vestige-health", "", &["-i", "traffic=0s", "-i", "small_table=100"]).exits(0);
    _ = ran.reached(&[
        "vestige-health.indexes",
        "vestige-health.rebuild_index",
        "vestige-index-rebuild.rebuild_beside",
    ]);
    assert_ne!(bench.vestige.database().value(file), before);
    assert_eq!(bench.vestige.database().value(INDEX_IS_WHOLE), "t");
}

#[test]
fn a_half_built_index_is_found_dropped_and_built() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let database = bench.vestige.database();
    database.execute("drop index idx_knowledge_nodes_embedding_hnsw");
    let build = "create index concurrently idx_knowledge_nodes_embedding_hnsw on knowledge_nodes using hnsw (embedding vector_cosine_ops)";
    half_build(&bench, build);
    let ran = bench.shelf.run("vestige-health", "", &[]).exits(0).tells("broken idx_knowledge_nodes_embedding_hnsw");
    let ran = ran.reached(&["vestige-health.indexes", "vestige-health.mend_index", "vestige-index-rebuild.indexes"]);
    _ = ran.reached(&[
        "vestige-index-rebuild.drop_broken",
        "vestige-index-rebuild.build",
        "vestige-index-rebuild.whole",
    ]);
    assert_eq!(database.value(INDEX_IS_WHOLE), "t");
    // Now there is nothing to do; and again beside the writing, with what others left behind.
    _ = bench.shelf.run("vestige-index-rebuild", "", &[]).exits(0).tells("NO ACTION");
    half_build(&bench, "reindex index concurrently idx_knowledge_nodes_embedding_hnsw");
    half_build(&bench, "create index concurrently by_codebase on knowledge_nodes (codebase)");
    database.execute("drop index idx_knowledge_nodes_embedding_hnsw");
    let ran = bench.shelf.run("vestige-index-rebuild", "", &["-i", "keep_writing=true"]).exits(0);
    let ran = ran.reached(&["vestige-index-rebuild.drop_left_over", "vestige-index-rebuild.mend_others"]);
    _ = ran.reached(&["vestige-index-rebuild.build_beside", "vestige-index-rebuild.used"]);
    assert_eq!(database.value(INDEX_IS_WHOLE), "t");
    assert_eq!(database.value("select count(*) from pg_index where not indisvalid"), "0");
    assert_eq!(database.value("select count(*) from pg_class where relname = 'by_codebase'"), "1");
}

#[test]
fn an_index_that_somebody_builds_right_now_is_left_alone() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let database = bench.vestige.database();
    database.execute("drop index idx_knowledge_nodes_embedding_hnsw");
    let writer = "begin; lock table knowledge_nodes in row exclusive mode; select pg_sleep(120)";
    let _writer = Session::begins(&bench, "writer", writer);
    database.waits_until("select count(*) > 0 from pg_locks where relation = 'knowledge_nodes'::regclass and mode = 'RowExclusiveLock' and granted");
    let build = "create index concurrently idx_knowledge_nodes_embedding_hnsw on knowledge_nodes using hnsw (embedding vector_cosine_ops)";
    let _builder = Session::begins(&bench, "builder", build);
    database.waits_until("select count(*) > 0 from pg_index where not indisvalid");
    let ran = bench.shelf.run("vestige-index-rebuild", "", &[]).exits(6);
    _ = ran.reached(&["vestige-index-rebuild.builds"]).tells("Wait for its end");
    assert_eq!(database.value("select count(*) from pg_index where not indisvalid"), "1", "it is still being built");
}

#[test]
fn a_database_that_is_gone_strange_or_locked_is_an_answer() {
    let bench = Bench::ready();
    let ran = bench.shelf.run("vestige-health", "", &["-i", "vestige_database=postgres"]).exits(6);
    _ = ran.tells("has not all of Vestige's tables").reached(&["vestige-health.state"]);
    let ran = bench.shelf.run("vestige-health", "", &["-i", "vestige_database=nowhere"]).exits(6);
    _ = ran.tells("says: invalid_catalog_name");
    bench.vestige.database().execute("delete from embedding_model");
    _ = bench.shelf.run("vestige-health", "", &[]).exits(6).tells("embedding_model has 0 rows and must have one");
    _ = bench.shelf.set("vestige_password", "another-password");
    _ = bench.shelf.run("vestige-health", "", &[]).exits(6).tells("says: denied");
    bench.vestige.cluster.stop(Stop::Immediate);
    _ = bench.shelf.run("vestige-health", "", &[]).exits(6).tells("says: refused");
}
