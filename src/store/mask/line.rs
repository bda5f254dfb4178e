//! Masking of a line of JSON while it is written: inside its strings, so that it stays JSON.

use super::Masker;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use std::io::{self, Write};

/// Strings under these keys are ours (hashes and times) and hold no text from outside.
const OURS: [&str; 5] = ["prev", "time", "expires", "sha256", "digest"];

/// A line of JSON, and whether something in it was masked.
pub(in crate::store) struct MaskedLine {
    pub(in crate::store) bytes: Vec<u8>,
    pub(in crate::store) changed: bool,
}

/// Writes a value as one line of JSON, masked, without a newline.
pub(in crate::store) fn write_masked_line<T: Serialize>(masker: &Masker, value: &T) -> io::Result<MaskedLine> {
    if masker.table().is_empty() {
        return Ok(MaskedLine { bytes: serde_json::to_vec(value)?, changed: false });
    }
    let mut bytes = Vec::with_capacity(512);
    let mut changed = false;
    let formatter = Masking::new(masker, &mut changed);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(MaskedLine { bytes, changed })
}

/// Collects each string, masks it whole, and only then escapes it.
///
/// Masking the finished line instead would be wrong: a secret can begin in the middle of an escape, and a shell-quoted
/// secret is escaped once more by JSON.
struct Masking<'m> {
    masker: &'m Masker,
    changed: &'m mut bool,
    text: String,
    in_string: bool,
    in_key: bool,
    key: String,
    depth: usize,
    /// The depth at which a value from outside began (`{"value": ..}`): inside it even a number may be a secret.
    outside_from: Option<usize>,
}

impl<'m> Masking<'m> {
    fn new(masker: &'m Masker, changed: &'m mut bool) -> Self {
        let (text, key) = (String::new(), String::new());
        Self { masker, changed, text, in_string: false, in_key: false, key, depth: 0, outside_from: None }
    }

    fn number<W: ?Sized + Write>(&mut self, writer: &mut W, text: &[u8]) -> io::Result<()> {
        let number = std::str::from_utf8(text).unwrap_or_default();
        if self.in_string {
            self.text.push_str(number);
            return Ok(());
        }
        if self.outside_from.is_some() {
            let masked = self.masker.mask(number);
            if masked != number {
                *self.changed = true;
                return Ok(serde_json::to_writer(&mut *writer, &masked)?);
            }
        }
        writer.write_all(text)
    }

    fn is_ours(&self) -> bool {
        !self.in_key && self.outside_from.is_none() && OURS.contains(&self.key.as_str())
    }
}

/// Numbers are formatted as usual, and looked at.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {$(
        fn $method<W: ?Sized + Write>(&mut self, writer: &mut W, value: $number) -> io::Result<()> {
            let mut text = Vec::with_capacity(24);
            CompactFormatter.$method(&mut text, value)?;
            self.number(writer, &text)
        }
    )*};
}

impl Formatter for Masking<'_> {
    numbers! {
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128, write_u8: u8, write_u16: u16,
        write_u32: u32, write_u64: u64, write_u128: u128, write_f32: f32, write_f64: f64
    }

    fn write_bool<W: ?Sized + Write>(&mut self, writer: &mut W, value: bool) -> io::Result<()> {
        let text = if value { "true" } else { "false" };
        if self.in_string {
            self.text.push_str(text);
            return Ok(());
        }
        writer.write_all(text.as_bytes())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_string = true;
        self.text.clear();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.text.push_str(fragment);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        self.text.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        });
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = false;
        if self.in_key {
            self.key.clone_from(&self.text);
        }
        if !self.is_ours() {
            let masked = self.masker.mask(&self.text);
            if masked != self.text {
                *self.changed = true;
                self.text = masked;
            }
        }
        Ok(serde_json::to_writer(&mut *writer, &self.text)?)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.in_key = true;
        CompactFormatter.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_key = false;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.outside_from.is_none() && self.key == "value" {
            self.outside_from = Some(self.depth);
        }
        CompactFormatter.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if self.outside_from == Some(self.depth) {
            self.outside_from = None;
        }
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        CompactFormatter.end_object(writer)
    }
}
