//! JSON: checked by `serde_json`, edited by byte range, so that layout and number spelling stay.

use super::datum::{Datum, json_text, quoted};
use super::edit::{Broken, Syntax};
use super::lines::splice;
use super::tree::{Data, Entry, FlowStyle, Node, Spelling, insert_flow, nested, remove_flow, walk};
use std::collections::HashSet;

pub(super) struct Json;

const STYLE: FlowStyle = FlowStyle { key: quoted, value: json_text };

impl Syntax for Json {
    fn read(&self, text: &str) -> Result<Datum, Broken> {
        parse(text).map(|node| node.datum())
    }

    fn fit(&self, _path: &[String], value: Datum, _old: Option<&Datum>) -> Result<Datum, String> {
        Ok(value)
    }

    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String> {
        let root = parse(text).map_err(|broken| broken.reason)?;
        let at = walk(&root, path);
        let splices = match (&at.node.data, path.get(at.depth)) {
            (Data::Map { .. }, Some(key)) => {
                insert_flow(text, at.node, key, &nested(&path[at.depth + 1..], value), &STYLE)
            }
            _ => vec![(at.node.span.clone(), json_text(&nested(&path[at.depth..], value)))],
        };
        splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
    }

    fn unset(&self, text: &str, path: &[String]) -> Result<String, String> {
        let root = parse(text).map_err(|broken| broken.reason)?;
        let at = walk(&root, path);
        let splices = match (at.parent, at.entry) {
            (Some(map), Some(entry)) if at.depth == path.len() => remove_flow(text, map, entry),
            _ => Vec::new(),
        };
        splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
    }
}

fn parse(text: &str) -> Result<Node, Broken> {
    // Strict syntax and the depth limit are serde_json's; the scanner below may then be simple.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or("not JSON").to_owned();
        Broken { line: error.line().max(1), reason }
    })?;
    let mut scanner = Scanner { text, at: 0 };
    scanner.value(0)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn broken(&self, reason: &str) -> Broken {
        Broken { line: super::lines::line_number(self.text, self.at), reason: reason.to_owned() }
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        if depth > super::datum::DEPTH {
            return Err(self.broken("it is nested too deeply"));
        }
        let byte = self.peek();
        let start = self.at;
        let data = match byte {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Data::Scalar(Datum::Text(self.text()?), Spelling::Double),
            _ => self.word()?,
        };
        Ok(Node { span: start..self.at, data, fixed: None })
    }

    fn map(&mut self, depth: usize) -> Result<Data, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        self.at += 1;
        while self.peek() == Some(b'"') {
            let start = self.at;
            let key = self.text()?;
            let span = start..self.at;
            if !seen.insert(key.clone()) {
                return Err(self.broken(&format!("the key `{key}` is there twice")));
            }
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, span, value });
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.expect(b'}')?;
        Ok(Data::Map { entries, flow: true })
    }

    fn list(&mut self, depth: usize) -> Result<Data, Broken> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek().is_some_and(|byte| byte != b']') {
            items.push(self.value(depth + 1)?);
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.expect(b']')?;
        Ok(Data::List { items, flow: true })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() != Some(byte) {
            return Err(self.broken("it ends too early"));
        }
        self.at += 1;
        Ok(())
    }

    fn text(&mut self) -> Result<String, Broken> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'\\' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        let raw = self.text.get(start..self.at).ok_or_else(|| self.broken("a text is not closed"))?;
        serde_json::from_str(raw).map_err(|_| self.broken("a text has a wrong escape"))
    }

    fn word(&mut self) -> Result<Data, Broken> {
        let rest = &self.text[self.at..];
        let length = rest.find(|char: char| char.is_ascii_whitespace() || ",]}".contains(char)).unwrap_or(rest.len());
        let word = &rest[..length];
        let datum = match word {
            "null" => Datum::Null,
            "true" => Datum::Bool(true),
            "false" => Datum::Bool(false),
            _ => match (word.parse::<i128>(), word.parse::<f64>()) {
                (Ok(number), _) => Datum::Int(number),
                (_, Ok(number)) if number.is_finite() && word.contains(['.', 'e', 'E']) => Datum::Float(number),
                _ => Datum::Other(word.to_owned()),
            },
        };
        if word.is_empty() {
            return Err(self.broken("a value is missing"));
        }
        self.at += length;
        Ok(Data::Scalar(datum, Spelling::Plain))
    }
}
