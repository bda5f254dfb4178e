//! The runbooks inside the pages: each reads and checks without a problem.

use super::{pages, read};
use runwright::graph::{Callee, CheckContext, StepGraph, check};
use runwright::library::parse_library;
use runwright::runbook::{Action, Step, action_names, parse_runbook};
use runwright::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A fenced block of a page.
pub(super) struct Example {
    /// Page and line, for messages.
    pub(super) place: String,
    /// What stands in it.
    pub(super) text: String,
}

/// The blocks of a page that begin with this line.
pub(super) fn blocks(page: &str, text: &str, fence: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim() != fence {
            continue;
        }
        let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
        found.push(Example { place: format!("{page}:{}", at + 1), text: body.join("\n") + "\n" });
    }
    found
}

/// The addresses of a page's links into the repository.
pub(super) fn links(text: &str) -> Vec<String> {
    let outside = ["http://", "https://", "mailto:"];
    let after = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    after.filter(|target| !outside.iter().any(|scheme| target.starts_with(scheme))).map(str::to_owned).collect()
}

/// The anchors that a page's headings get on GitHub.
pub(super) fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn told(problems: &Diagnostics) -> String {
    render(problems, DiagnosticFormat::Text, false)
}

/// The actions of an example, of steps at any depth.
pub(super) fn actions_of(example: &Example) -> Vec<Action> {
    let source = Source::new(example.place.clone(), example.text.clone());
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&source, &mut problems);
    let runbook = runbook.unwrap_or_else(|| panic!("{}", told(&problems)));
    let mut steps: Vec<Arc<Step>> = runbook.steps.iter().chain(runbook.finally_steps()).cloned().collect();
    let mut found = Vec::new();
    while let Some(step) = steps.pop() {
        found.extend(step.action().cloned());
        steps.extend(step.children().into_iter().cloned());
    }
    found
}

/// Checks an example; what it calls is another example, or stands inside the program.
fn checked(source: &Source, problems: &mut Diagnostics) -> Option<StepGraph> {
    let runbook = parse_runbook(source, problems)?;
    let mut context = CheckContext::default();
    let example = Example { place: source.name().to_owned(), text: source.text().to_owned() };
    for action in actions_of(&example) {
        let Action::Runbook(call) = action else { continue };
        let name = &call.name.value;
        let known = pages().into_iter().flat_map(|page| blocks(&page, &read(&page), "```yaml runbook"));
        let head = format!("runbook: {name}\n");
        let callee = known
            .into_iter()
            .find(|example| example.text.starts_with(&head))
            .unwrap_or_else(|| panic!("{}: no example is the runbook `{name}`", source.name()));
        let graph = checked(&Source::new(callee.place, callee.text), problems);
        context.callees.insert(name.clone(), graph.map_or(Callee::Invalid, |graph| Callee::Checked(Arc::new(graph))));
    }
    check(Arc::new(runbook), &context, problems)
}

#[test]
fn every_runbook_in_the_pages_checks_without_a_warning() {
    let mut count = 0;
    for page in pages() {
        for example in blocks(&page, &read(&page), "```yaml runbook") {
            let source = Source::new(example.place, example.text);
            let mut problems = Diagnostics::new();
            checked(&source, &mut problems);
            assert!(problems.is_empty(), "{}", told(&problems));
            count += 1;
        }
    }
    assert!(count > action_names().len(), "only {count} examples were found");
}

#[test]
fn every_library_file_in_the_pages_is_read() {
    let mut count = 0;
    for page in pages() {
        for example in blocks(&page, &read(&page), "```yaml library") {
            let mut problems = Diagnostics::new();
            parse_library(&Source::new(example.place, example.text), &mut problems);
            assert!(problems.is_empty(), "{}", told(&problems));
            count += 1;
        }
    }
    assert!(count > 0, "no example was found");
}

#[test]
fn every_action_has_an_example_in_the_reference() {
    let page = "docs/language.md";
    let examples = blocks(page, &read(page), "```yaml runbook");
    let shown: BTreeSet<_> = examples.iter().flat_map(actions_of).map(|action| action.name()).collect();
    for name in action_names() {
        assert!(shown.contains(name), "`{name}` has no example in {page}");
    }
}
