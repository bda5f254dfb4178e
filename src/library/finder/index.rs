//! All texts of a library by their words, so that a line is looked up and not compared with each text.

use super::entry::{Entry, Text, TextKind};
use super::quoted::{Name, Quoted};
use super::search::Search;
use super::words::{self, Word};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The least letters of a name that is said to be nearly right.
const LEAST_NEAR: usize = 5;
/// How alike a name or a word must be to be nearly right: at most one letter in five differs.
const ALIKE: f64 = 0.8;

/// A text with what it is found by.
#[derive(Debug)]
pub(super) struct Indexed {
    /// Which entry it belongs to.
    pub(super) entry: usize,
    /// What it is.
    pub(super) text: Text,
    /// Its words.
    pub(super) stems: BTreeSet<String>,
}

/// Runbooks, ready to be searched.
#[derive(Debug, Default)]
pub struct Finder {
    pub(super) entries: Vec<Entry>,
    pub(super) texts: Vec<Indexed>,
    /// The text that stands for each runbook, by its id when that has a dash.
    pub(super) by_id: HashMap<String, usize>,
    /// The texts that have a word.
    pub(super) by_word: HashMap<String, Vec<usize>>,
    /// The words of each entry that stand beside every text of it: its id, system and tags.
    pub(super) beside: Vec<BTreeSet<String>>,
    pub(super) quoted: Vec<(usize, Quoted)>,
    /// Quoted texts by one of their words.
    pub(super) quoted_by: HashMap<String, Vec<usize>>,
    pub(super) names: Vec<(usize, Name)>,
    /// Names of alerts by one of their words.
    pub(super) names_by: HashMap<String, Vec<usize>>,
    /// Every word, as it stands in some text, by what it is compared by.
    written: BTreeMap<String, String>,
}

impl Finder {
    /// Takes the runbooks in, in the order in which equals are to be told.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut finder = Self::default();
        for entry in entries {
            finder.add(entry);
        }
        finder
    }

    fn add(&mut self, entry: Entry) {
        let number = self.entries.len();
        self.beside.push(BTreeSet::new());
        // One that is a word is no name: it stands in many a question.
        if entry.id.contains('-') {
            self.by_id.insert(entry.id.clone(), self.texts.len());
        }
        for text in &entry.texts {
            self.add_text(number, text);
        }
        self.entries.push(entry);
    }

    fn add_text(&mut self, entry: usize, text: &Text) {
        let number = self.texts.len();
        let mut stems = BTreeSet::new();
        let plain = without_templates(&text.text);
        let small: Vec<String> = Word::all(&plain).map(Word::small).collect();
        for (at, stem) in words::stems(&small) {
            self.written.entry(stem.clone()).or_insert_with(|| small[at].clone());
            stems.insert(stem);
        }
        for stem in &stems {
            self.by_word.entry(stem.clone()).or_default().push(number);
        }
        match &text.kind {
            TextKind::Id | TextKind::Tags => self.beside[entry].extend(stems.iter().cloned()),
            TextKind::Alert { .. } => {
                if let Some(name) = Name::of(&text.text) {
                    self.names_by.entry(name.key().to_owned()).or_default().push(self.names.len());
                    self.names.push((number, name));
                }
            }
            kind => {
                let whole = (*kind == TextKind::Symptom).then(|| Quoted::of(&plain)).flatten();
                for quoted in Quoted::all(&plain).into_iter().chain(whole) {
                    self.quoted_by.entry(quoted.key().to_owned()).or_default().push(self.quoted.len());
                    self.quoted.push((number, quoted));
                }
            }
        }
        self.texts.push(Indexed { entry, text: text.clone(), stems });
    }

    /// How many runbooks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where those stand that have errors.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.is_broken).map(|entry| entry.place.as_str())
    }

    /// Begins a search.
    #[must_use]
    pub fn search(&self) -> Search<'_> {
        Search::new(self)
    }

    /// The words of a text that stand in no runbook, each with one that does and is like it.
    #[must_use]
    pub fn unknown_words(&self, text: &str) -> Vec<(String, Option<String>)> {
        let mut found: Vec<(String, Option<String>)> = Vec::new();
        let small: Vec<String> = Word::all(text).map(Word::small).collect();
        for (at, stem) in words::stems(&small) {
            let word = &small[at];
            if !self.by_word.contains_key(&stem) && found.iter().all(|(other, _)| other != word) {
                found.push((word.clone(), self.word_like(word)));
            }
        }
        found
    }

    fn word_like(&self, small: &str) -> Option<String> {
        let likeness = |word: &String| strsim::normalized_damerau_levenshtein(small, word);
        let like = self.written.values().map(|word| (likeness(word), word)).filter(|(likeness, _)| *likeness >= ALIKE);
        like.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word.clone())
    }

    /// The alerts whose name is nearly one of the words of a text, or the whole of it: the number of the text, and what was
    /// written instead.
    pub(super) fn near_names<'t>(&self, text: &'t str) -> Vec<(usize, &'t str)> {
        let trimmed = |word: &'t str| word.trim_matches(|char: char| !char.is_alphanumeric());
        let mut typed: Vec<&str> = text.split_whitespace().map(trimmed).chain([text.trim()]).collect();
        typed.retain(|word| word.chars().count() >= LEAST_NEAR);
        let mut found = Vec::new();
        for &(number, _) in &self.names {
            let name = self.texts[number].text.text.to_lowercase();
            let like = |word: &str| strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &name);
            let best = typed.iter().map(|word| (like(word), *word)).max_by(|a, b| a.0.total_cmp(&b.0));
            found.extend(best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, word)| (number, word)));
        }
        found
    }
}

/// A text with dots for its templates: what will stand there is not known, and names of values are no words of it.
fn without_templates(text: &str) -> Cow<'_, str> {
    let Some((first, mut rest)) = text.split_once("{{") else { return Cow::Borrowed(text) };
    let mut plain = first.to_owned();
    while let Some((_, after)) = rest.split_once("}}") {
        let (words, next) = after.split_once("{{").unwrap_or((after, ""));
        plain.push_str("...");
        plain.push_str(words);
        rest = next;
    }
    Cow::Owned(plain)
}
