//! Connections that several attempts share.
//!
//! One client per machine holds the connection (a control master), the attempts go through its socket. It runs a shell
//! at the far end that only waits for the end of its input: when this process is gone, however it went, the client's
//! input ends, the session ends, and with it the client. At the end of the run it is ended at once.

#![expect(clippy::disallowed_methods, reason = "connections are made against the clock, on a thread that blocks")]

use super::super::environment::BaseEnvironment;
use super::super::outcome::Refusal;
use super::super::process::{Bell, ChildEnds, Isolation, Prepared, Workshop, launch};
use super::super::program::find_program;
use super::address::Address;
use super::far::{HELLO, HOLD};
use super::folder::private_folder;
use super::trouble::not_reached;
use crate::engine::Cancel;
use crate::event::ErrorClass;
use crate::plan::SshTarget;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The longest a connection may take, with the key exchange, the login and the login shell.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often somebody who waits for another attempt's connection looks.
const LOOK: Duration = Duration::from_millis(20);

/// How long a client may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// The connections of one run. Dropping it ends them.
#[derive(Default)]
pub(in crate::action) struct Links {
    open: Mutex<HashMap<Address, Arc<Mutex<Option<Master>>>>>,
    folder: Mutex<Option<tempfile::TempDir>>,
    count: AtomicU64,
}

/// The client that holds one connection.
struct Master {
    handle: duct::Handle,
    socket: PathBuf,
    /// Never written to: that it is open keeps the connection.
    hold: Option<PipeWriter>,
    output: PipeReader,
}

/// What an attempt waits against.
pub(super) struct Patience<'a> {
    pub(super) bell: &'a Bell,
    pub(super) cancel: &'a Cancel,
    pub(super) until: Instant,
}

impl Patience<'_> {
    fn check(&self, address: &Address) -> Result<(), Refusal> {
        if self.cancel.is_cancelled() {
            return Err(Refusal::new(ErrorClass::Cancelled, "it was stopped while it connected; nothing was sent"));
        }
        if Instant::now() >= self.until {
            return Err(Refusal::new(
                ErrorClass::Timeout,
                format!("cannot reach {address}: no answer in time; nothing was sent"),
            ));
        }
        Ok(())
    }
}

/// What the connections are made with.
pub(super) struct Means<'a> {
    pub(super) environment: &'a BaseEnvironment,
    pub(super) isolation: &'a Isolation,
    /// The ssh client.
    pub(super) client: PathBuf,
}

impl Links {
    /// The socket of a connection, which is made when there is none. Others who want the same one wait.
    ///
    /// # Errors
    /// It cannot be made; nothing was sent to anybody.
    pub(super) fn reach(&self, address: &Address, means: &Means<'_>, wait: &Patience<'_>) -> Result<PathBuf, Refusal> {
        let link = {
            let mut links = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(links.entry(address.clone()).or_default())
        };
        loop {
            match link.try_lock() {
                Ok(mut master) => return self.ensure(&mut master, address, means, wait),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return self.ensure(&mut poisoned.into_inner(), address, means, wait);
                }
                Err(TryLockError::WouldBlock) => {
                    wait.check(address)?;
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    fn ensure(
        &self,
        master: &mut Option<Master>,
        address: &Address,
        means: &Means<'_>,
        wait: &Patience<'_>,
    ) -> Result<PathBuf, Refusal> {
        if let Some(master) = master.as_ref().filter(|master| master.lives()) {
            return Ok(master.socket.clone());
        }
        // Taken out first: the old one is ended before the new one is made.
        drop(master.take());
        let made = self.connect(address, means, wait)?;
        let socket = made.socket.clone();
        *master = Some(made);
        Ok(socket)
    }

    fn connect(&self, address: &Address, means: &Means<'_>, wait: &Patience<'_>) -> Result<Master, Refusal> {
        let socket = self.new_file(means.environment, "s")?;
        let log = self.new_file(means.environment, "l")?;
        let mut argv: Vec<OsString> = ["ssh", "-T", "-M"].map(OsString::from).into();
        argv.extend(address.options(&means.client)?);
        argv.extend(["-S".into(), socket.clone().into(), "-E".into(), log.clone().into()]);
        argv.extend(["--", address.host(), HOLD].map(OsString::from));
        let prepared = Prepared {
            program: means.client.clone(),
            argv,
            environment: means.environment.for_client(None, address.agent),
            folder: None,
            stdin: None,
        };
        let broken = |error: io::Error| Refusal::new(ErrorClass::System, format!("cannot make a pipe: {error}"));
        let (child_input, input) = io::pipe().map_err(broken)?;
        let (output, child_output) = io::pipe().map_err(broken)?;
        let child_errors = child_output.try_clone().map_err(broken)?;
        let ends = ChildEnds { stdin: Some(child_input), stdout: child_output, stderr: child_errors };
        let launched = launch(&prepared, ends, means.isolation)?;
        let master = Master { handle: launched.handle, socket, hold: Some(input), output };
        let greeted = greeted(&master.output, wait);
        let result = match greeted {
            Ok(()) => Ok(master),
            Err(noise) => {
                drop(master);
                wait.check(address).and_then(|()| Err(not_reached(address, &read_log(&log), &noise)))
            }
        };
        // The client goes on writing into it, and nobody reads that any more.
        std::fs::remove_file(&log).ok();
        result
    }

    /// The path of a new file for one client; not made yet.
    pub(super) fn new_file(&self, environment: &BaseEnvironment, kind: &str) -> Result<PathBuf, Refusal> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(private_folder(environment)?),
        };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Ok(made.path().join(format!("{kind}{number}")))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        let mut links = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        let masters: Vec<Master> =
            links.drain().filter_map(|(_, link)| link.lock().unwrap_or_else(PoisonError::into_inner).take()).collect();
        // All are told before anyone is waited for.
        for master in &masters {
            master.signal(Signal::TERM);
        }
    }
}

impl Master {
    fn lives(&self) -> bool {
        matches!(self.handle.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        for pid in self.handle.pids() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // Not waited for yet, so the number is still its own. Its group holds the client of a jump.
                rustix::process::kill_process_group(pid, signal).ok();
                rustix::process::kill_process(pid, signal).ok();
            }
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        drop(self.hold.take());
        if !self.lives() {
            return;
        }
        self.signal(Signal::TERM);
        if matches!(self.handle.wait_timeout(FAREWELL), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::KILL);
        drop(self.handle.wait_timeout(FAREWELL));
    }
}

/// The ssh client of this machine.
///
/// # Errors
/// There is none.
pub(super) fn client(target: &SshTarget, workshop: &Workshop) -> Result<PathBuf, Refusal> {
    if let Some(program) = &target.program {
        return Ok(program.clone());
    }
    find_program("ssh", workshop.environment.path()).map_err(|error| {
        Refusal::new(ErrorClass::NotFound, format!("{error}; install the OpenSSH client (package openssh-client)"))
    })
}

/// Waits for the first word of the far end.
///
/// # Errors
/// What came instead.
fn greeted(output: &PipeReader, wait: &Patience<'_>) -> Result<(), String> {
    let until = wait.until.min(Instant::now() + PATIENCE);
    let (mut heard, mut buffer) = (Vec::new(), vec![0_u8; 4096]);
    loop {
        let said = || String::from_utf8_lossy(&heard).into_owned();
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || wait.cancel.is_cancelled() {
            return Err(said());
        }
        let time = Timespec::try_from(left).ok();
        let mut list = [PollFd::new(output, PollFlags::IN), PollFd::new(wait.bell, PollFlags::IN)];
        if rustix::event::poll(&mut list, time.as_ref()).is_err() || list[0].revents().is_empty() {
            continue;
        }
        match rustix::io::read(output, &mut buffer) {
            Ok(0) => return Err(said()),
            Ok(count) => heard.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(format!("cannot read what the ssh client says: {error}")),
        }
        if memchr::memmem::find(&heard, HELLO.as_bytes()).is_some() {
            return Ok(());
        }
        // A flood instead of a greeting: the end of it is enough.
        heard.drain(..heard.len().saturating_sub(4096));
    }
}

/// The end of what a client wrote.
pub(super) fn read_log(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(8192)..).unwrap_or_default()).into_owned()
}

/// When an attempt has waited long enough for its connection.
pub(super) fn until(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout.min(PATIENCE)).unwrap_or(now)
}
