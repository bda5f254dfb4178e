//! The forms in which a secret may turn up.

use super::MASK_AT_LEAST;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Everything but the unreserved characters of a URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As `encodeURIComponent` does it.
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// As `encodeURI` does it: what has a meaning in a URL stays.
const WHOLE_URL: &AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b',')
    .remove(b'#');
/// As Python's `quote` does it: a path stays a path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');
/// As Go's `PathEscape` does it: one segment of a path.
const SEGMENT: &AsciiSet = &UNRESERVED.remove(b'$').remove(b'&').remove(b'+').remove(b'=').remove(b':').remove(b'@');
/// As browsers write a path: only what would end it, and what no URL may hold.
const BROWSER: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// Every form of a secret text that is looked for, each at least [`MASK_AT_LEAST`] bytes long.
pub(in crate::store) fn forms_of(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = Forms(BTreeSet::new());
    let trimmed = secret.trim();
    for whole in BTreeSet::from([secret, trimmed]) {
        forms.add(whole);
        forms.escaped(whole);
        forms.base64(whole.as_bytes());
        forms.hex(whole.as_bytes());
    }
    for line in secret.lines().map(str::trim).filter(|line| *line != trimmed) {
        forms.add(line);
        if line.len() >= MASK_AT_LEAST {
            forms.escaped(line);
        }
    }
    forms.0
}

struct Forms(BTreeSet<Vec<u8>>);

impl Forms {
    fn add(&mut self, form: impl Into<Vec<u8>>) {
        let form = form.into();
        if form.len() >= MASK_AT_LEAST {
            self.0.insert(form);
        }
    }

    fn escaped(&mut self, text: &str) {
        for set in [UNRESERVED, COMPONENT, WHOLE_URL, PATH, SEGMENT, BROWSER] {
            let upper = percent_encoding::utf8_percent_encode(text, set).to_string();
            self.add(lower_percent(&upper));
            self.add(upper);
        }
        let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.add(lower_percent(&form));
        self.add(form);
        self.json(text);
        self.shell(text);
        self.doubled(text);
    }

    fn json(&mut self, text: &str) {
        let json = json_inner(text);
        self.add(json.replace('/', "\\/"));
        for upper in [false, true] {
            self.add(ascii_json(&json, upper, ""));
            // Some writers keep a page safe from what they print.
            self.add(ascii_json(&json, upper, "<>&"));
        }
        self.add(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
        self.add(json);
    }

    fn shell(&mut self, text: &str) {
        if let Ok(quoted) = shlex::try_quote(text) {
            self.add(strip_quotes(&quoted));
            // A quoted word may stand in JSON.
            self.add(json_inner(strip_quotes(&quoted)));
        }
        self.add(text.replace('\'', r"'\''"));
        self.add(text.replace('\'', r#"'"'"'"#));
        self.add(escaped_before(text, "\"$`\\"));
        self.add(escaped_before(text, "\"$`\\!"));
        self.add(escaped_before(text, " \t\"'$`\\!#&()*;<>?[]^{}|~"));
        self.add(escaped_before(text, " \t\"'$`\\!#&()*,;<>?[]^{}|~="));
        self.add(dollar_quoted(text, |byte| format!("\\x{byte:02x}")));
        self.add(dollar_quoted(text, |byte| format!("\\x{byte:02X}")));
        self.add(dollar_quoted(text, |byte| format!("\\{byte:03o}")));
        self.add(format!("{text:?}").trim_matches('"'));
    }

    /// Quoting as in SQL, YAML and CSV (a quote stands twice), escapes as PostgreSQL writes them, and those of HTML.
    fn doubled(&mut self, text: &str) {
        self.add(text.replace('\'', "''"));
        self.add(text.replace('"', "\"\""));
        let escaped = escaped_before(text, "\\");
        self.add(escaped.replace('\'', "''"));
        self.add(escaped.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"));
        self.add(escaped);
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        for [double, single] in
            [["\"", "'"], ["&quot;", "'"], ["&quot;", "&#39;"], ["&#34;", "&#39;"], ["&quot;", "&#x27;"]]
        {
            self.add(html.replace('"', double).replace('\'', single));
        }
    }

    fn hex(&mut self, bytes: &[u8]) {
        let mut lower = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing into a string cannot fail.
            if write!(lower, "{byte:02x}").is_err() {
                return;
            }
        }
        self.add(lower.to_uppercase());
        self.add(lower);
    }

    /// The whole, and the run that stays the same when something stands before and after it in what is encoded.
    fn base64(&mut self, bytes: &[u8]) {
        for engine in [&STANDARD, &URL_SAFE] {
            self.add(engine.encode(bytes));
        }
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            self.add(engine.encode(bytes));
            for (before, changed) in [(0, 0), (1, 2), (2, 3)] {
                let mut shifted = vec![0; before];
                shifted.extend_from_slice(bytes);
                let whole_characters = shifted.len() * 8 / 6;
                let encoded = engine.encode(shifted);
                self.add(encoded.get(changed..whole_characters).unwrap_or_default());
            }
        }
    }
}

/// A JSON string without its quotes.
fn json_inner(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    strip_quotes(&quoted).to_owned()
}

/// Writes what is not ASCII, and what is in `also`, as `\uXXXX`.
fn ascii_json(json: &str, upper: bool, also: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && !also.contains(character) {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let digits = if upper { format!("{unit:04X}") } else { format!("{unit:04x}") };
            out.extend(["\\u", &digits]);
        }
    }
    out
}

/// Puts a backslash before each of some characters.
fn escaped_before(text: &str, these: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if these.contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// The inside of `$'..'`; `byte` writes what has no short name.
fn dollar_quoted(text: &str, byte: impl Fn(u8) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for each in text.bytes() {
        match each {
            b'\'' | b'\\' => out.extend([b'\\', each]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            b' '..=b'~' => out.push(each),
            _ => out.extend(byte(each).into_bytes()),
        }
    }
    out
}

/// Lowers the digits of percent-encoding and nothing else.
fn lower_percent(encoded: &str) -> String {
    let mut digits = 0;
    encoded
        .chars()
        .map(|character| {
            if character == '%' {
                digits = 2;
                return character;
            }
            if digits == 0 {
                return character;
            }
            digits -= 1;
            character.to_ascii_lowercase()
        })
        .collect()
}

fn strip_quotes(quoted: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    quoted
}
