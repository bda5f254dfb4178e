//! What is read, with its spans, and the same values as another reader.

use super::super::super::{Data, Diagnostics, Node, Source, Span, parse_yaml};
use proptest::prelude::*;
use serde_yaml::Value;

fn read(text: &str) -> (Source, Node) {
    let source = Source::new("r.yaml", text);
    let mut problems = Diagnostics::new();
    let root = parse_yaml(&source, &mut problems);
    assert!(problems.is_empty(), "{text:?}: {:?}", problems.sorted());
    (source.clone(), root.expect("a tree"))
}

/// The tree with the place of everything, as `start..end`.
fn outline(node: &Node) -> String {
    let Span { start, end } = node.span;
    match &node.data {
        Data::Scalar(scalar) => format!("{:?}@{start}..{end}", scalar.text),
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(outline).collect();
            format!("[{}]@{start}..{end}", items.join(" "))
        }
        Data::Map(entries) => {
            let entry = |entry: &super::super::super::Entry| {
                let key = entry.key.span;
                format!("{}@{}..{}={}", entry.key.value, key.start, key.end, outline(&entry.value))
            };
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{{}}}@{start}..{end}", entries.join(" "))
        }
    }
}

#[test]
fn everything_has_its_place() {
    let cases = [
        ("a:\nb: x\n", "{a@0..1=\"\"@2..2 b@3..4=\"x\"@6..7}@0..7"),
        ("a : 1\n'b': \"c\"\n", "{a@0..1=\"1\"@4..5 b@6..9=\"c\"@11..14}@0..14"),
        ("a:\n- x\n- y\n\n# z\nb: 1", "{a@0..1=[\"x\"@5..6 \"y\"@9..10]@3..10 b@16..17=\"1\"@19..20}@0..20"),
        ("a:\n  - x\n  -\n", "{a@0..1=[\"x\"@7..8 \"\"@12..12]@5..12}@0..12"),
        ("a: [x, {b: , c}]\n", "{a@0..1=[\"x\"@4..5 {b@8..9=\"\"@10..10 c@13..14=\"\"@14..14}@7..15]@3..16}@0..16"),
        ("a: |\n  x\n  y\nb: >-\n  z\n", "{a@0..1=\"x\\ny\\n\"@3..13 b@13..14=\"z\"@16..23}@0..23"),
        ("\u{feff}ä: ö\n", "{ä@3..5=\"ö\"@7..9}@3..9"),
        ("a: ~\nb: null\n", "{a@0..1=\"~\"@3..4 b@5..6=\"null\"@8..12}@0..12"),
    ];
    for (text, wanted) in cases {
        assert_eq!(outline(&read(text).1), wanted, "{text:?}");
    }
}

#[test]
fn aliases_repeat_and_explicit_keys_win() {
    let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {w: 0, <<: [*a, *b], x: 9}\nd: *a\n";
    let (_, root) = read(text);
    let entries = root.as_map().expect("a map");
    let values = |at: usize| {
        let entries = entries[at].value.as_map().expect("a map").iter();
        entries.map(|e| format!("{}{}", e.key.value, e.value.as_scalar().expect("text").text)).collect::<String>()
    };
    assert_eq!(values(2), "w0y2z4x9");
    assert_eq!(values(3), "x1y2");
    assert_eq!(entries[3].value.span, entries[0].value.span);
}

#[test]
fn the_first_of_two_keys_stays_and_a_bare_template_is_a_text() {
    let mut problems = Diagnostics::new();
    let root = parse_yaml(&Source::new("r", "a: 1\na: 2\nb: {{ x }}\n"), &mut problems).expect("a tree");
    assert_eq!(outline(&root), "{a@0..1=\"1\"@3..4 b@10..11=\"{{ x }}\"@13..20}@0..20");
    assert_eq!(problems.len(), 2);
}

/// Our tree as the oracle would have it: plain texts are left to its own reading.
fn same(node: &Node, value: &Value) -> bool {
    match (&node.data, value) {
        (Data::Scalar(scalar), Value::String(text)) => scalar.text == *text,
        (Data::Scalar(scalar), other) => {
            let read: Value = serde_yaml::from_str(&scalar.text).unwrap_or(Value::Null);
            !scalar.is_quoted() && read == *other
        }
        (Data::List(items), Value::Sequence(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| same(item, value))
        }
        (Data::Map(entries), Value::Mapping(map)) => {
            entries.len() == map.len()
                && entries
                    .iter()
                    .all(|entry| map.get(entry.key.value.as_str()).is_some_and(|value| same(&entry.value, value)))
        }
        _ => false,
    }
}

const AGREED: &[&str] = &[
    "a: 1\nb: [x, 'y z', \"w\\n\"]\nc: {d: e, f: {}}\n",
    "steps:\n- id: a\n  run: [x, y]\n- id: b\n  shell: |\n    one\n      two\n\n    three\n",
    "a: >-\n  folded\n  text\n\n  more\n    kept\n  end\nb: |+\n  x\n\nc: |2-\n    y\n",
    "a: plain\n  over\n\n  lines\nb: 'it''s\n  here'\nc: \"x\\\n   y\\t\"\n",
    "- - a\n  - b\n- c:\n    d: ~\n- []\n",
    "x: &x [1, 2]\ny: *x\n",
    "? k\n: v\n'quoted key': \"#\"\nurl: http://h:80/a#b\n",
    "a: 1\r\nb: |\r\n  x\r\n  y\r\n",
    "key:\tvalue\nt: true\nn: -5\nf: 1.5\n",
];

#[test]
fn values_agree_with_another_reader() {
    for text in AGREED {
        let value: Value = serde_yaml::from_str(text).expect("the oracle reads it");
        assert!(same(&read(text).1, &value), "{text:?}\n{}\n{value:?}", outline(&read(text).1));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~äé\n]{0,24}".prop_map(Value::String);
    text.prop_recursive(4, 40, 5, |inner| {
        let key = "[a-z_ :#-]{1,8}".prop_map(Value::String);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Sequence),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Mapping(pairs.into_iter().collect())),
        ]
    })
}

/// Lines of words, in each of the spellings, with the text they stand for left to the reader.
fn written() -> impl Strategy<Value = String> {
    let line = "[a-zä{}|]{1,5}( {1,2}[a-z'ö]{1,4}){0,3}";
    let lines = prop::collection::vec((line, 0_usize..3, 0_usize..3), 1..5);
    (lines, 0_usize..5).prop_map(|(lines, style)| {
        let (open, close, extra) = match style {
            0 => ("w", "", false),
            1 => ("'", "'", false),
            2 => ("\"", "\"", false),
            3 => ("|\n    ", "", true),
            _ => (">\n    ", "", true),
        };
        let mut body = String::new();
        for (at, (line, blank, indent)) in lines.iter().enumerate() {
            let line = if style == 1 { line.replace('\'', "''") } else { line.clone() };
            let more = if extra && at > 0 { indent * 2 } else { 0 };
            if at > 0 {
                body.push_str(&"\n".repeat(blank % 2 + 1));
                body.push_str("    ");
            }
            body.push_str(&" ".repeat(more));
            body.push_str(&line);
        }
        format!("x: y\nk: {open}{body}{close}\nz: 1\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_other_writer_writes_is_read_the_same(value in any_value()) {
        let text = serde_yaml::to_string(&value).expect("written");
        let source = Source::new("r", text.as_str());
        let mut problems = Diagnostics::new();
        if let Some(root) = parse_yaml(&source, &mut problems) {
            prop_assert!(same(&root, &value), "{text}\n{}", outline(&root));
        } else {
            let codes: Vec<_> = problems.sorted().iter().map(|problem| problem.code).collect();
            prop_assert_eq!(codes, ["empty-document"]);
        }
    }

    #[test]
    fn every_letter_of_a_text_is_found_in_the_file(text in written()) {
        let (source, root) = read(&text);
        let entries = root.as_map().expect("a map");
        let scalar = entries[1].value.as_scalar().expect("text");
        for (at, char) in scalar.text.char_indices() {
            let place = scalar.place(&source, at..at + char.len_utf8());
            if !char.is_whitespace() {
                prop_assert_eq!(source.slice(place).trim_end_matches('\'').len() <= char.len_utf8(), true, "{:?}", place);
                prop_assert!(source.slice(place).starts_with(char), "{:?} at {} of {:?}: {:?}", char, at, text, place);
                prop_assert!(place != scalar.span() || scalar.text.chars().count() == 1, "not mapped: {:?}", text);
            }
        }
    }
}

#[test]
fn an_escape_means_the_whole_text() {
    let (source, root) = read("k: \"a\\tb {{ x }}\"\n");
    let scalar = root.as_map().expect("a map")[0].value.as_scalar().expect("text");
    assert_eq!(scalar.place(&source, 3..5), scalar.span());
    let (source, root) = read("k: >-\n  one\n  two {{ x }}\n");
    let scalar = root.as_map().expect("a map")[0].value.as_scalar().expect("text");
    assert_eq!(source.slice(scalar.place(&source, 8..15)), "{{ x }}");
    assert_eq!(scalar.place(&source, 15..15), Span::new(25, 25), "an end is a place too");
}
