//! Limits of series, and links of headers.

use super::check;

const TWO: &str = "[{'labels': {'to': '/a'}, 'value': 0.4}, {'labels': {'to': '/b'}, 'value': 2}]";

#[test]
fn series_are_held_against_their_limits() {
    let with = |call: &str, wanted: &'static str| (format!("{TWO} | {call}"), wanted);
    let a = r#"[{"labels":{"to":"/a"},"value":0.4,"limit":0.3}]"#;
    let b = r#"[{"labels":{"to":"/b"},"value":2,"limit":1}]"#;
    let cases = [
        with("above(1)", b),
        with("above(2)", "[]"),
        with("above(2) | length == 0", "true"),
        with("below(0.4)", "[]"),
        with("above({'/a': 0.3}, by='to', otherwise=5)", a),
        with("above({'/a': 0.4, '/b': 2.0}, by='to')", "[]"),
        with("above({'/b': 1}, by='to')", b),
        with("above({'/b': 2}, by='to')", r#"{"unknown":"no limit is given for {\"to\":\"/a\"}"}"#),
        with("above({'/c': 2}, by='to', otherwise=9)", r#"{"unknown":"no series has to=\"/c\""}"#),
        with("above({'/c': 2}, by='to', otherwise=1)", b),
        with(
            "above({'/a': 1}, otherwise=2)",
            "error: `above`: a map of limits needs `by`: the label that chooses among them",
        ),
        with("above({'/a': 'x'}, by='to')", "error: `above`: the limit of \"/a\" must be a number, not text \"x\""),
        with("above(gone)", r#"{"unknown":"the read failed"}"#),
        with("above(1, attribute='max')", "error: `above`: an item has no field `max`"),
    ];
    let cases: Vec<_> = cases.iter().map(|(text, wanted)| (text.as_str(), *wanted)).collect();
    check(&cases);
}

#[test]
fn what_is_not_known_of_a_series_is_no_pass_and_no_excuse() {
    check(&[
        ("empty | above(1)", r#"{"unknown":"`empty` is empty: no series is within a limit"}"#),
        ("empty | above(1) | length == 0", r#"{"unknown":"`empty` is empty: no series is within a limit"}"#),
        ("[{'labels': {}, 'value': gone}] | above(1)", r#"{"unknown":"the value of {} is unknown: the read failed"}"#),
        ("[{'labels': {}, 'value': gone}, {'labels': {}, 'value': 3}] | above(1) | length", "1"),
        (
            "[{'labels': {}, 'value': gone}, {'labels': {}, 'value': 0}] | above(1) | length == 0",
            r#"{"unknown":"the value of {} is unknown: the read failed"}"#,
        ),
        ("[{'labels': {}, 'value': '3'}] | above(1)", "error: `above`: text \"3\" is not a number"),
        ("[{'labels': {}, 'min': 0.5}] | below(0.9, attribute='min') | length", "1"),
    ]);
}

#[test]
fn a_link_is_found_by_its_relation() {
    check(&[
        ("header_link({'link': '</a?x=1>; rel=\"next\"'}, 'next')", "\"/a?x=1\""),
        ("header_link({'link': '<a>; rel=prev; title=\"x, <y>\", <b>; rel=\"last Next\"'}, 'next')", "\"b\""),
        ("header_link({'link': '<a>; rel=prev'}, 'next')", r#"{"unknown":"no `Link` header has the relation `next`"}"#),
        ("header_link({'link': '<a; rel=next'}, 'next') | default('')", "\"\""),
        ("header_link({}, 'next') | default('')", "\"\""),
    ]);
}
