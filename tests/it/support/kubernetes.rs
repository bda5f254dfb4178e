//! Two Kubernetes clusters to act on: the simulator of `tests/simulators`, and the stock `kubectl` to ask it.

use super::{Output, simulator};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const INSTALL: &str = "install the Debian package kubernetes-client";

/// Two running clusters, `prod` and `drill`, and a kubeconfig for them with the contexts `prod` (which is current),
/// `drill` and `viewer` (in `prod`, may only look). They end when this is dropped.
pub(crate) struct Kubernetes {
    simulator: simulator::Simulator,
    /// `http://127.0.0.1:PORT` of `drill`.
    pub(crate) drill: String,
    folder: tempfile::TempDir,
}

impl Kubernetes {
    /// Starts them; a pod gets ready after 200 ms and goes after 100 ms.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts them with more arguments for the simulator, as `--uid` or `--ready-after`. They say that they are of the
    /// same release as the kubectl here.
    pub(crate) fn with(more: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("runwright-kube-").tempdir().expect("a folder");
        let file = folder.path().join("kubeconfig").display().to_string();
        let release = format!("1.{}.0", minor());
        let own = ["kubernetes", "--until-stdin-closes", "--release", &release, "--kubeconfig", &file];
        let (simulator, rest) = simulator::Simulator::start(&[&own, more].concat());
        let drill = rest.trim_start_matches(" (drill: ").trim_end_matches(')').to_owned();
        Self { simulator, drill, folder }
    }

    /// `http://127.0.0.1:PORT` of `prod`.
    pub(crate) fn address(&self) -> &str {
        &self.simulator.url
    }

    /// The kubeconfig file, for `KUBECONFIG` or `--kubeconfig`.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Sets the scene of `prod`; the keys are those of `Control` in `tests/simulators/kubernetes/control.rs`.
    #[track_caller]
    pub(crate) fn control(&self, what: &Value) {
        let answer = ask(self.address(), "POST", &what.to_string());
        assert_eq!(answer["done"], true, "{what} is refused: {answer}");
    }

    /// The requests that `prod` has got so far, each with method, path, query, body, user and status.
    pub(crate) fn requests(&self) -> Vec<Value> {
        requests(self.address())
    }

    /// The requests that `drill` has got so far.
    pub(crate) fn drill_requests(&self) -> Vec<Value> {
        requests(&self.drill)
    }

    /// The changing requests that `prod` has got so far, as `PATCH /apis/...`, without the questions about rights.
    pub(crate) fn writes(&self) -> Vec<String> {
        let all = self.requests();
        let writes = all
            .iter()
            .filter(|one| one["method"] != "GET" && !one["path"].to_string().contains("authorization.k8s.io"));
        writes.map(|one| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap())).collect()
    }

    /// Calls kubectl with words that hold no blanks, in the context `prod`.
    pub(crate) fn kubectl(&self, line: &str) -> Output {
        self.kubectl_with(&line.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Calls kubectl with these arguments and this standard input.
    pub(crate) fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.as_mut().unwrap_or_else(|why| panic!("kubectl does not start ({why}): {INSTALL}"));
        let mut stdin = child.stdin.take().expect("its input");
        // A kubectl that does not read its input closes it.
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        let (mut stdout, mut stderr) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).expect("its output");
        let errors = errors.join().expect("a thread").expect("its errors");
        let status = child.wait().expect("its end");
        let output = std::process::Output { status, stdout: bytes, stderr: errors };
        Output::new(format!("kubectl {}", arguments.join(" ")), &output)
    }

    /// A call of kubectl, ready to be changed or started. Its cache is beside the kubeconfig.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).env_clear().env("PATH", std::env::var("PATH").expect("PATH"));
        command
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.kubeconfig())
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8");
        command.current_dir(self.folder.path());
        command
    }

    /// Waits until a call of kubectl says something; fails after ten seconds.
    #[track_caller]
    pub(crate) fn until(&self, line: &str, words: &str) -> Output {
        self.until_it(line, |output| output.all().contains(words))
    }

    /// Waits until a call of kubectl comes to what is wanted; fails after ten seconds.
    #[track_caller]
    pub(crate) fn until_it(&self, line: &str, is_wanted: impl Fn(&Output) -> bool) -> Output {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let output = self.kubectl(line);
            if is_wanted(&output) {
                return output;
            }
            assert!(Instant::now() < end, "it never comes to what is wanted\n{output}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The minor version of the kubectl here, as 32. What an old one cannot do is not asked of it.
pub(crate) fn minor() -> u32 {
    static MINOR: OnceLock<u32> = OnceLock::new();
    *MINOR.get_or_init(|| {
        let call =
            Command::new("kubectl").args(["version", "--client", "--output=json"]).env_remove("KUBECONFIG").output();
        let output = call.unwrap_or_else(|why| panic!("kubectl does not start ({why}): {INSTALL}"));
        let said: Value = serde_json::from_slice(&output.stdout).expect("its version");
        let version = said["clientVersion"]["gitVersion"].as_str().expect("a version");
        version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_else(|| panic!("{version}"))
    })
}

fn requests(address: &str) -> Vec<Value> {
    ask(address, "GET", "")["requests"].as_array().expect("a list of requests").clone()
}

/// One control request on a connection of its own.
fn ask(address: &str, method: &str, body: &str) -> Value {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the simulator listens");
    let head =
        format!("{method} /control HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json");
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|_| json!(answer))
}
