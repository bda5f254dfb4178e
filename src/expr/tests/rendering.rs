//! Templates in each place.
use super::{World, here};
use crate::expr::{EvalError, Place, Rendered, Template, to_json};

fn template(text: &str) -> Template {
    Template::parse(text, &here).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn rendered(text: &str, place: Place) -> Result<Rendered, EvalError> {
    template(text).render(&World, place)
}

fn shown(text: &str, place: Place) -> String {
    match rendered(text, place) {
        Ok(rendered) => rendered.to_string(),
        Err(error) => format!("error: {}", error.message),
    }
}

#[test]
fn values_stand_in_texts() {
    for (text, wanted) in [
        ("plain", "plain"),
        ("", ""),
        ("{{ n }} of {{ body.items | length }}\n", "10 of 3\n"),
        ("a {# dropped #}b", "a b"),
        ("a {{- n -}} b", "a10b"),
        ("{% raw %}{{ n }}{% endraw %}", "{{ n }}"),
        ("{{ '{{ $value }}' }}", "{{ $value }}"),
        ("{{ {'a': {'b': 1}} }}", r#"{"a":{"b":1}}"#),
        ("{{ [1, yes] }}", "[1,true]"),
        ("{{ yes }} {{ 1.0 }} {{ ban }} {{ started }}", "true 1.0 1h 30m 2026-03-01T11:30:00Z"),
        ("x {{ gone }} {{ later.x }}", "x ‹gone› ‹later.x›"),
        ("{{ partly }}", "‹partly›"),
        ("k={{ admin }}", "k=‹secret admin›"),
        ("{{ nothing }}", "error: `nothing` is none: it has no text; write `x | default(..)` or `x if .. else ..`"),
    ] {
        assert_eq!(shown(text, Place::Plain), wanted, "{text}");
    }
    assert_eq!(rendered("k={{ admin }}", Place::Plain).unwrap().reveal().unwrap(), "k=hunter2hunter2");
    assert_eq!(rendered("{{ gone }}", Place::Plain).unwrap().holes(), [("gone", "the read failed")]);
    assert_eq!(rendered("{{ gone }}", Place::Plain).unwrap().reveal(), None);
}

#[test]
fn each_place_refuses_what_would_change_its_meaning() {
    for (text, place, wanted) in [
        ("{{ n }}", Place::Argument, "10"),
        ("-{{ dash }}", Place::ArgumentAfterDashes, "--rf"),
        ("{{ dash }}", Place::ArgumentAfterDashes, "-rf"),
        ("--x={{ dash }}", Place::Argument, "--x=-rf"),
        (
            "{{ dash }}",
            Place::Argument,
            "error: `dash` would make the argument start with `-`: \"-rf\"; write `--` before it, or the option into the same element",
        ),
        (
            "{{ '' }}{{ dash }}",
            Place::Argument,
            "error: `dash` would make the argument start with `-`: \"-rf\"; write `--` before it, or the option into the same element",
        ),
        (
            "{{ -1 }}",
            Place::Argument,
            "error: `-1` would make the argument start with `-`: \"-1\"; write `--` before it, or the option into the same element",
        ),
        (
            "{{ [1] }}",
            Place::Argument,
            "error: `[1]` is a list, which cannot stand in an argument: write `| join(',')` or `| tojson`",
        ),
        ("/v1/{{ 'a/b?c#d é' }}/open", Place::UrlPath, "/v1/a%2Fb%3Fc%23d%20%C3%A9/open"),
        ("/v1/{{ '' }}/open", Place::UrlPath, "error: `''` is empty and would leave out a segment of the path: \"\""),
        ("/v1/{{ '..' }}/open", Place::UrlPath, "error: `'..'` would lead to another path: \"..\""),
        ("/v1/{{ '.' }}{{ '.' }}/x", Place::UrlPath, "error: `'.'` would lead to another path: \".\""),
        ("/v1/.{{ 'x' }}/x", Place::UrlPath, "/v1/.x/x"),
        ("{{ 'a&b' }}", Place::UrlQuery, "a&b"),
        (
            "{{ 'a\r\nb' }}",
            Place::Header,
            "error: `'a\r\nb'` holds a line break, which cannot stand in a header: \"a\\r\\nb\"",
        ),
        ("{{ admin }}", Place::Header, "‹secret admin›"),
    ] {
        assert_eq!(shown(text, place), wanted, "{text}");
    }
    for place in [Place::Argument, Place::ArgumentAfterDashes, Place::UrlPath, Place::UrlQuery, Place::Path] {
        let found = shown("x{{ admin }}", place);
        assert!(found.starts_with("error: `admin` is a secret"), "{place:?}: {found}");
    }
    for place in [Place::Plain, Place::Argument, Place::ArgumentAfterDashes, Place::Header, Place::Path] {
        let found = shown("{{ 'a\0b' }}", place);
        assert!(found.contains("NUL"), "{place:?}: {found}");
    }
}

#[test]
fn a_list_is_as_many_words_as_it_has_items() {
    let words = |text: &str| -> String {
        match template(text).words(&World, Place::Argument) {
            Ok(words) => words.iter().map(Rendered::to_string).collect::<Vec<_>>().join("|"),
            Err(error) => format!("error: {}", error.message),
        }
    };
    assert_eq!(words("{{ ['a b', 2, '$(id)'] }}"), "a b|2|$(id)");
    assert!(
        words("{{ [] }}").contains("is an empty list"),
        "a list that says nothing is no leave to act on everything"
    );
    assert_eq!(words("{{ [] if [] | length > 0 else none }}"), "");
    assert_eq!(words("{{ nothing }}"), "");
    assert_eq!(words("{{ n }}"), "10");
    assert_eq!(words("{{ '' }}"), "");
    assert_eq!(template("{{ '' }}").words(&World, Place::Argument).unwrap().len(), 1, "an empty text is a word");
    assert_eq!(words("{{ gone }}"), "‹gone›");
    assert_eq!(words("{{ [1, gone] }}"), "‹[1, gone]›");
    assert!(words("{{ ['a', '--force'] }}").contains("would make the argument start with `-`"), "each item is a value");
    assert!(words("{{ ['a', [1]] }}").contains("is a list"));
    assert!(words("{{ ['a', none] }}").contains("is none"));
    assert!(words("{{ ['a', admin] }}").starts_with("error"), "{}", words("{{ ['a', admin] }}"));
    assert!(words("x{{ ['a'] }}").contains("is a list"));
    let present = |text: &str| template(text).present(&World, Place::Header).unwrap().map(|value| value.to_string());
    assert_eq!(present("{{ nothing }}"), None);
    assert_eq!(present("{{ '' }}").as_deref(), Some(""));
    assert_eq!(present("v{{ n }}").as_deref(), Some("v10"));
}

#[test]
fn one_expression_keeps_its_type() {
    let value = |text: &str| template(text).value(&World).map(|value| to_json(&value).to_string());
    assert_eq!(value("{{ n }}").unwrap(), "10");
    assert_eq!(value("{{ body.items[0] }}").unwrap(), r#"{"id":1,"agent":"a"}"#);
    assert_eq!(value(" {{ n }}").unwrap(), "\" 10\"");
    assert_eq!(value("{{ admin }}").unwrap(), r#"{"secret":"admin"}"#);
    assert_eq!(value("x{{ gone }}").unwrap(), r#"{"unknown":"the read failed"}"#);
    assert_eq!(value("x{{ gone }}{{ later }}").unwrap(), r#"{"unknown":"`queue` has not run"}"#);
    assert!(value("x{{ admin }}").is_err());
    assert_eq!(template("{{ n }}").single().unwrap().text(), "n");
    assert!(template("{{ n }} ").single().is_none());
    assert_eq!(template("x").literal(), Some("x"));
    assert_eq!(template("").literal(), Some(""));
}

#[test]
fn problems_are_all_found_with_their_place() {
    let text = "a {% if x %}b{% endif %} {{ 1 + }} {{ $value }} {{.ID}} {{ }} {{ n";
    let errors = Template::parse(text, &here).unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| (&text[error.span.range()], error.message.as_str())).collect();
    assert_eq!(
        found,
        [
            ("{% if x %}", "statements are not allowed in a text"),
            ("{% endif %}", "statements are not allowed in a text"),
            ("+", "unexpected end of input, expected expression"),
            ("{{ $value }}", "`{{ $value }}` is not an expression of ours"),
            ("{{.ID}}", "`{{.ID}}` is not an expression of ours"),
            ("{{ }}", "`{{ }}` is empty"),
            ("{{ n", "`{{` is not closed"),
        ]
    );
    let hint = errors[3].hint.as_deref().unwrap();
    assert_eq!(hint, "to pass it on as it is, write `{{ '{{ $value }}' }}`");
}

#[test]
fn the_output_is_bounded() {
    let text = "{{ 'x' * 16000000 }}{{ 'x' * 16000000 }}";
    assert_eq!(shown(text, Place::Plain), "error: the text is longer than 16 MiB");
}

#[test]
fn text_of_the_template_itself_keeps_the_promises_too() {
    assert_eq!(shown("a\nb {{ n }}", Place::Header), "error: a line break cannot stand in a header");
    assert_eq!(shown("a\0b", Place::Argument), "error: a NUL character cannot stand in an argument");
    assert_eq!(shown("/a/../{{ n }}", Place::UrlPath), "/a/../10");
}
