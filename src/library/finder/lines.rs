//! Lines of any bytes, in bounded memory.

use std::io::{self, Read};

/// How much of a line is looked at in one piece, in bytes.
const PIECE: usize = 64 * 1024;
/// How much of a piece comes again with the next one, so that a text across the border is found; in bytes.
const OVERLAP: usize = 1024;

/// Reads lines: bytes that are no text become `\u{fffd}`, colours of terminals are dropped, and a line that is longer than
/// 64 KiB comes in pieces that overlap.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    /// What was read and is not given yet.
    held: Vec<u8>,
    /// How much of it is known to have no line break in it.
    scanned: usize,
    /// The number of the line that `held` begins with.
    number: u64,
    is_over: bool,
}

impl<R: Read> Lines<R> {
    /// Reads from here on.
    pub fn new(reader: R) -> Self {
        Self { reader, held: Vec::new(), scanned: 0, number: 1, is_over: false }
    }

    /// The next line, or the next piece of it, with the number of the line, counted from 1; nothing at the end.
    ///
    /// # Errors
    /// What the reader says.
    pub fn next_piece(&mut self) -> io::Result<Option<(u64, String)>> {
        loop {
            if let Some(at) =
                memchr::memchr(b'\n', self.held.get(self.scanned..).unwrap_or_default()).map(|at| self.scanned + at)
            {
                let piece = text(&self.held[..at]);
                self.held.drain(..=at);
                self.scanned = 0;
                self.number += 1;
                return Ok(Some((self.number - 1, piece)));
            }
            self.scanned = self.held.len();
            if self.held.len() >= PIECE {
                let piece = text(&self.held);
                self.held.drain(..self.held.len() - OVERLAP);
                self.scanned = OVERLAP;
                return Ok(Some((self.number, piece)));
            }
            if self.is_over {
                let rest = std::mem::take(&mut self.held);
                self.scanned = 0;
                return Ok(if rest.is_empty() { None } else { Some((self.number, text(&rest))) });
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        match self.reader.read(&mut buffer) {
            Ok(0) => self.is_over = true,
            Ok(length) => self.held.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The bytes as text, without the sequences that colour it: they would stick to the words beside them.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let Some((first, rest)) = text.split_once("\u{1b}[") else { return text.into_owned() };
    let mut plain = first.to_owned();
    for part in rest.split("\u{1b}[") {
        let end = part.find(|char: char| ('\u{40}'..='\u{7e}').contains(&char));
        plain.push(' ');
        plain.push_str(end.map_or("", |end| &part[end + 1..]));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(bytes);
        std::iter::from_fn(|| lines.next_piece().expect("bytes can be read")).collect()
    }

    #[test]
    fn every_line_has_its_number() {
        let line = |number, text: &str| (number, text.to_owned());
        assert_eq!(all(b""), []);
        assert_eq!(all(b"a\n\nb\r\n"), [line(1, "a"), line(2, ""), line(3, "b\r")]);
        assert_eq!(all(b"a\nb"), [line(1, "a"), line(2, "b")]);
    }

    #[test]
    fn bytes_that_are_no_text_survive_and_colours_go() {
        assert_eq!(all(b"a\xff\0b\n")[0].1, "a\u{fffd}\0b");
        assert_eq!(all(b"\x1b[31mERROR\x1b[0m pool\x1b[")[0].1, " ERROR  pool ");
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_overlap() {
        let mut bytes = vec![b'.'; PIECE + 100];
        bytes[PIECE - 4..PIECE + 4].copy_from_slice(b"the text");
        bytes.extend(b"\nlast");
        let pieces = all(&bytes);
        assert_eq!(pieces.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 1, 2]);
        assert!(pieces.iter().any(|(_, piece)| piece.contains("the text")));
        assert!(pieces.iter().all(|(_, piece)| piece.len() < 2 * PIECE));
    }

    #[test]
    fn what_the_reader_says_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        assert!(Lines::new(Broken).next_piece().is_err());
    }
}
