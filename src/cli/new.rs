//! `new`: a starter runbook that passes its own check.

use super::arguments::NewArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::session::Session;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const STARTER: &str = include_str!("starter.yaml");

/// Writes a starter runbook into the library, or here when there is none; never over a file.
pub(super) fn new_runbook(session: &Session, arguments: &NewArguments) -> Result<Exit, CommandError> {
    let (folder, id) = split(&arguments.name)?;
    let library = session.library()?;
    // `./x` and `../x` mean this place, not the library's root.
    let is_here = arguments.name.starts_with('.') || arguments.name.starts_with('/');
    let root = match &library {
        Some(library) if !is_here => {
            if let Some(file) = library.runbooks().iter().find(|file| file.id == id) {
                let message = format!("there is a runbook `{id}` already: {}", session.shown(&file.path));
                return Err(CommandError::usage(message, "an id is the name of one file in the whole library"));
            }
            library.root().to_owned()
        }
        _ => session.folder().to_owned(),
    };
    let folder = root.join(folder);
    std::fs::create_dir_all(&folder)
        .map_err(|source| CommandError::Write { path: session.shown(&folder).into(), source })?;
    let path = folder.join(format!("{id}.yaml"));
    write_new(session, &path, &starter(&id))?;
    let shown = session.shown(&path);
    session.console.data(&format!("{shown}\n"))?;
    session.console.say(&format!(
        "next: runwright check {shown}, then runwright plan {}\n",
        name_for(&shown, &id, library.is_some())
    ));
    Ok(Exit::Done)
}

fn name_for(shown: &str, id: &str, in_library: bool) -> String {
    match in_library {
        true => id.to_owned(),
        false if shown.contains('/') => shown.to_owned(),
        false => format!("./{shown}"),
    }
}

/// The folder and the id out of `folder/id` or `folder/id.yaml`.
fn split(name: &str) -> Result<(PathBuf, String), CommandError> {
    let path = Path::new(name.strip_suffix(".yaml").unwrap_or(name));
    let id = path.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
    let fits =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        let message = format!("`{name}` cannot be a runbook's id");
        return Err(CommandError::usage(message, "lower-case letters, digits and dashes only, such as disk-slow"));
    }
    Ok((path.parent().map(Path::to_owned).unwrap_or_default(), id))
}

/// The starter under a new name.
pub(super) fn starter(id: &str) -> String {
    let mut title = id.replace('-', " ");
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    STARTER.replace("starter-id", id).replace("Starter title", &title)
}

fn write_new(session: &Session, path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source| CommandError::Write { path: session.shown(path).into(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
