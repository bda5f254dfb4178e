//! A folder of runbooks with its `runwright.yaml`: the file itself, environments, and finding a runbook by its id.
//!
//! Rank 3: uses `source`, `expr` and `runbook`. It knows folders and names, not steps, order or runs. Environment
//! variables, the home folder and the working folder are given to it; it reads none of them itself.

mod approvers;
mod built_in;
mod environment;
mod file;
mod finder;
mod folder;
mod lookup;
mod rules;
mod trust;

#[cfg(test)]
mod tests;

pub use approvers::{Approver, Approvers};
pub use built_in::{BuiltIn, built_in};
pub use environment::{Environment, GateRule, GateRules};
pub use file::{FILE_NAME, LibraryFile, library_grammar, library_schema, parse_library};
pub use finder::{By, Entry, Finder, Found, Lines, Reason, Search, Text, TextKind};
pub use folder::{EnvironmentError, Library, LibraryError, Listed, RunbookFile, runbook_files};
pub use lookup::{DuplicateRunbook, LookupError, RunbookPlace, UnknownRunbook, is_file_name, resolve_runbook};
pub use rules::{LeftOut, RULE_FILE_MARK, RuleFile, rule_file};
