//! Scripts cut into statements.

use super::*;
use crate::source::parse_yaml;

/// Reads the scalar of a document of one key.
fn script(yaml: &str) -> Result<SqlScript, Vec<SqlProblem>> {
    let source = Source::new("test.yaml", yaml);
    let node = parse_yaml(&source, &mut crate::source::Diagnostics::new()).expect("a document");
    let scalar = node.as_map().expect("a map")[0].value.as_scalar().expect("a scalar").clone();
    let template = Template::parse(&scalar.text, &|range| scalar.place(&source, range)).expect("a template");
    SqlScript::parse(&template, &scalar, &source)
}

fn block(sql: &str) -> String {
    let lines: Vec<String> = sql.lines().map(|line| format!("  {line}")).collect();
    format!("sql: |\n{}\n", lines.join("\n"))
}

/// Each statement with `?` for a value and `#` for a name.
fn cut(sql: &str) -> Vec<String> {
    let script = script(&block(sql)).unwrap_or_else(|problems| panic!("{sql}: {problems:?}"));
    let part = |part: &SqlPart| match part {
        SqlPart::Text { text, .. } => text.clone(),
        SqlPart::Bind(_) => "?".to_owned(),
        SqlPart::Name(_) => "#".to_owned(),
    };
    script.statements().iter().map(|statement| statement.parts().iter().map(part).collect()).collect()
}

/// The codes of the problems, each with the text it points at.
fn problems(sql: &str) -> Vec<(&'static str, String)> {
    let yaml = block(sql);
    let found = script(&yaml).expect_err(sql);
    found.into_iter().map(|problem| (problem.code, yaml[problem.span.range()].to_owned())).collect()
}

#[test]
fn statements_end_at_semicolons_of_their_own() {
    assert_eq!(cut("select 1"), ["select 1"]);
    assert_eq!(cut("select 1; ;; select ';' ;-- done"), ["select 1", "select ';'"]);
    assert_eq!(
        cut("-- first\nselect {{ a }} -- why; not\n;\nselect 2"),
        ["-- first\nselect ? -- why; not", "select 2"]
    );
    assert_eq!(cut("do $$ begin; end $$; select 1"), ["do $$ begin; end $$", "select 1"]);
    assert_eq!(
        cut("create rule r as on insert to t do also (a; b); c"),
        ["create rule r as on insert to t do also (a; b)", "c"]
    );
    assert_eq!(
        cut(
            "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3"
        ),
        [
            "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end",
            "select 3"
        ]
    );
    assert_eq!(cut("begin; select case 1 when 1 then 2 end; end"), ["begin", "select case 1 when 1 then 2 end", "end"]);
}

#[test]
fn values_become_parameters_and_names() {
    assert_eq!(
        cut("update {{ t | ident }} set {{ c | ident }} = {{ v }}::int where a=({{ w }})"),
        ["update # set # = ?::int where a=(?)"]
    );
    assert_eq!(cut("select * from {{ s | ident }}.{{ t | ident }} limit {{ n }};"), ["select * from #.# limit ?"]);
}

#[test]
fn a_value_in_quotes_is_refused() {
    for sql in
        ["select '{{ x }}'", "select \"{{ x }}\"", "do $$ {{ x }} $$", "select 1 -- {{ x }}", "/* {{ x }} */ select 1"]
    {
        let found = problems(sql);
        assert_eq!(found[0].0, "sql-quoted-template", "{sql}");
        assert!(found[0].1.contains('x'), "{sql}: {found:?}");
    }
}

#[test]
fn a_value_next_to_a_word_is_refused() {
    for sql in [
        "select a{{ x }}",
        "select {{ x }}1",
        "select {{ x }}{{ y }}",
        "select E{{ x }}",
        "select ${{ x }}",
        "select U&{{ x | ident }}",
        "select {{ x | ident }}\"b\"",
        "select 'a'{{ x }}",
        "{{ x }}",
    ] {
        assert_eq!(problems(sql)[0].0, "sql-joined-template", "{sql}");
    }
    assert_eq!(cut("select {{ x }}& {{ y }} +{{ z }}"), ["select ?& ? +?"]);
}

#[test]
fn what_is_not_sql_is_refused() {
    assert_eq!(problems("\\d things"), [("sql-meta-command", "\\".to_owned())]);
    assert_eq!(problems("select 1 \\gx"), [("sql-meta-command", "\\".to_owned())]);
    assert_eq!(problems("select $1"), [("sql-parameter", "$1".to_owned())]);
    assert_eq!(problems("select 'abc"), [("sql-not-closed", "'".to_owned())]);
    assert_eq!(problems("select 1 /* /* */"), [("sql-not-closed", "/".to_owned())]);
    assert_eq!(problems("copy t from stdin"), [("sql-copy", "copy".to_owned())]);
    assert_eq!(problems("-- nothing\n;")[0].0, "sql-empty");
    assert_eq!(cut("select E'\\n' || '\\d'"), ["select E'\\n' || '\\d'"]);
}

#[test]
fn control_of_transactions_is_seen() {
    for (sql, word) in [
        ("BEGIN", Some("begin")),
        ("/* x */ commit and chain", Some("commit")),
        ("start transaction read write", Some("start")),
        ("prepare transaction 'a'", Some("prepare")),
        ("rollback", Some("rollback")),
        ("rollback to savepoint a", None),
        ("savepoint a", None),
        ("prepare a as select 1", None),
        ("select 1 as commit", None),
    ] {
        assert_eq!(script(&block(sql)).expect("a script").statements()[0].transaction_word(), word, "{sql}");
    }
}

#[test]
fn every_byte_knows_its_place() {
    for yaml in [
        "sql: |\n    select {{ a }},\n      {# no #} 'é' from {{ t | ident }}\n",
        "sql: select {{ a }}\n  from b\n",
        "sql: 'select ''x'', {{ a }}'\n",
        "sql: \"select {{ a }} from b\"\n",
    ] {
        let script = script(yaml).expect("a script");
        for part in script.statements()[0].parts() {
            let SqlPart::Text { text, runs } = part else { continue };
            for (at, character) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
                let (start, written) = runs.iter().rev().find(|(start, _)| *start <= at).expect("a run");
                let place = script.place(written + at - start).expect("a place");
                assert!(yaml[place..].starts_with(character), "{character:?} of {text:?} in {yaml:?}");
            }
        }
    }
}
