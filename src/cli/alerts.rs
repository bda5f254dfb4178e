//! `alerts export`: the alerts of the library as a rule file of Prometheus.

use super::arguments::{AlertsArguments, AlertsCommand, ExportArguments};
use super::exit::Exit;
use super::failure::CommandError;
use super::files::{check_stem, read_source};
use super::session::Session;
use crate::library::{Library, LookupError, RULE_FILE_MARK, RuleFile, RunbookPlace, resolve_runbook, rule_file};
use crate::report::sanitize::visible;
use crate::runbook::{Runbook, parse_runbook};
use crate::source::{Diagnostics, FILE_LIMIT};
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Does something with the alerts of the library.
pub(super) fn alerts(session: &Session, arguments: &AlertsArguments) -> Result<Exit, CommandError> {
    match &arguments.command {
        AlertsCommand::Export(arguments) => export(session, arguments),
    }
}

/// Prints or writes the rule file. One runbook that cannot be read, and nothing is written: its alerts would go silent.
fn export(session: &Session, arguments: &ExportArguments) -> Result<Exit, CommandError> {
    let library = session.library()?;
    let places = places(arguments, library.as_ref())?;
    let runbooks = read(session, &places)?;
    let file = rule_file(&runbooks).map_err(CommandError::Invalid)?;
    for alert in &file.left_out {
        let text = format!("left out: `{}` of {} has no `expr`", alert.alert, alert.runbook);
        session.console.say(&format!("{}\n", visible(&text)));
    }
    if file.rules == 0 {
        let hint = "`alerts:` with an `expr` each is what is exported (docs/language.md)";
        return Err(CommandError::usage("there is no alert with an `expr` in these runbooks: nothing to write", hint));
    }
    match &arguments.output {
        None => session.console.data(&file.text)?,
        Some(path) => write(session, path, arguments.force, &file)?,
    }
    Ok(Exit::Done)
}

/// The runbooks named, or all of the library.
fn places(arguments: &ExportArguments, library: Option<&Library>) -> Result<Vec<RunbookPlace>, CommandError> {
    if !arguments.runbooks.is_empty() {
        let resolved = arguments.runbooks.iter().map(|name| resolve_runbook(name, library));
        let mut places: Vec<RunbookPlace> = Vec::new();
        for place in resolved {
            let place = place?;
            if !places.contains(&place) {
                places.push(place);
            }
        }
        return Ok(places);
    }
    let library = library.ok_or(CommandError::NoLibrary)?;
    Ok(library.runbooks().iter().map(|file| RunbookPlace::File(file.path.clone())).collect())
}

fn read(session: &Session, places: &[RunbookPlace]) -> Result<Vec<Runbook>, CommandError> {
    let mut problems = Diagnostics::new();
    let mut runbooks: Vec<Runbook> = Vec::new();
    for place in places {
        let Some(source) = read_source(session, place, &mut problems)? else { continue };
        let Some(runbook) = parse_runbook(&source, &mut problems) else { continue };
        if let RunbookPlace::File(path) = place {
            check_stem(&runbook, path, &mut problems);
        }
        // The id is the name of a group, and Prometheus refuses a file that has one twice.
        if let Some(other) = runbooks.iter().find(|other| other.id() == runbook.id()) {
            let name = |runbook: &Runbook| PathBuf::from(runbook.source().name());
            let (first, second) = (name(other), name(&runbook));
            let duplicate = crate::library::DuplicateRunbook { id: runbook.id().to_owned(), first, second };
            return Err(LookupError::from(duplicate).into());
        }
        runbooks.push(runbook);
    }
    if problems.has_errors() { Err(CommandError::Invalid(problems)) } else { Ok(runbooks) }
}

/// Writes the file whole or not at all; a file with these bytes is left as it is.
fn write(session: &Session, path: &Path, force: bool, file: &RuleFile) -> Result<(), CommandError> {
    // Behind a link, the file that is meant is the one it leads to.
    let path = session.folder().join(path);
    let path = path.canonicalize().unwrap_or(path);
    let shown = session.shown(&path);
    let failed = |source| CommandError::Write { path: shown.clone().into(), source };
    let old = old_text(&path).map_err(failed)?;
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (rules, groups) = (count(file.rules, "rule"), count(file.groups, "group"));
    let told = |what: &str| session.console.say(&format!("{}: {what}{rules} in {groups}\n", visible(&shown)));
    match old {
        Old::Ours(text) if text == file.text.as_bytes() => {
            told("nothing has changed, ");
            return Ok(());
        }
        Old::Other if !force => {
            let message = format!("{shown} was not written by `alerts export`, and is left as it is");
            return Err(CommandError::usage(message, "name another file, or write over it with --force"));
        }
        Old::NoFile => {
            return Err(CommandError::usage(format!("{shown} is no file"), "without --output it goes to stdout"));
        }
        _ => {}
    }
    replace(&path, file.text.as_bytes()).map_err(failed)?;
    told("");
    Ok(())
}

/// What is there before.
enum Old {
    Nothing,
    Ours(Vec<u8>),
    Other,
    /// A folder, a pipe, a device.
    NoFile,
}

fn old_text(path: &Path) -> io::Result<Old> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Old::Nothing),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(Old::NoFile);
    }
    if metadata.len() > FILE_LIMIT as u64 {
        return Ok(Old::Other);
    }
    let text = std::fs::read(path)?;
    let is_ours = text.is_empty() || text.starts_with(RULE_FILE_MARK.as_bytes());
    Ok(if is_ours { Old::Ours(text) } else { Old::Other })
}

/// Puts a new file in the place of the old one, with its owner and mode: Prometheus may reload at any moment, as a user
/// of its own.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".runwright-rules-").permissions(Permissions::from_mode(0o666));
    let mut draft = builder.tempfile_in(folder)?;
    draft.write_all(bytes)?;
    if let Ok(old) = path.metadata() {
        let new = draft.as_file().metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(draft.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
        draft.as_file().set_permissions(old.permissions())?;
    }
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    Ok(())
}
