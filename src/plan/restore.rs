//! Taking an `edit` or `write` back: the exact bytes from before, and only where the file still is as the change left it.

use super::act::{Act, EditAct, WriteAct};
use super::place::Machine;
use super::view::{Holes, line};
use crate::event::ActView;
use crate::expr::{Rendered, Value, unknown_of};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// The change of a file that is taken back, with its values as far as they are known now.
#[derive(Clone, Debug)]
pub enum FileAct {
    /// `edit`.
    Edit(EditAct),
    /// `write`.
    Write(WriteAct),
}

/// A file as it was before a change.
#[derive(Clone)]
pub struct RestoreAct {
    /// The file, as the change named it.
    pub file: String,
    /// What was in it; none when it did not exist: then it is removed.
    pub before: Option<Arc<[u8]>>,
    /// SHA-256 (hex) of what the change left there. A file that says anything else is not touched.
    pub after_sha256: String,
    /// The change: on which machine, whether links are followed, and which values are secret.
    pub change: FileAct,
}

impl RestoreAct {
    /// On which machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        match &self.change {
            FileAct::Edit(edit) => &edit.machine,
            FileAct::Write(write) => &write.machine,
        }
    }

    /// Whether a symlink may be followed.
    #[must_use]
    pub fn follow(&self) -> bool {
        match &self.change {
            FileAct::Edit(edit) => edit.follow,
            FileAct::Write(write) => write.follow,
        }
    }
}

impl fmt::Debug for RestoreAct {
    /// Without the bytes: an old secret may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.before.as_ref().map(|bytes| bytes.len());
        f.debug_struct("RestoreAct").field("file", &self.file).field("size", &size).finish_non_exhaustive()
    }
}

/// The act that takes an `edit` or `write` back; nothing when it changed nothing.
///
/// `change` is the act as it resolves again: it says the machine, and what is secret. `fields` are the result fields on
/// record (`file`, `changed`, `created`, `before_sha256`, `after_sha256`). `before` is the evidence stream `before`, whole.
///
/// # Errors
/// One sentence that says why the file cannot be brought back to the byte: a result field is not known, the old bytes
/// were not kept, or what was kept differs from them (a secret in it was masked, or it was cut). Also when the act names
/// another file now, or changes none.
pub fn restore_of(
    change: &Act,
    fields: &IndexMap<String, Value>,
    before: Option<Vec<u8>>,
) -> Result<Option<Act>, String> {
    let change = match change {
        Act::Edit(edit) => FileAct::Edit(edit.clone()),
        Act::Write(write) => FileAct::Write(write.clone()),
        _ => return Err("only `edit` and `write` can be taken back to the byte".to_owned()),
    };
    let file = text(fields, "file")?;
    same_file(&change, &file)?;
    if !truth(fields, "changed")? {
        return Ok(None);
    }
    let after_sha256 = text(fields, "after_sha256")?;
    let before = if truth(fields, "created")? { None } else { Some(kept(fields, &file, before)?) };
    Ok(Some(Act::Restore(Box::new(RestoreAct { file, before, after_sha256, change }))))
}

/// The old bytes, which must be those that the change saw.
fn kept(fields: &IndexMap<String, Value>, file: &str, before: Option<Vec<u8>>) -> Result<Arc<[u8]>, String> {
    let digest = text(fields, "before_sha256")?;
    let Some(bytes) = before else {
        return Err(format!("the bytes that were in {file} before were not kept"));
    };
    if sha256(&bytes) != digest {
        return Err(format!(
            "what was kept of {file} is not what was in it before, to the byte: a secret in it was masked, or it was cut"
        ));
    }
    Ok(bytes.into())
}

/// Refuses when the values of the act have moved on to another file.
fn same_file(change: &FileAct, recorded: &str) -> Result<(), String> {
    let named: &Rendered = match change {
        FileAct::Edit(edit) => &edit.file,
        FileAct::Write(write) => &write.file,
    };
    match named.reveal() {
        Some(now) if now != recorded => {
            Err(format!("the step changed {recorded}, and with the values of now it names {now}"))
        }
        _ => Ok(()),
    }
}

fn field<'a>(fields: &'a IndexMap<String, Value>, name: &str) -> Result<&'a Value, String> {
    let value = fields.get(name).ok_or_else(|| format!("the record does not say what `{name}` was"))?;
    match unknown_of(value) {
        Some(unknown) => Err(format!("what `{name}` was is not known: {}", unknown.reason)),
        None => Ok(value),
    }
}

fn text(fields: &IndexMap<String, Value>, name: &str) -> Result<String, String> {
    let value = field(fields, name)?;
    value.as_str().map(str::to_owned).ok_or_else(|| format!("the record says {value} for `{name}`, which is no text"))
}

fn truth(fields: &IndexMap<String, Value>, name: &str) -> Result<bool, String> {
    let value = field(fields, name)?;
    bool::try_from(value.clone())
        .map_err(|_| format!("the record says {value} for `{name}`, which is neither true nor false"))
}

pub(super) fn view(restore: &RestoreAct) -> ActView {
    let file = super::quote::quote_argument(&restore.file);
    let text = match &restore.before {
        Some(bytes) => {
            format!("restore {file} as it was before (sha256 {}…, {} bytes)", &sha256(bytes)[..8], bytes.len())
        }
        None => format!("remove {file} again"),
    };
    let mut holes = Holes::default();
    let mut more: Vec<_> = super::ssh::on(restore.machine(), &mut holes).into_iter().collect();
    more.push(line("only if", format!("its sha256 still is {}", restore.after_sha256)));
    if restore.follow() {
        more.push(line("follow", "symbolic links"));
    }
    ActView { action: "restore".to_owned(), text, more, target: None, holes: holes.0 }
}

/// In hex.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
