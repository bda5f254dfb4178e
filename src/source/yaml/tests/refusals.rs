//! What is refused, where, and in which words.

use super::super::super::{DiagnosticFormat, Diagnostics, Source, parse_yaml, render};

fn problems(text: &str) -> Diagnostics {
    let mut problems = Diagnostics::new();
    let _tree = parse_yaml(&Source::new("r.yaml", text), &mut problems);
    problems
}

#[test]
fn dump() {
    for text in TABLE.iter().map(|row| row.0) {
        println!("{text}");
        println!("{}", render(&problems(text), DiagnosticFormat::Text, false));
    }
}
const TABLE: &[(&str, &str)] = &[
    ("a: 1\nb: 2\na: 3\n", ""),
    ("a:\n\tb: 1\n", ""),
    ("a: 1\n  \tb: 2\n", ""),
    ("target: {{ db }}\n", ""),
    ("name: {{ db }}-copy\n", ""),
    ("http: { post: /v1/{{ x }}/open, json: { a: 1 } }\n", ""),
    ("run: [psql, {{ db }}]\n", ""),
    ("title: Restart: now\n", ""),
    ("when: [a] == b # why\n", ""),
    ("when: 'a' == x\n", ""),
    ("say: \"it\" works\n", ""),
    ("expect: *foo > 1\n", ""),
    ("expect: *foo\n", ""),
    ("expect: !done\n", ""),
    ("a: !!str 5\n", ""),
    ("to: @oncall\n", ""),
    ("rate: %d\n", ""),
    ("cmd: `x`\n", ""),
    ("steps:\n  - id: a\n     diagnose: x\n", ""),
    ("steps:\n  - id: a\n   diagnose: x\n", ""),
    ("steps:\n  - id: a\n  diagnose: x\n", ""),
    ("steps:\n  - id: a\n - id: b\n", ""),
    ("a: 1\n b: 2\n", ""),
    ("  a: 1\nb: 2\n", ""),
    ("a: |\n   x\n  y\nb: 1\n", ""),
    ("a: [x, y\nb: 1\n", ""),
    ("a: {b: 1\nc: 2\n", ""),
    ("a: {b: 1, c\n", ""),
    ("{a: 1, b: 2", ""),
    ("a: { get: /x, expect: b: c }\n", ""),
    ("a: [x}\n", ""),
    ("a: }\n", ""),
    ("a: \"foo\nb: 1\n", ""),
    ("a: \"\\q\"\n", ""),
    ("a: foo\n  bar # c\n  baz\n", ""),
    ("a: 1\n---\nb: 2\n", ""),
    ("", ""),
    ("# only\n", ""),
    ("---\n", ""),
    ("%YAML 1.1\n---\na: 1\n", ""),
    ("? [a]\n: b\n", ""),
    (": b\n", ""),
    ("runbook\nnext: 1\n", ""),
    ("a: 1\nfoo\nb: 2\n", ""),
    ("- a\nb: 1\n", ""),
    ("a: 1\n- b\n", ""),
    ("a: - b\n", ""),
    ("a: > 5\n", ""),
    ("a: x\u{1b}[31m\n", ""),
    ("a: \u{202e}x\n", ""),
    ("a: &x [*x]\n", ""),
    ("a: {<<: 5}\n", ""),
];
