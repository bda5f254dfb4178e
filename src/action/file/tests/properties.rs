use super::super::datum::{Datum, Found};
use super::super::edit::{edit, read};
use super::{edited, path, set, unset};
use crate::plan::EditFormat;
use proptest::prelude::*;
use similar::{ChangeTag, TextDiff};

/// One file in every format with the same keys: two in the first table, two in the second.
fn sample(format: EditFormat, newline: &str) -> String {
    let text = match format {
        EditFormat::Toml => {
            "# head\ntop = 1\n\n[one]\na = \"x\" # why\nb = [1, 2]\n\n[two]\n# inner\nc = 0.5\nd = true\n"
        }
        EditFormat::Yaml => {
            "# head\ntop: 1\n\none:\n  a: x # why\n  b:\n  - 1\n  - 2\n\ntwo:\n  # inner\n  c: 0.5\n  d: true\n"
        }
        EditFormat::Json => {
            "{\n  \"top\": 1,\n  \"one\": {\n    \"a\": \"x\",\n    \"b\": [1, 2]\n  },\n  \"two\": {\n    \"c\": 0.5,\n    \"d\": true\n  }\n}\n"
        }
        EditFormat::Ini => "# head\ntop = 1\n\n[one]\na = x ; why\nb = 1 2\n\n[two]\n; inner\nc = 0.5\nd = true\n",
        EditFormat::Env => "# head\nTOP=1\n\nA='x'\nexport B=\"1 2\"\n# inner\nC=0.5\nD=true\n",
    };
    text.replace('\n', newline)
}

fn value() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Datum::Bool),
        any::<i64>().prop_map(|number| Datum::Int(i128::from(number))),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Datum::Float),
        ".*".prop_map(Datum::Text),
        "[ -~]{0,12}".prop_map(Datum::Text),
        "(yes|no|on|null|~|0x1F|1e3|010|1:30|-|a: b|a #b|'x'|\"x\"|\\$x|`x`|<<|\\{\\}|\\[\\])".prop_map(Datum::Text),
        any::<String>().prop_map(Datum::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Datum::List),
            prop::collection::btree_map("[a-z \"'.:#]{1,6}", inner, 0..3)
                .prop_map(|map| Datum::Map(map.into_iter().collect())),
        ]
    })
}

fn format() -> impl Strategy<Value = EditFormat> {
    prop_oneof![
        Just(EditFormat::Toml),
        Just(EditFormat::Yaml),
        Just(EditFormat::Json),
        Just(EditFormat::Ini),
        Just(EditFormat::Env)
    ]
}

fn key(format: EditFormat, index: usize) -> String {
    let keys = ["top", "one.a", "one.b", "two.c", "two.d", "one.new", "fresh.x", "made"];
    let key = keys[index % keys.len()];
    if format == EditFormat::Env { key.rsplit('.').next().unwrap_or(key).to_ascii_uppercase() } else { key.to_owned() }
}

/// Lines of the old text that are gone, as numbers from 0.
fn gone(before: &str, after: &str) -> Vec<usize> {
    TextDiff::from_lines(before, after)
        .iter_all_changes()
        .filter(|change| change.tag() == ChangeTag::Delete)
        .filter_map(|change| change.old_index())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_setting_reads_back_and_the_rest_stays(format in format(), index in 0_usize..8, value in value(), crlf: bool, last in any::<bool>()) {
        let newline = if crlf { "\r\n" } else { "\n" };
        let mut before = sample(format, newline);
        if !last {
            before.truncate(before.trim_end().len());
        }
        let key = key(format, index);
        let plain = matches!(&value, Datum::Bool(_) | Datum::Int(_) | Datum::Float(_));
        let after = match edited(format, &before, &[set(&key, value.clone())]) {
            Ok(after) => after,
            Err(problem) => {
                // Ini and env cannot hold everything; the others can, and every format holds numbers and booleans.
                prop_assert!(!plain && matches!(format, EditFormat::Ini | EditFormat::Env), "{}", problem.message);
                return Ok(());
            }
        };
        let data = read("conf", &after, format).unwrap();
        match data.find(&path(&key)) {
            Found::Here(found) => {
                let same = *found == value || found.scalar_text() == value.scalar_text();
                prop_assert!(same, "{found:?} in\n{after}");
            }
            _ => prop_assert!(false, "not there:\n{after}"),
        }
        // At most the lines of the old value are gone (three for the list in YAML), and the line that lacked its comma or end.
        prop_assert!(gone(&before, &after).len() <= 3, "{after}");
        for comment in before.lines().filter(|line| line.trim_start().starts_with(['#', ';'])) {
            prop_assert!(after.lines().any(|line| line == comment), "{comment} is gone:\n{after}");
        }
        if crlf {
            let bare = after.replace("\r\n", "").contains('\n');
            prop_assert!(!bare, "a bare line feed:\n{after:?}");
        }
        prop_assert_eq!(after.ends_with('\n'), before.ends_with('\n'), "{:?}", after);
        // Once more is no change.
        prop_assert_eq!(edited(format, &after, &[set(&key, value)]).unwrap(), after);
    }

    #[test]
    fn a_removal_takes_the_key_and_nothing_else(format in format(), index in 0_usize..5, crlf: bool, last in any::<bool>()) {
        let mut before = sample(format, if crlf { "\r\n" } else { "\n" });
        if !last {
            before.truncate(before.trim_end().len());
        }
        let key = key(format, index);
        let after = edited(format, &before, &[unset(&key)]).unwrap();
        let data = read("conf", &after, format).unwrap();
        prop_assert!(matches!(data.find(&path(&key)), Found::Missing));
        prop_assert!(after.len() < before.len());
        prop_assert!(gone(&before, &after).len() <= 3, "{after}");
    }

    #[test]
    fn no_text_makes_it_panic(format in format(), text in "(?s).{0,60}", index in 0_usize..8, value in value()) {
        drop(edit("conf", &text, format, &[set(&key(format, index), value), unset("top")]));
    }

    #[test]
    fn no_damaged_file_makes_it_panic(format in format(), cut in any::<prop::sample::Index>(), length in 0_usize..9, put in "[-{}\\[\\]:#&*!|>'\"%@=,\\\\ \\n\\t\\ra]{0,4}", index in 0_usize..8, value in value()) {
        let mut text = sample(format, "\n");
        let from = cut.index(text.len());
        let to = (from + length).min(text.len());
        text.replace_range(from..to, &put);
        drop(edit("conf", &text, format, &[set(&key(format, index), value), unset("one.a"), unset("two")]));
    }

    #[test]
    fn other_readers_agree(format in prop_oneof![Just(EditFormat::Yaml), Just(EditFormat::Json)], text in any::<String>(), number in any::<f64>()) {
        prop_assume!(number.is_finite());
        let changes = [set("one.a", text.as_str()), set("fresh.x", number), set("made", text.as_str())];
        let after = edited(format, &sample(format, "\n"), &changes).unwrap();
        let data: serde_json::Value = match format {
            EditFormat::Json => serde_json::from_str(&after).unwrap(),
            _ => serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(&after).unwrap()).unwrap(),
        };
        prop_assert_eq!(data["one"]["a"].as_str(), Some(text.as_str()));
        prop_assert_eq!(data["made"].as_str(), Some(text.as_str()));
        prop_assert_eq!(data["fresh"]["x"].as_f64(), Some(number));
        prop_assert_eq!(&data["two"]["d"], &serde_json::Value::Bool(true));
    }
}

#[test]
fn a_shell_reads_the_same_bytes() {
    for value in [
        "",
        "plain",
        "two words",
        "it's",
        "a\"b",
        "$HOME `id` $(id)",
        "back\\slash",
        "tab\there",
        "é‹›",
        "~/x",
        "!x",
        "a#b",
        "#x",
        "*",
    ] {
        let after = edited(EditFormat::Env, "", &[set("KEY", value)]).unwrap();
        let script = format!("{after}printf %s \"$KEY\"");
        let output = duct::cmd!("sh", "-c", script).read().unwrap();
        assert_eq!(output, value, "{after}");
    }
}
