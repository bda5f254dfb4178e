//! A problem of a document: what is wrong, where, and how to mend it.

use super::file::{Source, Span};

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Runs, but will probably surprise somebody.
    Warning,
    /// Cannot be run.
    Error,
}

impl Severity {
    /// The word that stands for it in every form of output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place that a problem points at, with a few words under the caret.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The exact word that is meant.
    pub span: Span,
    /// What is said under the caret; may be empty.
    pub text: String,
}

/// A replacement that would mend the problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What to replace.
    pub span: Span,
    /// With what.
    pub text: String,
}

/// One problem of a document.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The stable name of the problem, in kebab case: `unknown-key`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence without a full stop, names in backticks.
    pub message: String,
    /// The file it is in.
    pub source: Source,
    /// The main place; its start orders the problems of a file.
    pub label: Label,
    /// Other places that matter (the first of two equal keys, say).
    pub others: Vec<Label>,
    /// How to mend it, one sentence.
    pub hint: Option<String>,
    /// A replacement, when there is a single obvious one.
    pub suggestion: Option<Suggestion>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(source: &Source, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            source: source.clone(),
            label: Label { span, text: String::new() },
            others: Vec::new(),
            hint: None,
            suggestion: None,
        }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(source: &Source, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(source, code, span, message) }
    }

    /// Says something under the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label.text = text.into();
        self
    }

    /// Points at a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.others.push(Label { span, text: text.into() });
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Offers a replacement for a part of the file.
    #[must_use]
    pub fn suggest(mut self, span: Span, text: impl Into<String>) -> Self {
        self.suggestion = Some(Suggestion { span, text: text.into() });
        self
    }

    /// Offers a near name out of those that would be right, as hint and as replacement; does nothing when none is near.
    #[must_use]
    pub fn near<'a>(mut self, wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(name) = nearest(wrong, right) {
            self.hint = Some(format!("did you mean `{name}`?"));
            self.suggestion = Some(Suggestion { span: self.label.span, text: name.to_owned() });
        }
        self
    }
}

/// The candidate most like `wrong`, if one is like enough to be offered.
pub(crate) fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    right
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|&(likeness, name)| likeness > 0.84 || strsim::damerau_levenshtein(wrong, name) == 1)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The problems of one stage, kept in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Starts with none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of another stage.
    pub fn extend(&mut self, others: Diagnostics) {
        self.list.extend(others.list);
    }

    /// Drops those that point at a place for which there is a better one.
    pub(crate) fn drop_at(&mut self, start: usize) {
        self.list.retain(|diagnostic| diagnostic.label.span.start != start);
    }

    /// Whether one with any of these codes points into this span.
    #[must_use]
    pub fn has_within(&self, codes: &[&str], span: Span) -> bool {
        self.list.iter().any(|diagnostic| {
            let place = diagnostic.label.span;
            codes.contains(&diagnostic.code) && span.start <= place.start && place.end <= span.end
        })
    }

    /// How many there are of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by file, in the order of the file.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<_> = self.list.iter().collect();
        list.sort_by(|a, b| {
            (a.source.name(), a.label.span.start, a.code).cmp(&(b.source.name(), b.label.span.start, b.code))
        });
        list
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic] }
    }
}
