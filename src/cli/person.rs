//! Who sits here, and what they type.

use crate::event::{IdentityKind, Operator};
use std::io::{self, BufRead as _};

/// Who acts: the name given with `--as`, else the name of the operating system's user.
pub(super) fn operator(as_name: Option<&str>) -> Operator {
    let host = Some(crate::store::host_name());
    match as_name.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Operator { name: name.to_owned(), identity: IdentityKind::Claimed, host },
        None => Operator { name: user_name(), identity: IdentityKind::OsUser, host },
    }
}

/// The user's name by the system's own table, not by `USER`, which anybody may set; the number where there is no name.
pub(super) fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &table).unwrap_or_else(|| format!("uid {uid}"))
}

pub(super) fn name_of(uid: u32, table: &str) -> Option<String> {
    let number = uid.to_string();
    let row = table.lines().find(|row| row.split(':').nth(2) == Some(number.as_str()))?;
    row.split(':').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// One line from the terminal; nothing at its end.
pub(super) fn typed_line() -> Option<String> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
    }
}
