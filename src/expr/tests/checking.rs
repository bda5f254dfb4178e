//! What the checker finds before a run.
use super::parse;
use crate::expr::{Names, Shape, function_table};
use indexmap::IndexMap;

struct Known;

impl Names for Known {
    fn shape(&self, name: &str) -> Option<Shape> {
        let record = |fields: &[(&str, Shape)]| {
            Shape::Record(
                fields.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect::<IndexMap<_, _>>(),
            )
        };
        Some(match name {
            "n" => Shape::Number,
            "t" => Shape::Text,
            "ok" => Shape::Boolean,
            "ban" => Shape::Duration,
            "began" => Shape::Time,
            "any" => Shape::Any,
            "admin" => Shape::Secret,
            "hosts" => Shape::List(Box::new(Shape::Text)),
            "labels" => Shape::Map,
            "queue" => record(&[("pending", Shape::Number), ("text", Shape::Text), ("body", Shape::Any)]),
            _ => return None,
        })
    }

    fn all(&self) -> Vec<String> {
        ["n", "t", "ok", "ban", "began", "any", "admin", "hosts", "labels", "queue"].map(str::to_owned).to_vec()
    }
}

/// The problems as `code [word] message (hint)`, and the shape of the result.
fn found(text: &str) -> String {
    let (shape, problems) = parse(text).check(&Known);
    if problems.is_empty() {
        return format!("{shape:?}");
    }
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| {
            let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}] {}{hint}", problem.code, &text[problem.span.range()], problem.message)
        })
        .collect();
    lines.join("; ")
}

#[test]
fn problems_point_at_the_word_and_help() {
    let cases = [
        ("queue.pending > 1 and ok", "Boolean"),
        ("queue.body.anything[0].goes", "Any"),
        ("hosts | first", "Text"),
        ("hosts | length + 1", "Number"),
        ("now - began > ban", "Boolean"),
        ("n / 2 if ok else 0", "Number"),
        ("admin", "Secret"),
        ("admin | default('')", "Secret"),
        ("admin is defined and admin != none", "Boolean"),
        ("jq(any, '.a[]')", "List(Any)"),
        ("jq(any, '.a')", "Any"),
        ("{'a': n}.a", "Number"),
        ("qeue.pending", "unknown-name [qeue] nothing here is named `qeue` (did you mean `queue`?)"),
        (
            "jq > 1",
            "unknown-name [jq] nothing here is named `jq` (`jq` is a function: write `jq(value, program, **vars)`)",
        ),
        ("queue.pendng > 1", "unknown-field [pendng] `queue` has no field `pendng` (did you mean `pending`?)"),
        ("queue['zzz']", "unknown-field ['zzz'] `queue` has no field `zzz` (it has `pending`, `text`, `body`)"),
        (
            "hosts.name",
            "unknown-field [name] `hosts` is a list, it has no field `name` (write `hosts[0].name` or `hosts | map(attribute='name')`)",
        ),
        ("t.x", "unknown-field [x] `t` is a text, it has no field `x`"),
        ("lenth(hosts)", "unknown-function [lenth] there is no function named `lenth` (did you mean `length`?)"),
        ("hosts | lenght", "unknown-filter [lenght] there is no filter named `lenght` (did you mean `length`?)"),
        ("n is evn", "unknown-test [evn] there is no test named `evn` (did you mean `even`?)"),
        (
            "t > n",
            "type-clash [n] cannot compare text (`t`) with number (`n`) (read the text as a number with `| int` or `| float`)",
        ),
        (
            "ban > '1h'",
            "type-clash ['1h'] cannot compare duration (`ban`) with text (`'1h'`) (write the duration as `duration('1h30m')`)",
        ),
        ("t + t", "type-clash [t + t] cannot compute text (`t`) + text (`t`) (to join texts, write `~`)"),
        ("n and ok", "type-clash [n] `n` is a number, not true or false (write a comparison)"),
        ("1 if t else 2", "type-clash [t] `t` is a text, not true or false (write a comparison)"),
        ("n in hosts", "type-clash [hosts] cannot compare number (`n`) with list (`hosts`)"),
        ("n | lines", "type-clash [n] `lines` needs a text, not a number (`n`)"),
        (
            "admin ~ 'x'",
            "secret-use [admin] `admin` is a secret: a secret may only be passed on as it is (use it alone, in `env`, `stdin`, a header or a body)",
        ),
        (
            "t | upper(1, 2)",
            "bad-argument [t | upper(1, 2)] `upper` takes another number of arguments (write `upper(text)`)",
        ),
        (
            "hosts | sort(by='x')",
            "bad-argument ['x'] `sort` has no argument named `by` (write `sort(list, attribute=TEXT, reverse=BOOLEAN)`)",
        ),
        ("jq(any, '.a |')", "bad-argument ['.a |'] the jq program ends where term is expected"),
        ("jq(any, '.a == $x')", "bad-argument ['.a == $x'] the jq program has no variable `$x`: pass it as `x=..`"),
        ("matches(t, '(')", "bad-argument ['('] the regular expression is not right: unclosed group"),
        ("age(began) < duration('1 hr x')", "bad-argument ['1 hr x'] \"1 hr x\" is not a duration such as `1h30m`"),
        ("hosts | map('uper')", "bad-argument ['uper'] there is no filter named `uper`, did you mean `upper`?"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, wanted)| (text, wanted, found(text)))
        .filter(|(_, wanted, found)| **wanted != found)
        .map(|(text, wanted, found)| format!("{text}\n  wanted {wanted}\n  found  {found}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn all_problems_of_an_expression_are_found() {
    let (_, problems) = parse("nope + (queue.x | nofilter) and t").check(&Known);
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["unknown-name", "unknown-field", "unknown-filter", "type-clash"]);
}

#[test]
fn the_table_of_functions_is_whole() {
    struct Anything;
    impl Names for Anything {
        fn shape(&self, _: &str) -> Option<Shape> {
            Some(Shape::Any)
        }
        fn all(&self) -> Vec<String> {
            Vec::new()
        }
    }
    let table = function_table();
    for pair in table.windows(2) {
        assert!((pair[0].is_test, pair[0].name) < (pair[1].is_test, pair[1].name), "{} twice?", pair[1].name);
    }
    for doc in table {
        assert!(doc.about.ends_with('.') && doc.signature.contains(doc.name), "{doc:?}");
        let (_, problems) = parse(doc.example).check(&Anything);
        assert!(problems.is_empty(), "{}: {problems:?}", doc.example);
    }
}
