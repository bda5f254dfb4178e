//! An `edit` or `write` worked out against the file as it is: the new bytes, and a diff without secrets. On this machine,
//! together with the place on the disk.

use super::datum::{Datum, Found, mask_of, quoted};
use super::disk::{Kept, Place, Rights, owner};
use super::edit::{Change, edit, read};
use super::problem::Problem;
use crate::event::ErrorClass;
use crate::expr::{Piece, Rendered, SecretText, Value};
use crate::plan::{Act, EditAct, WriteAct};
use minijinja::value::ValueKind;
use sha2::{Digest, Sha256};
use similar::TextDiff;
use std::path::Path;

/// Past so many lines on both sides, a diff is told in one sentence: working it out could take very long.
const MAX_DIFF_LINES: usize = 40_000;

/// The mode of a new file, unless the act says another.
pub(super) const NEW_FILE_MODE: u32 = 0o644;

/// The new bytes of a file, worked out from the old ones. It knows no disk: the file may be here or elsewhere.
pub(super) struct Rewrite {
    /// The file as the act names it.
    pub(super) file: String,
    /// The new bytes.
    pub(super) after: Vec<u8>,
    /// Unified, secrets masked; empty when nothing changes.
    pub(super) diff: String,
}

impl Rewrite {
    /// Works it out of what is in the file; `None` when it is not there.
    pub(super) fn of(act: &Act, before: Option<&[u8]>) -> Result<Self, Problem> {
        match act {
            Act::Edit(act) => Self::of_edit(act, before),
            Act::Write(act) => Self::of_write(act, before),
            _ => Err(Problem::bad_value("this act does not change a file")),
        }
    }

    fn of_edit(act: &EditAct, before: Option<&[u8]>) -> Result<Self, Problem> {
        let file = known(&act.file, "the path")?;
        let Some(bytes) = before else {
            let message = format!("{file} is not there, and `edit` makes no new file; use `write` for that");
            return Err(Problem::new(ErrorClass::NotFound, message));
        };
        let before = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].split(|&byte| byte == b'\n').count();
            Problem::bad_file(format!("{file}, line {line}, is not UTF-8 text"))
        })?;
        let after = edit(&file, before, act.format, &changes(act, false)?)?;
        let mut masks = Masks::default();
        for setting in &act.settings {
            if let Some(value) = &setting.value {
                masks.collect(value);
            }
        }
        let shown = if masks.is_empty() || after == before {
            after.clone()
        } else {
            masks.collect_old(act, &read(&file, before, act.format)?);
            edit(&file, before, act.format, &changes(act, true)?)?
        };
        let diff =
            diff(&file, Some(before), before == after, &masks.apply(before), &masks.apply(&shown), after.as_bytes());
        Ok(Self { file, after: after.into_bytes(), diff })
    }

    fn of_write(act: &WriteAct, before: Option<&[u8]>) -> Result<Self, Problem> {
        let file = known(&act.file, "the path")?;
        let after = known(&act.text, "the text")?;
        let mut masks = Masks::default();
        for piece in &act.text.pieces {
            if let Piece::Secret(secret) = piece {
                masks.add(secret.reveal(), &mask_of(secret));
            }
        }
        let equal = before == Some(after.as_bytes());
        let before = before.map(String::from_utf8_lossy);
        let old = masks.apply(before.as_deref().unwrap_or_default());
        let new = masks.apply(&act.text.to_string());
        let diff = diff(&file, before.as_deref(), equal, &old, &new, after.as_bytes());
        Ok(Self { file, after: after.into_bytes(), diff })
    }
}

/// What would be done to a file of this machine.
pub(super) struct FileChange {
    place: Place,
    rights: Rights,
    pub(super) rewrite: Rewrite,
}

impl FileChange {
    /// Works it out; changes nothing.
    pub(super) fn of(act: &Act) -> Result<Self, Problem> {
        let (file, follow) = path_of(act)?;
        let place = Place::open(Path::new(&file), follow)?;
        let rights = match act {
            Act::Write(act) => {
                let (user, group) = act.owner.as_deref().map_or(Ok((None, None)), owner)?;
                Rights { mode: act.mode.unwrap_or(NEW_FILE_MODE), user, group }
            }
            _ => Rights::default(),
        };
        let rewrite = Rewrite::of(act, place.bytes())?;
        Ok(Self { place, rights, rewrite })
    }

    /// The bytes of the file now; nothing when it is not there.
    pub(super) fn before(&self) -> Option<&[u8]> {
        self.place.bytes()
    }

    /// Whether the file already says so.
    pub(super) fn is_settled(&self) -> bool {
        self.before() == Some(self.rewrite.after.as_slice())
    }

    /// Does it. On an error the file is as it was.
    pub(super) fn make(&self) -> Result<Kept, Problem> {
        self.place.replace(&self.rewrite.after, self.rights)
    }
}

/// The file that an act names, and whether links may be followed.
pub(super) fn path_of(act: &Act) -> Result<(String, bool), Problem> {
    match act {
        Act::Edit(act) => Ok((known(&act.file, "the path")?, act.follow)),
        Act::Write(act) => Ok((known(&act.file, "the path")?, act.follow)),
        _ => Err(Problem::bad_value("this act does not change a file")),
    }
}

/// The digest that the record keeps.
pub(super) fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    Sha256::digest(bytes).iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}

fn known(text: &Rendered, what: &str) -> Result<String, Problem> {
    text.reveal().ok_or_else(|| {
        let reasons: Vec<_> =
            text.holes().iter().map(|(expression, reason)| format!("`{expression}`: {reason}")).collect();
        Problem::bad_value(format!("{what} is not known: {}", reasons.join("; ")))
    })
}

fn changes(act: &EditAct, masked: bool) -> Result<Vec<Change>, Problem> {
    let change = |setting: &crate::plan::Setting| {
        let value = setting.value.as_ref().map(|value| Datum::of(value, masked)).transpose();
        let value = value.map_err(|problem| {
            Problem::new(problem.class, format!("cannot set `{}`: {}", setting.path.join("."), problem.message))
        })?;
        Ok(Change { path: setting.path.clone(), value })
    };
    act.settings.iter().map(change).collect()
}

/// Texts that must not be shown, in every spelling a format gives them.
#[derive(Default)]
struct Masks {
    list: Vec<(String, String)>,
}

impl Masks {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn add(&mut self, text: &str, shown: &str) {
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

    fn collect(&mut self, value: &Value) {
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
    fn collect_old(&mut self, act: &EditAct, data: &Datum) {
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
    fn apply(&self, text: &str) -> String {
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
fn old_texts(datum: &Datum, texts: &mut Vec<String>) {
    match datum {
        Datum::Text(text) => texts.push(text.clone()),
        Datum::Other(raw) => texts.push(raw.trim_matches(['"', '\'']).to_owned()),
        Datum::List(items) => items.iter().for_each(|item| old_texts(item, texts)),
        Datum::Map(map) => map.values().for_each(|item| old_texts(item, texts)),
        other => texts.extend(other.scalar_text().filter(|text| text.len() >= 6)),
    }
}

fn diff(file: &str, before: Option<&str>, equal: bool, old: &str, new: &str, after: &[u8]) -> String {
    if equal {
        return String::new();
    }
    let header = if before.is_some() { file } else { "/dev/null" };
    let (removed, added) = (old.lines().count(), new.lines().count());
    if removed + added > MAX_DIFF_LINES {
        return format!(
            "--- {header}\n+++ {file}\n{removed} lines become {added} lines, too many to compare; the new SHA-256 is {}\n",
            sha256(after)
        );
    }
    let text = TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(header, file).to_string();
    if text.is_empty() {
        // An empty new file, or a change that only secrets can tell.
        return format!("--- {header}\n+++ {file}\n");
    }
    text
}
