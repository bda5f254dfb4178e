//! What is shown before it is sent, and which database it is sent to.

use super::bench::{Bench, step};
use crate::support::{Cluster, Sandbox, Terminal};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// The events of a kind in the only run of a bench.
fn events(bench: &Bench, kind: &str) -> Vec<Value> {
    let events = Sandbox::events(&bench.sandbox.only_run());
    events.into_iter().map(|event| event["event"].clone()).filter(|event| event["kind"] == kind).collect()
}

fn system_identifier() -> String {
    Cluster::shared().named("postgres").value("select system_identifier from pg_control_system()")
}

#[test]
fn the_server_is_the_one_it_should_be() {
    let database = Cluster::shared().named("postgres");
    database.execute("do $$ begin create role reader login password 'reader-password'; exception when duplicate_object then null; end $$");
    let known = system_identifier();
    let identified = |identity: &str| {
        let url = format!("postgres://127.0.0.1:{}/postgres", Cluster::shared().port);
        Bench::with(&format!(
            "{{ postgres: \"{url}\", auth: {{ user: reader, password: \"{{{{ 'reader-password' }}}}\" }}, identity: {identity} }}"
        ))
    };
    let steps = step("look", "diagnose", "select 1 as a", "");
    let bench = identified(&format!("{{ system_identifier: \"{known}\" }}"));
    let ran = bench.run(&steps);
    _ = ran.ended("look").succeeds();
    _ = ran.output.exits(0);
    assert_eq!(events(&bench, "target_proven")[0]["identity"], known.as_str());

    let bench = identified("{ system_identifier: \"7316000000000000000\" }");
    let output = bench.run(&steps).output.exits(9).says("7316000000000000000").says(&known);
    assert!(!output.all().contains("panicked"));
    assert_eq!(events(&bench, "target_refused").len(), 1);
    assert!(events(&bench, "attempt_started").is_empty());

    let bench = identified(
        "{ query: \"select current_user::text as name, 2 as n\", read: first.name, expect: \"first.n == 2 and count == 1\" }",
    );
    _ = bench.run(&steps).output.exits(0);
    assert_eq!(events(&bench, "target_proven")[0]["identity"], "reader");
    let bench = identified("{ query: select nope, read: first.name, expect: \"true\" }");
    let ran = bench.run(&steps);
    _ = ran.output.says("the identity of `db` is not proven").says("nope");
}

#[test]
fn the_server_is_looked_at_again_before_each_change() {
    let bench = Bench::new();
    bench.database.execute("create table who (name text); insert into who values ('orders'); create table t (a int)");
    let identity = "identity: { query: select name from who, read: first.name, expect: first.name == 'orders' } }";
    let bench = bench.retarget(|target| target.trim_end().trim_end_matches('}').to_owned() + ", " + identity);
    let steps = step("first", "remediate", "insert into t values (1); update who set name = 'somebody else'", "")
        + &step("second", "remediate", "insert into t values (2)", "");
    _ = bench.run(&steps).output.exits(9).says("somebody else").says("orders");
    assert_eq!(bench.database.value("select string_agg(a::text, ',') from t"), "1");
}

#[test]
fn a_card_shows_what_is_sent() {
    let bench = Bench::new();
    bench.database.execute("create table t (name text, n int)");
    let sql = "insert into {{ 't' | ident }} values ({{ \"it's\" }}, {{ 7 }});\nupdate t set n = {{ [1, 2] | sum }}";
    bench.write(&step("act", "remediate", sql, ""));
    let mut terminal = Terminal::open_with(
        &bench.sandbox,
        &["run", "case", "--env", "prod"],
        &[("DB_PASSWORD", crate::support::PASSWORD)],
    );
    terminal.sees("insert into \"t\" values ($1, $2);").sees("update t set n = $1");
    terminal.sees("statement 1, $1 = 'it''s'").sees("statement 1, $2 = 7").sees("statement 2, $1 = 3");
    terminal.sees("in one transaction").sees("user postgres, sslmode disable");
    terminal.sees("type").types("db");
    // Nothing validates, so it is not resolved.
    let screen = terminal.exits(1);
    assert_eq!(bench.database.value("select name || n from t"), "it's3", "{screen}");
}

#[test]
fn plan_shows_statements_and_connects_to_nothing() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = trap.local_addr().expect("an address").port();
    let bench = Bench::with(&format!("{{ postgres: \"postgres://app@127.0.0.1:{port}/orders\", PASSWORD }}"));
    let steps = step("look", "diagnose", "select count(*) from t where a = {{ 'x' }}", "")
        + &step("act", "remediate", "delete from t where n = {{ look.first.n }}", "");
    bench.write(&steps);
    let log = bench.sandbox.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=network", "-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_runwright"));
    let plan = bench.command(&["plan", "case", "--env", "free"]);
    command.args(plan.get_args()).current_dir(bench.sandbox.folder()).env_clear();
    command.envs(plan.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = super::bench::finish(command).exits(0);
    let output = output.says("select count(*) from t where a = $1").says("$1 = 'x'").says("READ ONLY");
    _ = output.says("delete from t where n = $1").says("‹look.first.n›");
    let traced = std::fs::read_to_string(&log).expect("a trace");
    let network: Vec<_> = traced.lines().filter(|line| !line.contains("+++")).collect();
    assert!(network.is_empty(), "{network:#?}");
    trap.set_nonblocking(true).expect("a trap");
    assert!(trap.accept().is_err());
}

#[test]
fn a_probe_reads_and_changes_nothing() {
    let bench = Bench::new();
    bench.database.execute("create table t (a int)");
    let steps = step("look", "diagnose", "select count(*) as n from t", "")
        + &step("act", "remediate", "insert into t values (1)", "")
        + "    verify: { sql: select count(*) as n from t, expect: first.n == 1 }\n";
    bench.write(&steps);
    _ = bench.call(&["probe", "case", "--env", "free"]).exits(0);
    assert_eq!(bench.database.value("select count(*) from t"), "0");
    let ran = bench.run_again();
    _ = ran.ended("act/verify").succeeds();
    assert_eq!(bench.database.value("select count(*) from t"), "1");
}

/// A secret goes through a statement and comes back in every way that a server can show one.
#[test]
fn secrets_stay_out_of_the_record() {
    let bench = Bench::new();
    bench.database.execute("create table t (a text primary key)");
    let steps = step(
        "look",
        "diagnose",
        "select {{ password }}::text as back, encode({{ password }}::bytea, 'hex') as hex",
        "",
    ) + "    show: [first.back]\n"
        + &step("fails", "diagnose", "select {{ password }}::int", "")
        + "    on_failure: continue\n"
        + &step(
            "notices",
            "diagnose",
            "select set_config('x.y', {{ password }}, true);\ndo $$ begin raise notice 'it is %', current_setting('x.y'); end $$",
            "",
        )
        + &step("act", "remediate", "insert into t values ({{ password }}), ({{ password }})", "")
        + "    on_failure: continue\n";
    let ran = bench.run(&steps);
    _ = ran.ended("fails").ends("failed", "invalid_text_representation", "invalid input syntax");
    _ = ran.ended("act").ends("failed", "unique_violation", "already exists");
    let secret = crate::support::PASSWORD;
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let said = ran.output.all();
    assert!(!said.contains(secret) && !said.contains(&hex), "{said}");
    let mut files = vec![bench.sandbox.store()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(secret) && !text.contains(&hex), "{}", path.display());
        seen += usize::from(text.contains("it is"));
    }
    assert!(seen > 0, "the notice was kept");
}

/// The example of the reference, run as it stands there.
#[test]
fn the_example_of_the_reference_works() {
    let page = std::fs::read_to_string(crate::support::repository("docs/language.md")).expect("the page");
    let start = page.find("runbook: example-sql\n").expect("the example");
    let end = start + page[start..].find("```").expect("its end");
    let bench = Bench::new();
    bench.database.execute(
        "create table jobs (id bigint, queue text, state text, started timestamptz default now()); \
         create table job_log (job bigint, what text); \
         insert into jobs select n, 'mail', 'running', now() - n * interval '21 minutes' from generate_series(1, 9) n",
    );
    bench.sandbox.write("example-sql.yaml", &page[start..end]);
    let mut command = bench.sandbox.command(["run", "example-sql", "--env", "free"]);
    command.env("ORDERS_DATABASE", bench.database.url()).env("ORDERS_PASSWORD", crate::support::PASSWORD);
    let ran = bench.ran(super::bench::finish(command));
    let shown = ran.ended("stuck").succeeds();
    assert_eq!(shown.field("count"), 7);
    assert_eq!(ran.ended("release").succeeds().field("affected"), 14);
    _ = ran.output.exits(0).says("RESOLVED");
    assert_eq!(
        bench.database.value("select count(*) filter (where state = 'waiting') || '/' || count(*) from jobs"),
        "7/9"
    );
    assert_eq!(bench.database.value("select count(*) from job_log"), "7");
}
