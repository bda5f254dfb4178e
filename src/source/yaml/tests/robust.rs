//! Hostile and broken inputs end soon, without a panic, with places that fit the file.

#![expect(clippy::disallowed_methods, reason = "the test measures that hostile text is refused at once")]

use super::super::super::{Data, DiagnosticFormat, Diagnostics, Node, Source, Span, parse_yaml, render};
use std::time::{Duration, Instant};

fn first_code(text: &str) -> &'static str {
    let mut problems = Diagnostics::new();
    let started = Instant::now();
    let root = parse_yaml(&Source::new("r", text), &mut problems);
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    assert!(root.is_none());
    problems.sorted()[0].code
}

#[test]
fn bombs_are_refused() {
    assert_eq!(first_code(&"[".repeat(20_000)), "too-deep");
    assert_eq!(first_code(&"{a: ".repeat(20_000)), "too-deep");
    assert_eq!(first_code(&"- ".repeat(20_000)), "too-deep");
    let items = vec!["x"; 2_000].join(", ");
    let many = format!("a: &a [{items}]\nb: [{}]\n", vec!["*a"; 5_000].join(", "));
    assert_eq!(first_code(&many), "alias-expansion");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 500].join(", "));
    assert_eq!(first_code(&long), "alias-expansion");
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..30 {
        bomb.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
    }
    assert_eq!(first_code(&bomb), "alias-expansion");
    let mut deep = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(first_code(&deep), "too-deep");
}

fn spans(node: &Node, found: &mut Vec<Span>) {
    found.push(node.span);
    match &node.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| spans(item, found)),
        Data::Map(entries) => entries.iter().for_each(|entry| {
            found.push(entry.key.span);
            spans(&entry.value, found);
        }),
    }
}

fn check(text: &str) {
    let source = Source::new("r", text);
    let mut problems = Diagnostics::new();
    let root = parse_yaml(&source, &mut problems);
    assert!(root.is_some() || problems.has_errors(), "{text:?} is neither read nor refused");
    let mut found = Vec::new();
    if let Some(root) = &root {
        spans(root, &mut found);
        if let Data::Map(entries) = &root.data {
            for scalar in entries.iter().filter_map(|entry| entry.value.as_scalar()) {
                found.push(scalar.place(&source, 1..scalar.text.len()));
            }
        }
    }
    for problem in problems.sorted() {
        found.push(problem.label.span);
        found.extend(problem.others.iter().map(|label| label.span));
        found.extend(problem.suggestion.iter().map(|suggestion| suggestion.span));
    }
    for span in found {
        assert!(text.get(span.range()).is_some(), "{span:?} does not fit {text:?}");
    }
    let shown = render(&problems, DiagnosticFormat::Text, false);
    assert!(shown.chars().all(|char| char == '\n' || !char.is_control()), "{shown:?}");
    for format in [DiagnosticFormat::Json, DiagnosticFormat::Sarif, DiagnosticFormat::Github] {
        let _shown = render(&problems, format, false);
    }
}

/// A small generator with a fixed seed, so that a failure comes back.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit.max(1) as u64)).unwrap_or(0)
    }
}

const SEEDS: &[&str] = &[
    "steps:\n  - id: a\n    run: [x, \"{{ y }}\"]\n    env: {A: 'b'}\n  - id: ä\n    shell: |\n      one\n       two\n",
    "a: &a {x: 1}\nb:\n  <<: *a\n  c: >-\n    folded\n    text\n? k\n: 'it''s'\n",
    "title: Restart\nwhen: x == 1 # why\nlist:\n- 1\n- \n- {a: [b, c], d: }\n",
];

const PIECES: &[&str] = &[
    ":", ": ", " #", "\n", "\t", "  ", "- ", "[", "]", "{", "}", "{{", "}}", "\"", "'", "|", ">", "&a ", "*a", "!t ",
    "%", "@", "`", "---\n", "...\n", "<<: ", "? ", ",", "\\", "ö", "\u{2028}", "\r\n", "\r", "\u{0}", "\u{202e}",
    "\u{feff}", "\n\n", "|2-\n",
];

#[test]
fn mutated_inputs_never_panic() {
    let mut dice = Dice(0x5EED_1234_ABCD_0001);
    for round in 0..6_000 {
        let mut text = SEEDS[round % SEEDS.len()].to_owned();
        for _ in 0..=dice.below(4) {
            let at = text.floor_char_boundary(dice.below(text.len() + 1));
            match dice.below(3) {
                0 => text.insert_str(at, PIECES[dice.below(PIECES.len())]),
                1 => {
                    let end = text.floor_char_boundary((at + 1 + dice.below(6)).min(text.len())).max(at);
                    text.replace_range(at..end, "");
                }
                _ => {
                    let end = text.ceil_char_boundary((at + 1).min(text.len()));
                    text.replace_range(at..end, PIECES[dice.below(PIECES.len())]);
                }
            }
        }
        check(&text);
    }
}
