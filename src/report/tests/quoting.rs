#![expect(clippy::disallowed_methods, reason = "a real shell reads what was quoted")]

use super::super::sanitize::{
    is_treacherous, json_text, markdown, markdown_block, markdown_cell_code, markdown_code, output_line, shell_quote,
    visible, visible_lines,
};
use proptest::prelude::*;
use std::process::Command;

#[test]
fn plain_words_stay_bare() {
    assert_eq!(
        shell_quote(&["kubectl", "--context=prod", "get", "a/b:c", "x@y"]),
        "kubectl --context=prod get a/b:c x@y"
    );
    assert_eq!(shell_quote(&["A=b", "A=b", "=ls", ""]), "'A=b' A=b '=ls' ''");
    assert_eq!(shell_quote(&["it's", "~", "*", "$x"]), r"'it'\''s' '~' '*' '$x'");
    assert_eq!(shell_quote(&["a\nb", "\u{202e}"]), r"$'a\nb' $'\342\200\256'");
}

/// What bash makes of a line, argument by argument.
fn through_bash(line: &str) -> Vec<String> {
    let mut shell = Command::new("bash");
    let script = format!("for a in {line}; do printf '%s\\0' \"$a\"; done");
    let output = shell.args(["--norc", "-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_shell_gives_the_same_arguments_back(argv in prop::collection::vec("[^\0]{0,12}", 1..4)) {
        let line = shell_quote(&argv);
        prop_assert!(!line.chars().any(is_treacherous), "{line:?}");
        prop_assert_eq!(through_bash(&line), argv);
    }

    #[test]
    fn nothing_treacherous_is_left(text in "\\PC*|[\0-\u{2fff}]{0,40}") {
        prop_assert!(!visible(&text).chars().any(is_treacherous));
        prop_assert!(!output_line(&text).chars().any(is_treacherous));
        prop_assert!(!visible_lines(&text).iter().any(|line| line.chars().any(is_treacherous)));
        let value = serde_json::json!({ "text": text });
        let json = json_text(&value);
        prop_assert!(!json.chars().any(|character| character != '\n' && is_treacherous(character)));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}

#[test]
fn treacherous_characters_become_visible() {
    assert_eq!(
        visible("a\u{1b}[2Jb\u{202e}c\u{200b}d\r\n\u{9b}e\u{7f}"),
        r"a\u{1b}[2Jb\u{202e}c\u{200b}d\u{d}\u{a}\u{9b}e\u{7f}"
    );
    assert_eq!(visible("Köln 東京 ⚠\u{fe0f}"), "Köln 東京 ⚠\u{fe0f}");
    assert_eq!(visible_lines("a\tb\r\nc\rd\n"), ["a   b", "c\\u{d}d"]);
}

#[test]
fn markdown_takes_nothing_as_markup() {
    assert_eq!(markdown("[x](javascript:1) <b> `a` | *b*"), r"\[x\]\(javascript:1\) \<b\> \`a\` \| \*b\*");
    assert_eq!(markdown("see http://evil.example"), r"see http\://evil.example");
    assert_eq!(markdown("- item"), r"\- item");
    assert_eq!(markdown("1. item"), r"1\. item");
    assert_eq!(markdown_code("a``b`"), "``` a``b` ```");
    assert_eq!(markdown_cell_code("a|b\nc"), r"`a\|b\u{a}c`");
    assert_eq!(markdown_block("x\n````\n# h", "text"), "`````text\nx\n````\n# h\n`````\n");
}
