//! A real Prometheus that scrapes a page of the test, on a port of its own.

use super::Output;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long it may take to start and to scrape: it finds its targets only every five seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A page of metrics that a test can change.
pub(crate) struct MetricsPage {
    text: Arc<Mutex<String>>,
    pub(crate) address: SocketAddr,
}

impl MetricsPage {
    pub(crate) fn new(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let text = Arc::new(Mutex::new(text.to_owned()));
        let page = Arc::clone(&text);
        // The thread ends with the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let text = page.lock().expect("the page").clone();
                // One that asks and leaves is no business of the test.
                std::thread::spawn(move || serve(stream, &text));
            }
        });
        Self { text, address }
    }

    /// What is on the page from now on.
    pub(crate) fn says(&self, text: &str) {
        text.clone_into(&mut self.text.lock().expect("the page"));
    }
}

fn serve(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n")?;
    write!(stream, "Content-Length: {}\r\n\r\n{text}", text.len())
}

/// A running Prometheus. It ends when it is dropped, or when the test dies.
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    pub(crate) url: String,
    /// Its configuration and data, removed with it.
    folder: Arc<tempfile::TempDir>,
}

impl Prometheus {
    /// Starts one that scrapes a page, and waits until it has.
    pub(crate) fn scraping(page: SocketAddr) -> Self {
        let configuration = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\n\
             scrape_configs: [{{ job_name: case, static_configs: [{{ targets: [\"{page}\"] }}] }}]\n"
        );
        let started = Self::started(&[("prometheus.yml", &configuration)]);
        started.has("up == 1");
        started
    }

    /// Starts one that has the rules of a file.
    pub(crate) fn with_rules(rules: &str) -> Self {
        Self::started(&[("prometheus.yml", "rule_files: [rules.yml]\n"), ("rules.yml", rules)])
    }

    /// Starts one that scrapes a page and reads every file of its folder `rules` when it is told to.
    pub(crate) fn watching(page: SocketAddr) -> Self {
        let configuration = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
             rule_files: [\"rules/*.yml\"]\n\
             scrape_configs: [{{ job_name: case, static_configs: [{{ targets: [\"{page}\"] }}] }}]\n"
        );
        let started = Self::started(&[("prometheus.yml", &configuration)]);
        std::fs::create_dir(started.rules()).expect("a folder");
        started.has("up == 1");
        started
    }

    /// The folder whose rules a watching one reads.
    pub(crate) fn rules(&self) -> PathBuf {
        self.folder.path().join("rules")
    }

    /// Starts one with these files, and waits until it answers.
    fn started(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("runwright-prometheus-").tempdir().expect("a folder");
        let folder = Arc::new(folder);
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        // Somebody may take the port before Prometheus does; then it ends at once, and there are more.
        for _ in 0..5 {
            let address = free_address();
            let mut started = Self {
                child: start(folder.path(), address),
                address,
                url: format!("http://{address}"),
                folder: Arc::clone(&folder),
            };
            if started.becomes_ready() {
                return started;
            }
        }
        panic!("prometheus does not start");
    }

    /// Its groups of rules as it understood them: `name` and `rules`.
    pub(crate) fn groups(&self) -> Vec<serde_json::Value> {
        let answer = get(self.address, "/api/v1/rules").expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        body["data"]["groups"].as_array().expect("groups").clone()
    }

    fn becomes_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if get(self.address, "/-/ready").is_ok_and(|answer| answer.contains(" 200 ")) {
                return true;
            }
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Waits until a query returns something.
    #[track_caller]
    pub(crate) fn has(&self, query: &str) {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < deadline {
            last = get(self.address, &format!("/api/v1/query?query={query}")).unwrap_or_default();
            if last.contains("\"success\"") && !last.contains("\"result\":[]") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{query} never returned anything: {last}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(folder: &Path, address: SocketAddr) -> Child {
    let missing = "`prometheus` (Debian package `prometheus`) starts by way of `setpriv` (package `util-linux`)";
    let is_there = std::env::split_paths(&std::env::var_os("PATH").expect("PATH"))
        .any(|folder| folder.join("prometheus").exists());
    assert!(is_there, "the Debian package `prometheus` is not installed");
    Command::new("setpriv")
        // The kernel ends it when the test is killed and cannot.
        .args(["--pdeathsig", "KILL", "prometheus"])
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-lifecycle")
        .arg("--log.level=error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(missing)
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// An answer as it came, head and all.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Calls `promtool` in a folder.
pub(crate) fn promtool(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("promtool").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    Output::new(format!("promtool {}", arguments.join(" ")), &output.expect("`promtool` (Debian package `prometheus`)"))
}
