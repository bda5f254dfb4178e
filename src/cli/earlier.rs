//! `last(runbook, name)`: values of earlier runs, looked up in the store when an expression asks for one.

use super::recorded::kept_values;
use crate::engine::restore_kept;
use crate::event::RunId;
use crate::expr::{UnknownSort, Value, unknown};
use crate::plan::Earlier;
use crate::store::Store;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where earlier runs are looked up. The store is opened when the first value is asked for, and never made.
#[derive(Clone, Debug, Default)]
pub(super) struct EarlierRuns {
    /// The store's folder; nothing when there can be none.
    pub(super) folder: Option<PathBuf>,
    pub(super) unsafe_fs: bool,
}

impl EarlierRuns {
    /// The look-up for one run, which is not its own past. What was found once stays as it is for this run.
    pub(super) fn lookup(&self, except: Option<&RunId>) -> Earlier {
        let (runs, except) = (self.clone(), except.cloned());
        let found: Mutex<HashMap<(String, String), Value>> = Mutex::default();
        Arc::new(move |runbook: &str, name: &str| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (runbook.to_owned(), name.to_owned());
            found.entry(key).or_insert_with(|| runs.find(runbook, name, except.as_ref())).clone()
        })
    }

    fn find(&self, runbook: &str, name: &str, except: Option<&RunId>) -> Value {
        let absent = |reason: String| unknown(UnknownSort::Unobtained, reason);
        let none = || absent(format!("no earlier run of `{runbook}` has `{name}`"));
        let Some(folder) = self.folder.as_ref().filter(|folder| folder.is_dir()) else { return none() };
        let found =
            Store::open(folder, self.unsafe_fs).and_then(|store| Ok((store.earlier(runbook, name, except)?, store)));
        match found {
            Ok((Some(earlier), store)) => restore_kept(&earlier.value, &kept_values(&store, &earlier.run)),
            Ok((None, _)) => none(),
            Err(error) => absent(format!("`{name}` of an earlier run of `{runbook}`: {error}")),
        }
    }
}
