//! Runbooks inside the program, so that it is of use on a machine where nothing but the program is.

use crate::source::Source;

/// A runbook inside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its id.
    pub id: &'static str,
    /// The name shown in messages and in the record.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

const BUILT_IN: &[BuiltIn] = &[BuiltIn {
    id: "disk-filling",
    name: "built-in:host/disk-filling.yaml",
    text: include_str!("../../runbooks/host/disk-filling.yaml"),
}];

impl BuiltIn {
    /// Its text with the name shown in messages.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::new(self.name, self.text)
    }
}

/// Every runbook inside the program, in the order of their ids.
#[must_use]
pub fn built_in() -> &'static [BuiltIn] {
    BUILT_IN
}
