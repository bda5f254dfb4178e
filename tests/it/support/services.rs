//! Services of a machine that runs no systemd: a `systemctl` before the machine's own drives real processes.

use super::{Sandbox, repository};
use std::path::PathBuf;
use std::process::Command;

/// The units of a sandbox. Their processes end when this is dropped.
pub(crate) struct Services {
    folder: PathBuf,
}

impl Services {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let script = std::fs::read_to_string(repository("tests/simulators/systemctl")).expect("the stand-in");
        let _ = sandbox.program("systemctl", &script);
        let folder = sandbox.path("units");
        std::fs::create_dir(&folder).expect("a folder");
        Self { folder }
    }

    /// The same on a machine with a journal: what the units write is what `journalctl` shows.
    pub(crate) fn with_journal(sandbox: &Sandbox) -> Self {
        let script = std::fs::read_to_string(repository("tests/simulators/journalctl")).expect("the stand-in");
        let simulator = super::simulator::program();
        let _ = sandbox
            .program("journalctl", &script.replacen("\nSIMULATOR ", &format!("\n'{}' ", simulator.display()), 1));
        Self::new(sandbox)
    }

    /// Writes a unit file: `ExecStart=` and what else `tests/simulators/systemctl` knows.
    pub(crate) fn unit(&self, name: &str, lines: &str) -> &Self {
        std::fs::write(self.folder.join(format!("{name}.service")), lines).expect("a unit");
        self
    }

    /// Does what an operator would do by hand.
    pub(crate) fn systemctl(&self, verb: &str, name: &str) -> &Self {
        let program = self.folder.with_file_name("bin").join("systemctl");
        let output = Command::new(program).args([verb, name]).output().expect("the stand-in starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// The id of the main process of a unit, and whether it lives.
    pub(crate) fn process(&self, name: &str) -> Option<u32> {
        let known = std::fs::read_to_string(self.folder.join(format!("{name}.service.d/pid"))).ok()?;
        let pid: u32 = known.trim().parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let state = stat.rsplit_once(") ")?.1.chars().next()?;
        (state != 'Z').then_some(pid)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".service")) {
                let program = self.folder.with_file_name("bin").join("systemctl");
                Command::new(program).args(["stop", name]).output().ok();
            }
        }
    }
}
