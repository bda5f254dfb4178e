//! A text cut into words, and which words are the same.

/// Words that say nothing about what is wrong.
const LITTLE: &[&str] = &[
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "cannot", "could", "did", "do",
    "does", "doing", "for", "from", "get", "gets", "got", "had", "has", "have", "how", "if", "in", "into", "is", "it",
    "its", "me", "my", "no", "not", "of", "off", "on", "or", "our", "out", "over", "said", "say", "says", "so", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "up", "was", "we",
    "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// Endings, the longer before those that are a part of them, and what stands in their place.
const ENDINGS: &[(&str, &str)] = &[
    ("ations", "at"),
    ("ation", "at"),
    ("ating", "at"),
    ("ated", "at"),
    ("ates", "at"),
    ("ate", "at"),
    ("ions", ""),
    ("ings", ""),
    ("ied", "y"),
    ("ies", "y"),
    ("ion", ""),
    ("ing", ""),
    ("ers", ""),
    ("ed", ""),
    ("er", ""),
    ("es", ""),
    ("ly", ""),
    ("e", ""),
    ("s", ""),
];

/// Two words that are also written as one: what the first is compared by, the second, and both.
const JOINED: &[(&str, &str, &str)] = &[
    ("back", "up", "backup"),
    ("clean", "up", "cleanup"),
    ("fail", "over", "failover"),
    ("log", "in", "login"),
    ("rol", "back", "rollback"),
    ("set", "up", "setup"),
    ("shut", "down", "shutdown"),
    ("tim", "out", "timeout"),
];

/// What is left of a word without its ending is at least so long.
const LEAST: usize = 3;

/// A word as it stands in a text: letters and digits of any script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// As it is written.
    pub(super) written: &'t str,
}

impl<'t> Word<'t> {
    /// The words of a text, in order.
    pub(super) fn all(text: &'t str) -> impl Iterator<Item = Self> {
        text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()).map(|written| Self { written })
    }

    /// In small letters.
    pub(super) fn small(self) -> String {
        self.written.to_lowercase()
    }
}

/// What the words of a text are compared by, each with its number in the text; little words are left out, and `back up` is
/// `backup`.
pub(super) fn stems(small: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(word) = small.get(at) {
        let next = small.get(at + 1).map_or("", String::as_str);
        if let Some(stem) = stem(word) {
            let joined = JOINED.iter().find(|(first, second, _)| *first == stem && *second == next);
            let joined = joined.and_then(|(_, _, whole)| self::stem(whole));
            let length = if joined.is_some() { 2 } else { 1 };
            found.push((at, joined.unwrap_or(stem)));
            at += length;
        } else {
            at += 1;
        }
    }
    found
}

/// What a word is compared by: the word in small letters without its ending; nothing for a word that says nothing.
fn stem(small: &str) -> Option<String> {
    let mut chars = small.chars();
    if LITTLE.contains(&small) || (chars.next().is_some() && chars.next().is_none()) {
        return None;
    }
    for (ending, instead) in ENDINGS {
        let Some(rest) = small.strip_suffix(ending) else { continue };
        // `access` has no ending; `es` of `uses` is too much of it, and then `s` is one.
        if rest.chars().count() + instead.len() < LEAST || (*ending == "s" && rest.ends_with('s')) {
            continue;
        }
        return Some(without_double(&format!("{rest}{instead}")));
    }
    Some(without_double(small))
}

/// `stopp` of `stopped` is `stop`, and `ful` stands for `full` and `fuller` alike.
fn without_double(stem: &str) -> String {
    let mut ends = stem.chars().rev();
    match (ends.next(), ends.next()) {
        (Some(last), Some(before)) if last == before && last.is_alphabetic() && stem.chars().count() > LEAST => {
            stem[..stem.len() - last.len_utf8()].to_owned()
        }
        _ => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_the_same_word() {
        for forms in [
            &["quarantine", "quarantined", "quarantines", "quarantining"][..],
            &["migration", "migrations", "migrate", "migrated", "migrating"],
            &["connection", "connections", "connect", "connected"],
            &["index", "indexes", "indexed", "indexing"],
            &["deny", "denied", "denies"],
            &["stop", "stopped", "stopping", "stops"],
            &["full", "fuller"],
            &["fill", "filling", "filled", "fills"],
            &["flood", "floods", "flooding"],
            &["restore", "restored", "restoring"],
            &["list", "lists"],
            &["slow", "slower", "slowly"],
            &["die", "dies"],
            &["access", "accesses"],
            &["use", "uses"],
            &["dimension", "dimensions"],
            &["query", "queries"],
            &["database", "databases"],
            &["crash", "crashes", "crashed"],
        ] {
            let stems: Vec<_> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{forms:?}: {stems:?}");
        }
    }

    #[test]
    fn other_words_are_others() {
        let words = [
            "restore", "restart", "index", "indent", "pool", "pod", "port", "post", "lock", "log", "login", "table",
            "role", "leader", "list", "load", "503", "403", "50", "backup", "back", "audit", "auth", "service",
        ];
        for (at, one) in words.iter().enumerate() {
            for other in &words[at + 1..] {
                assert_ne!(stem(one), stem(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn two_words_may_be_one() {
        for (two, one) in [
            ("back up", "backup"),
            ("Backed up", "backups"),
            ("timed out", "timeouts"),
            ("set up", "setup"),
            ("rolling back", "rollback"),
        ] {
            let of = |text| -> Vec<String> {
                let small: Vec<String> = Word::all(text).map(Word::small).collect();
                stems(&small).into_iter().map(|(_, stem)| stem).collect()
            };
            assert_eq!(of(two), of(one), "{two}");
            assert_eq!(of(two).len(), 1);
        }
    }

    #[test]
    fn little_words_and_letters_are_none() {
        for word in ["the", "is", "x", "7", "ä"] {
            assert_eq!(stem(word), None, "{word}");
        }
        let words: Vec<_> = Word::all("ERROR:  extension \"vector\"; naïve_thing 日本").map(Word::small).collect();
        assert_eq!(words, ["error", "extension", "vector", "naïve", "thing", "日本"]);
    }
}
