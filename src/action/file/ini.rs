//! `key = value` lines, with or without sections. A file without sections whose values all look like those of
//! `postgresql.conf` gets that file's quoting.

use super::datum::Datum;
use super::edit::{Broken, Syntax};
use super::lines::{Splice, append_lines, line_end, newline_of, next_line, splice, whole_lines};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::ops::Range;

pub(super) struct Ini;

impl Syntax for Ini {
    fn read(&self, text: &str) -> Result<Datum, Broken> {
        let file = Lines::read(text)?;
        let mut root = IndexMap::new();
        for line in &file.pairs {
            // The last of several equal keys counts, as it does for the programs that read such files.
            let value = Datum::Text(file.meaning(text, line));
            match &line.section {
                None => {
                    root.insert(line.key.clone(), value);
                }
                Some(section) => {
                    let map = root.entry(section.clone()).or_insert_with(|| Datum::Map(IndexMap::new()));
                    if let Datum::Map(map) = map {
                        map.insert(line.key.clone(), value);
                    }
                }
            }
        }
        for section in &file.sections {
            if !root.contains_key(&section.name) {
                root.insert(section.name.clone(), Datum::Map(IndexMap::new()));
            }
        }
        Ok(Datum::Map(root))
    }

    fn fit(&self, path: &[String], value: Datum, old: Option<&Datum>) -> Result<Datum, String> {
        if path.len() > 2 {
            return Err("an ini file has a section and a key, so a path has one or two parts".to_owned());
        }
        if path.len() == 1 && matches!(&value, Datum::Map(_)) && old.is_none() {
            return Err("an empty section cannot be set; name a key in it".to_owned());
        }
        let text = match (&value, old) {
            (Datum::Bool(flag), Some(Datum::Text(old))) => flag_like(*flag, old),
            (Datum::Map(_) | Datum::List(_) | Datum::Null | Datum::Other(_), _) => {
                return Err(format!("{} cannot stand in an ini file", value.what()));
            }
            _ => value.scalar_text().unwrap_or_default(),
        };
        if text.chars().any(char::is_control) {
            return Err("a value with a line break or control character cannot stand in an ini file".to_owned());
        }
        if path.iter().any(|key| key.trim() != key || key.is_empty() || key.starts_with(['[', '#', ';'])) {
            return Err("the name cannot stand in an ini file".to_owned());
        }
        if path.last().is_some_and(|key| key.contains('=')) || (path.len() == 2 && path[0].contains(']')) {
            return Err("the name cannot stand in an ini file".to_owned());
        }
        Ok(Datum::Text(text))
    }

    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String> {
        let file = Lines::read(text).map_err(|broken| broken.reason)?;
        let Datum::Text(value) = value else { return Err("only plain values can stand in an ini file".to_owned()) };
        let (section, key) = address(path)?;
        if let Some(line) = file.last(section, key) {
            if line.key != key {
                return Err(format!("the file spells it `{}`; name it so", line.key));
            }
            if line.continued {
                return Err("its value goes over several lines; edit it by hand".to_owned());
            }
            let new = file.spell(value, text.get(line.value.clone()))?;
            let blank = if line.separated { "" } else { " = " };
            return done(text, vec![(line.value.clone(), format!("{blank}{new}"))]);
        }
        let new = file.spell(value, None)?;
        let neighbour = file.pairs.iter().rfind(|line| line.section.as_deref() == section).or(file.pairs.last());
        let separator =
            neighbour.filter(|line| line.separated).map_or(" = ", |line| &text[line.name.end..line.value.start]);
        let separator = if separator.trim() == "=" && !separator.contains('\n') { separator } else { " = " };
        let indent = neighbour
            .filter(|line| line.section.as_deref() == section)
            .map_or("", |line| super::lines::indent_of(text, line.name.start));
        let new_line = format!("{indent}{key}{separator}{new}");
        match file.room(text, section, key) {
            Room::After(at) => {
                let stop = line_end(text, at);
                done(text, vec![(stop..stop, format!("{}{new_line}", newline_of(text)))])
            }
            Room::Top => done(text, vec![(0..0, format!("{new_line}{}", newline_of(text)))]),
            Room::End => Ok(append_lines(text, &[new_line])),
            Room::NewSection(section) => {
                let mut lines = vec![format!("[{section}]"), new_line];
                if !text.trim().is_empty() && !text.ends_with("\n\n") && !text.ends_with("\n\r\n") {
                    lines.insert(0, String::new());
                }
                Ok(append_lines(text, &lines))
            }
        }
    }

    fn unset(&self, text: &str, path: &[String]) -> Result<String, String> {
        let file = Lines::read(text).map_err(|broken| broken.reason)?;
        if let ([name], true) = (path, file.sections.iter().any(|section| path.first() == Some(&section.name))) {
            let gone = file.sections.iter().filter(|section| section.name == *name);
            return done(text, gone.map(|section| (section.start..section.end, String::new())).collect());
        }
        let (section, key) = address(path)?;
        // Every one of several equal keys goes, or an earlier one would come into force.
        let gone: Vec<_> = file.pairs.iter().filter(|line| file.is(line, section, key)).collect();
        if gone.iter().any(|line| line.continued) {
            return Err("its value goes over several lines; edit it by hand".to_owned());
        }
        done(
            text,
            gone.iter().map(|line| (whole_lines(text, &(line.name.start..line.value.end)), String::new())).collect(),
        )
    }
}

fn done(text: &str, splices: Vec<Splice>) -> Result<String, String> {
    splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
}

fn address(path: &[String]) -> Result<(Option<&str>, &str), String> {
    match path {
        [key] => Ok((None, key)),
        [section, key] => Ok((Some(section), key)),
        _ => Err("an ini file has a section and a key, so a path has one or two parts".to_owned()),
    }
}

/// A boolean in the words this file already uses for the key.
fn flag_like(flag: bool, old: &str) -> String {
    let pairs = [("on", "off"), ("yes", "no"), ("On", "Off"), ("Yes", "No"), ("True", "False"), ("TRUE", "FALSE")];
    let word = pairs.iter().find(|(yes, no)| old == *yes || old == *no).unwrap_or(&("true", "false"));
    if flag { word.0.to_owned() } else { word.1.to_owned() }
}

/// One `key = value` line.
struct Pair {
    section: Option<String>,
    key: String,
    name: Range<usize>,
    /// The value with its quotes, without blanks and comment around it; empty where there is none.
    value: Range<usize>,
    /// Whether anything stands between name and value.
    separated: bool,
    /// Whether the value goes on in the next line.
    continued: bool,
}

struct Section {
    name: String,
    start: usize,
    /// One past its last line.
    end: usize,
}

/// Where a new key goes.
enum Room {
    /// After the line that holds this byte.
    After(usize),
    /// Before the first line.
    Top,
    /// After the last line.
    End,
    /// Into a section that is not there yet.
    NewSection(String),
}

struct Lines {
    pairs: Vec<Pair>,
    sections: Vec<Section>,
    /// Comment lines: section and place.
    comments: Vec<(Option<String>, Range<usize>)>,
    postgres: bool,
}

impl Lines {
    fn read(text: &str) -> Result<Self, Broken> {
        let mut file = Self { pairs: Vec::new(), sections: Vec::new(), comments: Vec::new(), postgres: false };
        let mut at = 0;
        let mut number = 0;
        while at < text.len() {
            number += 1;
            let end = line_end(text, at);
            file.line(text, at..end).map_err(|reason| Broken { line: number, reason })?;
            at = next_line(text, at);
        }
        for index in 0..file.sections.len() {
            file.sections[index].end = file.sections.get(index + 1).map_or(text.len(), |next| next.start);
        }
        let names: HashSet<_> = file.sections.iter().map(|section| section.name.as_str()).collect();
        let shared = file.pairs.iter().find(|pair| pair.section.is_none() && names.contains(pair.key.as_str()));
        if let Some(pair) = shared {
            let line = super::lines::line_number(text, pair.name.start);
            return Err(Broken { line, reason: format!("`{}` is a key and a section", pair.key) });
        }
        file.postgres = file.sections.is_empty()
            && file.pairs.iter().all(|pair| {
                let raw = &text[pair.value.clone()];
                raw.starts_with('\'') || raw.is_empty() || is_plain_for_postgres(raw)
            });
        Ok(file)
    }

    fn line(&mut self, text: &str, range: Range<usize>) -> Result<(), String> {
        let line = &text[range.clone()];
        let body = line.trim();
        let section = self.sections.last().map(|section| section.name.clone());
        if body.is_empty() {
            return Ok(());
        }
        if body.starts_with(['#', ';']) {
            self.comments.push((section, range));
            return Ok(());
        }
        if let Some(rest) = body.strip_prefix('[') {
            let close = rest.rfind(']').ok_or("a section is not closed by `]`")?;
            let after = rest[close + 1..].trim();
            if !after.is_empty() && !after.starts_with(['#', ';']) {
                return Err("something stands after the `]` of a section".to_owned());
            }
            self.sections.push(Section { name: rest[..close].trim().to_owned(), start: range.start, end: range.end });
            return Ok(());
        }
        let indented = line.starts_with([' ', '\t']);
        if let Some(last) = self.pairs.last_mut() {
            // Goes on after a backslash, or by indentation without a key of its own.
            if (last.continued && text[last.value.clone()].ends_with('\\')) || (indented && !body.contains('=')) {
                last.continued = true;
                last.value.end = range.start + line.trim_end().len();
                return Ok(());
            }
        }
        self.pairs.push(pair(text, range, section));
        Ok(())
    }

    fn is(&self, line: &Pair, section: Option<&str>, key: &str) -> bool {
        let same = if self.postgres { line.key.eq_ignore_ascii_case(key) } else { line.key == key };
        same && line.section.as_deref() == section
    }

    fn last(&self, section: Option<&str>, key: &str) -> Option<&Pair> {
        self.pairs.iter().rfind(|line| self.is(line, section, key))
    }

    /// The value as the program reads it.
    fn meaning(&self, text: &str, line: &Pair) -> String {
        let raw = &text[line.value.clone()];
        let inner = |quote: char| raw.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if self.postgres {
            return inner('\'').map_or_else(|| raw.to_owned(), |inner| inner.replace("''", "'").replace("\\\\", "\\"));
        }
        inner('"').filter(|inner| !inner.contains(['"', '\\'])).unwrap_or(raw).to_owned()
    }

    /// The value as it is written, in the manner of the old one.
    fn spell(&self, value: &str, old: Option<&str>) -> Result<String, String> {
        let old = old.unwrap_or_default();
        if self.postgres {
            let plain = is_plain_for_postgres(value) && !old.starts_with('\'');
            let quoted = || format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"));
            return Ok(if plain { value.to_owned() } else { quoted() });
        }
        if old.len() > 1 && old.starts_with('"') && old.ends_with('"') {
            if value.contains(['"', '\\']) {
                return Err(
                    "the value holds a quote or backslash and stands in quotes here; edit it by hand".to_owned()
                );
            }
            return Ok(format!("\"{value}\""));
        }
        let blank = value.trim() != value;
        let comment = value.contains(" #") || value.contains(" ;") || value.contains("\t#") || value.contains("\t;");
        if blank || comment || value.starts_with(['"', '\'', '#', ';']) || value.ends_with('\\') {
            return Err("the value begins or ends with a blank, holds a comment sign or begins with a quote, \
                        which programs read in different ways in such a file; edit it by hand"
                .to_owned());
        }
        Ok(value.to_owned())
    }

    /// After the commented-out default, else after the last key, else after the header.
    fn room(&self, text: &str, section: Option<&str>, key: &str) -> Room {
        let is_default = |range: &Range<usize>| {
            let body = text[range.clone()].trim().trim_start_matches(['#', ';']).trim_start();
            let same = body
                .get(..key.len())
                .is_some_and(|name| if self.postgres { name.eq_ignore_ascii_case(key) } else { name == key });
            same && body[key.len()..].trim_start().starts_with('=')
        };
        if let Some((_, range)) =
            self.comments.iter().rfind(|(own, range)| own.as_deref() == section && is_default(range))
        {
            return Room::After(range.start);
        }
        if let Some(line) = self.pairs.iter().rfind(|line| line.section.as_deref() == section) {
            return Room::After(line.value.end.max(line.name.end));
        }
        match section {
            Some(name) => match self.sections.iter().rfind(|section| section.name == name) {
                Some(section) => Room::After(section.start),
                None => Room::NewSection(name.to_owned()),
            },
            None if self.sections.is_empty() => Room::End,
            None => Room::Top,
        }
    }
}

fn pair(text: &str, range: Range<usize>, section: Option<String>) -> Pair {
    let line = &text[range.clone()];
    let start = range.start + (line.len() - line.trim_start().len());
    let end = range.start + line.trim_end().len();
    let body = &text[start..end];
    let split = body.find('=').or_else(|| body.find([' ', '\t', ':'])).unwrap_or(body.len());
    let name = start..start + body[..split].trim_end().len();
    let rest = &text[name.end..end];
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let sign = usize::from(rest[gap..].starts_with(['=', ':']));
    let after = gap + sign;
    let blanks = rest[after..].len() - rest[after..].trim_start().len();
    let from = name.end + after + blanks;
    let length = value_length(&text[from..end], section.is_none());
    // Without a value, a new one goes right after the sign and a comment stays behind it.
    let value = from..from + length;
    let continued = text[value.clone()].ends_with('\\');
    Pair { section, key: text[name.clone()].to_owned(), value, separated: after > 0, name, continued }
}

/// How much of the rest of a line is the value: up to a comment sign that is outside quotes.
fn value_length(rest: &str, any_hash: bool) -> usize {
    let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let mut inside = false;
    let mut before = ' ';
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        if Some(char) == quote {
            // A doubled quote closes and opens again.
            inside = !inside;
        } else if inside && char == '\\' {
            chars.next();
        } else if !inside && matches!(char, '#' | ';') && (before == ' ' || before == '\t' || (char == '#' && any_hash))
        {
            return rest[..at].trim_end().len();
        }
        before = char;
    }
    rest.trim_end().len()
}

/// Whether PostgreSQL takes a value without quotes: a simple name, or a number with a unit.
fn is_plain_for_postgres(value: &str) -> bool {
    let word = value.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && value.chars().all(|char| char.is_ascii_alphanumeric() || "_-.:/".contains(char));
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let number = digits.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let has_number = number.chars().any(|char| char.is_ascii_digit());
    let dots = number.matches('.').count();
    word || (has_number && dots <= 1 && number.chars().all(|char| char.is_ascii_digit() || char == '.'))
}
