//! Documents of a manifest as kubectl reads them: one JSON text after the other.

use crate::action::json::with_secrets;
use crate::action::outcome::Refusal;
use crate::expr::Value;

/// The text for standard input, secrets in it.
///
/// # Errors
/// A value that is unknown or that JSON does not have.
pub(super) fn text(documents: &[Value]) -> Result<String, Refusal> {
    let mut text = String::new();
    for document in documents {
        text.push_str(&with_secrets(document, "the manifest")?.to_string());
        text.push('\n');
    }
    Ok(text)
}
