//! Two streams of a far end, told apart: what the program says, what the script around it says, and what came before.

use super::far::HELLO;
use memchr::memmem;

/// How much is remembered of what is not the program's.
const NOISE: usize = 4096;

/// A line of ours that is longer is cut.
const LONGEST_LINE: usize = 8192;

/// What stdout is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The far end says that it reads.
    Hello,
    /// The program is about to start.
    Start,
    /// Everything is the program's.
    Open,
    /// The script has said its last word.
    Over,
}

/// One stream. It takes pieces of any size, cut anywhere, and gives back what the program said.
#[derive(Debug)]
pub(in crate::action) struct Sieve {
    is_stderr: bool,
    stage: Stage,
    nonce: String,
    held: Vec<u8>,
    noise: Vec<u8>,
    said: Vec<Said>,
}

/// One thing the script said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::action) enum Said {
    /// The program was not started: a class and a sentence.
    Refused(String, String),
    /// It is about to be started.
    Started,
    /// A process that outlived the program, and was ended.
    Left(String),
    /// A process that could not be ended.
    Lost(String),
    /// How the program ended, and that nothing of it is left.
    End(i32),
}

impl Sieve {
    pub(super) fn stdout(nonce: &str) -> Self {
        Self::new(nonce, false, Stage::Hello)
    }

    pub(super) fn stderr(nonce: &str) -> Self {
        Self::new(nonce, true, Stage::Start)
    }

    fn new(nonce: &str, is_stderr: bool, stage: Stage) -> Self {
        let nonce = nonce.to_owned();
        Self { is_stderr, stage, nonce, held: Vec::new(), noise: Vec::new(), said: Vec::new() }
    }

    /// Whether the far end reads.
    pub(in crate::action) fn is_reading(&self) -> bool {
        self.stage != Stage::Hello
    }

    /// Whether the script has said its last word.
    pub(in crate::action) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// What the script said so far.
    pub(super) fn said(&self) -> &[Said] {
        &self.said
    }

    /// The end of what was said before the program, on one stream.
    pub(super) fn noise(&self) -> String {
        String::from_utf8_lossy(&self.noise).into_owned()
    }

    /// Takes a piece; what the program said of it comes back.
    pub(in crate::action) fn sift(&mut self, piece: &[u8]) -> Vec<u8> {
        if !self.is_stderr && self.stage == Stage::Open {
            return piece.to_vec();
        }
        self.held.extend_from_slice(piece);
        let mut passed = Vec::new();
        while self.step(&mut passed) {}
        passed
    }

    /// What is still held when the stream ends.
    pub(in crate::action) fn rest(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if self.stage == Stage::Open {
            return held;
        }
        self.hear_noise(&held);
        Vec::new()
    }

    /// Whether there may be more to find in what is held.
    fn step(&mut self, passed: &mut Vec<u8>) -> bool {
        match (self.is_stderr, self.stage) {
            (_, Stage::Over) => {
                self.held.clear();
                false
            }
            (false, Stage::Hello) => self.skip(HELLO.as_bytes(), Stage::Start),
            (false, Stage::Start) => {
                let mark = format!("{}\n", self.nonce);
                self.skip(mark.as_bytes(), Stage::Open)
            }
            (false, Stage::Open) => {
                passed.append(&mut self.held);
                false
            }
            (true, _) => self.line(passed),
        }
    }

    /// Drops everything up to a mark.
    fn skip(&mut self, mark: &[u8], then: Stage) -> bool {
        let at = memmem::find(&self.held, mark);
        let until = at.unwrap_or_else(|| self.held.len() - overlap(&self.held, mark));
        let before: Vec<u8> = self.held.drain(..until).collect();
        self.hear_noise(&before);
        if at.is_some() {
            self.held.drain(..mark.len());
            self.stage = then;
        }
        at.is_some()
    }

    /// Finds one line of the script in stderr.
    fn line(&mut self, passed: &mut Vec<u8>) -> bool {
        let mark = format!("{} ", self.nonce).into_bytes();
        let at = memmem::find(&self.held, &mark);
        let until = at.unwrap_or_else(|| self.held.len() - overlap(&self.held, &mark));
        let before: Vec<u8> = self.held.drain(..until).collect();
        if self.stage == Stage::Open {
            passed.extend(before);
        } else {
            self.hear_noise(&before);
        }
        if at.is_none() {
            return false;
        }
        let end = memchr::memchr(b'\n', &self.held).or((self.held.len() > LONGEST_LINE).then_some(LONGEST_LINE));
        let Some(end) = end else { return false };
        let line: Vec<u8> = self.held.drain(..=end).collect();
        let line = String::from_utf8_lossy(line.get(mark.len()..).unwrap_or_default()).into_owned();
        self.hear(line.trim_end_matches('\n'));
        true
    }

    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let said = match word {
            "started" => {
                self.stage = Stage::Open;
                Said::Started
            }
            "refused" => {
                let (class, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.stage = Stage::Over;
                Said::Refused(class.to_owned(), text.to_owned())
            }
            "left" => Said::Left(rest.to_owned()),
            "lost" => Said::Lost(rest.to_owned()),
            "end" => {
                let Ok(code) = rest.trim().parse() else { return };
                self.stage = Stage::Over;
                Said::End(code)
            }
            _ => return,
        };
        // A hundred lines are enough for a person.
        if self.said.len() < 100 || matches!(said, Said::End(_)) {
            self.said.push(said);
        }
    }

    fn hear_noise(&mut self, bytes: &[u8]) {
        self.noise.extend_from_slice(bytes.get(bytes.len().saturating_sub(NOISE)..).unwrap_or_default());
        if self.noise.len() > NOISE {
            self.noise.drain(..self.noise.len() - NOISE);
        }
    }
}

/// How many bytes at the end of a text may be the beginning of a mark.
fn overlap(text: &[u8], mark: &[u8]) -> usize {
    let most = text.len().min(mark.len() - 1);
    (1..=most).rev().find(|count| text.ends_with(&mark[..*count])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &[u8] = b"garbage\nrunwright-far-end-1\nmore\nabcabd\nhello\nabcabd\nworld";
    const ERR: &[u8] = b"banner\nabcabd started\noops abcababcabd left sleep (7)\nno newlineabcabd end 255\nlater";

    /// Whatever the pieces, the same comes out.
    #[test]
    fn pieces_may_be_cut_anywhere() {
        for size in 1..ERR.len() {
            let (mut out, mut err) = (Sieve::stdout("abcabd"), Sieve::stderr("abcabd"));
            let sifted = |sieve: &mut Sieve, text: &[u8]| {
                let mut passed: Vec<u8> = text.chunks(size).flat_map(|piece| sieve.sift(piece)).collect();
                passed.extend(sieve.rest());
                String::from_utf8(passed).unwrap()
            };
            assert_eq!(sifted(&mut out, OUT), "hello\nabcabd\nworld", "{size}");
            assert_eq!(sifted(&mut err, ERR), "oops abcabno newline", "{size}");
            assert_eq!((out.noise().as_str(), err.noise().as_str()), ("garbage\nmore\n", "banner\n"));
            assert_eq!(err.said(), [Said::Started, Said::Left("sleep (7)".to_owned()), Said::End(255)]);
            assert!(err.is_over() && out.is_reading());
        }
    }

    #[test]
    fn a_flood_before_the_first_word_is_not_kept() {
        let mut out = Sieve::stdout("abc");
        for _ in 0..100 {
            assert!(out.sift(&vec![b'x'; 64 << 10]).is_empty());
        }
        assert!(out.held.len() < 64 && out.noise.len() <= NOISE && !out.is_reading());
    }

    #[test]
    fn a_far_end_without_a_word_is_noise() {
        let mut err = Sieve::stderr("abc");
        assert!(err.sift(b"This account is not available.").is_empty());
        assert!(err.rest().is_empty());
        assert_eq!(err.noise(), "This account is not available.");
    }
}
