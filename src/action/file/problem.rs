//! Why a file was left as it is.

use crate::event::ErrorClass;
use std::path::Path;

/// A refusal: nothing was changed. The message is one line, says where and how to mend it, and holds no file content.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    /// The class that `tolerate` names.
    pub(super) class: ErrorClass,
    /// One line.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    pub(super) fn bad_value(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::BadValue, message)
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Denied, message)
    }

    pub(super) fn bad_file(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::BadAnswer, message)
    }

    /// An error of the operating system: `doing` completes "cannot".
    pub(super) fn from_os(doing: &str, path: &Path, error: rustix::io::Errno) -> Self {
        let class = match error {
            rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => ErrorClass::NotFound,
            rustix::io::Errno::ACCESS | rustix::io::Errno::PERM | rustix::io::Errno::ROFS => ErrorClass::Denied,
            _ => ErrorClass::System,
        };
        Self::new(class, format!("cannot {doing} {}: {}", path.display(), std::io::Error::from(error)))
    }
}
