//! The alerts of runbooks as a rule file of Prometheus.

use crate::runbook::{Alert, DurationSpec, Runbook};
use crate::source::{Diagnostic, Diagnostics};
use indexmap::IndexMap;
use serde::Serialize;
use std::time::Duration;

/// The first line of every file that is written, by which the next export knows it as its own.
pub const RULE_FILE_MARK: &str =
    "# Written by `runwright alerts export`: what is changed here is lost with the next export.";

/// The units of a duration of Prometheus in milliseconds, the largest first. Weeks and years only say the same longer.
const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A rule file of Prometheus, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Its text: YAML with [`RULE_FILE_MARK`] as its first line.
    pub text: String,
    /// How many rules it has.
    pub rules: usize,
    /// How many groups it has: one for each runbook that has rules.
    pub groups: usize,
    /// Alerts without an expression, which are left out.
    pub left_out: Vec<LeftOut>,
}

/// An alert that is not exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The id of its runbook.
    pub runbook: String,
    /// Its name.
    pub alert: String,
}

#[derive(Serialize)]
struct Rules<'a> {
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    alert: &'a str,
    expr: &'a str,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold_for: Option<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    labels: IndexMap<&'a str, &'a str>,
    annotations: IndexMap<&'static str, &'a str>,
}

/// Writes the alerts of runbooks as rules: a group for each runbook, in the order of their ids; in it the alerts that have
/// an expression, as they are written. The same runbooks give the same text. Ids must differ: they are the names of groups.
///
/// # Errors
/// Problems of alerts that Prometheus would refuse, or that would not mean there what they seem to mean here.
pub fn rule_file(runbooks: &[Runbook]) -> Result<RuleFile, Diagnostics> {
    let mut runbooks: Vec<&Runbook> = runbooks.iter().collect();
    runbooks.sort_by_key(|runbook| runbook.id());
    let (mut problems, mut left_out, mut groups) = (Diagnostics::new(), Vec::new(), Vec::new());
    for runbook in runbooks {
        let mut rules = Vec::new();
        for alert in &runbook.alerts.0 {
            match rule(runbook, alert, &mut problems) {
                Some(rule) => rules.push(rule),
                None => left_out.push(LeftOut { runbook: runbook.id().to_owned(), alert: alert.alert.value.clone() }),
            }
        }
        if !rules.is_empty() {
            groups.push(Group { name: runbook.id(), rules });
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    let (count, rules) = (groups.len(), groups.iter().map(|group| group.rules.len()).sum());
    // Nothing but texts under keys that are texts: there is nothing in it that could fail.
    let yaml = serde_yaml::to_string(&Rules { groups }).unwrap_or_default();
    Ok(RuleFile { text: format!("{RULE_FILE_MARK}\n{yaml}"), rules, groups: count, left_out })
}

/// One alert as a rule; nothing when it has no expression.
fn rule<'a>(runbook: &'a Runbook, alert: &'a Alert, problems: &mut Diagnostics) -> Option<Rule<'a>> {
    let expr = alert.expr.as_ref()?;
    if expr.value.contains("{{") {
        let message = "Prometheus takes an expression as it is written, and `{{` is no template there";
        problems.push(
            Diagnostic::error(runbook.source(), "alert-template", expr.span, message).hint("write the value out"),
        );
    }
    let severity = alert.severity.iter().map(|severity| ("severity", severity.value.as_str()));
    let labels = severity.chain(alert.labels.iter().map(|(name, value)| (name.value.as_str(), value.value.as_str())));
    let mut annotations = IndexMap::new();
    for (name, text) in [("summary", &alert.summary), ("description", &alert.description)] {
        if let Some(text) = text {
            annotations.insert(name, text.value.as_str());
        }
    }
    annotations.insert("runbook", runbook.id());
    Some(Rule {
        alert: &alert.alert.value,
        expr: &expr.value,
        hold_for: alert.hold_for.as_ref().and_then(DurationSpec::fixed).map(written),
        labels: labels.collect(),
        annotations,
    })
}

/// A duration as Prometheus writes it: `1h30m`, `0s`.
fn written(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::parse_runbook;
    use crate::source::{DiagnosticFormat, Source, render};

    fn runbook(id: &str, alerts: &str) -> Runbook {
        let text =
            format!("runbook: {id}\ntitle: A case\nalerts:\n{alerts}\nsteps:\n  - validate: Fine\n    assert: true\n");
        let mut problems = Diagnostics::new();
        let parsed = parse_runbook(&Source::new(format!("{id}.yaml"), text), &mut problems);
        parsed.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)))
    }

    #[test]
    fn a_group_for_each_runbook_by_its_id_and_its_rules_as_they_stand() {
        let second =
            runbook("b", "  - { alert: Late, expr: up == 0, for: 90m, severity: critical, labels: { team: ops } }");
        let first = runbook(
            "a",
            "  - { alert: Z, expr: \"x > 1\", summary: \"{{ $value }} {{ $labels.a }}\", description: \" two\\n lines \" }\n  \
             - { alert: Elsewhere }\n  - { alert: A, expr: y }",
        );
        let file = rule_file(&[second, first]).unwrap();
        let expected = "groups:
- name: a
  rules:
  - alert: Z
    expr: x > 1
    annotations:
      summary: '{{ $value }} {{ $labels.a }}'
      description: \" two\\n lines \"
      runbook: a
  - alert: A
    expr: y
    annotations:
      runbook: a
- name: b
  rules:
  - alert: Late
    expr: up == 0
    for: 1h30m
    labels:
      severity: critical
      team: ops
    annotations:
      runbook: b
";
        assert_eq!(file.text, format!("{RULE_FILE_MARK}\n{expected}"));
        assert_eq!((file.rules, file.groups), (3, 2));
        assert_eq!(file.left_out, [LeftOut { runbook: "a".into(), alert: "Elsewhere".into() }]);
    }

    #[test]
    fn an_expression_with_a_template_is_refused_at_its_place() {
        let problems = rule_file(&[runbook("a", "  - { alert: A, expr: \"x > {{ most }}\" }")]).unwrap_err();
        let problem = &problems.sorted()[0];
        assert_eq!((problem.code, problem.source.slice(problem.label.span)), ("alert-template", "\"x > {{ most }}\""));
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        for (seconds, text) in [(0, "0s"), (90, "1m30s"), (600, "10m"), (5400, "1h30m"), (90_061, "1d1h1m1s")] {
            assert_eq!(written(Duration::from_secs(seconds)), text);
        }
        assert_eq!(written(Duration::from_millis(1500)), "1s500ms");
    }
}
