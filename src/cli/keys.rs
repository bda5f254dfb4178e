//! Private keys off the disk: for signing, and never kept.

use super::ask::hidden_line;
use super::failure::CommandError;
use super::session::Session;
use crate::signature::{KeyError, PrivateKey};
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The most that is read of a key file.
const LIMIT: u64 = 64 * 1024;
/// How often a passphrase is asked for.
const TRIES: u32 = 3;

/// Reads an OpenSSH private key; the passphrase of an encrypted one is asked for at the terminal and not shown.
pub(super) fn private_key(session: &Session, path: &Path) -> Result<PrivateKey, CommandError> {
    let full = session.folder().join(path);
    let read = |source| CommandError::Read { path: full.clone(), source };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(&full).map_err(read)?.take(LIMIT).read_to_string(&mut text).map_err(read)?;
    let refused = |problem: &KeyError| {
        let hint = match problem {
            KeyError::NotAKey(_) if text.trim_start().starts_with("ssh-") => {
                "this is the public half; name the file without .pub"
            }
            KeyError::InDevice(_) => "sign with ssh-keygen: `approve --to-sign` prints the text and says how",
            KeyError::Encrypted => "answer at a terminal, or sign with ssh-keygen (`approve --to-sign` says how)",
            _ => "`ssh-keygen -t ed25519` makes a key that can be used",
        };
        CommandError::usage(format!("{} cannot sign: {problem}", path.display()), hint)
    };
    let mut problem = match PrivateKey::parse(&text, None) {
        Ok(key) => return Ok(key),
        Err(problem) => problem,
    };
    if problem == KeyError::Encrypted && std::io::stdin().is_terminal() {
        let name = crate::report::sanitize::visible(&path.display().to_string());
        for number in 1..=TRIES {
            let again = if number == 1 { String::new() } else { format!("not that one; {number} of {TRIES}: ") };
            let label = format!("{again}passphrase of {name}: ");
            let Some(passphrase) = hidden_line(&session.console, &label).map(Zeroizing::new) else { break };
            match PrivateKey::parse(&text, Some(&passphrase)) {
                Ok(key) => return Ok(key),
                Err(wrong) => problem = wrong,
            }
        }
    }
    Err(refused(&problem))
}
