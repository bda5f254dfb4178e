//! A PostgreSQL server of the tests' own: made in a temporary folder, gone with the test process, whatever happens to it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The password of the superuser `postgres`; long enough to be masked.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// Who the server runs as when the tests run as root: it refuses root.
const NOBODY: u32 = 65_534;

/// How long a server may take to end. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// One server. It listens on a Unix socket in its folder and on 127.0.0.1, with and without TLS, and wants SCRAM
/// passwords; the role `by_certificate` gets in with a client certificate alone. One with vectors has no TLS.
pub(crate) struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    pub(crate) port: u16,
    /// Waits for the end of its input, which is our end, and clears everything away.
    keeper: Child,
}

/// How a server is stopped.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// Sessions are told, and ended.
    Fast,
    /// As if the power were gone.
    Immediate,
}

/// One database of a cluster, with the superuser's session to prepare it and to look into it.
pub(crate) struct Database<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) name: String,
}

impl Cluster {
    /// The server that the tests of this binary share. Each takes a database of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::new);
        &SHARED
    }

    /// A server for one test, which may stop it.
    pub(crate) fn new() -> Self {
        Self::with(binaries(), "")
    }

    /// PostgreSQL 16 with pgvector and without TLS, for one test. What is not said in `postgresql.auto.conf` may be changed in
    /// `postgresql.conf`: 100 connections, 128 MB of shared buffers.
    pub(crate) fn vector() -> Self {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgserver-0.1.4");
        assert!(kept.exists(), "there is no PostgreSQL with pgvector here: ./test installs it");
        let folder = new_folder();
        // The user of the server may not be able to reach the target folder.
        for part in ["pgserver/pginstall/bin", "pgserver/pginstall/lib", "pgserver/pginstall/share", "pgserver.libs"] {
            copy(&kept.join(part), &folder.join("programs").join(part));
        }
        let binaries = folder.join("programs/pgserver/pginstall/bin");
        Self::at(folder, binaries, "", "")
    }

    /// A server of the programs in `binaries`, with more lines for `postgresql.conf`.
    pub(crate) fn with(binaries: PathBuf, settings: &str) -> Self {
        let folder = new_folder();
        let tls = format!(
            "shared_buffers = 32MB\nmax_connections = 60\n\
             ssl = on\nssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'\nssl_ca_file = '{0}/ca.crt'\n",
            folder.display()
        );
        Self::at(folder, binaries, &format!("{tls}{settings}"), "hostssl all by_certificate 127.0.0.1/32 cert\n")
    }

    /// With lines for the settings and for the rules of who gets in.
    fn at(folder: PathBuf, binaries: PathBuf, settings: &str, rules: &str) -> Self {
        let keeper = keep(&folder, &binaries);
        let mut cluster = Self { folder, binaries, port: 0, keeper };
        cluster.initialize(settings, rules);
        // Between the look for a free port and its use somebody else may take it.
        for _ in 0..5 {
            cluster.port = free_port();
            if cluster.try_start() {
                return cluster;
            }
        }
        panic!("the server does not start\n{}", cluster.log());
    }

    fn initialize(&self, settings: &str, first: &str) {
        let password = self.file("password", PASSWORD);
        let mut initdb = self.program("initdb");
        initdb.args(["--no-sync", "--no-locale", "--encoding=UTF8", "--username=postgres"]);
        initdb.args(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"]);
        initdb.arg(format!("--pwfile={}", password.display())).arg("--pgdata").arg(self.data());
        succeed(&mut initdb);
        self.certificates();
        let folder = self.folder.display();
        let conf = format!(
            "fsync = off\nfull_page_writes = off\n\
             listen_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\n\
             logging_collector = off\nlc_messages = 'C'\n{settings}\n"
        );
        self.file("data/postgresql.auto.conf", &conf);
        let rules = std::fs::read_to_string(self.data().join("pg_hba.conf")).expect("pg_hba.conf");
        self.file("data/pg_hba.conf", &format!("{first}{rules}"));
    }

    /// An authority; a certificate for `localhost`, not for 127.0.0.1; one for the client `by_certificate`; another
    /// authority that nothing here was signed by.
    fn certificates(&self) {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            (params.self_signed(&key).expect("a certificate").pem(), Issuer::new(params, key))
        };
        let (ca, issuer) = authority("tests of runwright");
        let (other, _) = authority("somebody else");
        self.file("ca.crt", &ca);
        self.file("other.crt", &other);
        for (file, name, names) in
            [("server", "localhost", vec!["localhost".to_owned()]), ("client", "by_certificate", Vec::new())]
        {
            let mut params = CertificateParams::new(names).expect("parameters");
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            self.file(&format!("{file}.crt"), &certificate.pem());
            self.file(&format!("{file}.key"), &key.serialize_pem());
        }
    }

    /// A file in the cluster's folder; it belongs to the server.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        give_away(&path);
        path
    }

    /// A file of the cluster: `ca.crt`, `other.crt`, `client.crt`, `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of the Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.folder
    }

    /// The folder of its data; `postgresql.conf` is in it.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of its programs.
    pub(crate) fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Lines of a unit that runs this server in the foreground, as its user.
    pub(crate) fn unit(&self) -> String {
        let user = if is_root() {
            format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups ")
        } else {
            String::new()
        };
        let server = self.binaries.join("postgres");
        format!("ExecStart={user}{} -D {} -p {}\nKillSignal=INT\n", server.display(), self.data().display(), self.port)
    }

    /// Waits until it takes a login.
    #[track_caller]
    pub(crate) fn waits_until_it_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut ask = self.program("pg_isready");
            ask.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
            if ask.status().expect("pg_isready starts").success() {
                return;
            }
            assert!(Instant::now() < deadline, "the server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A program of this server, run as its user and with nothing of our environment but the path.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        command.current_dir(&self.folder);
        drop_root(&mut command);
        command
    }

    fn try_start(&self) -> bool {
        let mut start = self.program("pg_ctl");
        start.args(["start", "--wait", "--silent", "--pgdata"]).arg(self.data());
        start.arg("--log").arg(self.folder.join("log")).args(["--options", &format!("-p {}", self.port)]);
        // Without pipes: the server would inherit and hold them.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        start.status().expect("pg_ctl starts").success()
    }

    /// Starts a stopped server again, on the same port.
    #[track_caller]
    pub(crate) fn start(&self) {
        assert!(self.try_start(), "the server does not start\n{}", self.log());
    }

    /// Stops the server and waits until it is gone.
    #[track_caller]
    pub(crate) fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--wait", "--silent", "--mode", mode, "--pgdata"]).arg(self.data());
        succeed(&mut stop);
    }

    /// The process of the server.
    pub(crate) fn process(&self) -> u32 {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("postmaster.pid");
        text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process id")
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(self.folder.join("log")) {
            file.read_to_string(&mut text).expect("the log");
        }
        text
    }

    /// A database that is there.
    pub(crate) fn named(&self, name: &str) -> Database<'_> {
        Database { cluster: self, name: name.to_owned() }
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.rows("postgres", &format!("create database {name}"));
        Database { cluster: self, name }
    }

    /// Runs statements as the superuser, over the Unix socket; the texts of the first row of each that gives one.
    #[track_caller]
    fn rows(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.folder).port(self.port).user("postgres").password(PASSWORD).dbname(database);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
            let driver = tokio::spawn(connection);
            let messages = match client.simple_query(sql).await {
                Ok(messages) => messages,
                Err(error) => panic!("{sql}: {error:?}"),
            };
            drop(client);
            driver.await.expect("the connection").expect("the connection");
            let row = |row: &tokio_postgres::SimpleQueryRow| {
                (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()
            };
            messages
                .iter()
                .filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(found) => Some(row(found)),
                    _ => None,
                })
                .collect()
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.keeper.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

impl Database<'_> {
    /// Runs statements as the superuser.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        self.cluster.rows(&self.name, sql);
    }

    /// The rows of a query, as texts.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.cluster.rows(&self.name, sql)
    }

    /// The only value of a query, as text.
    #[track_caller]
    pub(crate) fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    /// Over TCP, as the superuser: a URL without a password.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.cluster.port, self.name)
    }

    /// Waits until a query says `t`.
    #[track_caller]
    pub(crate) fn waits_until(&self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(sql) != "t" {
            assert!(Instant::now() < deadline, "never true: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails if a session of ours is still at work in this database a moment after its step has ended.
    #[track_caller]
    pub(crate) fn is_left_alone(&self) {
        self.waits_until(
            "select count(*) = 0 from pg_stat_activity where datname = current_database() and application_name like 'runwright %'",
        );
    }
}

/// Where the programs of the server are: as `pg_config` says, else the newest of the distribution's folders.
pub(crate) fn binaries() -> PathBuf {
    let said = Command::new("pg_config").arg("--bindir").output().ok();
    let said = said.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let version = |folder: &PathBuf| -> Option<u32> { folder.parent()?.file_name()?.to_str()?.parse().ok() };
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort_by_key(version);
    let found = said.into_iter().chain(folders.into_iter().rev()).find(|folder| folder.join("initdb").exists());
    found.expect("there is no PostgreSQL server here: install the Debian package `postgresql`")
}

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("runwright-pg-").tempdir().expect("a folder").keep();
    give_away(&folder);
    folder
}

/// Copies a folder with its links; everybody may read the copy.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    give_away(to);
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_symlink() {
            let leads = std::fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(leads, &to).expect("a link");
        } else {
            std::fs::copy(entry.path(), &to).expect("a file");
            let mode = if to.parent().is_some_and(|folder| folder.ends_with("bin")) { 0o755 } else { 0o644 };
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).expect("its mode");
            give_away(&to);
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("a new owner");
    }
}

fn drop_root(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A process in a group of its own that outlives us by a moment: when its input ends, it stops the server and removes
/// the folder.
fn keep(folder: &Path, binaries: &Path) -> Child {
    let script =
        "read -r _; \"$1/pg_ctl\" stop --silent --wait --mode immediate --pgdata \"$0/data\"; cd /; rm -rf -- \"$0\"";
    let mut keeper = Command::new("bash");
    keeper.args(["-c", script]).arg(folder).arg(binaries).current_dir("/").env_clear();
    keeper.env("PATH", std::env::var_os("PATH").unwrap_or_default()).process_group(0);
    keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    drop_root(&mut keeper);
    keeper.spawn().expect("bash starts")
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr).ok();
        panic!("{command:?} failed");
    }
}
