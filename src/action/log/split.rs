//! A stream of bytes as lines, in bounded memory whatever comes.

use crate::action::outcome::bytes;

/// The longest line that is taken whole, in bytes. The rest of a longer one is dropped, and a mark says so.
pub(super) const LONGEST: usize = 1 << 20;

/// Cuts pieces of any size into lines. Bytes that are no UTF-8 become U+FFFD; a carriage return before the line's end
/// goes with it; a last line without an end is a line.
pub(super) struct Splitter {
    longest: usize,
    partial: Vec<u8>,
    /// Bytes of this line that were dropped.
    dropped: u64,
}

impl Splitter {
    /// Lines of at most so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, partial: Vec::new(), dropped: 0 }
    }

    /// Takes a piece; `each` gets the lines that end in it.
    pub(super) fn take(&mut self, piece: &[u8], each: &mut dyn FnMut(&str)) {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            if self.partial.is_empty() && self.dropped == 0 && line.len() <= self.longest {
                give(line, 0, each);
            } else {
                self.hold(line);
                self.end(each);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.hold(rest);
    }

    /// Takes the end of the stream.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() || self.dropped > 0 {
            self.end(each);
        }
    }

    fn hold(&mut self, piece: &[u8]) {
        let room = self.longest.saturating_sub(self.partial.len()).min(piece.len());
        self.partial.extend_from_slice(piece.get(..room).unwrap_or_default());
        self.dropped += (piece.len() - room) as u64;
    }

    fn end(&mut self, each: &mut dyn FnMut(&str)) {
        give(&self.partial, self.dropped, each);
        self.partial.clear();
        self.dropped = 0;
    }
}

fn give(line: &[u8], dropped: u64, each: &mut dyn FnMut(&str)) {
    let whole = line.strip_suffix(b"\r").filter(|_| dropped == 0).unwrap_or(line);
    let text = String::from_utf8_lossy(whole);
    if dropped == 0 {
        return each(&text);
    }
    let kept = whole_words(&text);
    each(&format!("{kept}{}", mark(dropped + (text.len() - kept.len()) as u64)));
}

/// A text that was cut off, without the word that the cut went through: it may be half of a secret.
fn whole_words(text: &str) -> &str {
    text.rfind(char::is_whitespace).map_or("", |end| &text[..end])
}

/// What stands at the end of a line that was cut.
pub(super) fn mark(dropped: u64) -> String {
    format!(" … (cut here: {} more)", bytes(dropped))
}

/// A text of at most so many bytes, with a mark where more was cut off.
pub(super) fn cut(text: &str, longest: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= longest {
        return text.into();
    }
    let kept = text.get(..text.floor_char_boundary(longest)).unwrap_or_default();
    let kept = whole_words(kept);
    format!("{kept}{}", mark((text.len() - kept.len()) as u64)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(longest: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut splitter = Splitter::new(longest);
        for piece in pieces {
            splitter.take(piece, &mut |line| found.push(line.to_owned()));
        }
        splitter.finish(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_are_the_same_wherever_the_pieces_are_cut() {
        let text = "one\ntwo\r\n\nfour ünd\nlast".as_bytes();
        let whole = ["one", "two", "", "four ünd", "last"];
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(lines(LONGEST, &pieces), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_stream_that_ends_with_a_newline_has_no_empty_last_line() {
        assert_eq!(lines(LONGEST, &[b"one\n"]), ["one"]);
        assert!(lines(LONGEST, &[b""]).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_with_a_mark_and_the_next_one_is_whole() {
        for size in [1, 3, 100] {
            let text = b"ab cdefghij\nk\nabcdefg\n";
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            // A word that the cut goes through may be half of a secret.
            let whole = ["ab … (cut here: 9 bytes more)", "k", " … (cut here: 7 bytes more)"];
            assert_eq!(lines(5, &pieces), whole, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(lines(LONGEST, &[b"a\xff\xfeb\0c\n"]), ["a\u{fffd}\u{fffd}b\0c"]);
    }
}
