//! Digests of the files an act depends on: an approval is bound to them (ruling 12).

use super::file;
use crate::plan::{Act, CommandAct, Machine};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What tells one content of a file from another without reading it.
type Stamp = (u64, Option<SystemTime>);

/// Digests of files, read once as long as size and time of change stay the same.
#[derive(Default)]
pub(super) struct Fingerprints {
    known: Mutex<HashMap<PathBuf, (Stamp, String)>>,
    library: Option<PathBuf>,
}

impl Fingerprints {
    /// Arguments that name files below `library` count as part of the act.
    pub(super) fn new(library: Option<PathBuf>) -> Self {
        Self { known: Mutex::default(), library: library.and_then(|folder| folder.canonicalize().ok()) }
    }

    pub(super) fn of(&self, act: &Act) -> Vec<(String, String)> {
        match act {
            Act::Command(command) => self.of_command(command),
            Act::Interactive(command) => self.of_command(command),
            Act::Kubectl(kubectl) => self.of_command(&kubectl.command),
            Act::Service(service) => service.command().map(|command| self.of_command(command)).unwrap_or_default(),
            Act::Http(_) | Act::Sql(_) | Act::Prometheus(_) | Act::Log(_) => Vec::new(),
            // On another machine, the engine binds the approval to the preview.
            Act::Edit(_) | Act::Write(_) | Act::Restore(_) if matches!(act.machine(), Some(Machine::Ssh(_))) => {
                Vec::new()
            }
            // What would be written, seen from what is there now.
            Act::Edit(_) | Act::Write(_) | Act::Restore(_) => {
                let diff = file::preview(act).unwrap_or_else(|none| Some(none.message)).unwrap_or_default();
                vec![("diff".to_owned(), hex(&Sha256::digest(diff)))]
            }
        }
    }

    fn of_command(&self, command: &CommandAct) -> Vec<(String, String)> {
        // What stands on another machine is not ours to read here.
        if matches!(command.machine, Machine::Ssh(_)) {
            return Vec::new();
        }
        let program = command.program.clone().into_iter();
        let folder = command.cwd.as_ref().and_then(crate::expr::Rendered::reveal);
        let arguments = command.argv.iter().skip(1).filter_map(|argument| {
            let path = Path::new(folder.as_deref().unwrap_or(".")).join(argument.reveal()?).canonicalize().ok()?;
            path.starts_with(self.library.as_ref()?).then_some(path)
        });
        program.chain(arguments).filter_map(|path| Some((path.display().to_string(), self.digest(&path)?))).collect()
    }

    fn digest(&self, path: &Path) -> Option<String> {
        let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let stamp: Stamp = (about.len(), about.modified().ok());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, digest)) = known.get(path).filter(|(before, _)| *before == stamp) {
            return Some(digest.clone());
        }
        let mut file = std::fs::File::open(path).ok()?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            match file.read(&mut piece).ok()? {
                0 => break,
                length => hash.update(&piece[..length]),
            }
        }
        let digest = hex(&hash.finalize());
        known.insert(path.to_owned(), (stamp, digest.clone()));
        Some(digest)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
