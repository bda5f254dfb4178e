use super::*;
use crate::expr::{Duration, SecretText, Value, is_secret, to_json, unknown_of};
use crate::library::parse_library;
use crate::runbook::{Input, InputType, Runbook, parse_runbook};
use crate::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::io;

fn runbook(inputs: &str) -> Runbook {
    let text = format!("runbook: r\ntitle: R\ninputs:\n{inputs}\nsteps:\n  - validate: Fine\n    assert: true\n");
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&Source::new("r.yaml", text), &mut problems);
    runbook.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)))
}

/// The outside, as the tests give it.
#[derive(Default)]
struct Outside<'a> {
    command_line: &'a [(&'a str, &'a str)],
    labels: &'a [(&'a str, &'a str)],
    library: Option<&'a str>,
    variables: &'a [(&'a str, &'a str)],
    files: &'a [(&'a str, &'a [u8])],
    program: Option<RunAnswer>,
    answers: Option<Vec<&'a str>>,
}

struct Resolved {
    inputs: Vec<ResolvedInput>,
    problems: Vec<InputProblem>,
    refusals: Vec<String>,
}

impl Resolved {
    fn one(&self) -> &ResolvedInput {
        assert!(self.problems.is_empty(), "{:?}", self.messages());
        &self.inputs[0]
    }

    fn messages(&self) -> Vec<&str> {
        self.problems.iter().map(|problem| problem.message.as_str()).collect()
    }

    fn problem(&self) -> &str {
        assert_eq!(self.problems.len(), 1, "{:?}", self.messages());
        &self.problems[0].message
    }
}

fn resolve(inputs: &str, outside: Outside<'_>) -> Resolved {
    let runbook = runbook(inputs);
    let library = outside.library.map(|text| {
        let mut problems = Diagnostics::new();
        let file = parse_library(&Source::new("runwright.yaml", text), &mut problems);
        file.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)))
    });
    let environment = library.as_ref().map(|file| &file.environments[0]);
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut refusals = Vec::new();
    let mut answers = outside.answers.map(Vec::into_iter);
    let mut ask = |_: &str, _: &Input, wrong: Option<&str>| {
        refusals.extend(wrong.map(str::to_owned));
        answers.as_mut()?.next().map(str::to_owned)
    };
    let mut problems = Vec::new();
    let mut sources = InputSources {
        command_line: pairs(outside.command_line),
        labels: pairs(outside.labels).into_iter().collect(),
        environment,
        variable: &|name| {
            outside.variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        },
        file: &|path| match outside.files.iter().find(|(known, _)| *known == path) {
            Some((_, bytes)) => Ok(bytes.to_vec()),
            None if path == "/locked" => Err(io::ErrorKind::PermissionDenied.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        },
        run: &|_| outside.program.clone().unwrap_or(RunAnswer::Failed("is not there".to_owned())),
        ask: Some(&mut ask),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let inputs = resolve_inputs(&runbook, &mut sources, &mut problems);
    Resolved { inputs, problems, refusals }
}

fn given(declared: &str, text: &str) -> Resolved {
    resolve(&format!("  x: {declared}"), Outside { command_line: &[("x", text)], ..Outside::default() })
}

#[test]
fn a_text_is_read_by_the_type_of_its_input() {
    let table: &[(&str, &str, serde_json::Value)] = &[
        ("{ type: string }", "", "".into()),
        ("{ type: string }", "@@home", "@home".into()),
        ("{ type: integer }", "-12", (-12).into()),
        ("{ type: integer }", "0", 0.into()),
        ("{ type: number }", "2", 2.into()),
        ("{ type: number }", "-2.5e1", (-25.0).into()),
        ("{ type: boolean }", "false", false.into()),
        ("{ type: url }", "http://localhost:18180", "http://localhost:18180".into()),
        ("{ type: url }", "https://a.example/x?y=1", "https://a.example/x?y=1".into()),
        ("{ type: path }", "/var/lib/x y", "/var/lib/x y".into()),
        ("{ type: choice, choices: [a, b] }", "b", "b".into()),
        ("{ type: string, pattern: '[a-z]+' }", "abc", "abc".into()),
        ("{ type: list }", "a, b ,,c", serde_json::json!(["a", "b", "c"])),
        ("{ type: list, of: integer }", "1,2", serde_json::json!([1, 2])),
        ("{ type: list, of: choice, choices: [a, b] }", "b", serde_json::json!(["b"])),
    ];
    for (declared, text, wanted) in table {
        let resolved = given(declared, text);
        assert_eq!(to_json(&resolved.one().value), *wanted, "{declared} {text}");
        assert_eq!(resolved.one().source, "command line");
    }
    let ninety = given("{ type: duration }", "1h 30m");
    assert!(Duration::of(&ninety.one().value).is_some_and(|duration| (duration.seconds() - 5400.0).abs() < 1e-9));
}

#[test]
fn a_text_that_breaks_a_rule_names_the_input_the_rule_and_the_source() {
    let table = [
        ("{ type: integer }", "007", "is not a whole number"),
        ("{ type: integer }", "+5", "is not a whole number"),
        ("{ type: integer }", "1_000", "is not a whole number"),
        ("{ type: integer }", " 5", "is not a whole number"),
        ("{ type: integer }", "5.0", "is not a whole number"),
        ("{ type: integer }", "", "is not a whole number"),
        ("{ type: integer }", "9223372036854775808", "does not fit"),
        ("{ type: number }", "1,5", "is not a number"),
        ("{ type: number }", "NaN", "is not a number"),
        ("{ type: number }", "1e999", "is not a number"),
        ("{ type: number }", " 1.5", "is not a number"),
        ("{ type: boolean }", "yes", "is not `true` or `false`"),
        ("{ type: duration }", "90", "is not a duration"),
        ("{ type: duration }", "-5s", "is not a duration"),
        ("{ type: url }", "localhost/x", "is not an absolute URL"),
        ("{ type: url }", "ftp://a.example", "is not an http or https URL"),
        ("{ type: url }", "http://", "is not an absolute URL"),
        ("{ type: url }", "http://a:b@a.example", "user name or password"),
        ("{ type: url }", "http://a.example/x y", "space or a control character"),
        ("{ type: path }", "", "is empty"),
        ("{ type: choice, choices: [small, large] }", "smal", "is not one of small, large"),
        ("{ type: string, pattern: 'a|b' }", "ab", "does not match the pattern `a|b`"),
        ("{ type: string, pattern: '[a-z]+' }", "abc\n", "does not match the pattern"),
        ("{ type: string, pattern: '(' }", "abc", "is not a regular expression"),
        ("{ type: string, max: 2 }", "abc", "is above the largest allowed, 2 characters"),
        ("{ type: integer, min: 1 }", "0", "is below the smallest allowed, 1"),
        ("{ type: duration, max: 60 }", "2m", "is above the largest allowed, 60 seconds"),
        ("{ type: list, min: 1 }", " , ", "is below the smallest allowed, 1 items"),
        ("{ type: list, of: integer }", "1,b", "is not a whole number"),
    ];
    for (declared, text, rule) in table {
        let resolved = given(declared, text);
        let message = resolved.problem();
        assert!(message.starts_with("input `x`: "), "{message}");
        assert!(message.contains(rule), "{declared} {text:?}: {message}");
        assert!(message.ends_with("given on the command line"), "{message}");
        assert!(unknown_of(&resolved.inputs[0].value).is_some());
    }
}

#[test]
fn the_sources_are_asked_in_their_order() {
    let inputs = "  x: { type: string, pattern: '.*', default: g, \
                  from: { label: x, env: X, file: /x, run: [p] } }";
    let all = || Outside {
        command_line: &[("x", "a")],
        library: Some("library: l\nenvironments: { prod: { inputs: { x: b } } }\n"),
        labels: &[("x", "c")],
        variables: &[("X", "d")],
        files: &[("/x", b"e\nsecond line\n")],
        program: Some(RunAnswer::Text("f\n".to_owned())),
        answers: None,
    };
    let check = |outside: Outside<'_>, value: &str, source: &str| {
        let resolved = resolve(inputs, outside);
        assert_eq!(resolved.one().value.as_str(), Some(value));
        assert_eq!(resolved.one().source, source);
        assert_eq!(resolved.one().tainted, source == "label x");
    };
    check(all(), "a", "command line");
    check(Outside { command_line: &[], ..all() }, "b", "environment prod");
    check(Outside { command_line: &[], library: None, ..all() }, "c", "label x");
    check(Outside { command_line: &[], library: None, labels: &[], ..all() }, "d", "env X");
    let from_file = || Outside { command_line: &[], library: None, labels: &[], variables: &[("X", "")], ..all() };
    check(from_file(), "e", "file /x");
    check(Outside { files: &[], ..from_file() }, "f", "program p");
    let only_default = "  x: { type: string, default: g, from: { env: X } }";
    assert_eq!(resolve(only_default, from_file()).one().source, "default");
}

#[test]
fn a_program_that_fails_is_not_replaced_by_the_default() {
    let inputs = "  x: { type: string, default: g, from: { run: [pass, show] } }";
    let resolved = resolve(inputs, Outside::default());
    assert_eq!(resolved.problem(), "input `x`: program `pass`: is not there");
    let optional = "  x: { type: string, optional: true, from: { run: [pass] } }";
    assert!(unknown_of(&resolve(optional, Outside::default()).one().value).is_some());
    let later = resolve(inputs, Outside { program: Some(RunAnswer::NotYet), ..Outside::default() });
    assert_eq!(unknown_of(&later.one().value).unwrap().sort, crate::expr::UnknownSort::NotYet);
}

#[test]
fn what_is_optional_and_not_given_is_unknown_and_what_is_needed_is_asked_for() {
    let optional = resolve("  x: { type: string, optional: true }", Outside::default());
    assert_eq!(unknown_of(&optional.one().value).unwrap().reason, "input `x` was not given");
    let needed = "  x: { type: integer, from: { env: X } }";
    let missing = resolve(needed, Outside::default());
    assert_eq!(missing.problem(), "input `x` has no value: environment variable `X` is not set");
    assert_eq!(missing.problems[0].hint.as_deref(), Some("give it with -i x=VALUE"));
    let asked = resolve(needed, Outside { answers: Some(vec!["five", "5"]), ..Outside::default() });
    assert_eq!(asked.one().value.as_i64(), Some(5));
    assert_eq!(asked.one().source, "question");
    assert_eq!(asked.refusals, ["that is not a whole number"]);
}

#[test]
fn a_secret_is_never_in_a_message() {
    let inputs = "  x: { type: string, secret: true, pattern: '[0-9]+', from: { env: X } }";
    let wrong = resolve(inputs, Outside { variables: &[("X", "hunter2hunter2")], ..Outside::default() });
    assert!(!format!("{:?}", wrong.problems).contains("hunter2"), "{:?}", wrong.messages());
    assert_eq!(wrong.problem(), "input `x`: its value does not match the pattern `[0-9]+`; it is from env X");
    let right = resolve(inputs, Outside { variables: &[("X", "0123456789")], ..Outside::default() });
    assert!(right.one().is_secret && is_secret(&right.one().value));
    assert!(!format!("{:?}", right.inputs).contains("0123456789"));
    let text = right.one().value.downcast_object_ref::<SecretText>().unwrap();
    assert_eq!((&*text.name, text.reveal()), ("x", "0123456789"));
    let choice = "  x: { type: choice, choices: [alpha, beta], secret: true }";
    let near = resolve(choice, Outside { command_line: &[("x", "alphaa")], ..Outside::default() });
    assert_eq!(near.problems[0].hint, None, "a near miss would tell of the value");
    let from_file = resolve(
        "  x: { type: string, secret: true }",
        Outside { command_line: &[("x", "@k")], files: &[("k", b"one\ntwo\n")], ..Outside::default() },
    );
    let text = from_file.one().value.downcast_object_ref::<SecretText>().unwrap();
    assert_eq!(text.reveal(), "one\ntwo");
}

#[test]
fn labels_are_short_and_bounded_by_a_rule() {
    let long = "a".repeat(LABEL_LIMIT + 1);
    let with = |declared: &str, text: &str| {
        resolve(&format!("  x: {declared}"), Outside { labels: &[("l", text)], ..Outside::default() })
    };
    assert!(with("{ type: string, pattern: 'a*', from: { label: l } }", &long).problem().contains("longer than 4096"));
    let free = with("{ type: string, from: { label: l } }", "a");
    assert_eq!(free.problem(), "input `x`: any text could come from label `l`");
    assert!(with("{ type: list, from: { label: l } }", "a").problem().contains("any text"));
    assert!(with("{ type: list, of: integer, from: { label: l } }", "1,2").one().tainted);
    assert!(with("{ type: integer, from: { label: l } }", "5").one().tainted);
}

#[test]
fn lists_come_from_text_repeats_and_files() {
    let list = "  x: { type: list, from: { file: /x } }";
    let repeated = resolve(list, Outside { command_line: &[("x", "a"), ("x", "b,c")], ..Outside::default() });
    assert_eq!(to_json(&repeated.one().value), serde_json::json!(["a", "b", "c"]));
    let file = Outside { files: &[("/x", b"a,1\n\n b \r\nc")], ..Outside::default() };
    assert_eq!(to_json(&resolve(list, file).one().value), serde_json::json!(["a,1", "b", "c"]));
    let twice =
        resolve("  x: { type: string }", Outside { command_line: &[("x", "a"), ("x", "b")], ..Outside::default() });
    assert_eq!(twice.problem(), "input `x` is given 2 times on the command line");
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let at = |text: &'static str| {
        let command_line: &[(&str, &str)] = &[("x", text)];
        resolve("  x: { type: string }", Outside { command_line, files: &[("b", b"\xff")], ..Outside::default() })
    };
    assert_eq!(at("@none").problem(), "input `x`: there is no file none, given on the command line");
    assert!(at("@/locked").problem().starts_with("input `x`: cannot read the file /locked: "));
    assert_eq!(at("@b").problem(), "input `x`: the file b is not UTF-8 text");
    let declared = resolve("  x: { type: string, from: { file: none } }", Outside::default());
    assert_eq!(declared.problem(), "input `x` has no value: there is no file none");
}

#[test]
fn typed_values_keep_their_type_and_quoted_text_is_no_number() {
    let default = |declared: &str| resolve(&format!("  x: {declared}"), Outside::default());
    assert_eq!(default("{ type: integer, default: 5 }").one().value.as_i64(), Some(5));
    assert_eq!(default("{ type: string, default: 5 }").one().value.as_str(), Some("5"));
    assert_eq!(default("{ type: choice, choices: [1, 2], default: 2 }").one().value.as_str(), Some("2"));
    assert!(Duration::of(&default("{ type: duration, default: 1h }").one().value).is_some());
    assert_eq!(
        to_json(&default("{ type: list, of: integer, default: [1, 2] }").one().value),
        serde_json::json!([1, 2])
    );
    let table = [
        ("{ type: integer, default: \"5\" }", "is text, not a whole number"),
        ("{ type: integer, default: 5.5 }", "is a number, not a whole number"),
        ("{ type: string, default: 1.10 }", "is a number, not text"),
        ("{ type: boolean, default: 1 }", "is a whole number, not `true` or `false`"),
        ("{ type: list, default: a }", "is text, not a list"),
        ("{ type: integer, default: 5, max: 4 }", "is above the largest allowed, 4"),
    ];
    for (declared, rule) in table {
        let resolved = default(declared);
        assert!(resolved.problem().contains(rule), "{declared}: {}", resolved.problem());
        assert!(resolved.problem().ends_with("it is its default"), "{}", resolved.problem());
    }
}

#[test]
fn a_name_that_is_no_input_is_told_with_a_near_one() {
    let resolved =
        resolve("  url: { type: url }", Outside { command_line: &[("ulr", "x"), ("ulr", "y")], ..Outside::default() });
    let codes: Vec<_> = resolved.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["unknown-input", "input-missing"]);
    let problem = resolved.problems[0].diagnostic(&Source::new("r.yaml", ""));
    assert_eq!(problem.hint.as_deref(), Some("did you mean `url`?"));
    assert_eq!(problem.message, "`r` has no input `ulr`, given on the command line");
}

#[test]
fn a_problem_points_at_the_declaration() {
    let runbook = runbook("  url: { type: url }");
    let resolved = resolve("  url: { type: url }", Outside::default());
    let mut problems = Diagnostics::new();
    problems.push(resolved.problems[0].diagnostic(runbook.source()));
    let shown = render(&problems, DiagnosticFormat::Text, false);
    assert!(shown.contains("r.yaml:4:3"), "{shown}");
}

#[test]
fn every_type_refuses_a_nul_byte() {
    for kind in [InputType::String, InputType::Path, InputType::Url, InputType::Choice, InputType::List] {
        assert!(parse_as(kind, "a\0b").is_err(), "{kind:?}");
    }
    assert_eq!(parse_as(InputType::String, "a").unwrap(), Value::from("a"));
}
