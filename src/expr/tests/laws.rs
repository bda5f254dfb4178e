//! Properties that hold for any input.

use super::{World, here, parse};
use crate::expr::syntax::{Form, Node, NodeKind};
use crate::expr::{
    Duration, Expr, Place, Scope, Template, UnknownSort, Value, from_json, from_record, to_json, to_record, unknown,
};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use std::sync::Mutex;

/// Kleene's three values, as expressions of the test world.
const THREE: [&str; 3] = ["no", "gone", "yes"];

fn three(text: &str) -> Option<bool> {
    let value = parse(text).eval(&World).unwrap_or_else(|error| panic!("{text}: {error}"));
    crate::expr::unknown_of(&value).is_none().then(|| value.is_true())
}

/// `false < unknown < true`: "and" is the least, "or" the greatest, "not" turns around.
fn rank(value: Option<bool>) -> u8 {
    value.map_or(1, |value| if value { 2 } else { 0 })
}

#[test]
fn logic_obeys_kleenes_tables() {
    for a in THREE {
        assert_eq!(rank(three(&format!("not {a}"))), 2 - rank(three(a)));
        for b in THREE {
            let (x, y) = (rank(three(a)), rank(three(b)));
            assert_eq!(rank(three(&format!("{a} and {b}"))), x.min(y), "{a} and {b}");
            assert_eq!(rank(three(&format!("{a} or {b}"))), x.max(y), "{a} or {b}");
            assert_eq!(rank(three(&format!("[{a}, {b}] | all"))), x.min(y), "all of {a}, {b}");
            assert_eq!(rank(three(&format!("[{a}, {b}] | any"))), x.max(y), "any of {a}, {b}");
            assert_eq!(three(&format!("not ({a} and {b})")), three(&format!("not {a} or not {b}")), "De Morgan");
            for c in THREE {
                let (left, right) = (format!("{a} and ({b} or {c})"), format!("{a} and {b} or {a} and {c}"));
                assert_eq!(three(&left), three(&right), "{left}");
            }
        }
    }
}

/// Any expression, by its text.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z][a-z0-9_]{0,4}".prop_filter("a word of the language", |name| {
            !["and", "or", "not", "if", "else", "is", "in", "true", "false", "none"].contains(&name.as_str())
        }),
        Just("'é ( \"x'".to_owned()),
        Just("\"it's\"".to_owned()),
        (0..2000_u32).prop_map(|n| n.to_string()),
        Just("1.5".to_owned()),
        Just("true".to_owned()),
        Just("now".to_owned()),
    ];
    leaf.prop_recursive(5, 48, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or",
        ]);
        let gap = prop::sample::select(vec![" ", "\n", "  ", "\t \n "]);
        prop_oneof![
            (inner.clone(), operator, inner.clone(), gap.clone())
                .prop_map(|(a, op, b, gap)| format!("{a}{gap}{op}{gap}{b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("( {a} )")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("({a}).field.other")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}:]")),
            (inner.clone(), inner.clone(), gap).prop_map(|(a, b, gap)| format!("({a}){gap}|{gap}default({b})")),
            inner.clone().prop_map(|a| format!("({a}) is defined")),
            inner.clone().prop_map(|a| format!("({a}) is not defined")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) is not divisibleby({b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'k': {a}, 'é': {b}}}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("f({a}, k={b})")),
        ]
    })
}

/// A node without its places.
fn shape(node: &Node) -> String {
    let mut parts = Vec::new();
    node.each_child(&mut |child| parts.push(shape(child)));
    let head = match &node.kind {
        NodeKind::Name(name) => format!("name {name}"),
        NodeKind::Literal(value) => format!("literal {value:?}"),
        NodeKind::Attribute(_, word) => format!("attribute {}", word.text),
        NodeKind::Call(call) => format!("{:?} {} {}", call.form, call.name.text, call.named.len()),
        NodeKind::Compare(_, rest) => {
            format!("compare {:?}", rest.iter().map(|(comparison, _)| *comparison).collect::<Vec<_>>())
        }
        NodeKind::Arithmetic(operator, _) => format!("{operator:?}"),
        NodeKind::List(_) => "list".to_owned(),
        NodeKind::Map(_) => "map".to_owned(),
        NodeKind::Item(..) => "item".to_owned(),
        NodeKind::Slice(slice) => {
            format!("slice {} {} {}", slice.start.is_some(), slice.stop.is_some(), slice.step.is_some())
        }
        NodeKind::Not(_) => "not".to_owned(),
        NodeKind::Negative(_) => "negative".to_owned(),
        NodeKind::And(_) => "and".to_owned(),
        NodeKind::Or(_) => "or".to_owned(),
        NodeKind::If(_) => "if".to_owned(),
    };
    format!("{head}({})", parts.join(", "))
}

fn every_place_is_right(node: &Node, text: &str) -> Result<(), TestCaseError> {
    let under = node.source(text);
    prop_assert_eq!((node.span.start, node.span.end), (node.within.0 as usize, node.within.1 as usize));
    let again =
        Expr::parse(under, &here).map_err(|error| TestCaseError::fail(format!("{under:?}: {}", error.message)))?;
    // The test inside `a is not b` has no text of its own.
    let again = match &again.root().kind {
        NodeKind::Not(inner) if matches!(&node.kind, NodeKind::Call(call) if call.form == Form::Test) => inner,
        _ => again.root(),
    };
    prop_assert_eq!(shape(node), shape(again), "under {:?} in {:?}", under, text);
    if let NodeKind::Attribute(_, word) = &node.kind {
        prop_assert_eq!(&text[word.span.range()], &*word.text);
    }
    if let NodeKind::Call(call) = &node.kind {
        prop_assert_eq!(&text[call.name.span.range()], &*call.name.text);
    }
    let mut outcome = Ok(());
    node.each_child(&mut |child| {
        if outcome.is_ok() {
            outcome = every_place_is_right(child, text);
        }
    });
    outcome
}

/// A world of one name, `v`.
struct One(Value);

impl Scope for One {
    fn lookup(&self, name: &str) -> Option<Value> {
        (name == "v").then(|| self.0.clone())
    }

    fn now(&self) -> jiff::Timestamp {
        super::NOW.parse().unwrap()
    }
}

fn rendered(text: &str, value: &str, place: Place) -> Option<String> {
    let template = Template::parse(text, &here).unwrap();
    let rendered = template.render(&One(Value::from(value)), place).ok()?;
    Some(rendered.reveal().unwrap())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e12..1e12).prop_map(|number: f64| number.into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_text_under_each_node_is_that_node(text in expressions()) {
        if let Ok(expr) = Expr::parse(&text, &here) {
            every_place_is_right(expr.root(), &text)?;
        }
    }

    #[test]
    fn places_go_through_the_callback(text in expressions(), lead in "[a é\n]{0,5}") {
        let whole = format!("{lead}{{{{ {text} }}}} tail");
        let Ok(template) = Template::parse(&whole, &here) else { return Ok(()) };
        let expr = template.expressions().next().unwrap();
        prop_assert_eq!(&whole[expr.span().range()], expr.text());
        for reference in expr.references() {
            prop_assert!(whole[reference.span.range()].contains(reference.path[0].as_str()));
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused_without_panic(text in any::<String>()) {
        let bounds = Mutex::new(true);
        let place = |range: std::ops::Range<usize>| {
            *bounds.lock().unwrap() &= range.end <= text.len() && text.is_char_boundary(range.start) && text.is_char_boundary(range.end);
            here(range)
        };
        let expr = Expr::parse(&text, &place);
        let template = Template::parse(&text, &place);
        prop_assert!(*bounds.lock().unwrap());
        if let Ok(expr) = expr {
            let _unused = expr.eval(&World);
        }
        if let Ok(template) = template {
            let _unused = template.render(&World, Place::Plain);
        }
    }

    #[test]
    fn soup_of_the_language_never_panics(words in prop::collection::vec(prop::sample::select(vec![
        "n", "t", "body", ".items", "[0]", "[", "]", "(", ")", "{", "}", "'a'", ":", ",", "|", "length", "first", "+", "-", "*",
        "**", "99999999999", "1e300", "/", "//", "%", "~", "==", "<", "in", "not", "and", "or", "if", "else", "is", "defined", "gone",
        "partly", "later", "started", "ban", "now", "round", "jq", "range", "sort", "admin", "{{", "}}", "{%", "{#", "é",
    ]), 0..14)) {
        let text = words.join(" ");
        if let Ok(expr) = Expr::parse(&text, &here) {
            let _unused = expr.eval(&World);
        }
        if let Ok(template) = Template::parse(&text, &here) {
            let _unused = template.render(&World, Place::Argument);
        }
    }

    #[test]
    fn a_value_arrives_exact_in_a_text(value in any::<String>(), around in "[^{}]{0,4}") {
        let text = format!("{around}{{{{ v }}}}{around}");
        match rendered(&text, &value, Place::Plain) {
            Some(found) => prop_assert_eq!(found, format!("{around}{value}{around}")),
            None => prop_assert!(text.contains('\0') || value.contains('\0')),
        }
    }

    #[test]
    fn a_value_is_one_segment_of_a_url(value in any::<String>()) {
        match rendered("/a/{{ v }}/b", &value, Place::UrlPath) {
            Some(found) => {
                let segments: Vec<_> = found.split('/').collect();
                prop_assert_eq!(segments.len(), 4);
                prop_assert!(found.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)));
                prop_assert_eq!(percent_decode_str(segments[2]).decode_utf8().unwrap(), value);
            }
            None => prop_assert!(["", ".", ".."].contains(&value.as_str())),
        }
    }

    #[test]
    fn an_argument_never_turns_into_an_option(value in any::<String>()) {
        match rendered("{{ v }}", &value, Place::Argument) {
            Some(found) => prop_assert!(found == value && !found.starts_with('-')),
            None => prop_assert!(value.starts_with('-') || value.contains('\0')),
        }
    }

    #[test]
    fn json_comes_back_from_the_language(json in json()) {
        prop_assert_eq!(&to_json(&from_json(&json)), &json);
        prop_assert_eq!(&to_record(&from_record(&json)), &json);
    }

    #[test]
    fn durations_are_shown_as_they_are_read(nanoseconds in any::<i64>()) {
        let duration = Duration(jiff::SignedDuration::from_nanos(nanoseconds));
        prop_assert_eq!(Duration::parse(&duration.to_string()), Some(duration), "{}", duration);
    }

    #[test]
    fn whole_arithmetic_agrees_with_wide_integers(a in any::<i64>(), b in any::<i64>()) {
        let (wide_a, wide_b) = (i128::from(a), i128::from(b));
        for (sign, wanted) in [("+", wide_a + wide_b), ("-", wide_a - wide_b), ("*", wide_a * wide_b)] {
            let found = parse(&format!("({a}) {sign} ({b})")).eval(&World).map(|value| value.to_string());
            let fits = i64::try_from(wanted).is_ok() || u64::try_from(wanted).is_ok();
            prop_assert_eq!(found.ok(), fits.then(|| wanted.to_string()));
        }
    }
}

#[test]
fn special_values_come_back_from_the_record() {
    let text = "[now, duration('1h 30m'), {'a': [duration('90d')]}, none]";
    let value = parse(text).eval(&World).unwrap();
    let record = to_record(&value);
    assert_eq!(
        record.to_string(),
        r#"[{"$time":"2026-03-01T12:00:00Z"},{"$duration":"1h 30m"},{"a":[{"$duration":"90d"}]},null]"#
    );
    assert_eq!(to_record(&from_record(&record)), record);
    assert_eq!(to_json(&value).to_string(), r#"["2026-03-01T12:00:00Z","1h 30m",{"a":["90d"]},null]"#);
    let missing = to_record(&unknown(UnknownSort::Unobtained, "lost"));
    assert_eq!(to_record(&from_record(&missing)), missing);
    let secret = World.lookup("admin").unwrap();
    assert_eq!(to_record(&secret).to_string(), r#"{"$secret":"admin"}"#);
    let back = from_record(&to_record(&secret));
    assert_eq!(crate::expr::unknown_of(&back).unwrap().reason, "the secret `admin` is not kept in the record");
}

#[test]
fn what_json_does_not_have_and_what_looks_like_ours_comes_back_as_it_was() {
    for text in [r#"{"$time":"soon"}"#, r#"{"$unknown":"no"}"#, r#"{"$map":{"$time":"x"}}"#, r#"[{"$secret":"x"}]"#] {
        let hostile = serde_json::from_str(text).expect("JSON");
        let back = from_record(&to_record(&from_json(&hostile)));
        assert_eq!(to_json(&back), hostile);
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let back = f64::try_from(from_record(&to_record(&Value::from(number)))).expect("a number");
        assert_eq!(back.to_bits(), number.to_bits());
    }
    for number in [i128::from(i64::MIN), i128::from(u64::MAX), i128::MAX, i128::MIN] {
        let back = i128::try_from(from_record(&to_record(&Value::from(number)))).expect("a number");
        assert_eq!(back, number);
    }
}
