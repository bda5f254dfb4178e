//! Puts the parser's refusals into words: what was probably meant, and the line as it should be.

use super::super::diagnostic::Diagnostic;
use super::super::file::{Source, Span};
use super::columns::{LINES_ABOVE, open_columns};
use super::line::{self, Line};

/// What the parser did not like, as far as its own word helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Tab,
    UnknownAnchor,
    OpenQuote,
    OpenBracket,
    WrongBracket,
    Escape,
    CommentInText,
    BlockHeader,
    Directive,
    MissingColon,
    Tag,
    Other,
}

/// Says what is wrong at `at`; `read` is the end of what was understood, `bracket` the innermost one still open.
pub(super) fn explain(source: &Source, at: usize, read: usize, bracket: Option<usize>, fault: Fault) -> Diagnostic {
    let place = Place::find(source, at, read, bracket, fault);
    place
        .tab()
        .or_else(|| place.template())
        .or_else(|| place.open_quote())
        .or_else(|| place.named())
        .or_else(|| place.block_text())
        .or_else(|| place.indentation())
        .or_else(|| place.broken_text())
        .or_else(|| place.brackets())
        .or_else(|| place.neighbours())
        .unwrap_or_else(|| place.plain_refusal())
}

struct Place<'a> {
    source: &'a Source,
    at: usize,
    read: usize,
    bracket: Option<usize>,
    fault: Fault,
    line: Line<'a>,
}

impl<'a> Place<'a> {
    fn find(source: &'a Source, at: usize, read: usize, bracket: Option<usize>, fault: Fault) -> Self {
        let at = source.boundary(at);
        let mut number = source.line_of(at).min(source.line_count());
        // At the end of a file, the last line that says something is the one to look at.
        while number > 1 && source.slice(source.line_span(number)).trim().is_empty() {
            number -= 1;
        }
        let line = Line::read(source, number);
        let at = at.clamp(line.span.start, line.span.end);
        Self { source, at, read: read.min(source.text().len()), bracket, fault, line }
    }

    fn error(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.source, code, span, message)
    }

    /// The character at the place, as a span.
    fn here(&self) -> Span {
        let width = self.source.text()[self.at..].chars().next().map_or(0, char::len_utf8);
        Span::new(self.at, (self.at + width).min(self.line.span.end))
    }

    fn tab(&self) -> Option<Diagnostic> {
        let blanks = &self.line.text[..self.line.indent()];
        let tab = match blanks.find('\t') {
            Some(tab) => self.line.span.start + tab,
            None if self.fault == Fault::Tab && self.line.text.contains('\t') => {
                let from = self.at - self.line.span.start;
                let tab = self.line.text[from..].find('\t').map(|tab| from + tab);
                self.line.span.start + tab.or_else(|| self.line.text.find('\t'))?
            }
            None => return None,
        };
        let problem =
            self.error("yaml-tab", Span::new(tab, tab + 1), "a tab stands in the indentation; YAML wants spaces");
        let above =
            (1..self.line.number).rev().map(|number| Line::read(self.source, number)).find(|line| !line.is_blank());
        Some(problem.label("this tab").hint(match above {
            Some(above) => {
                format!("indent with spaces; the line above starts at column {}", above.indent() + 1)
            }
            None => "indent with spaces".to_owned(),
        }))
    }

    fn template(&self) -> Option<Diagnostic> {
        let opened = self.bracket.map(|at| Line::read(self.source, self.source.line_of(at)));
        let lines = std::iter::once(&self.line).chain(opened.as_ref());
        lines.into_iter().find_map(|line| {
            let part = line.bare_template()?;
            Some(line::unquoted_template(self.source, line.place(part)))
        })
    }

    fn open_quote(&self) -> Option<Diagnostic> {
        if self.fault != Fault::OpenQuote {
            return None;
        }
        let rest = &self.source.text()[self.read..];
        let at = self.read + rest.find(['"', '\''])?;
        let quote = &self.source.text()[at..=at];
        let line = Line::read(self.source, self.source.line_of(at));
        let (end, _) = self.source.position(self.at);
        let problem = self.error("yaml-syntax", Span::new(at, at + 1), format!("this `{quote}` is never closed"));
        Some(problem.label("opened here").hint(if end == line.number {
            format!("write the closing `{quote}` at the end of the text")
        } else {
            format!("write the closing `{quote}` at the end of the text; YAML gave up on line {end}")
        }))
    }

    /// Faults for which the parser's own word says enough.
    fn named(&self) -> Option<Diagnostic> {
        match self.fault {
            Fault::Escape => {
                let from = self.at;
                let slash = self.source.text()[from..self.line.span.end].find('\\').map_or(from, |at| from + at);
                let end = self.source.boundary((slash + 2).min(self.line.span.end));
                let problem = self.error(
                    "yaml-syntax",
                    Span::new(slash, end),
                    "double quotes hold an escape that YAML does not know",
                );
                Some(problem.hint("write `\\\\` for a backslash, or use single quotes, where nothing is escaped"))
            }
            Fault::Directive => {
                let problem = self.error("yaml-syntax", self.line.span, "directives such as `%YAML` are not used here");
                Some(problem.hint("remove the line"))
            }
            Fault::UnknownAnchor => {
                let alias = self.source.text()[self.at..self.line.span.end].split([' ', ',', ']', '}']).next()?;
                if self.line.value_text() != alias && self.bracket.is_none() {
                    return None;
                }
                let span = Span::new(self.at, self.at + alias.len());
                let message = format!("`{alias}` repeats an anchor that is not above it");
                let name = alias.trim_start_matches('*');
                let hint = format!(
                    "mark what is repeated with `&{name}` further up; a text that starts with `*` needs quotes"
                );
                Some(self.error("yaml-alias", span, message).hint(hint))
            }
            Fault::Tag => Some(line::tag(self.source, self.here())),
            Fault::CommentInText => {
                let problem = self.error(
                    "yaml-syntax",
                    self.here(),
                    "a comment starts here, in the middle of a text of several lines",
                );
                Some(problem.hint(
                    "put the whole text in quotes if `#` belongs to it, or move the comment to a line above the text",
                ))
            }
            _ => None,
        }
    }

    /// A line that falls out of the block text above it.
    fn block_text(&self) -> Option<Diagnostic> {
        let indent = self.line.indent();
        if self.bracket.is_some() || indent == 0 {
            return None;
        }
        let mut inner = None;
        for number in (1..self.line.number).rev().take(LINES_ABOVE) {
            let above = Line::read(self.source, number);
            if above.text.trim().is_empty() {
                continue;
            }
            if above.indent() > indent {
                inner = Some(above.indent());
                continue;
            }
            let column = inner?;
            if above.indent() == indent || !above.value_text().starts_with(['|', '>']) {
                return None;
            }
            let message = format!(
                "this line starts at column {}, but the block text above it at column {}",
                indent + 1,
                column + 1
            );
            let span = self.line.place(indent..self.line.text.trim_end().len());
            let problem = self
                .error("yaml-indent", span, message)
                .also(above.place(above.value.clone()), "the block text starts here");
            return Some(problem.hint(format!("indent it to column {} if it belongs to the text", column + 1)));
        }
        None
    }

    /// A key that stands at a column where no other does.
    fn indentation(&self) -> Option<Diagnostic> {
        let key = self.line.key.clone()?;
        if self.bracket.is_some() || self.at > self.line.span.start + self.line.value.start {
            return None;
        }
        let is_item = !self.line.dashes.is_empty();
        let column = self.line.dashes.first().copied().unwrap_or(key.start);
        let open = open_columns(self.source, self.line.number);
        if open.iter().any(|other| other.at == column && other.is_item == is_item) {
            return None;
        }
        // An item may also stand at the column of the key that holds its list.
        let alike = open.iter().filter(|other| other.is_item == is_item);
        let neighbour = alike.min_by_key(|other| (other.at.abs_diff(column), usize::MAX - other.at))?;
        let what = if is_item { "this list item" } else { "the key" };
        let name = line::shorten(self.line.key_text()?, 40);
        let subject = if is_item { what.to_owned() } else { format!("{what} `{name}`") };
        let wanted = neighbour.at + 1;
        let message = format!("{subject} starts at column {}, but its neighbours start at column {wanted}", column + 1);
        let span = if is_item { self.line.place(column..column + 1) } else { self.line.place(key) };
        let indentation = self.line.place(0..self.line.indent());
        let shown = line::shorten(&neighbour.name, 40);
        let holds_value = !Line::read(self.source, neighbour.line).value_text().is_empty();
        let below = if holds_value && !is_item && column > neighbour.at {
            format!("; if it belongs under `{shown}`, that key cannot have a value of its own")
        } else {
            String::new()
        };
        let problem = self
            .error("yaml-indent", span, message)
            .also(neighbour.span, format!("column {wanted}"))
            .hint(format!("indent it like `{shown}` on line {}{below}", neighbour.line));
        Some(if self.line.indent() == column {
            problem.suggest(indentation, " ".repeat(neighbour.at))
        } else {
            problem
        })
    }

    /// A value without quotes that YAML takes for something else.
    fn broken_text(&self) -> Option<Diagnostic> {
        let value = self.line.value_text();
        let first = value.chars().next()?;
        let start = self.line.value.start;
        let mark = |at: usize, length: usize| self.line.place(start + at..start + at + length);
        let (span, message, label) = match first {
            '"' | '\'' => {
                let close = value[1..].find(first)? + 2;
                if value[close..].trim().is_empty() || self.bracket.is_some() {
                    return None;
                }
                let rest = mark(close, value.len() - close);
                let span = Span::new(rest.start + usize::from(value[close..].starts_with(' ')), rest.end);
                (span, format!("nothing may follow the closing `{first}` of a text in quotes"), "too much")
            }
            '[' | '{' => {
                let (open, close) = if first == '[' { ('[', ']') } else { ('{', '}') };
                let end = closing(value, open, close)?;
                let rest = value[end..].trim();
                if rest.is_empty() || rest.starts_with('#') || self.bracket.is_some() {
                    return None;
                }
                let kind = if first == '[' { "list" } else { "map" };
                (
                    mark(0, end),
                    format!("a text that starts with `{first}` needs quotes"),
                    if kind == "list" { "YAML reads this as a list" } else { "YAML reads this as a map" },
                )
            }
            '`' => (mark(0, 1), "a text that starts with a backtick needs quotes".to_owned(), "YAML has no use for it"),
            '*' | '&' | '!' | '@' | '%' | ',' | '?' => (
                mark(0, 1),
                format!("a text that starts with `{first}` needs quotes"),
                "this character means something else to YAML",
            ),
            '|' | '>' if self.fault == Fault::BlockHeader => (
                mark(0, 1),
                format!("a text that starts with `{first}` needs quotes"),
                "YAML reads this as the start of a block text",
            ),
            '-' if value.starts_with("- ") => {
                let problem = self.error("yaml-syntax", mark(0, 1), "a list cannot start on the line of its key");
                return Some(
                    problem.hint("write each `- item` on a line of its own below the key, or `[item, item]` here"),
                );
            }
            ']' | '}' => (mark(0, 1), format!("a text that starts with `{first}` needs quotes"), "closes nothing"),
            '#' => return None,
            _ => {
                if self.bracket.is_some() {
                    return None;
                }
                let colon = value.find(": ").or_else(|| value.ends_with(':').then(|| value.len() - 1))?;
                (
                    mark(colon, 1),
                    "a text with `: ` in it needs quotes".to_owned(),
                    "YAML reads this as the end of a key",
                )
            }
        };
        let problem = self.error("yaml-syntax", span, message).label(label);
        Some(self.line.quote(problem, self.line.value.clone()))
    }

    fn brackets(&self) -> Option<Diagnostic> {
        if self.fault == Fault::WrongBracket {
            let shown = self.source.slice(self.here());
            if matches!(shown, "[" | "{") {
                let problem =
                    self.error("yaml-syntax", self.here(), format!("this `{shown}` is closed by the wrong bracket"));
                return Some(problem.label("opened here").hint("`[` goes with `]`, `{` goes with `}`"));
            }
            let problem = self.error("yaml-syntax", self.here(), format!("this `{shown}` closes nothing"));
            return Some(match self.bracket {
                Some(open) => {
                    let bracket = &self.source.text()[open..=open];
                    let close = if bracket == "[" { "]" } else { "}" };
                    let problem = problem.also(Span::new(open, open + 1), "still open");
                    problem.hint(format!("the `{bracket}` that is open here wants a `{close}`"))
                }
                None => problem.hint("remove it, or put the text in quotes"),
            });
        }
        let open = self.bracket.or_else(|| {
            let is_bracket = self.fault == Fault::OpenBracket && self.source.text()[self.at..].starts_with(['[', '{']);
            is_bracket.then_some(self.at)
        })?;
        let bracket = self.source.text().get(open..=open)?;
        let close = if bracket == "[" { "]" } else { "}" };
        if self.source.line_of(open) == self.line.number && self.at > open && self.at < self.line.span.end {
            let problem = self.error(
                "yaml-syntax",
                self.here(),
                format!("a `,` or the closing `{close}` is missing before this"),
            );
            let problem = problem.also(Span::new(open, open + 1), "opened here");
            if let Some(part) = self.text_in_brackets() {
                let message = "a text with `: ` in it needs quotes";
                let problem =
                    self.error("yaml-syntax", self.here(), message).label("YAML reads this as the end of a key");
                return Some(self.line.quote(problem, part));
            }
            return Some(
                problem.hint("inside `{ }` and `[ ]`, a text that holds `: `, `,`, brackets or quotes needs quotes"),
            );
        }
        let problem = self.error("yaml-syntax", Span::new(open, open + 1), format!("this `{bracket}` is never closed"));
        let problem = problem.label("opened here");
        Some(
            problem.hint(format!(
                "write the `{close}` that belongs to it; a text that starts with `{bracket}` needs quotes"
            )),
        )
    }

    /// The text inside brackets whose second `: ` is the place.
    fn text_in_brackets(&self) -> Option<std::ops::Range<usize>> {
        let at = self.at - self.line.span.start;
        let (before, rest) = self.line.text.split_at_checked(at)?;
        let start = before.rfind([',', '{', '[']).map_or(0, |at| at + 1).max(before.rfind(": ")? + 1);
        let start = start + before[start..].len() - before[start..].trim_start().len();
        let end = at + rest.find([',', '}', ']'])?;
        let end = start + self.line.text[start..end].trim_end().len();
        (rest.starts_with(':') && start < at).then_some(start..end)
    }

    /// Keys, items and loose text side by side.
    fn neighbours(&self) -> Option<Diagnostic> {
        let above = (1..self.line.number).rev().take(LINES_ABOVE).map(|number| Line::read(self.source, number));
        let above = above.into_iter().find(|line| !line.is_blank())?;
        let is_item = !self.line.dashes.is_empty();
        let is_loose = |line: &Line<'_>| line.key.is_none() && line.dashes.is_empty();
        if is_loose(&above) && above.indent() == self.line.indent() {
            return Some(missing_colon(&above));
        }
        if is_loose(&self.line) {
            return Some(missing_colon(&self.line));
        }
        let indent = self.line.indent();
        let span = self.line.place(indent..self.line.text.trim_end().len());
        let open = open_columns(self.source, self.line.number);
        let other = open.iter().find(|other| other.at == indent && other.is_item != is_item)?;
        let (message, hint) = if is_item {
            ("a list item stands among the keys of a map", "indent the item below the key it belongs to")
        } else {
            ("a key stands among the items of a list", "indent the key below its item, or start an item with `- `")
        };
        Some(self.error("yaml-indent", span, message).also(other.span, "its neighbour").hint(hint))
    }

    fn plain_refusal(&self) -> Diagnostic {
        if self.line.key.is_none() && self.line.dashes.is_empty() && self.bracket.is_none() {
            return missing_colon(&self.line);
        }
        self.error("yaml-syntax", self.here(), "YAML cannot read this line from here on")
            .hint("put the text in quotes, and compare the indentation with the lines above")
    }
}

fn missing_colon(line: &Line<'_>) -> Diagnostic {
    let span = line.place(line.indent()..line.text.trim_end().len());
    let shown = line::shorten(line.text.trim(), 40);
    Diagnostic::error(line.source(), "yaml-syntax", span, format!("`{shown}` is neither a `key: value` nor a `- item`"))
        .hint("is the `:` after the key missing, or the indentation of a text of several lines?")
}

/// One past the bracket that closes the first one.
fn closing(value: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, char) in value.char_indices() {
        if char == open {
            depth += 1;
        } else if char == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}
