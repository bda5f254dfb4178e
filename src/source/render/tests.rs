//! The forms for people and for machines.

use super::{DiagnosticFormat, render};
use crate::source::{Diagnostic, Diagnostics, Source, Span};
use serde_json::Value;

fn sample() -> Diagnostics {
    let source = Source::new("runbooks/a,b.yaml", "id: x\nneeds: [drain_trafic]\n");
    let span = Span::new(14, 26);
    let problem = Diagnostic::error(&source, "unknown-step", span, "step `x` needs `drain_trafic`: 100% missing")
        .label("no step has this id")
        .near("drain_trafic", ["drain_traffic", "other"]);
    let warning = Diagnostic::warning(&source, "odd", Span::new(0, 2), "an odd key").also(span, "see here");
    let mut problems = Diagnostics::new();
    problems.push(problem);
    problems.push(warning);
    problems
}

#[test]
fn text_points_at_the_word_and_counts() {
    insta::assert_snapshot!(render(&sample(), DiagnosticFormat::Text, false), @r#"
    warning[odd]: an odd key
     --> runbooks/a,b.yaml:1:1
      |
    1 | id: x
      | ^^
    2 | needs: [drain_trafic]
      |         ------------ see here

    error[unknown-step]: step `x` needs `drain_trafic`: 100% missing
     --> runbooks/a,b.yaml:2:9
      |
    2 | needs: [drain_trafic]
      |         ^^^^^^^^^^^^ no step has this id
      |
    hint: did you mean `drain_traffic`?

    1 error, 1 warning
    "#);
    assert_eq!(render(&Diagnostics::new(), DiagnosticFormat::Text, false), "");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = render(&sample(), DiagnosticFormat::Text, true);
    assert!(coloured.contains("\u{1b}["));
    let plain = anstream::adapter::strip_str(&coloured).to_string();
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&plain), lines(&render(&sample(), DiagnosticFormat::Text, false)));
}

#[test]
fn a_long_line_is_cut_around_the_word_and_keeps_its_column() {
    let text = format!("a: 1\nb: {}WORD{}\n", "x".repeat(5_000), "y".repeat(5_000));
    let source = Source::new("f.yaml", text.as_str());
    let at = text.find("WORD").expect("there");
    let problems = Diagnostic::error(&source, "odd", Span::new(at, at + 4), "odd").label("this").into();
    let shown = render(&problems, DiagnosticFormat::Text, false);
    assert!(shown.contains("--> f.yaml:2:5004"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 220), "{shown}");
    let lines: Vec<_> = shown.lines().collect();
    let word = lines.iter().find(|line| line.contains("WORD")).expect("shown");
    let caret = lines.iter().find(|line| line.contains("^^^^ this")).expect("shown");
    let column = |line: &str, what: &str| line[..line.find(what).expect("there")].chars().count();
    assert_eq!(column(word, "WORD"), column(caret, "^^^^"));
}

#[test]
fn nothing_of_the_file_reaches_the_terminal_raw() {
    let source = Source::new("f\u{1b}.yaml", "a: \u{1b}[2J\u{202e}b\u{85}c\u{2028}d\rx\n");
    let problems = Diagnostic::error(&source, "odd", Span::new(3, 4), "got `\u{1b}]0;x\u{7}`")
        .label("\u{9b}31m")
        .hint("\u{200b}")
        .into();
    for colour in [false, true] {
        let shown = render(&problems, DiagnosticFormat::Text, colour);
        let plain = if colour { anstream::adapter::strip_str(&shown).to_string() } else { shown };
        let bad = plain
            .chars()
            .find(|&char| (char.is_control() && char != '\n') || ('\u{200b}'..='\u{202e}').contains(&char));
        assert_eq!(bad, None, "{plain:?}");
        assert!(plain.contains("\\u{1b}[2J\\u{202e}b"), "{plain}");
    }
}

#[test]
fn far_places_are_two_pieces_and_many_problems_are_cut() {
    let text = "key: 1\n".repeat(20_000);
    let source = Source::new("f.yaml", text.as_str());
    let mut problems = Diagnostics::new();
    for line in 1..=60 {
        let at = (20_000 - line) * 7;
        problems.push(Diagnostic::error(&source, "odd", Span::new(at, at + 3), "odd").also(Span::new(0, 3), "first"));
    }
    let shown = render(&problems, DiagnosticFormat::Text, false);
    assert!(shown.contains("::: f.yaml:1:1"), "{}", &shown[..600]);
    assert!(shown.ends_with("and 10 more\n60 errors\n"), "{shown}");
}

#[test]
fn a_problem_after_the_end_or_across_lines_is_shown() {
    let source = Source::new("f.yaml", "a:\n  b: 1\n  c: 2\n");
    let mut problems = Diagnostics::new();
    problems.push(Diagnostic::error(&source, "odd", Span::new(0, 17), "whole"));
    problems.push(Diagnostic::error(&source, "odd", Span::new(900, 901), "after"));
    problems.push(Diagnostic::error(&Source::new("e", ""), "odd", Span::default(), "empty"));
    let shown = render(&problems, DiagnosticFormat::Text, false);
    assert!(shown.contains("1 | a:\n  | ^^\n"), "{shown}");
    assert!(shown.ends_with("3 errors\n"), "{shown}");
}

#[test]
fn json_has_every_part() {
    let value: Value = serde_json::from_str(&render(&sample(), DiagnosticFormat::Json, true)).expect("JSON");
    let problem = &value["problems"][1];
    assert_eq!(problem["code"], "unknown-step");
    assert_eq!((&problem["line"], &problem["column"]), (&2.into(), &9.into()));
    assert_eq!((&problem["end_line"], &problem["end_column"]), (&2.into(), &21.into()));
    assert_eq!((&problem["offset"], &problem["length"]), (&14.into(), &12.into()));
    assert_eq!(problem["suggestion"]["text"], "drain_traffic");
    assert_eq!(problem["hint"], "did you mean `drain_traffic`?");
    assert_eq!((&value["errors"], &value["warnings"]), (&1.into(), &1.into()));
}

#[test]
fn sarif_has_rules_regions_and_fixes() {
    let value: Value = serde_json::from_str(&render(&sample(), DiagnosticFormat::Sarif, false)).expect("JSON");
    let run = &value["runs"][0];
    assert_eq!(value["version"], "2.1.0");
    assert_eq!(run["tool"]["driver"]["name"], "runwright");
    let result = &run["results"][1];
    let rule = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "runbooks/a%2Cb.yaml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["endColumn"]), (&2.into(), &21.into()));
    let fix = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(fix["insertedContent"]["text"], "drain_traffic");
}

#[test]
fn github_commands_are_escaped() {
    let shown = render(&sample(), DiagnosticFormat::Github, false);
    let error = "::error file=runbooks/a%2Cb.yaml,line=2,col=9,endLine=2,endColumn=20,title=unknown-step::\
                 step `x` needs `drain_trafic`: 100%25 missing%0Ahint: did you mean `drain_traffic`?";
    assert_eq!(shown.lines().nth(1), Some(error));
}
