//! Another machine: an sshd of its own on loopback, with its own host key, for whoever runs the tests.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to listen, or a line to come into its log. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running sshd. It ends when it is dropped, with all its sessions.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    child: Child,
    pub(crate) port: u16,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more lines of configuration, before the usual ones: the first value of a keyword counts.
    pub(crate) fn with(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("runwright-sshd-").tempdir().expect("a folder");
        // Another test may take the port before sshd has it.
        for _ in 0..5 {
            if let Some(sshd) = Self::try_start(&folder, more) {
                let (child, port) = sshd;
                return Self { folder, child, port };
            }
        }
        panic!("sshd does not start: {}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    fn try_start(folder: &tempfile::TempDir, more: &str) -> Option<(Child, u16)> {
        let port = free_port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host_key", "client_key"] {
            if !folder.path().join(key).exists() {
                make_key(&folder.path().join(key));
            }
        }
        std::fs::copy(path("client_key.pub"), path("authorized_keys")).expect("a file");
        std::fs::write(path("known_hosts"), known_host(port, &folder.path().join("host_key.pub"))).expect("a file");
        let mut config = String::new();
        writeln!(config, "{more}").expect("a line");
        for line in [
            format!("Port {port}"),
            "ListenAddress 127.0.0.1".to_owned(),
            format!("HostKey {}", path("host_key")),
            format!("AuthorizedKeysFile {}", path("authorized_keys")),
            format!("PidFile {}", path("pid")),
            "UsePAM no".to_owned(),
            "StrictModes no".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "PermitRootLogin yes".to_owned(),
            "PrintMotd no".to_owned(),
            "UseDNS no".to_owned(),
            "MaxStartups 100".to_owned(),
            "LogLevel VERBOSE".to_owned(),
        ] {
            writeln!(config, "{line}").expect("a line");
        }
        std::fs::write(path("sshd_config"), config).expect("a file");
        if is_root() {
            // Where sshd shuts itself in before anybody has logged in.
            std::fs::create_dir_all("/run/sshd").expect("a folder");
        }
        let mut child = Command::new(program())
            .args(["-D", "-f", &path("sshd_config"), "-E", &path("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd starts");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(path("log")).unwrap_or_default();
            if log.contains(&format!("Server listening on 127.0.0.1 port {port}")) {
                return Some((child, port));
            }
            if child.try_wait().expect("its state").is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A file of this machine: `client_key`, `known_hosts`, `log`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A target of a runbook, with a name.
    pub(crate) fn target(&self, name: &str) -> String {
        format!(
            "  {name}:\n    ssh:\n      host: {user}@127.0.0.1\n      port: \"{port}\"\n      key: {key}\n      known_hosts: {hosts}\n",
            user = user(),
            port = self.port,
            key = self.path("client_key").display(),
            hosts = self.path("known_hosts").display(),
        )
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How many connections have logged in.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey for").count()
    }

    /// Ends every session, as when a cable is pulled: the processes that serve them die at once.
    pub(crate) fn cut(&self) {
        for pid in self.servers() {
            kill(pid, "KILL");
        }
    }

    /// The processes that serve sessions, the listening one left out.
    pub(crate) fn servers(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut parents = vec![self.child.id()];
        while let Some(parent) = parents.pop() {
            for pid in children(parent) {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                if name.starts_with("sshd") {
                    found.push(pid);
                    parents.push(pid);
                }
            }
        }
        found
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whoever runs the tests: an sshd that is not root lets nobody else in.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id (Debian package coreutils)");
    String::from_utf8(output.stdout).expect("a name").trim().to_owned()
}

/// Makes a key without a passphrase.
pub(crate) fn make_key(path: &Path) {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen (Debian package openssh-client) is needed for this test");
    assert!(done.success(), "no key");
}

/// Fails when a program is missing, and says which package has it.
#[track_caller]
pub(crate) fn needs(name: &str, package: &str) {
    let path = std::env::var("PATH").expect("PATH");
    let found = path.split(':').any(|folder| Path::new(folder).join(name).exists());
    assert!(found, "{name} (Debian package {package}) is needed for this test");
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: u32, signal: &str) {
    Command::new("kill").args([format!("-{signal}"), pid.to_string()]).stderr(Stdio::null()).status().ok();
}

fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map(|(_, after)| after.to_owned()).unwrap_or_default();
        after.split_whitespace().nth(1).is_some_and(|number| number == parent.to_string())
    })
    .collect()
}

fn known_host(port: u16, key: &Path) -> String {
    let key = std::fs::read_to_string(key).expect("a public key");
    let words: Vec<_> = key.split_whitespace().take(2).collect();
    format!("[127.0.0.1]:{port} {}\n", words.join(" "))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn program() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].map(PathBuf::from);
    let found = places.into_iter().find(|path| path.exists());
    found.expect("sshd (Debian package openssh-server) is needed for this test")
}
