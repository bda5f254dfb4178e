//! A person at a terminal: the program in a pseudo-terminal, its screen, and what is typed.

use super::Sandbox;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// So tall that nothing scrolls away: what was on the screen can be looked for.
const ROWS: u16 = 1500;
const COLUMNS: u16 = 80;
/// How long a text may take to come. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program at a terminal.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    /// Held open: closing it hangs up.
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    /// Texts are looked for from this row on.
    row: usize,
}

struct Screen {
    parser: vt100::Parser,
    is_closed: bool,
}

impl Terminal {
    /// Starts the program at a terminal.
    pub(crate) fn open(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        Self::open_with(sandbox, arguments, &[])
    }

    /// The same with more variables in its environment.
    pub(crate) fn open_with(sandbox: &Sandbox, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_runwright"));
        command.args(arguments);
        Self::start(sandbox, command, variables)
    }

    /// A namespace of processes of its own, as in a container that a shell from outside has entered: session and group
    /// of the program have no number that it could see.
    pub(crate) fn contained(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_runwright")]);
        command.args(arguments);
        Self::start(sandbox, command, &[])
    }

    /// A shell with jobs.
    pub(crate) fn shell(sandbox: &Sandbox) -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile", "-i"]);
        Self::start(sandbox, command, &[("PS1", "$ ")])
    }

    fn start(sandbox: &Sandbox, mut command: CommandBuilder, variables: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        command.cwd(sandbox.folder());
        command.env_clear();
        for (name, value) in sandbox.environment() {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let keys = pair.master.take_writer().expect("its input");
        let rows = ROWS.try_into().expect("not zero");
        let columns = COLUMNS.try_into().expect("not zero");
        let parser = vt100::Parser::new(rows, columns, 0);
        let screen = Arc::new((Mutex::new(Screen { parser, is_closed: false }), Condvar::new()));
        let painted = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                // The read fails when the last program at the terminal has ended.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut screen = painted.0.lock().expect("the screen");
                screen.parser.process(&buffer[..count]);
                screen.is_closed = count == 0;
                painted.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self { child, master: pair.master, keys, screen, row: 0 }
    }

    /// The whole screen, without empty rows at its end.
    pub(crate) fn screen(&self) -> String {
        self.screen.0.lock().expect("the screen").parser.screen().contents()
    }

    /// Waits until a text stands on the screen, below the last one that was waited for.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        self.row = self.row_with(text) + 1;
        self
    }

    #[track_caller]
    fn row_with(&self, text: &str) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.screen.0.lock().expect("the screen");
        loop {
            let contents = screen.parser.screen().contents();
            if let Some(below) = contents.lines().skip(self.row).position(|line| line.contains(text)) {
                return self.row + below;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!screen.is_closed && !left.is_zero(), "{text:?} never came\n{contents}");
            screen = self.screen.1.wait_timeout(screen, left).expect("the screen").0;
        }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) -> &mut Self {
        self.presses(&format!("{line}\r"))
    }

    /// Presses keys: `\x03` is Ctrl-C.
    pub(crate) fn presses(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes it");
        self.keys.flush().expect("the terminal takes it");
        self
    }

    /// Waits for the end of the program; what it exits with.
    #[track_caller]
    pub(crate) fn exits(&mut self, code: u32) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.screen.0.lock().expect("the screen");
        while !screen.is_closed {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end\n{}", screen.parser.screen().contents());
            screen = self.screen.1.wait_timeout(screen, left).expect("the screen").0;
        }
        drop(screen);
        let status = self.child.wait().expect("it has ended");
        let screen = self.screen();
        assert_eq!(status.exit_code(), code, "{screen}");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        // The master goes last: closing it hangs up on whatever is left.
        _ = self.master.get_size();
    }
}
