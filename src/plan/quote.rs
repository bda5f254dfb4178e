//! Command lines that can be pasted into a shell and do the same.

/// Quotes one argument: plain where that is safe, `$'..'` where it holds control characters, else single quotes.
#[must_use]
pub fn quote_argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_‹›".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with(['=', '~']) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        let mut quoted = String::from("$'");
        for c in text.chars() {
            match c {
                '\'' => quoted.push_str("\\'"),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                '\r' => quoted.push_str("\\r"),
                c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => quoted.push(c),
            }
        }
        quoted.push('\'');
        return quoted;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A whole command line.
#[must_use]
pub fn quote_command<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter().map(|element| quote_argument(element.as_ref())).collect::<Vec<_>>().join(" ")
}
