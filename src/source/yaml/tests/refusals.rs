//! What is refused, where, and in which words.

use super::super::super::{DiagnosticFormat, Diagnostics, Source, parse_yaml, render};

fn problems(text: &str) -> Diagnostics {
    let mut problems = Diagnostics::new();
    let _tree = parse_yaml(&Source::new("r.yaml", text), &mut problems);
    problems
}

/// `code line:column` of each problem.
fn places(text: &str) -> String {
    let problems = problems(text);
    let place = |problem: &&super::super::super::Diagnostic| {
        let (line, column) = problem.source.position(problem.label.span.start);
        format!("{} {line}:{column}", problem.code)
    };
    problems.sorted().iter().map(place).collect::<Vec<_>>().join(", ")
}

fn shown(text: &str) -> String {
    render(&problems(text), DiagnosticFormat::Text, false)
}

#[test]
fn every_mistake_is_named_at_its_place() {
    let mut wrong = String::new();
    for (text, wanted) in TABLE {
        let found = places(text);
        if found != *wanted {
            wrong.push_str(&format!("    ({text:?}, {found:?}),\n"));
        }
    }
    assert!(wrong.is_empty(), "these differ:\n{wrong}");
}

#[test]
fn a_suggestion_mends_what_it_is_for() {
    let mut tried = 0;
    for (text, _) in TABLE {
        for problem in problems(text).sorted() {
            let Some(suggestion) = &problem.suggestion else { continue };
            let mut mended = (*text).to_owned();
            mended.replace_range(suggestion.span.range(), &suggestion.text);
            assert!(problems(&mended).is_empty(), "{text:?} became {mended:?}: {}", shown(&mended));
            tried += 1;
        }
    }
    assert!(tried > 15, "only {tried} suggestions");
}

const TABLE: &[(&str, &str)] = &[
    ("a: 1\nb: 2\na: 3\n", "duplicate-key 3:1"),
    ("a:\n\tb: 1\n", "yaml-tab 2:1"),
    ("a: 1\n  \tb: 2\n", "yaml-tab 2:3"),
    ("target: {{ db }}\n", "unquoted-template 1:9"),
    ("name: {{ db }}-copy\n", "unquoted-template 1:7"),
    ("http: { post: /v1/{{ x }}/open, json: { a: 1 } }\n", "unquoted-template 1:15"),
    ("run: [psql, {{ db }}]\n", "unquoted-template 1:13"),
    ("title: Restart: now\n", "yaml-syntax 1:15"),
    ("when: [a] == b # why\n", "yaml-syntax 1:7"),
    ("when: 'a' == x\n", "yaml-syntax 1:11"),
    ("say: \"it\" works\n", "yaml-syntax 1:11"),
    ("expect: *foo > 1\n", "yaml-syntax 1:9"),
    ("expect: *foo\n", "yaml-alias 1:9"),
    ("expect: !done\n", "yaml-tag 1:9"),
    ("a: !!str 5\n", "yaml-tag 1:4"),
    ("to: @oncall\n", "yaml-syntax 1:5"),
    ("rate: %d\n", "yaml-syntax 1:7"),
    ("cmd: `x`\n", "yaml-syntax 1:6"),
    ("steps:\n  - id: a\n     diagnose: x\n", "yaml-indent 3:6"),
    ("steps:\n  - id: a\n   diagnose: x\n", "yaml-indent 3:4"),
    ("steps:\n  - id: a\n  diagnose: x\n", "yaml-indent 3:3"),
    ("steps:\n  - id: a\n - id: b\n", "yaml-indent 3:2"),
    ("a: 1\n b: 2\n", "yaml-indent 2:2"),
    ("  a: 1\nb: 2\n", "yaml-indent 2:1"),
    ("a: |\n   x\n  y\nb: 1\n", "yaml-indent 3:3"),
    ("a: [x, y\nb: 1\n", "yaml-syntax 1:4"),
    ("a: {b: 1\nc: 2\n", "yaml-syntax 1:4"),
    ("a: {b: 1, c\n", "yaml-syntax 1:4"),
    ("{a: 1, b: 2", "yaml-syntax 1:1"),
    ("a: { get: /x, expect: b: c }\n", "yaml-syntax 1:24"),
    ("a: [x}\n", "yaml-syntax 1:4"),
    ("a: }\n", "yaml-syntax 1:4"),
    ("a: \"foo\nb: 1\n", "yaml-syntax 1:4"),
    ("a: \"\\q\"\n", "yaml-syntax 1:5"),
    ("a: foo\n  bar # c\n  baz\n", "yaml-syntax 2:7"),
    ("a: 1\n---\nb: 2\n", "many-documents 2:1"),
    ("", "empty-document 1:1"),
    ("# only\n", "empty-document 1:1"),
    ("---\n", "empty-document 1:1"),
    ("%YAML 1.1\n---\na: 1\n", "yaml-syntax 1:1"),
    ("? [a]\n: b\n", "key-not-text 1:3"),
    (": b\n", "key-not-text 1:2"),
    ("runbook\nnext: 1\n", "yaml-syntax 1:1"),
    ("a: 1\nfoo\nb: 2\n", "yaml-syntax 2:1"),
    ("- a\nb: 1\n", "yaml-indent 2:1"),
    ("a: 1\n- b\n", "yaml-indent 2:1"),
    ("a: - b\n", "yaml-syntax 1:4"),
    ("a: > 5\n", "yaml-syntax 1:4"),
    ("a: x\u{1b}[31m\n", "control-character 1:5"),
    ("a: \u{202e}x\n", "bidi-character 1:4"),
    ("a: 1\nb:\n  c: 1\n  c: 2\nb: 3\n", "duplicate-key 4:3, duplicate-key 5:1"),
    ("a: {b: 1, b: 2, \"b\": 3}\n", "duplicate-key 1:11, duplicate-key 1:17"),
    ("a: &x {b: 1}\nc: {<<: *x, <<: *x}\n", "duplicate-key 2:13"),
    ("a: \0\n", "control-character 1:4"),
    ("a: [1, 2] ]\n", "yaml-syntax 1:4"),
    ("a: &x [*x]\n", "yaml-alias 1:8"),
    ("a: {<<: 5}\n", "merge-value 1:5"),
];

#[test]
fn typical_mistakes_read_well() {
    insta::assert_snapshot!(shown("steps:\n  - id: a\n     run: [x]\n"), @r#"
    error[yaml-indent]: the key `run` starts at column 6, but its neighbours start at column 5
     --> r.yaml:3:6
      |
    2 |   - id: a
      |     -- column 5
    3 |      run: [x]
      |      ^^^
      |
    hint: indent it like `id` on line 2; if it belongs under `id`, that key cannot have a value of its own

    1 error
    "#);
    insta::assert_snapshot!(shown("a:\n\tb: 1\n"), @r#"
    error[yaml-tab]: a tab stands in the indentation; YAML wants spaces
     --> r.yaml:2:1
      |
    2 |  b: 1
      | ^ this tab
      |
    hint: indent with spaces; the line above starts at column 1

    1 error
    "#);
    insta::assert_snapshot!(shown("target: {{ db }}-copy\n"), @r#"
    error[unquoted-template]: a text that starts with `{{` needs quotes
     --> r.yaml:1:9
      |
    1 | target: {{ db }}-copy
      |         ^^^^^^^^^^^^^ YAML reads this as a map
      |
    hint: put the text in quotes: `target: "{{ db }}-copy"`

    1 error
    "#);
    insta::assert_snapshot!(shown("title: Restart: now\n"), @r#"
    error[yaml-syntax]: a text with `: ` in it needs quotes
     --> r.yaml:1:15
      |
    1 | title: Restart: now
      |               ^ YAML reads this as the end of a key
      |
    hint: put the text in quotes: `title: "Restart: now"`

    1 error
    "#);
    insta::assert_snapshot!(shown("http: { get: /x, expect: a: b }\n"), @r#"
    error[yaml-syntax]: a text with `: ` in it needs quotes
     --> r.yaml:1:27
      |
    1 | http: { get: /x, expect: a: b }
      |                           ^ YAML reads this as the end of a key
      |
    hint: put the text in quotes: `http: { get: /x, expect: "a: b" }`

    1 error
    "#);
    insta::assert_snapshot!(shown("a: 1\nb: 2\na: 3\n"), @r#"
    error[duplicate-key]: the key `a` stands twice in this map
     --> r.yaml:3:1
      |
    1 | a: 1
      | - first here
    2 | b: 2
    3 | a: 3
      | ^ again here
      |
    hint: remove one of them, or rename it; the first is on line 1

    1 error
    "#);
    insta::assert_snapshot!(shown("when: 'a' == x # why\n"), @r#"
    error[yaml-syntax]: nothing may follow the closing `'` of a text in quotes
     --> r.yaml:1:11
      |
    1 | when: 'a' == x # why
      |           ^^^^ too much
      |
    hint: put the text in quotes: `when: "'a' == x" # why`

    1 error
    "#);
    insta::assert_snapshot!(shown("run: [x, y\nid: z\n"), @r#"
    error[yaml-syntax]: this `[` is never closed
     --> r.yaml:1:6
      |
    1 | run: [x, y
      |      ^ opened here
      |
    hint: write the `]` that belongs to it; a text that starts with `[` needs quotes

    1 error
    "#);
}
