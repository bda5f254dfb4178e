//! A system to act on: the simulator of `tests/simulators`, as a program of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running simulator. It ends when it is dropped, or when the test dies: its input closes then.
pub(crate) struct Simulator {
    child: Child,
    pub(crate) url: String,
}

impl Simulator {
    /// Starts one scene of StemeDB; its configuration file is in the folder given.
    pub(crate) fn stemedb(scene: &str, folder: &Path) -> Self {
        Self::with(scene, folder, &[])
    }

    pub(crate) fn with(scene: &str, folder: &Path, more: &[&str]) -> Self {
        let file = folder.join("config.toml").display().to_string();
        let own = ["stemedb", "--scene", scene, "--port", "0", "--until-stdin-closes", "--config", &file];
        Self::start(&[&own, more].concat()).0
    }

    /// The program that all simulated systems are.
    pub(crate) fn program() -> PathBuf {
        program()
    }

    /// Starts any system that says `listening on URL`; the second part is what it says after that.
    pub(crate) fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(program())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulator starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let line = line.trim_end();
        let said = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("the simulator says {line:?}"));
        let (url, rest) = said.split_at(said.find(' ').unwrap_or(said.len()));
        (Self { child, url: url.to_owned() }, rest.to_owned())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The example beside the test binary; `cargo test` builds it.
pub(super) fn program() -> PathBuf {
    let own = std::env::current_exe().expect("our own path");
    let folder = own.parent().and_then(Path::parent).expect("the target folder");
    let program = folder.join("examples/simulator");
    assert!(program.exists(), "the simulator is not built: cargo build --example simulator");
    program
}
