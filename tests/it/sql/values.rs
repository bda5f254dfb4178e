//! Values on their way to the server and back.

use super::bench::{Bench, step};
use crate::support::Cluster;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::path::Path;

/// The first row of a query.
fn first(bench: &Bench, sql: &str) -> Value {
    bench.read(sql).succeeds().field("first")
}

#[test]
fn every_type_has_its_value() {
    let bench = Bench::new();
    bench.database.execute(
        "create type colour as enum ('red', 'it''s'); create domain small as int check (value < 10); \
         create type pair as (a int, b text); create table t (id int, p pair)",
    );
    let rows = [
        ("1::int2", json!(1)),
        ("(-2147483648)::int4", json!(-2_147_483_648_i64)),
        ("9223372036854775807::int8", json!(9_223_372_036_854_775_807_i64)),
        ("0.1::float4", json!(0.1)),
        ("1.5::float8", json!(1.5)),
        ("1e300::float8", json!(1e300)),
        ("12.50::numeric", json!(12.5)),
        ("100000::numeric", json!(100_000)),
        ("0.1234567890123456789::numeric", json!("0.1234567890123456789")),
        ("123456789012345678901234567890::numeric", json!("123456789012345678901234567890")),
        ("-0.00001::numeric", json!(-0.00001)),
        ("true", json!(true)),
        ("null::int", json!(null)),
        ("'x y'::text", json!("x y")),
        ("'x'::varchar(3)", json!("x")),
        ("'x'::char(3)", json!("x  ")),
        ("'x'::name", json!("x")),
        ("'untyped'", json!("untyped")),
        ("'{\"a\": [1, null, 2.5]}'::json", json!({"a": [1, null, 2.5]})),
        ("'{\"a\": [1, null, \"é\"]}'::jsonb", json!({"a": [1, null, "é"]})),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'2026-01-02 03:04:05.678+02'::timestamptz", json!({"$time": "2026-01-02T01:04:05.678Z"})),
        ("'2026-01-02 03:04:05.5'::timestamp", json!("2026-01-02 03:04:05.5")),
        ("'infinity'::timestamp", json!("infinity")),
        ("'1999-12-31'::date", json!("1999-12-31")),
        ("'23:59:59.25'::time", json!("23:59:59.25")),
        ("'90 minutes'::interval", json!({"$duration": "1h 30m"})),
        ("'1 day -1 second'::interval", json!({"$duration": "23h 59m 59s"})),
        ("'1 year 2 days'::interval", json!("12 months 2 days")),
        ("'\\xdeadbeef'::bytea", json!("\\xdeadbeef")),
        ("array[1, null, 3]", json!([1, null, 3])),
        ("array[[1, 2], [3, 4]]", json!([[1, 2], [3, 4]])),
        ("'{}'::text[]", json!([])),
        ("array['2026-01-01'::date]", json!(["2026-01-01"])),
        ("'red'::colour", json!("red")),
        ("array['it''s'::colour]", json!(["it's"])),
        ("3::small", json!(3)),
        // What has no form of its own comes as the server writes it.
        ("row(1, 'x')::pair", json!("(1,x)")),
        ("row(null, null)::pair", json!("(,)")),
        ("null::pair", json!(null)),
        ("'10.0.0.1'::inet", json!("10.0.0.1")),
        ("array['10.0.0.1'::inet]", json!("{10.0.0.1}")),
        ("'10.0.0.0/8'::inet", json!("10.0.0.0/8")),
        ("'08:00:2b:01:02:03'::macaddr", json!("08:00:2b:01:02:03")),
        ("'[1,5)'::int4range", json!("[1,5)")),
        ("'(1,2)'::point", json!("(1,2)")),
        ("b'101'", json!("101")),
        ("12.5::money", json!("$12.50")),
        ("'a b'::tsvector", json!("'a' 'b'")),
        ("'pg_class'::regclass", json!("pg_class")),
        ("'0/16B3748'::pg_lsn", json!("0/16B3748")),
        ("'x'::\"char\"", json!("x")),
        ("'03:04:05+02'::timetz", json!("03:04:05+02")),
        ("'postgres=r/postgres'::aclitem", json!("postgres=r/postgres")),
        ("array['(1,2)'::point]", json!("{\"(1,2)\"}")),
        ("''::text", json!("")),
    ];
    let columns: Vec<String> = rows.iter().enumerate().map(|(at, (sql, _))| format!("{sql} as c{at}")).collect();
    let found = first(&bench, &format!("select {}", columns.join(",\n")));
    for (at, (sql, wanted)) in rows.iter().enumerate() {
        assert_eq!(found[format!("c{at}")], *wanted, "{sql}");
    }
    // Without an exotic column the statement goes as it stands.
    let plain = columns.iter().take_while(|column| !column.contains("::pair"));
    let found = first(&bench, &format!("select {}", plain.cloned().collect::<Vec<_>>().join(", ")));
    for (at, (sql, wanted)) in rows.iter().enumerate().take_while(|(_, (sql, _))| !sql.contains("::pair")) {
        assert_eq!(found[format!("c{at}")], *wanted, "{sql}");
    }
}

#[test]
fn what_is_no_value_is_unknown_with_its_reason() {
    let bench = Bench::new();
    for (sql, reason) in [
        ("'NaN'::float8", "NaN"),
        ("'-infinity'::float4", "-inf"),
        ("'NaN'::numeric", "NaN"),
        ("'infinity'::timestamptz", "infinity"),
        ("'294276-01-01'::timestamptz", "too far away"),
        ("repeat('[', 200)::json", "invalid input"),
    ] {
        let ended = bench.read(&format!("select {sql} as c"));
        if reason == "invalid input" {
            _ = ended.ends("failed", "invalid_text_representation", reason);
            continue;
        }
        let found = ended.succeeds().field("first");
        assert!(found["c"]["$unknown"].as_str().is_some_and(|text| text.contains(reason)), "{sql}: {found}");
    }
    let deep = "select (repeat('[', 200) || repeat(']', 200))::json as c";
    assert!(first(&bench, deep)["c"]["$unknown"].as_str().is_some_and(|text| text.contains("JSON")));
}

#[test]
fn results_have_their_fields() {
    let bench = Bench::new();
    bench.database.execute("create table t (a int, b text); insert into t values (1, 'x'), (2, null)");
    let ended = bench.read("select a, b, a from t order by a").succeeds();
    assert_eq!(ended.field("columns"), json!(["a", "b", "a_2"]));
    assert_eq!(ended.field("rows"), json!([{"a": 1, "b": "x", "a_2": 1}, {"a": 2, "b": null, "a_2": 2}]));
    assert_eq!(ended.field("count"), json!(2));
    assert_eq!(ended.field("affected"), json!(0));
    let ended = bench.read("select a from t where false").succeeds();
    assert_eq!((ended.field("rows"), ended.field("count")), (json!([]), json!(0)));
    assert!(ended.fields["first"]["unknown"].as_str().is_some_and(|text| text.contains("no row")), "{ended:#?}");
    let ended = bench.change("insert into t values (3, 'z'), (4, 'z') returning a, '(1,2)'::point as p").succeeds();
    assert_eq!(ended.field("affected"), json!(2));
    assert_eq!(ended.field("rows"), json!([{"a": 3, "p": "(1,2)"}, {"a": 4, "p": "(1,2)"}]));
    let ended = bench.change("update t set b = 'q'; delete from t where a > 2").succeeds();
    assert_eq!((ended.field("affected"), ended.field("count")), (json!(6), json!(0)));
    // Statements that cannot stand inside another one.
    assert_eq!(first(&bench, "show server_encoding")["server_encoding"], json!("UTF8"));
    assert!(first(&bench, "explain (format json) select 1")["QUERY PLAN"].is_array());
    assert_eq!(first(&bench, "table t")["a"], json!(1));
    assert_eq!(first(&bench, "select 1 as a -- a comment at the end")["a"], json!(1));
    assert_eq!(first(&bench, "select '1.2.3.4'::inet as a -- the same, as text")["a"], json!("1.2.3.4"));
}

/// Runs one read of `input` and gives what came back.
fn echo(bench: &Bench, input: &str) -> Value {
    let output = bench.call(&["run", "case", "--env", "free", "-i", &format!("a={input}")]);
    bench.ran(output).ended("look").succeeds().field("first")
}

#[test]
fn any_text_arrives_as_it_is() {
    let bench = Bench::new();
    let steps = step(
        "look",
        "diagnose",
        "select {{ a }} as a, {{ a }} = any({{ [a] }}) as b, {{ {'k': a} }}::jsonb as c, {{ [[a, a]] }}::text[] as d",
        "",
    );
    bench.write(&steps);
    let path = bench.sandbox.path("case.yaml");
    let text = std::fs::read_to_string(&path).expect("the runbook");
    std::fs::write(&path, text.replace("inputs:", "inputs:\n  a: { type: string }")).expect("the runbook");
    let check = |text: &str| {
        let wanted = json!({"a": text, "b": true, "c": {"k": text}, "d": [[text, text]]});
        assert_eq!(echo(&bench, text), wanted, "{text:?}");
    };
    for text in [
        "'; drop table t; --",
        "$1",
        "\\",
        "\"",
        "{a,b}",
        "NULL",
        "\\x00",
        "a\nb\r\tc",
        "'",
        "''",
        "é€😀",
        "--",
        "/*",
        "{",
        "%s",
    ] {
        check(text);
    }
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let hostile = prop::collection::vec(
        prop_oneof![Just('\''), Just('"'), Just('\\'), Just('$'), Just('{'), Just(','), Just(' '), any::<char>()],
        1..30,
    );
    let tested = runner.run(&hostile, |characters| {
        let text: String = characters.into_iter().filter(|c| *c != '\0').collect();
        // The command line itself reads `@` as a file, and drops nothing else.
        prop_assume!(!text.is_empty() && !text.starts_with('@'));
        check(&text);
        Ok(())
    });
    tested.expect("every text arrives");
}

#[test]
fn values_arrive_with_their_type() {
    let bench = Bench::new();
    bench.database.execute(
        "create table t (n int, d numeric, b bool, at timestamptz, span interval, list int[], j jsonb, nothing int)",
    );
    let steps = "
  - id: set
    diagnose: Values
    set: { n: 7, d: 1.25, b: true, span: \"duration('1h30m')\", list: '[1, 2]', j: \"{'a': [1, none]}\", nothing: none }
"
    .to_owned()
        + &step(
            "act",
            "remediate",
            "insert into t values ({{ set.n }}, {{ set.d }}, {{ set.b }}, {{ now }}, {{ set.span }}, {{ set.list }}, {{ set.j }}, {{ set.nothing }})",
            "",
        );
    _ = bench.run(&steps).ended("act").succeeds();
    let row = "select n || '|' || d || '|' || b || '|' || (at > now() - interval '1 minute') || '|' || span || '|' || list::text || '|' || j || '|' || (nothing is null) from t";
    assert_eq!(bench.database.value(row), "7|1.25|true|true|01:30:00|{1,2}|{\"a\": [1, null]}|true");
    let ended = bench.read("select count(*) from t where n = {{ 'abc' }}");
    _ = ended.ends("failed", "invalid_text_representation", "\"abc\"");
}

#[test]
fn names_are_quoted() {
    let bench = Bench::new();
    bench.database.execute("create schema \"My \"\"own\"; create table \"My \"\"own\".\"select\" (\"a b\" int); insert into \"My \"\"own\".\"select\" values (5)");
    let found = first(
        &bench,
        "select {{ 'a b' | ident }} as {{ 'X; --' | ident }} from {{ 'My \"own' | ident }}.{{ 'select' | ident }}",
    );
    assert_eq!(found, json!({"X; --": 5}));
}

#[test]
fn more_than_is_wanted_is_a_failure() {
    let bench = Bench::new();
    let rows = bench.run(&step("look", "diagnose", "select generate_series(1, 11)", "rows: 10"));
    _ = rows.ended("look").ends("failed", "bad_answer", "more than 10 rows");
    let rows = bench.run(&step("look", "diagnose", "select generate_series(1, 10) as n", "rows: 10"));
    assert_eq!(rows.ended("look").succeeds().field("count"), json!(10));
    _ = bench.read("select generate_series(1, 100000000)").ends("failed", "bad_answer", "more than 10000 rows");
    let _ =
        bench.read("select repeat('x', 1000000) from generate_series(1, 1000)").ends("failed", "bad_answer", "16 MiB");
    _ = bench.read("select repeat('x', 300000000)").ends("failed", "bad_answer", "too much");
    _ = bench.change("create table t as select 1; select generate_series(1, 100000000)").ends(
        "failed",
        "bad_answer",
        "nothing was changed",
    );
    assert_eq!(bench.database.value("select to_regclass('t') is null"), "t");
    bench.database.is_left_alone();
}

/// What the program knows of the language, held against the server's own files and its own reader.
#[test]
fn every_class_of_errors_of_the_server_is_known() {
    let share = "select setting from pg_config() where name = 'SHAREDIR'";
    let file = Path::new(&Cluster::shared().named("postgres").value(share)).join("errcodes.txt");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with(['#', ' ']) && !line.starts_with("Section")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [code, _, _, name] = words.as_slice() else { continue };
        if code.starts_with("28") || *code == "00000" {
            continue;
        }
        assert_eq!(runwright::runbook::sqlstate_class(code), *name, "{code}");
        assert!(runwright::runbook::is_error_class(name), "{name}");
        count += 1;
    }
    assert!(count > 200, "only {count} were found in {}", file.display());
    for (name, known) in
        [("sqlstate_MY001", true), ("sqlstate_42P01", false), ("sqlstate_abc", false), ("invalid_password", false)]
    {
        assert_eq!(runwright::runbook::is_error_class(name), known, "{name}");
    }
}

/// Scripts of hostile texts: cut by us and sent one by one, they give what the server gives for the whole.
#[test]
fn scripts_are_cut_where_the_server_cuts_them() {
    let bench = Bench::new();
    let piece = prop::sample::select(vec![
        "'a;b'",
        "'it''s'",
        "E'\\';'",
        "e'\\\\'",
        "$$;$$",
        "$a$ $$ ; $a$",
        "$_1$'$_1$",
        "U&'\\0041;'",
        "'--'",
        "'/*'",
        "N'x;'",
        "';' 'x'",
    ]);
    let between = prop::sample::select(vec![" ", "\n", " -- it's ; \n", " /* ; ' /* $$ */ \" */ ", "\t"]);
    let statement = (piece, between.clone(), between).prop_map(|(piece, one, two)| {
        // Two literals side by side go on only over a line break.
        let piece = if piece == "';' 'x'" { "';'\n'x'" } else { piece };
        format!("select{one}{piece}{two}as{one}\";\"")
    });
    let script = prop::collection::vec(statement, 1..6);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let tested = runner.run(&script, |statements| {
        let whole = statements.join(";");
        let expected = bench.database.rows(&whole);
        prop_assert_eq!(expected.len(), statements.len());
        let ended = bench.change(&whole).succeeds();
        let last = expected.last().expect("a row")[0].clone().expect("a value");
        prop_assert_eq!(ended.field("rows"), json!([{";": last}]));
        // The last of several statements says nothing of how many there were: the record does.
        prop_assert_eq!(ended.statements(), statements.len());
        Ok(())
    });
    tested.expect("every script is cut alike");
}
