//! Every symptom of the document's table, from the error that the service or PostgreSQL really said.

use crate::library::shelf::{Ran, Shelf};
use crate::library::vestige::bench::Bench;
use crate::support::{ROLE_PASSWORD, Stop, finish};
use serde_json::json;

/// No error may come again for this long.
const BRIEFLY: [&str; 2] = ["-i", "settle=2s"];

fn troubles(bench: &Bench, answers: &str, more: &[&str]) -> Ran {
    bench.shelf.run("vestige-troubleshooting", answers, &[&BRIEFLY[..], more].concat())
}

/// Says that the work by hand is done, and lets the run go on.
fn done_by_hand(bench: &Bench, parked: &Ran, step: &str) -> Ran {
    _ = finish(&mut bench.shelf.command(["answer", &parked.name(), step, "result=done"])).exits(0);
    bench.shelf.resume(parked)
}

/// The service on a database that is as good as new: nothing in it but what the statements make.
fn begin_again(bench: &Bench, statements: &str) {
    _ = bench.vestige.services.systemctl("stop", "vestige-mcp");
    let server = bench.vestige.cluster.named("postgres");
    server.execute("drop database vestige");
    server.execute("create database vestige owner vestige");
    bench.vestige.database().execute(statements);
    _ = bench.vestige.services.systemctl("start", "vestige-mcp");
}

/// Sets the model of the service, and restarts it.
fn run_with_model(bench: &Bench, model: &str) {
    let file = bench.vestige.path("vestige.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("\"stand-in-8\"", &format!("\"{model}\""));
    std::fs::write(file, text).unwrap();
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    bench.vestige.waits_for("vector dimensions do not match");
}

#[test]
fn pgvector_that_is_missing_is_installed_and_created() {
    let bench = Bench::ready();
    let control = bench.vestige.cluster.path("programs/pgserver/pginstall/share/postgresql/extension/vector.control");
    let away = control.with_extension("away");
    std::fs::rename(&control, &away).unwrap();
    begin_again(&bench, "alter schema public owner to vestige");
    bench.vestige.waits_for("extension \"vector\" is not available");
    let ran = troubles(&bench, "", &[]).exits(5);
    let ran = ran.reached(&[
        "vestige-troubleshooting.said",
        "vestige-troubleshooting.symptom",
        "vestige-troubleshooting.server",
    ]);
    let ran = ran.tells("postgresql-16-pgvector");
    // Somebody says that it is done, and it is not.
    let wrong = done_by_hand(&bench, &ran, "install").came_to(&["vestige-troubleshooting.install"], &["does_not_hold"]);
    _ = wrong.exits(7).came_to(&["vestige-troubleshooting.create"], &["skipped"]);
    let ran = troubles(&bench, "", &[]).exits(5);
    std::fs::rename(&away, &control).unwrap();
    let ran = done_by_hand(&bench, &ran, "install").exits(0);
    let ran = ran.reached(&["vestige-troubleshooting.install", "vestige-extensions.create_vector"]);
    _ = ran.reached(&[
        "vestige-troubleshooting.restart",
        "vestige-ready.said_ready",
        "vestige-troubleshooting.not_again",
    ]);
    assert_eq!(bench.vestige.database().value("select count(*) from pg_extension where extname = 'vector'"), "1");
}

#[test]
fn a_pool_that_runs_dry_leads_to_hanging_queries_and_then_to_a_larger_pool() {
    let bench = Bench::ready();
    _ = bench.vestige.steer("VESTIGE_STAND_IN_CLIENTS", "30").steer("VESTIGE_STAND_IN_QUERY_MS", "500");
    _ = bench.vestige.steer("VESTIGE_STAND_IN_POOL_MS", "200");
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    bench.vestige.waits_for("pool timed out while waiting for an open connection");
    _ = bench.shelf.set("pool", 40).set("database_cores", 16);
    let ran = troubles(&bench, "larger/clients: { count: 1, dreams: false }", &[]).exits(0);
    let ran =
        ran.reached(&["vestige-troubleshooting.said", "vestige-health.in_flight", "vestige-troubleshooting.hanging"]);
    let _ =
        ran.reached(&["vestige-troubleshooting.larger", "vestige-pool.pool_larger", "vestige-pool.no_more_waiting"]);
    let toml = std::fs::read_to_string(bench.vestige.path("vestige.toml")).unwrap();
    assert!(toml.contains("max_connections = 40"), "{toml}");
}

#[test]
fn dimensions_that_do_not_match_are_mended_in_the_configuration_when_that_is_wrong() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    run_with_model(&bench, "stand-in-16");
    let ran = troubles(&bench, "", &[]).exits(5).tells("OPTION is one of configured, database");
    _ = ran.reached(&["vestige-troubleshooting.registry", "vestige-troubleshooting.configured"]);
    let ran = troubles(&bench, "right: database", &[]).exits(0);
    let ran = ran.reached(&["vestige-troubleshooting.right", "vestige-troubleshooting.set_model"]);
    let ran = ran.reached(&["vestige-troubleshooting.restart", "vestige-troubleshooting.not_again"]);
    let model = || std::fs::read_to_string(bench.vestige.path("vestige.toml")).unwrap();
    assert!(model().contains("model = \"stand-in-8\""), "{}", model());
    // It can be taken back, with the restart that makes it so.
    let before = bench.vestige.services.process("vestige-mcp");
    _ = bench.shelf.undo(&ran).exits(0);
    assert!(model().contains("model = \"stand-in-16\""), "{}", model());
    assert_ne!(bench.vestige.services.process("vestige-mcp"), before);
}

#[test]
fn dimensions_that_do_not_match_are_mended_by_a_reembed_when_the_new_model_is_right() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(60);
    run_with_model(&bench, "stand-in-16");
    _ = bench.shelf.set("quiet_for", "1s");
    let answers =
        "right: configured\nlength: { numbers: 16 }\nembed_again/ready: { ingest_paused: true, model_here: true }";
    let ran = troubles(&bench, answers, &[]).exits(5);
    let ran = bench.shelf.approve(&ran, "embed_again/reembed").exits(5);
    let ran = done_by_hand(&bench, &ran, "embed_again/switch").exits(0);
    _ = ran.reached(&[
        "vestige-troubleshooting.embed_again",
        "vestige-reembed.reembed",
        "vestige-reembed-check.vectors",
    ]);
    let lengths = "select string_agg(distinct vector_dims(embedding)::text, ' ') from knowledge_nodes";
    assert_eq!(bench.vestige.database().value(lengths), "16");
}

#[test]
fn a_search_that_finds_a_memory_twice_has_the_programs_built_again() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let stale = bench.shelf.sandbox.write("stale", "");
    _ = bench.vestige.steer("VESTIGE_STAND_IN_STALE_CACHE", &stale.display().to_string());
    let source = bench.shelf.sandbox.path("source");
    _ = bench.shelf.set("vestige_source", source.display().to_string());
    // Without the source nothing is built, and nothing is said to be mended.
    let ran = troubles(&bench, "", &[]).exits(1).came_to(&["vestige-troubleshooting.source"], &["does_not_hold"]);
    _ = ran.came_to(&["vestige-troubleshooting.prepare", "vestige-troubleshooting.restart"], &["skipped"]);
    _ = bench.shelf.sandbox.write("source/crates/vestige-core/Cargo.toml", "[package]\n");
    let calls = bench.shelf.sandbox.path("cargo-calls");
    let script = format!("#!/bin/sh\necho \"$PWD $* ${{DATABASE_URL:+with a database}}\" >> '{}'\n", calls.display());
    _ = bench.shelf.sandbox.program("cargo", &script);
    let ran = troubles(&bench, "", &[]).exits(5);
    let ran = ran.reached(&[
        "vestige-troubleshooting.search",
        "vestige-troubleshooting.prepare",
        "vestige-troubleshooting.build",
    ]);
    std::fs::remove_file(stale).unwrap();
    let ran = done_by_hand(&bench, &ran, "put_in_place").exits(0);
    _ = ran.reached(&[
        "vestige-troubleshooting.put_in_place",
        "vestige-troubleshooting.restart",
        "vestige-troubleshooting.once",
    ]);
    let source = source.display();
    let calls = std::fs::read_to_string(calls).unwrap();
    assert_eq!(
        calls,
        format!("{source}/crates/vestige-core sqlx prepare with a database\n{source} build --release \n")
    );
}

#[test]
fn a_text_search_configuration_that_is_missing_is_replaced_or_installed() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    bench.vestige.database().execute("alter text search configuration english rename to gone");
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    bench.vestige.waits_for("text search configuration \"english\" does not exist");
    let ran = troubles(&bench, "way: simple", &[]).exits(0);
    let ran = ran.reached(&["vestige-troubleshooting.configurations", "vestige-troubleshooting.set_language"]);
    _ = ran.reached(&["vestige-troubleshooting.once", "vestige-troubleshooting.not_again"]);
    let toml = std::fs::read_to_string(bench.vestige.path("vestige.toml")).unwrap();
    assert!(toml.contains("language = \"simple\""), "{toml}");
    // Or the package comes, before somebody looks or while they do.
    let ran = troubles(&bench, "way: package", &[]).exits(5);
    bench.vestige.database().execute("alter text search configuration gone rename to english");
    _ = done_by_hand(&bench, &ran, "language_pack").exits(0).reached(&["vestige-troubleshooting.language_pack"]);
    let ran = troubles(&bench, "", &[]).exits(0).tells("It is there by now");
    _ = ran.reached(&["vestige-troubleshooting.way", "vestige-troubleshooting.restart"]);
}

#[test]
fn a_migration_without_a_checksum_leads_to_a_backup_of_before() {
    let bench = Bench::ready();
    _ = bench.shelf.run("vestige-backup", "", &[]).exits(0);
    let backups = bench.vestige.path("backups");
    let new = std::fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path();
    let of_before = backups.join("vestige-20260301T030000Z.dump");
    std::fs::rename(new, &of_before).unwrap();
    bench.vestige.database().execute("update _sqlx_migrations set checksum = null where version = 2");
    _ = bench.vestige.services.systemctl("restart", "vestige-mcp");
    bench.vestige.waits_for("with no checksum");
    let ran = troubles(&bench, &format!("restore/which: {{ file: {} }}", of_before.display()), &[]).exits(5);
    let ran = bench.shelf.approve(&ran, "restore/replace/stop").exits(0);
    let _ =
        ran.reached(&["vestige-troubleshooting.said", "vestige-troubleshooting.restore", "vestige-ready.said_ready"]);
    assert_eq!(bench.vestige.database().value("select count(*) from _sqlx_migrations where checksum is null"), "0");
}

/// Whoever has nothing but a line of the log, or a question, is led to the right runbook.
#[test]
fn lines_of_the_log_lead_to_their_runbook() {
    let shelf = Shelf::new();
    let seen = [
        ("ERROR vestige_core: vector dimensions do not match: embedding_model says 768", "vestige-troubleshooting"),
        ("hybrid search returns the same row twice", "vestige-troubleshooting"),
        ("ERROR:  text search configuration \"english\" does not exist", "vestige-troubleshooting"),
        ("the HNSW index is very large compared to the data", "vestige-troubleshooting"),
        ("an index of knowledge_nodes has indisvalid false", "vestige-index-rebuild"),
        ("vestige migrate reembed was killed", "vestige-reembed-interrupted"),
        ("queries over 5 seconds in pg_stat_activity", "vestige-health"),
        ("re-cluster the domains", "vestige-domains"),
        ("switch to another embedding model with a different dimension", "vestige-reembed"),
    ];
    for (words, runbook) in seen {
        _ = finish(&mut shelf.command(["lookup", words])).exits(0).says(&format!("1  {runbook}: "));
    }
}

#[test]
fn an_index_that_is_very_large_is_accepted_and_that_is_on_record() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(200);
    let ran = troubles(&bench, "", &["-i", "message=the HNSW index is very large"]).exits(0);
    let ran = ran.reached(&["vestige-troubleshooting.sizes", "vestige-troubleshooting.accepted"]);
    let ran = ran.came_to(&["vestige-troubleshooting.restart"], &["skipped"]).tells("nothing was changed");
    let decision = ran.value("vestige-troubleshooting.accepted", "decision");
    assert!(decision.as_str().unwrap().starts_with("Accepted: "), "{decision}");
    let times = ran.value("vestige-troubleshooting.accepted", "times_the_vectors");
    assert!(times.as_f64() > Some(1.0), "{times}");
}

#[test]
fn a_role_that_does_not_own_its_schema_gets_it() {
    let bench = Bench::ready();
    let taken = "create extension vector; create extension pgcrypto; alter schema public owner to postgres;
        revoke all on schema public from vestige, public; grant usage on schema public to vestige";
    begin_again(&bench, taken);
    bench.vestige.waits_for("permission denied for schema public");
    let ran =
        troubles(&bench, "", &[]).exits(0).reached(&["vestige-troubleshooting.said", "vestige-troubleshooting.grants"]);
    _ = ran.reached(&["vestige-grants.grant", "vestige-troubleshooting.restart", "vestige-ready.tables"]);
    let owner = "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'public'";
    assert_eq!(bench.vestige.database().value(owner), "vestige");
}

#[test]
fn several_errors_at_once_are_put_before_a_person() {
    let bench = Bench::ready();
    run_with_model(&bench, "stand-in-16");
    let message = ["-i", "message=the HNSW index is very large"];
    let ran = troubles(&bench, "", &message).exits(5);
    let ran = ran.tells("more than one option fits the evidence: `dimensions` and `large`");
    _ = finish(&mut bench.shelf.command(["answer", &ran.name(), "symptom", "--choose", "large"])).exits(0);
    _ = bench.shelf.resume(&ran).exits(0).reached(&["vestige-troubleshooting.accepted"]);
}

#[test]
fn what_nobody_knows_is_collected_and_handed_over() {
    let bench = Bench::ready();
    _ = bench.vestige.remember(20);
    let folder = bench.shelf.sandbox.path("evidence");
    std::fs::create_dir(&folder).unwrap();
    _ = bench.shelf.set("evidence_folder", folder.display().to_string()).set("debug_for", "2s");
    let ran = troubles(&bench, "", &["-i", "message=it hums"]).exits(6).tells("File a bug for Vestige");
    let ran =
        ran.reached(&["vestige-troubleshooting.evidence", "vestige-evidence.debug_run", "vestige-evidence.complete"]);
    let ran =
        ran.reached(&["vestige-evidence.postgres_log", "vestige-evidence.vestige_log", "vestige-evidence.migrations"]);
    _ = ran.tells("when its time was over");
    let bundle = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&bundle).unwrap();
    for part in ["== Migrations ==", "hnsw", "Postgres backend ready", "database system is ready to accept connections"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains(ROLE_PASSWORD), "{text}");
    // Nothing of the second Vestige is left, and the first still runs.
    assert!(bench.vestige.services.process("vestige-mcp").is_some());
}

#[test]
fn evidence_is_collected_from_what_is_left_and_never_holds_the_password() {
    let bench = Bench::ready();
    let folder = bench.shelf.sandbox.path("evidence");
    std::fs::create_dir(&folder).unwrap();
    _ = bench.shelf.set("evidence_folder", folder.display().to_string()).set("debug_for", "2s");
    bench.vestige.cluster.stop(Stop::Immediate);
    let talkative = "#!/bin/sh\necho \"RUST_LOG=$RUST_LOG, connecting to $DATABASE_URL\"\nexit 101\n";
    _ = bench.shelf.sandbox.program("vestige-mcp", talkative);
    let ran = bench.shelf.run("vestige-evidence", "", &[]).exits(6);
    let ran = ran.reached(&["vestige-evidence.migrations", "vestige-evidence.write", "vestige-evidence.hand_over"]);
    assert_eq!(ran.value("vestige-evidence.migrations", "error"), json!("refused"));
    let bundle = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert!(text.contains("RUST_LOG=debug,sqlx=info, connecting to postgresql://vestige:"), "{text}");
    assert!(text.contains("by itself, with exit code 101") && text.contains("refused"), "{text}");
    assert!(!text.contains(ROLE_PASSWORD), "{text}");
}
