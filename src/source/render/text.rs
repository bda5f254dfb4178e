//! The form for a person.

use super::window::{Window, visible};
use crate::source::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

/// How many problems are shown; who has more mends these first.
const SHOWN: usize = 50;
/// Places farther apart than this are shown as two pieces of the file.
const NEAR: usize = 20;

pub(super) fn render(problems: &Diagnostics, colour: bool) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = if colour { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let renderer = renderer.term_width(1_000);
    let mut text = String::new();
    for problem in problems.sorted().into_iter().take(SHOWN) {
        text.push_str(&one(problem, &renderer));
        text.push_str("\n\n");
    }
    if problems.len() > SHOWN {
        text.push_str("and ");
        text.push_str(&(problems.len() - SHOWN).to_string());
        text.push_str(" more\n");
    }
    text.push_str(&counts(problems));
    text.push('\n');
    text
}

/// `2 errors, 1 warning`
fn counts(problems: &Diagnostics) -> String {
    let count = |severity: Severity| {
        let number = problems.count(severity);
        let plural = if number == 1 { "" } else { "s" };
        (number > 0).then(|| format!("{number} {}{plural}", severity.word()))
    };
    let counts: Vec<_> = [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(count).collect();
    counts.join(", ")
}

fn one(problem: &Diagnostic, renderer: &Renderer) -> String {
    let source = &problem.source;
    let line = |label: &Label| source.line_of(source.boundary(label.span.start));
    let main = line(&problem.label);
    let (near, far): (Vec<&Label>, Vec<&Label>) =
        problem.others.iter().partition(|label| line(label).abs_diff(main) <= NEAR);
    let marks: Vec<_> = std::iter::once(&problem.label).chain(near.iter().copied()).map(|label| label.span).collect();
    let window = Window::around(source, &marks);
    let name = visible(source.name());
    let shown = window.shown(source, problem.label.span);
    let column = window.column(shown.start);
    let mut snippet = snippet(&window, &name).annotation(mark(AnnotationKind::Primary, shown, &problem.label.text));
    for label in near {
        snippet = snippet.annotation(mark(AnnotationKind::Context, window.shown(source, label.span), &label.text));
    }
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = level.primary_title(visible(&problem.message)).id(problem.code).element(snippet);
    let mut moved = vec![(main, column, source.position(problem.label.span.start).1)];
    for label in far {
        let window = Window::around(source, &[label.span]);
        let shown = window.shown(source, label.span);
        moved.push((window.first, window.column(shown.start), source.position(label.span.start).1));
        group =
            group.element(self::snippet(&window, &name).annotation(mark(AnnotationKind::Context, shown, &label.text)));
    }
    let mut groups = vec![group];
    if let Some(hint) = &problem.hint {
        groups.push(Group::with_title(Level::HELP.with_name("hint").secondary_title(visible(hint))));
    }
    true_columns(renderer.render(&groups), &name, &moved)
}

fn snippet(window: &Window, name: &str) -> Snippet<'static, Annotation<'static>> {
    Snippet::source(window.text.clone()).path(name.to_owned()).line_start(window.first)
}

fn mark(kind: AnnotationKind, shown: std::ops::Range<usize>, text: &str) -> Annotation<'static> {
    let mark = kind.span(shown);
    if text.is_empty() { mark } else { mark.label(visible(text)) }
}

/// Where a line was cut or escaped, the renderer counts columns of what is shown; people want those of the file.
fn true_columns(text: String, name: &str, moved: &[(usize, usize, usize)]) -> String {
    let mut text = text;
    for &(line, shown, column) in moved {
        if shown != column {
            text = text.replacen(&format!("{name}:{line}:{shown}"), &format!("{name}:{line}:{column}"), 1);
        }
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
