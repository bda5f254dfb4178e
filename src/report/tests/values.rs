use super::super::Style;
use super::super::blocks::input_table;
use super::super::grid::Grid;
use super::super::prompt::value_table;
use super::super::value::{for_people, used};
use super::sample::used as named;
use crate::event::{InputView, StoredValue};
use serde_json::{Value as Json, json};
use unicode_width::UnicodeWidthStr as _;

fn shown(style: &Style, values: &[(&str, Json)]) -> Vec<String> {
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, StoredValue::Value(value.clone()))).collect();
    value_table(style, values.iter().map(|(name, value)| (*name, value)))
}

fn agents() -> Json {
    json!([
        {"agent": "8f3a2b1c898865971717323ae50b5379d66f393bdadf0cc3b6445f30852522b1", "count": 487, "share": 0.960_552_268_244_576},
        {"agent": "11aa", "count": 12, "share": 0.023_668_639_053_254_44},
        {"agent": "22bb", "count": 8, "last": null},
    ])
}

#[test]
fn a_list_of_maps_is_a_table() {
    let many: Json = (1..=12).map(|number| json!({"path": format!("/var/{number}"), "mib": number * 100})).collect();
    let values = [
        ("queue.agents", agents()),
        ("folders", many),
        ("hosts", json!(["a", "b", "c"])),
        ("numbers", (1..=11).collect()),
        ("one", json!([{"kib": 28, "path": "/var/log/apt"}])),
        ("map", json!({"a": 0.5, "b": {"deep": [0.123_456_789]}})),
        ("none", json!([])),
        ("share", json!(0.960_552_268_244_576)),
    ];
    insta::assert_snapshot!("values_80", shown(&Style::PLAIN, &values).join("\n"));
    insta::assert_snapshot!(
        "values_40_ascii",
        shown(&Style { width: 40, unicode: false, ..Style::PLAIN }, &values).join("\n")
    );
}

#[test]
fn a_table_never_grows_over_the_edge_and_numbers_are_never_cut() {
    for width in [40, 57, 80, 120] {
        let style = Style { width, ..Style::PLAIN };
        let lines = shown(&style, &[("agents", agents())]);
        assert!(lines.iter().all(|line| line.width() <= width), "{lines:?}");
        let whole = lines.join("\n");
        assert!(whole.contains("487") && whole.contains("12"), "{whole}");
    }
    let wide: Json =
        json!([(0..30).map(|column| (format!("column{column}"), json!(column))).collect::<serde_json::Map<_, _>>()]);
    let grid = Grid::of(wide.as_array().unwrap(), 10).unwrap();
    let lines = grid.lines(&Style::PLAIN, 60);
    assert!(lines.iter().all(|line| line.width() <= 60), "{lines:?}");
    assert!(lines[2].starts_with("not shown: column6"), "{lines:?}");
}

#[test]
fn lists_of_other_things_are_no_tables() {
    for list in
        [json!([]), json!([1, 2]), json!([{}, {}]), json!([{"a": 1}, 2]), json!([{"$time": "2026-11-21T01:14:00Z"}])]
    {
        assert!(Grid::of(list.as_array().unwrap(), 10).is_none(), "{list}");
    }
}

#[test]
fn numbers_are_short_and_never_look_rounder_than_they_are() {
    let told = |value: Json| value.as_number().map(for_people).unwrap();
    for (value, text) in [
        (json!(0.960_552_268_244_576), "0.9606"),
        (json!(0.026_899_798_251_513_115), "0.0269"),
        (json!(0.000_123_456_7), "0.0001235"),
        (json!(0.1 + 0.2), "0.3"),
        (json!(-47_658_299.2), "-47658299.2"),
        (json!(12_345.678_91), "12345.6789"),
        (json!(0.0), "0"),
        (json!(-0.0), "0"),
        (json!(95.0), "95"),
        (json!(0.300_01), "0.30001"),
        (json!(49.999_99), "49.99999"),
        (json!(1e300), "1e+300"),
        (json!(3e-9), "3e-9"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(507), "507"),
    ] {
        assert_eq!(told(value), text);
    }
}

#[test]
fn values_that_were_used_are_told_by_their_size_when_they_are_large() {
    let values = [
        named("share", json!(0.960_552_268_244_576)),
        named("headers", json!({"a": 1, "b": 2})),
        named("agents", agents()),
        named("open", json!([])),
        named("when", json!({"$time": "2026-11-21T01:14:00Z"})),
    ];
    let text = used(&Style::PLAIN, &values, 24);
    assert_eq!(
        text,
        "share 0.9606 · headers: 2 fields · agents: 3 entries · open: no entries · when 2026-11-21T01:14:00Z"
    );
}

#[test]
fn inputs_are_a_table_of_name_value_and_source() {
    let input =
        |name: &str, value: StoredValue, source: &str| InputView { name: name.into(), value, source: source.into() };
    let value = |value: Json| StoredValue::Value(value);
    let inputs = [
        input("url", value(json!("http://127.0.0.1:18180")), "command line"),
        input("agent", StoredValue::Unknown("input `agent` was not given".into()), "not given"),
        input(
            "service_manager",
            value(json!("/a/very/long/path/that/does/not/fit/beside/its/source")),
            "environment prod",
        ),
        input("limit", value(json!(0.3)), "default"),
        input("key", StoredValue::Secret("key".into()), "env KEY"),
    ];
    insta::assert_snapshot!("inputs", input_table(&Style::PLAIN, &inputs).join("\n"));
    assert!(input_table(&Style::PLAIN, &[]).is_empty());
    let narrow = input_table(&Style { width: 40, ..Style::PLAIN }, &inputs);
    assert!(narrow.iter().all(|line| line.width() <= 40), "{narrow:?}");
}
