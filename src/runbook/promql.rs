//! Where values stand in a query of Prometheus, so that none of them becomes a part of its syntax.

use crate::expr::{Segment, Template};
use crate::source::Span;
use regex::Regex;
use std::sync::LazyLock;

/// A place in a query that takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryPlace {
    /// The text of a label matcher `=` or `!=`, in these quotes: any text, escaped.
    Label(char),
    /// The pattern of `=~` or `!~`, in these quotes: any text, taken as it is, or a list of alternatives.
    Pattern(char),
    /// Outside of quotes: a number, a duration or a point in time.
    Bare,
}

/// Why a value cannot stand where it does.
#[derive(Clone, Debug)]
pub struct QueryProblem {
    /// The value.
    pub span: Span,
    /// What is wrong.
    pub message: &'static str,
    /// How to mend it.
    pub hint: &'static str,
}

/// What surrounds the present character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Code,
    /// In a string that a label matcher (or nothing known) stands before.
    Text {
        quote: char,
        place: Option<QueryPlace>,
        escaped: bool,
    },
    Comment,
}

/// Reads a query from left to right.
struct Scanner {
    state: State,
    /// Code since the last string, without blanks: what stands before a quote.
    code: String,
    /// The string so far, as written.
    text: String,
    /// The last character of code; none at the start and after a blank.
    last: Option<char>,
    /// The value that ends where we are, if one does.
    after: Option<Span>,
    problems: Vec<QueryProblem>,
}

const GLUED: &str = "a value outside of quotes must stand by itself";
const GLUED_HINT: &str = "put it between blanks or brackets; a duration brings its unit along: `[{{ window }}]`";

/// The place of each value of a query, in order; and the values that have none.
#[must_use]
pub fn query_places(query: &Template) -> (Vec<QueryPlace>, Vec<QueryProblem>) {
    let mut places = Vec::new();
    let mut scanner = Scanner {
        state: State::Code,
        code: String::new(),
        text: String::new(),
        last: None,
        after: None,
        problems: Vec::new(),
    };
    for segment in query.segments() {
        match segment {
            Segment::Text(text) => text.as_str().chars().for_each(|character| scanner.read(character)),
            Segment::Expr(expr) => places.push(scanner.value(expr.span())),
        }
    }
    (places, scanner.problems)
}

/// Whether a character would make one word with a number.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | ':' | '.' | '$')
}

impl Scanner {
    fn read(&mut self, character: char) {
        if let Some(span) = self.after.take()
            && self.state == State::Code
            && is_word(character)
        {
            self.refuse(span, GLUED, GLUED_HINT);
        }
        match &mut self.state {
            State::Comment => {
                if character == '\n' {
                    self.state = State::Code;
                    self.last = None;
                }
            }
            State::Text { quote, escaped, .. } => {
                if *escaped {
                    *escaped = false;
                } else if character == '\\' && *quote != '`' {
                    *escaped = true;
                } else if character == *quote {
                    self.state = State::Code;
                    self.last = Some(character);
                    return;
                }
                self.text.push(character);
            }
            State::Code => self.code(character),
        }
    }

    fn code(&mut self, character: char) {
        self.last = (!character.is_whitespace()).then_some(character);
        match character {
            '#' => self.state = State::Comment,
            '"' | '\'' | '`' => {
                let place = matcher(&self.code, character);
                self.state = State::Text { quote: character, place, escaped: false };
                self.text.clear();
                self.code.clear();
            }
            blank if blank.is_whitespace() => {}
            other => self.code.push(other),
        }
    }

    fn value(&mut self, span: Span) -> QueryPlace {
        let place = match self.state {
            State::Code => {
                if self.after.is_some() || self.last.is_some_and(is_word) {
                    self.refuse(span, GLUED, GLUED_HINT);
                }
                self.code.push('0');
                Some(QueryPlace::Bare)
            }
            State::Comment => {
                self.refuse(span, "a value in a comment of the query means nothing", "leave it out");
                None
            }
            State::Text { quote: '`', .. } => {
                self.refuse(span, "a value cannot be escaped between backquotes", "use double quotes");
                None
            }
            State::Text { place: None, .. } => {
                let hint = "a value in quotes stands in a label matcher: `{label=\"{{ value }}\"}`";
                self.refuse(span, "what a value would mean in this text of the query cannot be told", hint);
                None
            }
            State::Text { escaped: true, .. } => {
                self.refuse(span, "the `\\` before this value would change its first character", "write `\\\\`");
                None
            }
            State::Text { place: Some(place @ QueryPlace::Pattern(_)), .. } => {
                if OPEN.as_ref().is_none_or(|open| open.is_match(&self.text)) {
                    let hint = "a value in a pattern is taken as it is; let it follow a whole part of the pattern";
                    self.refuse(span, "this value would be a part of the pattern's own syntax", hint);
                }
                Some(place)
            }
            State::Text { place, .. } => place,
        };
        self.after = Some(span);
        self.last = None;
        place.unwrap_or(QueryPlace::Bare)
    }

    fn refuse(&mut self, span: Span, message: &'static str, hint: &'static str) {
        self.problems.push(QueryProblem { span, message, hint });
    }
}

/// What in a pattern reaches over to what follows: a `\`, a class by name, the head of a group.
static OPEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\\|\\[pPxQ]\{?[^}]*|\(\?[^:)]*)$").ok());

/// The place that a string has after this code.
fn matcher(code: &str, quote: char) -> Option<QueryPlace> {
    if code.ends_with("=~") || code.ends_with("!~") {
        return Some(QueryPlace::Pattern(quote));
    }
    let before = code.strip_suffix('=')?;
    // `==`, `<=` and `>=` compare; no text can be compared.
    (!before.ends_with(['=', '<', '>'])).then_some(QueryPlace::Label(quote))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Result<Vec<QueryPlace>, Vec<(usize, &'static str)>> {
        let query = Template::parse(text, &|range| Span::new(range.start, range.end)).unwrap();
        let (places, problems) = query_places(&query);
        if problems.is_empty() {
            return Ok(places);
        }
        Err(problems.into_iter().map(|problem| (problem.span.start, problem.message)).collect())
    }

    #[test]
    fn values_have_places() {
        use QueryPlace::{Bare, Label, Pattern};
        let cases: [(&str, &[QueryPlace]); 12] = [
            ("up", &[]),
            (r#"up{job="{{ a }}"}"#, &[Label('"')]),
            (r"up{job='x{{ a }}y{{ b }}'}", &[Label('\''), Label('\'')]),
            (r#"up{job != "{{ a }}", b =~ "{{ b }}|x", c!~'^{{ c }}$'}"#, &[Label('"'), Pattern('"'), Pattern('\'')]),
            (r#"up{a="\"",b="{{ b }}"} > {{ n }}"#, &[Label('"'), Bare]),
            (r#"up{a="\\{{ b }}"}"#, &[Label('"')]),
            ("rate(x[{{ w }}]) / {{ n }} offset {{ d }}", &[Bare, Bare, Bare]),
            ("topk({{ n }},x)", &[Bare]),
            ("x # a '\n > {{ n }}", &[Bare]),
            ("x{a=`\\`} > {{ n }}", &[Bare]),
            (r#"x{a=~"api\\.{{ a }}(?:{{ b }})"}"#, &[Pattern('"'), Pattern('"')]),
            ("x @{{ t }}", &[Bare]),
        ];
        for (text, wanted) in cases {
            assert_eq!(places(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_would_become_syntax_is_refused() {
        let refused = [
            "{{ metric }}_total",
            "x{{ n }}",
            "rate(x[{{ n }}m])",
            "{{ a }}{{ b }}",
            "1.{{ n }}",
            "x # {{ n }}",
            "x{a=`{{ b }}`}",
            r#"x{a="\{{ b }}"}"#,
            r#"x{a=~"\\{{ b }}"}"#,
            r#"x{a=~"\\p{{ b }}"}"#,
            r#"x{a=~"(?{{ b }})"}"#,
            r#"x{a=~"(?P<{{ b }}>)"}"#,
            r#"label_replace(x, "to", "$1", "from", "{{ b }}")"#,
            r#"count_values("{{ b }}", x)"#,
            r#"x == "{{ b }}""#,
            r#"{"{{ b }}"}"#,
        ];
        for text in refused {
            assert!(places(text).is_err(), "{text}");
        }
    }
}
