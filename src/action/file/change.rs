//! An `edit` or `write` worked out against the file as it is: the new bytes, and a diff without secrets. On this machine,
//! together with the place on the disk.

use super::datum::{Datum, mask_of};
use super::disk::{Kept, Place, Rights, owner};
use super::edit::{Change, edit, read};
use super::masks::Masks;
use super::problem::Problem;
use crate::event::ErrorClass;
use crate::expr::{Piece, Rendered};
use crate::plan::{Act, EditAct, WriteAct};
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
    /// The new bytes; none when the file is removed.
    pub(super) after: Option<Vec<u8>>,
    /// Unified, secrets masked; empty when nothing changes.
    pub(super) diff: String,
}

impl Rewrite {
    /// Works it out of what is in the file; `None` when it is not there.
    pub(super) fn of(act: &Act, before: Option<&[u8]>) -> Result<Self, Problem> {
        match act {
            Act::Edit(act) => Self::of_edit(act, before),
            Act::Write(act) => Self::of_write(act, before),
            Act::Restore(act) => super::restore::rewrite(act, before),
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
        let diff = if before == after {
            String::new()
        } else {
            diff((&file, &file), &masks.apply(before), &masks.apply(&shown), &sha256(after.as_bytes()))
        };
        Ok(Self { file, after: Some(after.into_bytes()), diff })
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
        let names = (before.map_or(NO_FILE, |_| &file), file.as_str());
        let diff = if equal { String::new() } else { diff(names, &old, &new, &sha256(after.as_bytes())) };
        Ok(Self { file, after: Some(after.into_bytes()), diff })
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
        self.before() == self.rewrite.after.as_deref()
    }

    /// Does it. On an error the file is as it was.
    pub(super) fn make(&self) -> Result<Kept, Problem> {
        match &self.rewrite.after {
            Some(after) => self.place.replace(after, self.rights),
            None => self.place.remove(),
        }
    }
}

/// The file that an act names, and whether links may be followed.
pub(super) fn path_of(act: &Act) -> Result<(String, bool), Problem> {
    match act {
        Act::Edit(act) => Ok((known(&act.file, "the path")?, act.follow)),
        Act::Write(act) => Ok((known(&act.file, "the path")?, act.follow)),
        Act::Restore(act) => Ok((act.file.clone(), act.follow())),
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

/// What stands in a diff for a file that is not there.
pub(super) const NO_FILE: &str = "/dev/null";

/// A unified diff of two texts, masked already; `digest` is that of the new bytes, for a diff that is too long to make.
pub(super) fn diff((from, to): (&str, &str), old: &str, new: &str, digest: &str) -> String {
    let (removed, added) = (old.lines().count(), new.lines().count());
    if removed + added > MAX_DIFF_LINES {
        return format!(
            "--- {from}\n+++ {to}\n{removed} lines become {added} lines, too many to compare; the new SHA-256 is {digest}\n"
        );
    }
    let text = TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(from, to).to_string();
    if text.is_empty() {
        // An empty new file, or a change that only secrets can tell.
        return format!("--- {from}\n+++ {to}\n");
    }
    text
}
