//! What expressions give.

use super::{World, check, parse};
use crate::expr::{Verdict, to_json};

#[test]
fn arithmetic_is_typed_and_checked() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("7 / 2", "3.5"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 // -2", "-4"),
        ("-7 // -2", "3"),
        ("-7 % 2", "1"),
        ("7 % -2", "-1"),
        ("-7 % -2", "-1"),
        ("2 ** 10", "1024"),
        ("2 ** -1", "0.5"),
        ("-n", "-10"),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("18446744073709551615 + 1", "error: the result of `18446744073709551615 + 1` is too large for a whole number"),
        ("2 ** 200", "error: the result of `2 ** 200` is too large for a whole number"),
        ("[1] + [2]", "[1,2]"),
        ("'a' + 'b'", "error: cannot add text \"a\" and text \"b\": to join texts, write `~`"),
        ("t + n", "error: cannot compute text \"9\" (`t`) + number 10 (`n`)"),
        ("'a' ~ n ~ yes ~ 1.5", "\"a10true1.5\""),
        ("'a' ~ nothing", "error: cannot join none (`nothing`) to a text"),
        ("'ab' * 2", "\"abab\""),
        ("'ab' * 1000000000", "error: the text is longer than 16 MiB"),
        ("range(10000000)", "error: `range`: the list is longer than 1000000 items"),
    ]);
}

#[test]
fn what_cannot_be_computed_is_unknown_with_a_reason() {
    check(&[
        ("1 / 0", r#"{"unknown":"division by zero in `1 / 0`"}"#),
        ("1 % 0", r#"{"unknown":"division by zero in `1 % 0`"}"#),
        ("ban / 0", r#"{"unknown":"division by zero in `ban / 0`"}"#),
        ("1e308 * 10.0", r#"{"unknown":"`1e308 * 10.0` is not a finite number"}"#),
        ("body.nope", r#"{"unknown":"`body` has no field `nope`"}"#),
        ("body.nope.deeper", r#"{"unknown":"`body` has no field `nope`"}"#),
        ("body['nope']", r#"{"unknown":"`body` has no field `nope`"}"#),
        ("body.items[7]", r#"{"unknown":"`body.items` has no item 7, only 3"}"#),
        ("body.items[-1].id", "3"),
        ("empty[0]", r#"{"unknown":"`empty` is empty"}"#),
        ("empty | first", r#"{"unknown":"`empty` is empty"}"#),
        ("empty | max", r#"{"unknown":"`empty` is empty"}"#),
        ("nothing + 1", r#"{"unknown":"`nothing` is none"}"#),
        ("body.none.x", r#"{"unknown":"`body.none` is none, it has no field `x`"}"#),
        ("t.x", r#"{"unknown":"`t` is a text, it has no field `x`"}"#),
        ("gone + 1", r#"{"unknown":"the read failed"}"#),
        ("gone.a.b", r#"{"unknown":"the read failed"}"#),
        ("gone | length", r#"{"unknown":"the read failed"}"#),
        ("gone == 1", r#"{"unknown":"the read failed"}"#),
        ("gone == nothing", r#"{"unknown":"the read failed"}"#),
        ("[gone, 1] | last", "1"),
        ("partly | length", r#"{"unknown":"lost"}"#),
        ("partly | sum", r#"{"unknown":"lost"}"#),
        ("partly", r#"[1,{"unknown":"lost"}]"#),
        ("nothing", "null"),
        ("nothing == none", "true"),
        ("n == none", "false"),
    ]);
}

#[test]
fn logic_is_kleenes_and_wants_booleans() {
    check(&[
        ("no and gone", "false"),
        ("gone and no", "false"),
        ("gone and yes", r#"{"unknown":"the read failed"}"#),
        ("yes or gone", "true"),
        ("gone or yes", "true"),
        ("gone or no", r#"{"unknown":"the read failed"}"#),
        ("not gone", r#"{"unknown":"the read failed"}"#),
        ("gone and later", r#"{"unknown":"`queue` has not run"}"#),
        ("1 if yes else 1 / 0", "1"),
        ("1 if gone else 2", r#"{"unknown":"the read failed"}"#),
        ("no and t > n", "false"),
        ("n and yes", "error: `n` is number 10, not true or false: write a comparison"),
        ("not t", "error: `t` is text \"9\", not true or false: write a comparison"),
        ("1 if n else 2", "error: `n` is number 10, not true or false: write a comparison"),
        ("[gone > 1, yes] | any", "true"),
        ("[gone > 1, yes] | all", r#"{"unknown":"the read failed"}"#),
    ]);
}

#[test]
fn default_replaces_what_was_not_obtained_only() {
    check(&[
        ("gone | default(5)", "5"),
        ("body.nope | default('x')", "\"x\""),
        ("n | default(1 / 0)", "10"),
        ("later | default(5)", r#"{"unknown":"`queue` has not run"}"#),
        ("nothing | default(5)", "null"),
        ("gone is defined", "false"),
        ("gone is undefined", "true"),
        ("gone is unknown", "true"),
        ("n is defined", "true"),
        ("n is not defined", "false"),
        ("later is defined", r#"{"unknown":"`queue` has not run"}"#),
        (
            "body.items if body.items is defined else []",
            r#"[{"id":1,"agent":"a"},{"id":2,"agent":"b"},{"id":3,"agent":"a"}]"#,
        ),
    ]);
}

#[test]
fn comparison_is_typed() {
    check(&[
        ("t > n", "error: cannot compare text \"9\" (`t`) with number 10 (`n`)"),
        ("t == n", "error: cannot compare text \"9\" (`t`) with number 10 (`n`)"),
        ("'9' == 10", "error: cannot compare text \"9\" with number 10"),
        ("n == 10.0", "true"),
        ("1 < n < 20", "true"),
        ("1 < n < 5", "false"),
        ("yes == no", "false"),
        ("yes < no", "error: cannot compare boolean true (`yes`) with boolean false (`no`)"),
        ("[1, 2] == [1, 2.0]", "true"),
        ("{'a': 1} == {'a': 1}", "true"),
        ("{'a': 1} != {'b': 1}", "true"),
        ("[1] < [2]", "error: cannot compare a list of 1 (`[1]`) with a list of 1 (`[2]`)"),
        ("[gone] == [1]", r#"{"unknown":"the read failed"}"#),
        ("[gone, 1] == [1, 2]", "false"),
        ("'b' in 'abc'", "true"),
        ("'b' not in 'abc'", "false"),
        ("2 in [1, 2]", "true"),
        ("9 in ['9']", "error: cannot look for number 9 in a list of 1 (`['9']`): it holds text \"9\""),
        ("'items' in body", "true"),
        ("1 in 5", "error: `in` needs a list, a map or a text on its right, not number 5"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("admin == none", "false"),
        ("admin == 'x'", "error: cannot compare a secret (`admin`) with text \"x\""),
    ]);
}

#[test]
fn times_and_durations_compute() {
    check(&[
        ("now - started", "\"30m\""),
        ("age(started)", "\"30m\""),
        ("age('2026-02-28T12:00:00Z')", "\"1d\""),
        ("started + ban", "\"2026-03-01T13:00:00Z\""),
        ("ban * 2", "\"3h\""),
        ("ban / 2", "\"45m\""),
        ("ban / duration('30m')", "3.0"),
        ("ban | seconds", "5400"),
        ("duration('90d') | seconds", "7776000"),
        ("duration('1 month')", r#"{"unknown":"`'1 month'` is not a duration: \"1 month\""}"#),
        ("ban > duration('1h')", "true"),
        ("ban > 60", "error: cannot compare duration 1h 30m (`ban`) with number 60"),
        ("started < now", "true"),
        ("time('2026-03-01T12:00:00Z') == now", "true"),
        ("-ban", "\"-1h 30m\""),
        ("ban + n", "error: cannot compute duration 1h 30m (`ban`) + number 10 (`n`)"),
    ]);
}

#[test]
fn slices_and_lists() {
    check(&[
        ("[1, 2, 3, 4][1:3]", "[2,3]"),
        ("[1, 2, 3, 4][::-1]", "[4,3,2,1]"),
        ("[1, 2, 3][-2:]", "[2,3]"),
        ("'hello'[:2]", "\"he\""),
        ("'hello'[9:]", "\"\""),
        ("body.items | map(attribute='id') | sum", "6"),
        ("body.items | map(attribute='agent') | unique", r#"["a","b"]"#),
        ("body.items | selectattr('agent', 'eq', 'a') | length", "2"),
        ("body.items | selectattr('nope', 'defined') | length", "0"),
        ("body.items | rejectattr('id', 'gt', 1) | map(attribute='id')", "[1]"),
        ("[3, 1, 2] | sort", "[1,2,3]"),
        ("[3, 1, 2] | sort(reverse=true) | first", "3"),
        ("body.items | max(attribute='id')", r#"{"id":3,"agent":"a"}"#),
        ("[1, 'a'] | sort", "error: `sort`: cannot compare number 1 with text \"a\""),
        ("[1, 2, 3] | select('odd')", "[1,3]"),
        ("['a', 'B'] | map('upper') | join('+')", "\"A+B\""),
        ("body.items | groupby('agent') | map(attribute='key')", r#"["a","b"]"#),
        ("[duration('1h'), duration('30m')] | sum", "\"1h 30m\""),
        ("[1, 2, 3, 4] | percentile(50)", "2.5"),
        ("{'b': 1, 'a': 2} | dictsort", r#"[["a",2],["b",1]]"#),
        ("[1, 2, 3] | reverse", "[3,2,1]"),
        ("[1,2,3] | batch(2)", "[[1,2],[3]]"),
    ]);
}

#[test]
fn texts_are_read() {
    check(&[
        ("'a\nb\n' | lines", r#"["a","b"]"#),
        ("json('{\"a\": [1]}').a[0]", "1"),
        ("json('nope')", r#"{"unknown":"`'nope'` is not JSON: expected ident at line 1 column 2"}"#),
        ("toml('a = 1\n[b]\nc = \"x\"')", r#"{"a":1,"b":{"c":"x"}}"#),
        ("matches('version 12.3', '(?<major>[0-9]+)[.]([0-9]+)').named.major", "\"12\""),
        ("matches('version 12.3', '(?<major>[0-9]+)[.]([0-9]+)').groups[2]", "\"3\""),
        ("matches('x', '[0-9]').found", "false"),
        ("matches('x', '(')", "error: `matches`: the regular expression is not right: unclosed group"),
        ("bytes('2GiB')", "2147483648"),
        ("bytes('1.5k')", "1500"),
        ("bytes('x')", r#"{"unknown":"`'x'` is not a size such as `2GiB`: \"x\""}"#),
        ("2147483648 | filesize", "\"2 GiB\""),
        ("' 42 ' | int", "42"),
        ("'x' | int", r#"{"unknown":"`'x'` is not a whole number: \"x\""}"#),
        ("2.345 | round(2)", "2.35"),
        ("2.5 | round", "3"),
        ("'a-b' | replace('-', '_') | upper", "\"A_B\""),
        ("'a,b' | split(',')", r#"["a","b"]"#),
        ("'x' | ident", "\"\\\"x\\\"\""),
        ("{'a': [1, ban]} | tojson", r#""{\"a\":[1,\"1h 30m\"]}""#),
        ("n | lower", "\"10\""),
    ]);
}

#[test]
fn metrics_are_read() {
    check(&[
        ("metric(page, 'pending')", "100"),
        ("metric(page, 'up', job='b')", "0"),
        ("metric(page, 'odd', path='a\"b,}')", "2.5"),
        ("metric(page, 'nope')", r#"{"unknown":"no sample of `nope`"}"#),
        ("metric(page, 'up', job='z')", r#"{"unknown":"no sample of `up{job=\"z\"}`"}"#),
        ("metric(page, 'bad')", r#"{"unknown":"the sample of `bad` is NaN"}"#),
        (
            "metric(page, 'up')",
            "error: `metric`: `up` has 2 samples, name labels until one is left: {job=\"a\", zone=\"x\"}, {job=\"b\", zone=\"x\"}",
        ),
        ("metrics(page, 'up', zone='x') | map(attribute='value')", "[1,0]"),
        ("metrics(page, 'nope')", "[]"),
    ]);
}

#[test]
fn secrets_are_only_passed_on() {
    check(&[
        ("admin", r#"{"secret":"admin"}"#),
        ("admin | default('x')", r#"{"secret":"admin"}"#),
        ("admin if yes else 'x'", r#"{"secret":"admin"}"#),
        ("admin is defined", "true"),
        ("admin ~ 'x'", "error: cannot join a secret (`admin`) to a text"),
        ("admin | upper", "error: a secret may only be passed on as it is"),
        ("[admin]", "error: a secret may only be passed on as it is, not inside a list or map"),
        ("admin.x", "error: a secret may only be passed on as it is"),
        ("admin + 1", "error: cannot compute a secret (`admin`) + number 1"),
    ]);
}

#[test]
fn history_and_names() {
    check(&[
        ("last('backup', 'dump.size')", "\"backup/dump.size\""),
        ("[1, 2] | last", "2"),
        ("missing", "error: there is no value named `missing`"),
        ("n | nofilter", "error: there is no filter named `nofilter`"),
        ("n is notest", "error: there is no test named `notest`"),
        ("now", "\"2026-03-01T12:00:00Z\""),
        ("lines(t, 2)", "error: `lines` takes other arguments: write `lines(text)`"),
        (
            "[1] | sort(by='x')",
            "error: `sort` has no argument named `by`: write `sort(list, attribute=TEXT, reverse=BOOLEAN)`",
        ),
    ]);
}

#[test]
fn verdicts_have_three_values() {
    let verdict = |text: &str| parse(text).verdict(&World, &mut Vec::new());
    assert_eq!(verdict("n > 1").unwrap(), Verdict::Holds);
    assert_eq!(verdict("n < 1").unwrap(), Verdict::DoesNotHold);
    assert_eq!(verdict("gone > 1").unwrap(), Verdict::CannotTell);
    assert_eq!(verdict("n").unwrap_err().message, "`n` is number 10, not true or false: write a comparison");
}

#[test]
fn what_was_read_is_noted_once_in_order() {
    let mut used = Vec::new();
    parse("body.state == 'OPEN' and n > 1 and (body.state != t or later)").eval_used(&World, &mut used).unwrap();
    let used: Vec<_> = used.iter().map(|used| format!("{} = {}", used.path, to_json(&used.value))).collect();
    assert_eq!(used, ["body.state = \"OPEN\"", "n = 10", "t = \"9\""]);
}

#[test]
fn yaml_is_read_by_the_core_schema() {
    check(&[
        (
            "yaml('a: 1\nb: [x, \"2\", true, yes, ~, 1.5, 0x10, 1e3]\nc: {d: \"\"}')",
            r#"{"a":1,"b":["x","2",true,"yes",null,1.5,16,1000.0],"c":{"d":""}}"#,
        ),
        ("yaml('a: [') is unknown", "true"),
        ("yaml('a: .nan').a", r#"{"unknown":"`.nan` is not a finite number"}"#),
    ]);
}

#[test]
fn parts_that_are_unknown_are_not_taken_for_null() {
    check(&[
        ("jq({'a': gone}, '.a')", r#"{"unknown":"the read failed"}"#),
        ("jq(1, '$x', x={'a': [later]})", r#"{"unknown":"`queue` has not run"}"#),
        ("{'a': gone} | tojson", r#"{"unknown":"the read failed"}"#),
        ("{'a': gone} | string", r#"{"unknown":"the read failed"}"#),
        ("{'a': gone}.a", r#"{"unknown":"the read failed"}"#),
        ("{'a': gone} | length", "1"),
    ]);
}

#[test]
fn a_long_evaluation_ends() {
    let found = super::shown("range(30000) | reject('in', range(400000, 430000)) | length");
    assert_eq!(found, "error: the expression did not end within 5 s");
}
