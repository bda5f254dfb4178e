//! Texts read as booleans and numbers: the type asks, the spelling never decides.

use super::super::diagnostic::Diagnostic;
use super::super::file::{Source, Span};
use super::node::Scalar;

/// Why a text is not what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarProblem {
    /// The stable name of the problem.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// How to mend it.
    pub hint: String,
    /// The spelling that was meant, when there is only one.
    pub replacement: Option<String>,
}

impl ScalarProblem {
    /// The same as a problem at a place; the replacement becomes a suggestion.
    #[must_use]
    pub fn at(self, source: &Source, span: Span) -> Diagnostic {
        let problem = Diagnostic::error(source, self.code, span, self.message).hint(self.hint);
        match self.replacement {
            Some(text) => problem.suggest(span, text),
            None => problem,
        }
    }
}

impl Scalar {
    /// Reads `true` or `false`, spelled exactly so and not in quotes.
    ///
    /// # Errors
    /// `not-a-boolean`, with the right spelling for `yes`, `on`, `True` and their like.
    pub fn boolean(&self) -> Result<bool, ScalarProblem> {
        match (self.is_quoted(), self.text.as_str()) {
            (false, "true") => Ok(true),
            (false, "false") => Ok(false),
            _ => Err(self.not_a_boolean()),
        }
    }

    /// Reads a whole number in decimal digits, with an optional `-`.
    ///
    /// # Errors
    /// `not-an-integer`, with the right spelling for octal, grouped, sexagesimal and quoted numbers.
    pub fn integer(&self) -> Result<i64, ScalarProblem> {
        let wanted = Wanted { code: "not-an-integer", noun: "a whole number", example: "10" };
        self.check_number(&wanted)?;
        let digits = self.text.strip_prefix('-').unwrap_or(&self.text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.not_a(&wanted, None));
        }
        self.text.parse().map_err(|_| ScalarProblem {
            code: wanted.code,
            message: format!("{} is too large a number", self.shown()),
            hint: format!("whole numbers lie between {} and {}", i64::MIN, i64::MAX),
            replacement: None,
        })
    }

    /// Reads a number: digits, optionally with a sign, a fraction and an exponent; never `nan` or `inf`.
    ///
    /// # Errors
    /// `not-a-number`, with the right spelling for octal, grouped, sexagesimal and quoted numbers.
    pub fn number(&self) -> Result<f64, ScalarProblem> {
        let wanted = Wanted { code: "not-a-number", noun: "a number", example: "0.5" };
        self.check_number(&wanted)?;
        let starts_right = self.text.trim_start_matches('-').starts_with(|char: char| char.is_ascii_digit());
        let has_fraction = !self.text.ends_with('.') && !self.text.contains(".e") && !self.text.contains(".E");
        match self.text.parse::<f64>() {
            Ok(number) if starts_right && has_fraction && number.is_finite() => Ok(number),
            _ => Err(self.not_a(&wanted, None)),
        }
    }

    fn not_a_boolean(&self) -> ScalarProblem {
        let meant = match self.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some("true"),
            "false" | "no" | "off" | "n" => Some("false"),
            _ => None,
        };
        let hint = match meant {
            Some(meant) if self.is_quoted() => format!("write `{meant}`, without quotes"),
            Some(meant) => format!("write `{meant}`"),
            None => "write `true` or `false`".to_owned(),
        };
        ScalarProblem {
            code: "not-a-boolean",
            message: format!("{} is not a boolean: only `true` and `false` are", self.shown()),
            hint,
            replacement: meant.map(str::to_owned),
        }
    }

    /// Catches the spellings that some YAML readers take for a number of another value.
    fn check_number(&self, wanted: &Wanted) -> Result<(), ScalarProblem> {
        let text = self.text.as_str();
        if self.is_quoted() {
            let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let trap =
                Trap { why: "text in quotes is never a number".to_owned(), meant: bare.then(|| text.to_owned()) };
            return Err(self.not_a(wanted, Some(trap)));
        }
        match trap(text) {
            Some(trap) => Err(self.not_a(wanted, Some(trap))),
            None => Ok(()),
        }
    }

    fn not_a(&self, wanted: &Wanted, trap: Option<Trap>) -> ScalarProblem {
        let Wanted { code, noun, example } = wanted;
        let shown = self.shown();
        let (message, meant) = match trap {
            Some(trap) => (format!("{shown} is not {noun}: {}", trap.why), trap.meant),
            None => (format!("{shown} is not {noun}"), None),
        };
        let hint = match &meant {
            Some(meant) => format!("write `{meant}`"),
            None => format!("write {noun} in plain decimal digits, such as `{example}`"),
        };
        ScalarProblem { code, message, hint, replacement: meant }
    }

    /// The text as it stands in a message, cut when it is long.
    fn shown(&self) -> String {
        if self.is_empty() {
            return "nothing".to_owned();
        }
        let mut start: String =
            self.text.chars().take(40).map(|char| if char.is_control() { ' ' } else { char }).collect();
        if start.len() < self.text.len() {
            start.push('…');
        }
        if self.is_quoted() { format!("`\"{start}\"`") } else { format!("`{start}`") }
    }
}

struct Wanted {
    code: &'static str,
    noun: &'static str,
    example: &'static str,
}

struct Trap {
    why: String,
    meant: Option<String>,
}

fn trap(text: &str) -> Option<Trap> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with('+') && is_digits(digits) {
        return Some(Trap { why: "a number has no `+`".to_owned(), meant: Some(digits.to_owned()) });
    }
    radix(sign, digits).or_else(|| leading_zero(sign, digits)).or_else(|| grouped(sign, digits)).or_else(|| {
        let parts: Vec<&str> = digits.split(':').collect();
        let sexagesimal = parts.len() > 1 && parts.iter().all(|part| is_digits(part));
        sexagesimal.then(|| Trap { why: "some YAML readers take it for a number in base 60".to_owned(), meant: None })
    })
}

fn radix(sign: &str, digits: &str) -> Option<Trap> {
    let lower = digits.to_ascii_lowercase();
    let (name, base, rest) = [("octal", 8, "0o"), ("hexadecimal", 16, "0x"), ("binary", 2, "0b")]
        .into_iter()
        .find_map(|(name, base, prefix)| Some((name, base, lower.strip_prefix(prefix)?)))?;
    let meant = i64::from_str_radix(rest, base).ok().map(|number| format!("{sign}{number}"));
    Some(Trap { why: format!("{name} numbers are not used here"), meant })
}

fn leading_zero(sign: &str, digits: &str) -> Option<Trap> {
    let rest = digits.strip_prefix('0')?;
    if !rest.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let plain = digits.trim_start_matches('0');
    let why = "some YAML readers take a leading zero for octal".to_owned();
    let decimal =
        if plain.starts_with(|char: char| char.is_ascii_digit()) { plain.to_owned() } else { format!("0{plain}") };
    let is_whole = decimal.bytes().all(|byte| byte.is_ascii_digit());
    Some(Trap { why, meant: is_whole.then(|| format!("{sign}{decimal}")) })
}

fn grouped(sign: &str, digits: &str) -> Option<Trap> {
    let joined: String = digits.chars().filter(|char| !matches!(char, '_' | ',' | ' ')).collect();
    let is_grouped =
        joined.len() < digits.len() && !joined.is_empty() && joined.bytes().all(|byte| byte.is_ascii_digit());
    is_grouped.then(|| Trap { why: "digits are not grouped".to_owned(), meant: Some(format!("{sign}{joined}")) })
}

#[cfg(test)]
mod tests {
    use super::super::node::{Node, Style};
    use super::*;

    fn plain(text: &str) -> Scalar {
        Node::scalar(text, Style::Plain, Span::default()).as_scalar().expect("text").clone()
    }

    fn quoted(text: &str) -> Scalar {
        Node::scalar(text, Style::Double, Span::default()).as_scalar().expect("text").clone()
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(plain("true").boolean(), Ok(true));
        assert_eq!(plain("false").boolean(), Ok(false));
        for (text, meant) in [("yes", "true"), ("on", "true"), ("True", "true"), ("NO", "false"), ("off", "false")] {
            assert_eq!(plain(text).boolean().expect_err(text).hint, format!("write `{meant}`"));
        }
        assert_eq!(quoted("true").boolean().expect_err("quoted").hint, "write `true`, without quotes");
        assert_eq!(plain("maybe").boolean().expect_err("no").replacement, None);
        assert!(plain("").boolean().expect_err("no").message.starts_with("nothing is not"));
    }

    #[test]
    fn whole_numbers_are_decimal() {
        assert_eq!(plain("0").integer(), Ok(0));
        assert_eq!(plain("-12").integer(), Ok(-12));
        assert_eq!(plain("9223372036854775807").integer(), Ok(i64::MAX));
        let traps = [
            ("010", Some("10")),
            ("0o17", Some("15")),
            ("-0x1F", Some("-31")),
            ("0b101", Some("5")),
            ("1_000", Some("1000")),
            ("1,000", Some("1000")),
            ("1:30", None),
            ("+5", Some("5")),
            ("1.0", None),
            ("", None),
            ("-", None),
            ("１", None),
            ("9223372036854775808", None),
            ("1e3", None),
            ("00", Some("0")),
            ("--1", None),
        ];
        for (text, meant) in traps {
            let problem = plain(text).integer().expect_err(text);
            assert_eq!((problem.code, problem.replacement.as_deref()), ("not-an-integer", meant), "{text}");
        }
        assert_eq!(
            quoted("5").integer().expect_err("quoted").message,
            "`\"5\"` is not a whole number: text in quotes is never a number"
        );
    }

    #[test]
    fn numbers_are_finite_and_decimal() {
        for (text, number) in [("1", 1.0), ("-0.5", -0.5), ("1e3", 1000.0), ("0", 0.0), ("2.50", 2.5)] {
            assert_eq!(plain(text).number().map(f64::to_bits), Ok(f64::to_bits(number)), "{text}");
        }
        for text in
            ["nan", "inf", ".inf", "-inf", "1e999", ".5", "5.", "01.5", "1_0.0", "1:30", "", "infinity", "0x1p3"]
        {
            assert_eq!(plain(text).number().expect_err(text).code, "not-a-number");
        }
        assert!(quoted("1.5").number().is_err());
    }
}
