//! Problems as text with carets, JSON, SARIF and GitHub annotations.

mod github;
mod json;
mod sarif;
mod text;
mod window;

#[cfg(test)]
mod tests;

use super::diagnostic::Diagnostics;

/// How many problems the forms for machines print.
const MACHINE_LIMIT: usize = 1_000;

/// A form in which problems are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiagnosticFormat {
    /// For a person: caret under the exact word.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub workflow commands.
    Github,
}

/// Renders the problems, in file order, ending with a newline when there are any; `colour` is for the text form only.
///
/// JSON and SARIF are whole documents also when there are no problems; the other two are then empty. Text prints at most
/// 50 problems and the others at most 1,000.
#[must_use]
pub fn render(problems: &Diagnostics, format: DiagnosticFormat, colour: bool) -> String {
    match format {
        DiagnosticFormat::Text => text::render(problems, colour),
        DiagnosticFormat::Json => json::render(problems),
        DiagnosticFormat::Sarif => sarif::render(problems),
        DiagnosticFormat::Github => github::render(problems),
    }
}
