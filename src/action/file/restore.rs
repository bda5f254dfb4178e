//! A file taken back to what it was before an `edit` or `write`: worked out against the file as it is now.

use super::change::{NO_FILE, Rewrite, diff, sha256};
use super::datum::Found;
use super::edit::read;
use super::masks::{Masks, old_texts};
use super::problem::Problem;
use crate::event::ErrorClass;
use crate::expr::{Piece, SecretText, Value, unknown_of};
use crate::plan::{EditAct, FileAct, RestoreAct, WriteAct};
use minijinja::value::ValueKind;

/// Works it out of what is in the file now; `None` when it is not there. A file that is neither as the change left it nor
/// as it was before is somebody else's by now, and is left alone (ruling 17).
pub(super) fn rewrite(act: &RestoreAct, now: Option<&[u8]>) -> Result<Rewrite, Problem> {
    let (file, before) = (act.file.clone(), act.before.as_deref());
    let after = before.map(<[u8]>::to_vec);
    if now == before {
        return Ok(Rewrite { file, after, diff: String::new() });
    }
    let digest = now.map(sha256);
    let Some(now) = now.filter(|_| digest.as_ref() == Some(&act.after_sha256)) else {
        let start = |digest: &str| digest.chars().take(12).collect::<String>();
        let found =
            digest.map_or_else(|| "it is gone".to_owned(), |digest| format!("its sha256 is now {}…", start(&digest)));
        let message = format!(
            "{file} is left alone: it is not as the change left it ({found}, the change left {}…); somebody has changed it since, so take it back by hand: the old bytes are kept as evidence of the step",
            start(&act.after_sha256)
        );
        return Err(Problem::new(ErrorClass::Conflict, message));
    };
    let diff = shown(act, now);
    Ok(Rewrite { file, after, diff })
}

/// The diff, without secrets of now or of before; one sentence where it cannot be told what is secret.
fn shown(act: &RestoreAct, now: &[u8]) -> String {
    let before = act.before.as_deref();
    let names = (act.file.as_str(), before.map_or(NO_FILE, |_| &act.file));
    let (Ok(old), Ok(new)) = (std::str::from_utf8(now), std::str::from_utf8(before.unwrap_or_default())) else {
        return untold(names, now, before, "because it is not text");
    };
    let masks = match &act.change {
        FileAct::Edit(edit) => secrets_of(edit, [old, new]),
        FileAct::Write(write) => is_open(write).then(Masks::default),
    };
    match masks {
        Some(masks) => {
            let digest = before.map_or_else(|| "none".to_owned(), sha256);
            diff(names, &masks.apply(old), &masks.apply(new), &digest)
        }
        None => untold(names, now, before, "because secrets stand in it"),
    }
}

fn untold((from, to): (&str, &str), now: &[u8], before: Option<&[u8]>, why: &str) -> String {
    let size = |bytes: &[u8]| format!("{} bytes", bytes.len());
    let becomes = before.map_or_else(|| "are removed".to_owned(), |bytes| format!("become {}", size(bytes)));
    format!("--- {from}\n+++ {to}\n{} {becomes}, which is not shown {why}\n", size(now))
}

/// Whether no secret and nothing unknown, which may have been one, went into a file.
fn is_open(write: &WriteAct) -> bool {
    write.text.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
}

/// What stood where an edit has put a secret, before and after it: the secret may be another one by now, or not known.
fn secrets_of(edit: &EditAct, texts: [&str; 2]) -> Option<Masks> {
    let mut masks = Masks::default();
    let secret: Vec<_> =
        edit.settings.iter().filter_map(|setting| Some((setting, secret_in(setting.value.as_ref()?)?))).collect();
    for (setting, _) in &secret {
        setting.value.iter().for_each(|value| masks.collect(value));
    }
    if secret.is_empty() {
        return Some(masks);
    }
    for text in texts {
        let data = read("", text, edit.format).ok()?;
        for (setting, name) in &secret {
            let Found::Here(found) = data.find(&setting.path) else { continue };
            let mut hidden = Vec::new();
            old_texts(found, &mut hidden);
            for text in &hidden {
                masks.add(text, name);
            }
        }
    }
    Some(masks)
}

/// How to show what stands in the place of a value, when that is or may be a secret.
fn secret_in(value: &Value) -> Option<String> {
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return Some(format!("‹secret {}, old›", secret.name));
    }
    if unknown_of(value).is_some() {
        return Some("‹not shown›".to_owned());
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && value.kind() != ValueKind::Seq {
        return None;
    }
    let mut items = value.try_iter().ok()?;
    items.find_map(|item| if is_map { secret_in(&value.get_item(&item).ok()?) } else { secret_in(&item) })
}
