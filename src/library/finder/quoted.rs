//! Texts that are looked for word for word: those in quotes, and whole symptoms.

use super::words::Word;

/// What stands for one or more words of any kind, when it is a word by itself.
const HOLES: [&str; 4] = ["X", "Y", "Z", "N"];
/// Openers of quotes and their ends.
const QUOTES: [(char, char); 3] = [('`', '`'), ('"', '"'), ('“', '”')];
/// One word in quotes is a name, and stands in many a line.
const LEAST: usize = 2;

/// A text as words, with gaps where anything may stand. Case, blanks and punctuation do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Runs of words that stand together, in small letters; none is empty, and there is at least one.
    runs: Vec<Run>,
    /// How many words must at least follow.
    then: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Run {
    /// How many words must at least stand between the run before and this one.
    after: usize,
    words: Vec<String>,
}

impl Quoted {
    /// The quoted texts of a text: in backticks or double quotes.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let (mut found, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find(|char| QUOTES.iter().any(|&(opener, _)| opener == char)) {
            let opener = rest[at..].chars().next().unwrap_or_default();
            let end = QUOTES.iter().find(|quotes| quotes.0 == opener).map_or(opener, |quotes| quotes.1);
            let inner = &rest[at + opener.len_utf8()..];
            let Some(length) = inner.find(end) else {
                rest = inner;
                continue;
            };
            found.extend(Self::of(&inner[..length]));
            rest = &inner[length + end.len_utf8()..];
        }
        found
    }

    /// The words of a text; nothing when there are fewer than two.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (mut runs, mut run) = (Vec::new(), Run::default());
        for piece in pieces(text) {
            let gap = match piece {
                Piece::Word(word) => {
                    run.words.push(word.to_lowercase());
                    continue;
                }
                Piece::Anything => 0,
                Piece::Some => 1,
            };
            if !run.words.is_empty() {
                runs.push(std::mem::take(&mut run));
            }
            run.after += gap;
        }
        if !run.words.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
        let quoted = Self { runs, then: run.after };
        if quoted.length() < LEAST { None } else { Some(quoted) }
    }

    /// How many words of it are written out.
    pub(super) fn length(&self) -> usize {
        self.runs.iter().map(|run| run.words.len()).sum()
    }

    /// One of its words, a long one: a line without it is not worth a look.
    pub(super) fn key(&self) -> &str {
        let words = self.runs.iter().flat_map(|run| &run.words);
        words.max_by_key(|word| word.len()).map_or("", String::as_str)
    }

    /// Whether it stands in a line, given as words in small letters.
    pub(super) fn stands_in(&self, line: &[String]) -> bool {
        let mut from = 0;
        for run in &self.runs {
            let start = from + run.after;
            let Some(rest) = line.get(start..) else { return false };
            // The first place that fits leaves the most for what comes after it.
            let Some(at) = rest.windows(run.words.len()).position(|words| words == run.words) else { return false };
            from = start + at + run.words.len();
        }
        from + self.then <= line.len()
    }
}

enum Piece<'t> {
    Word(&'t str),
    /// `...`: anything, or nothing.
    Anything,
    /// `X`, `<name>`, `{name}`: one word or more.
    Some,
}

/// Words and gaps of a quoted text, in order.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let named = |end: char| rest.find(end).filter(|at| *at > 1 && !rest[1..*at].contains(char::is_whitespace));
        let dots = rest.len() - rest.trim_start_matches('.').len();
        let length = if first == '…' {
            found.push(Piece::Anything);
            first.len_utf8()
        } else if dots >= 3 {
            found.push(Piece::Anything);
            dots
        } else if let Some(at) =
            [('<', '>'), ('{', '}')].into_iter().find(|place| place.0 == first).and_then(|place| named(place.1))
        {
            found.push(Piece::Some);
            at + 1
        } else if first.is_alphanumeric() {
            let length = rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
            let word = &rest[..length];
            found.push(if HOLES.contains(&word) { Piece::Some } else { Piece::Word(word) });
            length
        } else {
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The name of an alert as words, which are compared as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    words: Vec<String>,
}

impl Name {
    /// The words of a name; nothing when there are none.
    pub(super) fn of(name: &str) -> Option<Self> {
        let words: Vec<String> = Word::all(name).map(|word| word.written.to_owned()).collect();
        if words.is_empty() { None } else { Some(Self { words }) }
    }

    /// One of its words, a long one.
    pub(super) fn key(&self) -> &str {
        self.words.iter().max_by_key(|word| word.len()).map_or("", String::as_str)
    }

    /// Whether it stands in a line.
    pub(super) fn stands_in(&self, line: &[Word<'_>]) -> bool {
        line.windows(self.words.len()).any(|words| words.iter().zip(&self.words).all(|(a, b)| a.written == b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(symptom: &str, line: &str) -> bool {
        let line: Vec<String> = Word::all(line).map(Word::small).collect();
        Quoted::all(symptom).iter().any(|quoted| quoted.stands_in(&line))
    }

    #[test]
    fn the_exact_words_whatever_their_case_blanks_and_punctuation() {
        let symptom = "The log says `extension \"vector\" is not available`";
        assert!(stands(symptom, "2026-11-26 ERROR:  Extension \\\"vector\\\"  is not available;"));
        assert!(!stands(symptom, "extension vector is available, not"));
        assert!(!stands(symptom, "extension vectors is not available"));
        assert!(!stands(symptom, ""));
        assert!(!stands("The log says extension is not available", "the log says extension is not available"));
        assert!(stands("It says \"too many clients\" or “pool timed out”", "sorry, too many clients already"));
        assert!(stands("It says \"too many clients\" or “pool timed out”", "pool timed out"));
    }

    #[test]
    fn placeholders_stand_for_anything() {
        assert!(stands("`expected X dimensions, not Y`", "ERROR: expected 768 dimensions, not 1536 at 3"));
        assert!(stands("`expected <n> dimensions`", "expected 1 or 2 dimensions"));
        assert!(stands("`expected {n} dimensions`", "expected 1 dimensions"));
        assert!(!stands("`expected X dimensions`", "expected dimensions"));
        assert!(stands("`expected ... dimensions`", "expected dimensions"));
        assert!(stands("`…relation X does not exist...`", "ERROR relation \"public.a\" does not exist"));
        assert!(!stands("`a X X b`", "a 1 b"));
        assert!(stands("`a X X b`", "a 1 2 b"));
        assert!(stands("`a ... b c`", "a b b c"), "a later place is looked at, too");
        assert!(!stands("`expected X dimensions, not Y`", "expected 768 dimensions, not"));
        assert!(stands("`value > N of x`", "value > 17 of x"), "a small x is a word");
        assert!(stands("`if a < b and c > d`", "if a < b and c > d"), "no placeholder has a blank in it");
    }

    #[test]
    fn odd_quotes_are_no_texts() {
        assert_eq!(Quoted::all("an open ` quote"), []);
        assert_eq!(Quoted::all("`` \"\" `...` `X`"), []);
        assert_eq!(Quoted::all("one word is a `name`"), []);
        assert_eq!(Quoted::all("5\" of rain, and `one or more`").len(), 1);
        assert_eq!(Quoted::all("`a b` and `c d e`").iter().map(Quoted::length).collect::<Vec<_>>(), [2, 3]);
    }
}
