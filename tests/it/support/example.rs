//! The runbooks of the language reference, to be run as they stand there.

use super::repository;

/// The text of the example with this id.
pub(crate) fn example(id: &str) -> String {
    let page = std::fs::read_to_string(repository("docs/language.md")).expect("the language reference");
    let start = format!("```yaml runbook\nrunbook: {id}\n");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("there is no example {id}"));
    let (body, _) = rest.split_once("\n```").expect("the end of the example");
    format!("runbook: {id}\n{body}\n")
}
