//! One search: lines in, runbooks out, the best first, each with its reasons.

use super::entry::{self, TextKind};
use super::index::Finder;
use super::words::Word;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many reasons of a runbook are told.
const REASONS: usize = 3;

/// Why a text was found. The order of the variants is the order of the runbooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The input names the runbook, or an alert that it answers.
    Name,
    /// A symptom, or a quoted text, stands word for word in a line; so many words long.
    Quoted(usize),
    /// The input nearly names an alert that it answers.
    NearName,
    /// It has words of a line.
    Words {
        /// How many different ones.
        common: usize,
        /// How many words it has beside them.
        others: usize,
    },
}

impl By {
    /// What it is ordered by: its kind, then the more words the better, then the fewer beside them.
    fn order(&self) -> (u8, usize, usize) {
        match self {
            Self::Name => (0, 0, 0),
            Self::Quoted(words) => (1, usize::MAX - words, 0),
            Self::NearName => (2, 0, 0),
            Self::Words { common, others } => (3, usize::MAX - common, *others),
        }
    }

    /// Whether it says as much as another: then it is a reason beside it.
    fn equals(&self, other: &Self) -> bool {
        let (own, other) = (self.order(), other.order());
        (own.0, own.1) == (other.0, other.1)
    }

    /// The word that stands for it in JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Quoted(_) => "quoted",
            Self::NearName => "near-name",
            Self::Words { .. } => "words",
        }
    }
}

/// A text of a runbook that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub by: By,
    /// What the text is.
    pub kind: TextKind,
    /// The text as it is written.
    pub text: String,
    /// The words of the input that stand in it, or beside it in tags, as they were given.
    pub words: Vec<String>,
    /// The line in which they stand, counted from 1; the first of those that fit best.
    pub line: u64,
    /// In how many lines it was found.
    pub lines: u64,
}

/// A runbook that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'f> {
    /// Its place, counted from 1. Runbooks that fit equally well share one.
    pub place: usize,
    /// The runbook.
    pub entry: &'f entry::Entry,
    /// The best reasons, at most three: of the same kind, with as many words.
    pub reasons: Vec<Reason>,
}

/// What a text was found by, so far.
struct Hit {
    by: By,
    words: Vec<String>,
    line: u64,
    lines: u64,
    last: u64,
}

/// A search that goes on.
pub struct Search<'f> {
    finder: &'f Finder,
    /// The best of each text. A quoted text and words of one text are the same text.
    hits: BTreeMap<usize, Hit>,
}

impl<'f> Search<'f> {
    pub(super) fn new(finder: &'f Finder) -> Self {
        Self { finder, hits: BTreeMap::new() }
    }

    /// Looks at one line, or at a piece of it.
    pub fn line(&mut self, number: u64, line: &str) {
        let words: Vec<Word<'_>> = Word::all(line).collect();
        let small: Vec<String> = words.iter().map(|word| word.small()).collect();
        self.named(number, line, &words);
        self.quoted(number, &small);
        self.in_common(number, &words, &small);
    }

    /// Looks for names of alerts that a person nearly wrote.
    pub fn near_names(&mut self, number: u64, line: &str) {
        for (text, written) in self.finder.near_names(line) {
            self.hit(text, number, By::NearName, || vec![written.to_owned()]);
        }
    }

    fn named(&mut self, number: u64, line: &str, words: &[Word<'_>]) {
        let finder = self.finder;
        for name in words.iter().flat_map(|word| finder.names_by.get(word.written).into_iter().flatten()) {
            let (text, name) = &finder.names[*name];
            if name.stands_in(words) {
                self.hit(*text, number, By::Name, || vec![finder.texts[*text].text.text.clone()]);
            }
        }
        let typed = line.split_whitespace().map(|word| word.trim_matches(|char: char| !char.is_alphanumeric()));
        for id in typed.filter(|typed| !typed.is_empty()) {
            if let Some(text) = finder.by_id.get(id) {
                self.hit(*text, number, By::Name, || vec![id.to_owned()]);
            }
        }
    }

    fn quoted(&mut self, number: u64, small: &[String]) {
        let finder = self.finder;
        let keys: BTreeSet<&String> = small.iter().collect();
        for quoted in keys.into_iter().flat_map(|word| finder.quoted_by.get(word).into_iter().flatten()) {
            let (text, quoted) = &finder.quoted[*quoted];
            if quoted.stands_in(small) {
                self.hit(*text, number, By::Quoted(quoted.length()), Vec::new);
            }
        }
    }

    /// Words that no runbook has tell none from another: they do not count.
    fn in_common(&mut self, number: u64, words: &[Word<'_>], small: &[String]) {
        let finder = self.finder;
        let mut known: BTreeMap<String, (usize, &str)> = BTreeMap::new();
        for (at, stem) in super::words::stems(small) {
            if let Some(word) = words.get(at).filter(|_| finder.by_word.contains_key(&stem)) {
                known.entry(stem).or_insert((at, word.written));
            }
        }
        let mut own: HashMap<usize, usize> = HashMap::new();
        for text in known.keys().flat_map(|stem| &finder.by_word[stem]) {
            *own.entry(*text).or_default() += 1;
        }
        for (text, own) in own {
            let indexed = &finder.texts[text];
            let beside = &finder.beside[indexed.entry];
            let fits = |stem: &String| indexed.stems.contains(stem) || beside.contains(stem);
            let mut common: Vec<(usize, &str)> =
                known.iter().filter(|(stem, _)| fits(stem)).map(|(_, word)| *word).collect();
            let most_of_line = common.len() * 2 > known.len();
            let most_of_text = own >= 2 && own * 2 > indexed.stems.len();
            if most_of_line || most_of_text {
                common.sort_unstable();
                let words = || common.iter().map(|(_, word)| (*word).to_owned()).collect();
                let by = By::Words { common: common.len(), others: indexed.stems.len() - own };
                self.hit(text, number, by, words);
            }
        }
    }

    fn hit(&mut self, text: usize, line: u64, by: By, words: impl FnOnce() -> Vec<String>) {
        match self.hits.entry(text) {
            Entry::Vacant(place) => {
                place.insert(Hit { by, words: words(), line, lines: 1, last: line });
            }
            Entry::Occupied(mut place) => {
                let hit = place.get_mut();
                // The pieces of a line overlap.
                if hit.last != line {
                    hit.last = line;
                    hit.lines += 1;
                }
                if by.order() < hit.by.order() {
                    (hit.by, hit.words, hit.line) = (by, words(), line);
                }
            }
        }
    }

    /// The runbooks that were found, the best first; equals in the order of the library.
    #[must_use]
    pub fn finish(self) -> Vec<Found<'f>> {
        let finder = self.finder;
        let mut by_entry: BTreeMap<usize, Vec<(usize, Hit)>> = BTreeMap::new();
        for (text, hit) in self.hits {
            by_entry.entry(finder.texts[text].entry).or_default().push((text, hit));
        }
        let mut found: Vec<((u8, usize, usize), Found<'f>)> = by_entry
            .into_iter()
            .filter_map(|(entry, mut hits)| {
                hits.sort_by_key(|(text, hit)| (hit.by.order(), *text));
                let by = hits.first()?.1.by.clone();
                let best = by.order();
                let as_good = hits.into_iter().filter(|(_, hit)| hit.by.equals(&by));
                let reasons = as_good.take(REASONS).map(|(text, hit)| finder.reason(text, hit)).collect();
                Some((best, Found { place: 0, entry: &finder.entries[entry], reasons }))
            })
            .collect();
        found.sort_by_key(|(best, _)| *best);
        let mut places: Vec<usize> = Vec::new();
        for (at, (best, _)) in found.iter().enumerate() {
            let is_tie = at > 0 && found[at - 1].0 == *best;
            places.push(if is_tie { places[at - 1] } else { at + 1 });
        }
        found.into_iter().zip(places).map(|((_, found), place)| Found { place, ..found }).collect()
    }
}

impl Finder {
    fn reason(&self, text: usize, hit: Hit) -> Reason {
        let Hit { by, words, line, lines, .. } = hit;
        let text = self.texts[text].text.clone();
        Reason { by, kind: text.kind, text: text.text, words, line, lines }
    }
}
