//! `exec` and `port-forward` of the simulated Kubernetes, as the stock kubectl sees them.

use crate::kubernetes_api::with_web;
use crate::support::{Kubernetes, Simulator};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

#[test]
fn a_program_in_a_container_says_what_it_was_told_and_ends() {
    let kube = with_web();
    _ = kube.kubectl("exec deploy/web -- echo hello there").exits(0).says("hello there\n");
    _ = kube.kubectl("exec deploy/web -- false").exits(1);
    _ = kube.kubectl("exec deploy/web -- nonsense").exits(127).says("no such program here: nonsense");
    let long = "0123456789\n".repeat(20_000);
    let echoed = kube.kubectl_with(&["exec", "-i", "deploy/web", "--", "cat"], &long).exits(0);
    assert_eq!(echoed.stdout, long);
    let program =
        json!({ "pod": "web-*", "command": ["psql", "-c"], "stdout": "1 row\n", "stderr": "slow\n", "exit": 3 });
    kube.control(&json!({ "exec": program }));
    let output = kube.kubectl_with(&["exec", "deploy/web", "-c", "web", "--", "psql", "-c", "select 1"], "").exits(3);
    assert_eq!(output.stdout, "1 row\n");
    _ = output.says("slow");
    _ = kube.kubectl("exec deploy/web --as viewer -- echo x").exits(1).says("cannot create resource \"pods/exec\"");
    kube.control(&json!({ "stuck": {} }));
    _ = kube.until("get pods", "CrashLoopBackOff");
    _ = kube.kubectl("exec deploy/web -- echo x").exits(1);
}

/// A port-forward that runs; it ends when it is dropped.
struct Forwarded {
    child: Child,
    /// Kept open: kubectl dies when it cannot say that it handles a connection.
    _said: BufReader<ChildStdout>,
    port: u16,
}

impl Forwarded {
    fn start(kube: &Kubernetes, port: u16) -> Self {
        let mut command = kube.command(&["port-forward", "deploy/web", "--address=127.0.0.1", &format!(":{port}")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        // Forwarding from 127.0.0.1:PORT -> 80
        let words = line.split([':', ' ']).nth(3);
        let port = words.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("it says {line:?}"));
        Self { child, _said: said, port }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // A connection that nobody answers is closed or reset.
        stream.read_to_string(&mut answer).ok();
        answer
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_forwarded_port_leads_to_another_system() {
    let kube = with_web();
    let folder = tempfile::tempdir().unwrap();
    let behind = Simulator::stemedb("quiet", folder.path());
    let to = behind.url.trim_start_matches("http://");
    kube.control(&json!({ "forward": { "pod": "web-*", "port": 8080, "to": to } }));
    let forwarded = Forwarded::start(&kube, 8080);
    for _ in 0..3 {
        let answer = forwarded.get("/v1/health");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"healthy\""), "{answer}");
    }
    let refused = Forwarded::start(&kube, 81);
    assert_eq!(refused.get("/v1/health"), "");
    _ = kube.kubectl("port-forward deploy/web :8080 --as viewer").exits(1).says("portforward");
}
