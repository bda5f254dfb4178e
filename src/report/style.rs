//! How text is laid out and marked: width, colour, the characters of boxes.

use super::sanitize::{visible, visible_lines};
use anstyle::{AnsiColor, Style as Ansi};
use unicode_width::UnicodeWidthChar as _;

/// What the place where text goes can show. Whoever prints decides (terminal or not, `NO_COLOR`, locale).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours may be used; they mark only what a word already says.
    pub colour: bool,
    /// Columns, at least 40 are used.
    pub width: usize,
    /// Whether more than ASCII can be shown.
    pub unicode: bool,
    /// Whether it is a terminal, so that a line can be drawn again.
    pub terminal: bool,
}

impl Style {
    /// Plain text of 80 columns: for files, pipes and tests.
    pub const PLAIN: Self = Self { colour: false, width: 80, unicode: true, terminal: false };
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Kind,
    Good,
    Attention,
    Bad,
    Quiet,
}

/// The characters a box is drawn with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyphs {
    pub(crate) top: &'static str,
    pub(crate) side: &'static str,
    /// The side of a line that goes on from the one above.
    pub(crate) onward: &'static str,
    pub(crate) bottom: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) cut: &'static str,
    pub(crate) dot: &'static str,
}

const LINES: Glyphs =
    Glyphs { top: "┌", side: "│", onward: "┊", bottom: "└", rule: "─", cut: "…", dot: "·" };
const ASCII: Glyphs = Glyphs { top: "+", side: "|", onward: ":", bottom: "+", rule: "-", cut: "...", dot: "-" };

impl Style {
    pub(crate) fn glyphs(&self) -> Glyphs {
        if self.unicode { LINES } else { ASCII }
    }

    /// The columns to fill: never fewer than 40, so that nothing falls apart on an odd terminal.
    pub(crate) fn columns(&self) -> usize {
        self.width.max(40)
    }

    /// Foreign text on one line.
    pub(crate) fn text(&self, text: &str) -> String {
        let clean = visible(text);
        if self.unicode { clean } else { to_ascii(&clean) }
    }

    /// Foreign text on its own lines.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let lines = visible_lines(text);
        if self.unicode { lines } else { lines.iter().map(|line| to_ascii(line)).collect() }
    }

    /// Marks a text; it must have been laid out before.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let ansi = match tone {
            Tone::Kind => Ansi::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Attention => AnsiColor::Yellow.on_default().bold(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Quiet => Ansi::new().dimmed(),
        };
        format!("{ansi}{text}{ansi:#}")
    }

    /// A text cut to some columns, with a mark where something is missing.
    pub(crate) fn cut(&self, text: &str, columns: usize) -> String {
        if columns_of(text) <= columns {
            return text.to_owned();
        }
        let mark = self.glyphs().cut;
        let (head, _) = split_at_columns(text, columns.saturating_sub(columns_of(mark)));
        format!("{head}{mark}")
    }
}

fn to_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => out.push(character),
            '‹' => out.push('<'),
            '›' => out.push('>'),
            '…' => out.push_str("..."),
            '·' | '–' | '—' => out.push('-'),
            other => out.extend(other.escape_unicode()),
        }
    }
    out
}

/// How many columns a text fills.
pub(crate) fn columns_of(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The longest beginning that fits into some columns, and the rest. The beginning is never empty while text is left.
pub(crate) fn split_at_columns(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > columns {
            let at = if index == 0 { character.len_utf8() } else { index };
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Fills a text with blanks up to some columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(columns_of(text))));
    out
}

/// Breaks a line without losing a character: after a blank where there is one in the last third, else anywhere. Gives at
/// least one line.
pub(crate) fn break_exact(line: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        let (head, tail) = split_at_columns(rest, columns.max(1));
        if tail.is_empty() {
            out.push(head.to_owned());
            return out;
        }
        let at = match head.rfind(' ') {
            Some(blank) if columns_of(&head[..blank]) * 3 >= columns * 2 => blank + 1,
            _ => head.len(),
        };
        out.push(rest[..at].to_owned());
        rest = &rest[at..];
    }
}

/// Breaks running text between words; a word that is too long is broken anywhere. Gives at least one line.
pub(crate) fn break_words(text: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        let left = columns.saturating_sub(columns_of(&line) + 1);
        if !line.is_empty() && columns_of(word) > columns && left * 3 >= columns {
            // A word that is broken anyway begins where there is room.
            let (head, tail) = split_at_columns(word, left);
            line.push(' ');
            line.push_str(head);
            out.push(std::mem::take(&mut line));
            word = tail;
        }
        if !line.is_empty() && columns_of(&line) + 1 + columns_of(word) > columns {
            out.push(std::mem::take(&mut line));
        }
        // One look at each piece: measuring the whole rest every time would take minutes for a word of a megabyte.
        while line.is_empty() {
            let (head, tail) = split_at_columns(word, columns.max(1));
            if tail.is_empty() {
                break;
            }
            out.push(head.to_owned());
            word = tail;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || out.is_empty() {
        out.push(line);
    }
    out
}
