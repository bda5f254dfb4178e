//! Statements with their values in.

use super::*;
use crate::expr::SecretText;
use crate::plan::{Act, Resolver, Values};
use crate::runbook::parse_runbook;
use crate::source::Diagnostics;
use std::collections::HashMap;

/// Resolves the only step of a runbook whose `sql` is given, with values for `a`, `t` and so on.
fn resolve(sql: &str, change: bool, values: &[(&str, Value)]) -> Result<SqlAct, String> {
    let kind = if change { "remediate" } else { "diagnose" };
    let text = format!(
        "runbook: case\ntitle: A case\ntargets:\n  db: {{ postgres: \"postgres://app@db.example/orders\" }}\nsteps:\n  - {kind}: Do\n    sql: |\n      {}\n",
        sql.replace('\n', "\n      ")
    );
    let source = Source::new("case.yaml", text);
    let mut problems = Diagnostics::new();
    let runbook = Arc::new(parse_runbook(&source, &mut problems).expect("a runbook"));
    let resolver = Resolver::new(Arc::clone(&runbook), HashMap::new(), Arc::new(|_: &str| None));
    let roots = indexmap::IndexMap::new();
    let values_of_run = Values::new(roots, Vec::new(), crate::expr::UnknownSort::Unobtained);
    let mut scope = values_of_run.scope(jiff::Timestamp::UNIX_EPOCH);
    scope.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let action = runbook.steps[0].action().expect("an action");
    match resolver.act(action, None, change, &scope) {
        Ok(Some(Act::Sql(sql))) => Ok(*sql),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.message),
    }
}

#[test]
fn values_are_bound_and_names_quoted() {
    let values = [("t", Value::from("or\"ders")), ("a", Value::from("it's")), ("n", Value::from(7))];
    let act = resolve("update {{ t | ident }} set a = {{ a }}\nwhere n = {{ n }};\ndelete from x", true, &values)
        .expect("an act");
    let view = view(&act);
    assert_eq!(view.text, "update \"or\"\"ders\" set a = $1\nwhere n = $2;\ndelete from x");
    let more: Vec<String> = view.more.iter().map(|line| format!("{}: {}", line.label, line.text)).collect();
    assert_eq!(
        more,
        [
            "bind: statement 1, $1 = 'it''s'",
            "bind: statement 1, $2 = 7",
            "runs: in one transaction",
            "on: db.example:5432/orders, user app, sslmode verify-full"
        ]
    );
    assert!(view.holes.is_empty());
}

#[test]
fn what_is_unknown_is_a_hole() {
    let missing = crate::expr::unknown(crate::expr::UnknownSort::NotYet, "it has not run");
    let act = resolve("select {{ a }} from {{ t | ident }}", false, &[("a", missing.clone()), ("t", missing)])
        .expect("an act");
    let view = view(&act);
    assert_eq!(view.text, "select $1 from ‹t | ident›");
    assert_eq!(view.more[0].text, "$1 = ‹a›");
    let holes: Vec<&str> = view.holes.iter().map(|hole| hole.label.as_str()).collect();
    assert_eq!(holes, ["t | ident", "a"]);
}

#[test]
fn a_secret_stands_alone() {
    let key = || crate::expr::secret(SecretText::new("key", "hunter2hunter2"));
    let act = resolve("select {{ a }}", false, &[("a", key())]).expect("an act");
    assert_eq!(view(&act).more[0].text, "$1 = ‹secret key›");
    let inside = Value::from(vec![key()]);
    assert!(resolve("select {{ a }}", false, &[("a", inside)]).expect_err("refused").contains("secret inside"));
}

#[test]
fn names_and_values_have_limits() {
    let long = Value::from("é".repeat(32));
    assert!(resolve("select {{ t | ident }}", false, &[("t", long)]).expect_err("refused").contains("64 bytes"));
    let nul = Value::from(vec![Value::from("a\0b")]);
    assert!(resolve("select {{ a }}", false, &[("a", nul)]).expect_err("refused").contains("NUL"));
}

#[test]
fn texts_of_values_are_those_of_sql() {
    let span = |text: &str| Value::from(Duration::parse(text).expect("a duration"));
    for (value, text) in [
        (Value::from(()), None),
        (Value::from(true), Some("true")),
        (Value::from(-3), Some("-3")),
        (Value::from(1.5), Some("1.5")),
        (Value::from(1e300), Some("1e300")),
        (Value::from("x"), Some("x")),
        (span("90m"), Some("5400 seconds")),
        (span("-1500ms"), Some("-1.500000 seconds")),
        (Value::from(Time::parse("2026-01-02T03:04:05Z").expect("a time")), Some("2026-01-02T03:04:05Z")),
    ] {
        assert_eq!(sql_text(&value).as_deref(), text);
    }
}

#[test]
fn a_byte_that_is_sent_knows_its_line() {
    let act = resolve(
        "select {{ a }},\n  nope\nfrom {{ t | ident }} x",
        false,
        &[("a", Value::from(1)), ("t", Value::from("things"))],
    );
    let act = act.expect("an act");
    let statement = &act.statements[0];
    let text = statement.text.reveal().expect("a text");
    for (word, line, column) in [("select", 8, 7), ("$1", 8, 17), ("nope", 9, 9), ("\"things\"", 10, 15), ("x", 10, 28)]
    {
        let place = statement.places.at(text.rfind(word).expect(word)).expect("a place");
        assert_eq!((place.line, place.column), (line, column), "{word}: {}", place.text);
    }
}
