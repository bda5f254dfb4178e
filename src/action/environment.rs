//! What children find in their environment: little, and nothing that runs code by itself.

use super::outcome::Refusal;
use crate::plan::CommandAct;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The variable that carries the marker of an attempt.
pub(super) const MARKER: &str = "RUNWRIGHT_ATTEMPT";

/// Linux takes at most this for one argument, or one variable with its name, the final NUL included.
pub(super) const LONGEST_STRING: usize = 128 * 1024;

/// Where programs are looked for when our own `PATH` names no absolute folder.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Passed on to every child when set. `LC_*` too.
const PASSED: [&str; 6] = ["HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];

/// Our own environment, read once at the start, and the search path that follows from it.
///
/// Its `Debug` shows names only: there may be secrets in it.
#[derive(Clone, Default)]
pub struct BaseEnvironment {
    variables: BTreeMap<OsString, OsString>,
    path: OsString,
}

impl fmt::Debug for BaseEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseEnvironment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("path", &self.path)
            .finish()
    }
}

impl BaseEnvironment {
    /// Takes a snapshot, usually of `std::env::vars_os()`. Entries of `PATH` that are not absolute are left out.
    pub fn from_vars(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables: BTreeMap<_, _> = variables.into_iter().collect();
        let entries: Vec<PathBuf> = variables
            .get(OsStr::new("PATH"))
            .map(|path| std::env::split_paths(path).filter(|entry| entry.is_absolute()).collect())
            .unwrap_or_default();
        let path = match std::env::join_paths(&entries) {
            Ok(path) if !entries.is_empty() => path,
            _ => OsString::from(USUAL_PATH),
        };
        Self { variables, path }
    }

    /// The search path of every child: absolute entries only.
    #[must_use]
    pub fn path(&self) -> &OsStr {
        &self.path
    }

    /// A variable of the snapshot.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The search path as folders.
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> {
        std::env::split_paths(&self.path)
    }

    /// What every child finds: the search path, and a few harmless variables.
    fn base(&self) -> BTreeMap<OsString, OsString> {
        let mut child = BTreeMap::new();
        child.insert(OsString::from("PATH"), self.path.clone());
        for (name, value) in &self.variables {
            if name.to_str().is_some_and(|name| PASSED.contains(&name) || name.starts_with("LC_")) {
                child.insert(name.clone(), value.clone());
            }
        }
        child
    }

    /// What the ssh client finds: the base, the agent's socket if it may be asked, and the marker of its attempt.
    pub(super) fn for_client(&self, marker: Option<&str>, agent: bool) -> ChildEnvironment {
        const AGENT: &str = "SSH_AUTH_SOCK";
        let mut child = self.base();
        if let Some(socket) = self.var(AGENT).filter(|_| agent) {
            child.insert(AGENT.into(), socket.to_owned());
        }
        if let Some(marker) = marker {
            child.insert(MARKER.into(), marker.into());
        }
        ChildEnvironment(child)
    }

    /// What a program at the far end finds of us: `pass_env:`, then `env:`.
    pub(super) fn for_far_end(&self, act: &CommandAct) -> Result<Vec<(String, Zeroizing<String>)>, Refusal> {
        let mut child = BTreeMap::new();
        for name in &act.pass_env {
            check_name("pass_env", name)?;
            if let Some(value) = self.var(name) {
                check_value("pass_env", name, value)?;
                let text = value.to_str();
                let text = text.ok_or_else(|| Refusal::value(format!("`pass_env`: `{name}` is not UTF-8")))?;
                child.insert(name.clone(), Zeroizing::new(text.to_owned()));
            }
        }
        for (name, value) in &act.env {
            check_name("env", name)?;
            let value =
                value.reveal().ok_or_else(|| Refusal::value(format!("the value of `{name}` in `env` is unknown")))?;
            check_value("env", name, OsStr::new(&value))?;
            child.insert(name.clone(), Zeroizing::new(value));
        }
        Ok(child.into_iter().collect())
    }

    /// Everything a child finds: the base, then `pass_env:`, then `env:`, then the marker.
    pub(super) fn for_child(&self, act: &CommandAct, marker: &str) -> Result<ChildEnvironment, Refusal> {
        let mut child = self.base();
        for name in &act.pass_env {
            check_name("pass_env", name)?;
            if let Some(value) = self.var(name) {
                check_value("pass_env", name, value)?;
                child.insert(name.into(), value.to_owned());
            }
        }
        for (name, value) in &act.env {
            check_name("env", name)?;
            let value =
                value.reveal().ok_or_else(|| Refusal::value(format!("the value of `{name}` in `env` is unknown")))?;
            check_value("env", name, OsStr::new(&value))?;
            child.insert(name.into(), value.into());
        }
        child.insert(MARKER.into(), marker.into());
        Ok(ChildEnvironment(child))
    }
}

/// The whole environment of one child.
pub(super) struct ChildEnvironment(pub(super) BTreeMap<OsString, OsString>);

/// Why a variable may not be set for a child: it would change which code runs. Nothing when it may be set.
#[must_use]
pub fn refused_variable(name: &str) -> Option<&'static str> {
    match name {
        "BASH_ENV" | "ENV" => Some("it names a file that shells run before anything else"),
        "SHELLOPTS" | "BASHOPTS" => Some("it changes how every shell behaves, `errexit` included"),
        "IFS" => Some("it changes how shells split words"),
        "PS4" => Some("shells run the commands in it when they trace"),
        "PATH" => Some("it is fixed when the run starts, so that the program shown is the one that runs"),
        MARKER => Some("it marks the processes of an attempt"),
        _ if name.starts_with("LD_") || name.starts_with("DYLD_") => {
            Some("it makes the loader put other code into the program")
        }
        _ if name.starts_with("BASH_FUNC_") => Some("it replaces commands by functions"),
        _ => None,
    }
}

fn check_name(key: &str, name: &str) -> Result<(), Refusal> {
    if let Some(reason) = refused_variable(name) {
        return Err(Refusal::value(format!("`{name}` cannot be in `{key}`: {reason}")));
    }
    let mut characters = name.chars();
    let begins_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if begins_well && characters.all(|other| other.is_ascii_alphanumeric() || other == '_') {
        Ok(())
    } else {
        Err(Refusal::value(format!("`{name}` in `{key}` is not a name a variable can have")))
    }
}

fn check_value(key: &str, name: &str, value: &OsStr) -> Result<(), Refusal> {
    if value.as_bytes().contains(&0) {
        return Err(Refusal::value(format!("the value of `{name}` in `{key}` holds a NUL")));
    }
    // `NAME=value` and the final NUL.
    if name.len() + value.len() + 2 > LONGEST_STRING {
        let size = super::outcome::bytes(value.len() as u64);
        return Err(Refusal::value(format!(
            "the value of `{name}` in `{key}` is {size}; Linux takes at most 128 KiB in one variable: use `stdin`"
        )));
    }
    Ok(())
}

/// An absolute form of a path, without asking the file system about it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
