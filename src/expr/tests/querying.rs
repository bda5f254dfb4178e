//! jq inside expressions.

#![expect(clippy::disallowed_methods, reason = "the test measures a deadline")]

use super::{check, shown};
use std::time::Instant;

#[test]
fn jq_gives_one_output_or_a_list() {
    check(&[
        ("jq(body, '.items | length')", "3"),
        ("jq(body, '.items[] | select(.agent == $who) | .id', who='a')", "[1,3]"),
        ("jq(body, '.items[] | select(.agent == $who) | .id', who='b')", "[2]"),
        ("jq(body, '.items[] | select(.agent == $who) | .id', who='z')", "[]"),
        (
            "jq(body, '.items | group_by(.agent) | map({agent: .[0].agent, count: length}) | sort_by(-.count)')[0].agent",
            "\"a\"",
        ),
        ("jq(body, '[.items[].id] | add')", "6"),
        ("jq(body, 'first(.items[].id)')", "1"),
        ("jq(body, 'empty')", r#"{"unknown":"jq gave nothing in `jq(body, 'empty')`"}"#),
        ("jq(body, '.state')", "\"OPEN\""),
        ("jq(body, '1, 2')", "[1,2]"),
        ("jq(n, '. / 2')", "5"),
        ("jq(n, '. / 4')", "2.5"),
        ("jq_all(body, '.state')", r#"["OPEN"]"#),
        ("body | jq('.ratio')", "0.5"),
        ("jq(body, 'def f: .items[]; [f | .id]')", "[1,2,3]"),
        ("jq(body, 'def f: .items[]; f | .id')", "[1,2,3]"),
        ("jq(gone, '.a')", r#"{"unknown":"the read failed"}"#),
        ("jq(n, '\"x\\(.)y\" + \"z\"')", "\"x10yz\""),
        (
            "jq({'a': [1]}, '.a += [2] | .a *= 2 | .a')",
            "error: `jq`: the jq program gave up: cannot calculate [1,2] * 2",
        ),
        ("jq({'a': [1]}, '.a += [2]')", r#"{"a":[1,2]}"#),
        ("jq(none, '[(1, 2) + (10, 20)]')", "[11,21,12,22]"),
        ("jq({'a': {'x': 1}}, '. * {a: {y: 2}}')", r#"{"a":{"x":1,"y":2}}"#),
        ("jq(ban, '.')", "\"1h 30m\""),
        ("jq(['a', 'b'], 'join(\"-\")')", "\"a-b\""),
        ("jq([3, 1], 'tojson')", "\"[3,1]\""),
        ("jq(5, '[range(.)]')", "[0,1,2,3,4]"),
        ("jq(5, '[range(5; 0; -2)]')", "[5,3,1]"),
    ]);
}

#[test]
fn jq_says_what_is_wrong() {
    check(&[
        ("jq(body, '.items[')", "error: `jq`: the jq program ends where closing bracket is expected"),
        ("jq(body, 'nosuch')", "error: `jq`: the jq program has no filter named `nosuch`"),
        ("jq(body, '$x')", "error: `jq`: the jq program has no variable `$x`: pass it as `x=..`"),
        ("jq(body, 'env')", "error: `jq`: `env` is not available in a runbook's jq"),
        ("jq(body, 'input')", "error: `jq`: `input` is not available in a runbook's jq"),
        ("jq(body, 'halt')", "error: `jq`: `halt` is not available in a runbook's jq"),
        ("jq(body, 'error(\"no\")')", "error: `jq`: the jq program gave up: no"),
        ("jq(body, '.state.x')", "error: `jq`: the jq program gave up: cannot index \"OPEN\" with \"x\""),
    ]);
}

#[test]
fn a_runaway_program_ends() {
    for program in [
        "[range(1e12)] | length",
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: [f]; f",
        "reduce range(100) as $i ([1]; . + .)",
        "reduce range(100) as $i (\"ab\"; . + .)",
        "reduce range(100) as $i (\"ab\"; . * 10)",
        "reduce range(200) as $i (10; . * .)",
        "\"ab\" * 1e12",
        "\"ab\" * 1000000000000",
        "reduce range(60) as $i (1; [., .]) | tojson | length",
        "reduce range(60) as $i (1; [., .]) | \"\\(.)\" | length",
        "reduce range(60) as $i (1; [., .])",
        "[limit(100000000; repeat(\"x\"))] | length",
        "[recurse(. + 1)] | length",
        "range(1e12)",
    ] {
        let start = Instant::now();
        let found = shown(&format!("jq(1, '{program}')"));
        assert!(found.starts_with("error: `jq`: the jq program"), "{program}: {}", &found[..found.len().min(200)]);
        assert!(start.elapsed().as_secs() < 30, "{program} took {:?}", start.elapsed());
    }
}
