//! What every command shares: the streams, the folders, the library, the environment variables.

use super::arguments::Global;
use super::console::Console;
use super::earlier::EarlierRuns;
use super::failure::CommandError;
use crate::library::Library;
use crate::report::Commands;
use crate::report::sanitize::visible;
use crate::store::{Masker, Store};
use etcetera::BaseStrategy as _;
use std::path::{Path, PathBuf};

/// One call of the program.
pub(super) struct Session {
    pub(super) console: Console,
    pub(super) global: Global,
    /// What must not be printed by this call, as far as it is known by now.
    pub(super) secrets: Masker,
    folder: PathBuf,
    home: Option<PathBuf>,
}

impl Session {
    pub(super) fn new(global: Global, console: Console) -> Self {
        // A working folder that was deleted: everything that needs one then says what cannot be read.
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let home = etcetera::home_dir().ok().filter(|home| home.is_absolute());
        Self { console, global, secrets: Masker::new(), folder, home }
    }

    /// The working folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home folder.
    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The library: named, or found upward; nothing when there is none.
    pub(super) fn library(&self) -> Result<Option<Library>, CommandError> {
        Ok(match &self.global.library {
            Some(folder) => Some(Library::open(folder)?),
            None => Library::find(&self.folder, self.home.as_deref())?,
        })
    }

    /// Where the records are.
    pub(super) fn store_folder(&self) -> Result<PathBuf, CommandError> {
        if let Some(folder) = &self.global.store {
            return Ok(self.folder.join(folder));
        }
        let state = etcetera::base_strategy::Xdg::new().ok().and_then(|folders| folders.state_dir());
        match state {
            Some(folder) => Ok(folder.join("runwright")),
            None => Err(CommandError::usage("there is no home folder to keep records in", "name one with --store DIR")),
        }
    }

    /// What a command needs that is printed to be pasted: the folders that were named on this command line. What stands in
    /// the environment stands there for the next command, too.
    pub(super) fn commands(&self) -> Commands {
        let folders = [
            ("--store", "RUNWRIGHT_STORE", &self.global.store),
            ("--library", "RUNWRIGHT_LIBRARY", &self.global.library),
        ];
        let mut options = Vec::new();
        for (option, variable, folder) in folders {
            let by_environment = std::env::var_os(variable);
            if let Some(folder) = folder.as_ref().filter(|folder| by_environment.as_deref() != Some(folder.as_os_str()))
            {
                options.extend([option.to_owned(), self.folder.join(folder).display().to_string()]);
            }
        }
        if self.global.store_unsafe {
            options.push("--store-unsafe".to_owned());
        }
        Commands::with(options)
    }

    /// Where values of earlier runs are looked up.
    pub(super) fn earlier_runs(&self) -> EarlierRuns {
        EarlierRuns { folder: self.store_folder().ok(), unsafe_fs: self.global.store_unsafe }
    }

    /// The store; its own warnings are told.
    pub(super) fn store(&self) -> Result<Store, CommandError> {
        let store = Store::open(&self.store_folder()?, self.global.store_unsafe)?;
        for warning in store.warnings() {
            self.console.say(&format!("warning: {}\n", visible(warning)));
        }
        Ok(store)
    }

    /// A path as messages show it: relative to the working folder when it is below.
    pub(super) fn shown(&self, path: &Path) -> String {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let relative = path.strip_prefix(&self.folder).or_else(|_| path.strip_prefix(folder));
        relative.unwrap_or(path).display().to_string()
    }
}
