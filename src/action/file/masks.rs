//! What of a file must not be shown in a diff.

use super::datum::{Datum, Found, mask_of, quoted};
use crate::expr::{SecretText, Value};
use crate::plan::EditAct;
use minijinja::value::ValueKind;

/// Texts that must not be shown, in every spelling a format gives them.
#[derive(Default)]
pub(super) struct Masks {
    list: Vec<(String, String)>,
}

impl Masks {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn add(&mut self, text: &str, shown: &str) {
        let json = quoted(text);
        let shell: String = text
            .chars()
            .flat_map(|char| matches!(char, '"' | '\\' | '`' | '$').then_some('\\').into_iter().chain([char]))
            .collect();
        let forms = [
            text.to_owned(),
            json[1..json.len() - 1].to_owned(),
            text.replace('\'', "''"),
            text.replace('\\', "\\\\").replace('\'', "''"),
            shell,
        ];
        // A text over several lines may stand indented in the file.
        let lines =
            text.lines().map(str::trim).filter(|line| line.len() >= 8 && line.len() < text.len()).map(str::to_owned);
        for form in forms.into_iter().chain(lines) {
            if !form.is_empty() && !self.list.iter().any(|(known, _)| *known == form) {
                self.list.push((form, shown.to_owned()));
            }
        }
        // The longest first: an escaped form may hold the raw one.
        self.list.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    }

    pub(super) fn collect(&mut self, value: &Value) {
        if let Some(secret) = value.downcast_object_ref::<SecretText>() {
            self.add(secret.reveal(), &mask_of(secret));
        }
        if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map)
            && let Ok(items) = value.try_iter()
        {
            for item in items {
                if value.kind() == ValueKind::Map {
                    self.collect(&value.get_item(&item).unwrap_or_default());
                } else {
                    self.collect(&item);
                }
            }
        }
    }

    /// The text that a secret replaces was one too.
    pub(super) fn collect_old(&mut self, act: &EditAct, data: &Datum) {
        for setting in &act.settings {
            let Some(secret) = setting.value.as_ref().and_then(|value| value.downcast_object_ref::<SecretText>())
            else {
                continue;
            };
            let Found::Here(old) = data.find(&setting.path) else { continue };
            let mut texts = Vec::new();
            old_texts(old, &mut texts);
            for text in texts.iter().filter(|text| *text != secret.reveal()) {
                self.add(text, &format!("‹secret {}, old›", secret.name));
            }
        }
    }

    /// All at once, so that a mask is never masked again.
    pub(super) fn apply(&self, text: &str) -> String {
        let forms: Vec<_> = self.list.iter().map(|(form, _)| form.as_str()).collect();
        let shown: Vec<_> = self.list.iter().map(|(_, shown)| shown.as_str()).collect();
        if forms.is_empty() {
            return text.to_owned();
        }
        match aho_corasick::AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostLongest).build(&forms) {
            Ok(search) => search.replace_all(text, &shown),
            Err(_) => forms.iter().zip(&shown).fold(text.to_owned(), |text, (form, shown)| text.replace(form, shown)),
        }
    }
}

/// The texts in a value. Short numbers and booleans are left out: hiding each `1` would hide the whole diff.
pub(super) fn old_texts(datum: &Datum, texts: &mut Vec<String>) {
    match datum {
        Datum::Text(text) => texts.push(text.clone()),
        Datum::Other(raw) => texts.push(raw.trim_matches(['"', '\'']).to_owned()),
        Datum::List(items) => items.iter().for_each(|item| old_texts(item, texts)),
        Datum::Map(map) => map.values().for_each(|item| old_texts(item, texts)),
        other => texts.extend(other.scalar_text().filter(|text| text.len() >= 6)),
    }
}
