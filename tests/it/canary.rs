//! A secret goes through everything that can carry one, and comes back through everything that can show one. It stands
//! nowhere afterwards but in the files that the runbook itself wrote.

mod everything;
mod found;
mod sources;

use crate::support::{CANARY, Canary, Output, percent};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const STEPS: &str = r#"
inputs:
  token: { type: string, secret: true, from: { env: CANARY } }
  url: { type: url }
  folder: { type: string }
targets:
  bearer: { http: "{{ url }}", allow: [loopback], auth: { bearer: "{{ token }}" } }
  basic: { http: "{{ url }}", allow: [loopback], auth: { user: u, password: "{{ token }}" } }
steps:
  - id: environment
    diagnose: A child tells it in every way it knows
    env: { T: "{{ token }}" }
    shell: |
      printf '%s\n' "$T"; printf '%s\n' "$T" >&2
      printf '%s' "$T" | base64 -w0; echo
      printf 'x%s' "$T" | base64 -w0; echo
      printf 'xy%s' "$T" | base64 -w0 | tr '+/' '-_'; echo
      printf '%s' "$T" | od -An -tx1 -v | tr -d ' \n'; echo
      printf '%q\n' "$T"
      for ((i = 0; i < ${#T}; i++)); do printf '%s' "${T:i:1}"; done
      exit 3
    show: [stdout, stderr]
    on_failure: continue
  - id: input
    diagnose: Standard input comes back
    stdin: "{{ token }}"
    run: [cat]
    capture: { back: stdout }
    show: [back]
  - id: bearer
    diagnose: A server repeats it
    target: bearer
    http: { get: /echo, headers: { X-T: "{{ token }}" } }
    capture: { back: text, seen: headers }
    show: [back, seen]
    on_failure: continue
  - id: basic
    diagnose: A server repeats it
    target: basic
    http: { get: /echo }
    capture: { back: body }
    show: [back]
  - id: fails
    diagnose: A server fails with it
    target: bearer
    http: { get: /error }
    on_failure: continue
  - id: expression
    diagnose: An expression fails over it
    stdin: "{{ token }}"
    run: [cat]
    expect: (stdout | json) == 5
    on_failure: continue
  - id: body
    remediate: A body
    risk: low
    target: bearer
    http: { post: /echo, json: { t: "{{ token }}" } }
    capture: { back: body }
    show: [back]
    irreversible: A test.
  - id: writes
    remediate: A file
    risk: low
    write: { file: "{{ folder }}/own", text: "t={{ token }}\n" }
  - id: edits
    remediate: It goes into a file
    risk: low
    edit: { file: "{{ folder }}/c.toml", format: toml, set: { a.b: "{{ token }}" } }
  - id: edits_away
    remediate: It goes out of a file, so that the file before the change holds it
    risk: low
    edit: { file: "{{ folder }}/c.toml", format: toml, set: { a.b: gone } }
  - id: waits
    remediate: A card shows it
    risk: high
    gate: { confirm: true }
    stdin: "{{ token }}"
    run: [tee, "{{ folder }}/own2"]
    irreversible: A test.
"#;

const LIBRARY: &str = "library: canary\nenvironments:\n  test:\n    production: false\n    gates: { low: pass, \
                       medium: pass, high: pass, irreversible: pass }\n";

/// Answers with all that came, in the body and in headers, raw and encoded.
fn repeat(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    // A header and its body come together from this client: both are small.
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    let came = String::from_utf8_lossy(&bytes).into_owned();
    if came.contains(" /slow ") {
        // Until the other side has had enough.
        return stream.read(&mut buffer).map(drop);
    }
    if came.contains(" /cut ") {
        return stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{CANARY}").as_bytes());
    }
    if came.contains(" /redirect ") {
        let place = percent(CANARY, "");
        return stream.write_all(format!("HTTP/1.1 302 Found\r\nlocation: /{place}?{place}\r\n\r\n").as_bytes());
    }
    let status = if came.contains(" /error ") { format!("500 {CANARY}") } else { "200 OK".to_owned() };
    let body =
        serde_json::json!({ "came": came, "raw": CANARY, "url": percent(CANARY, "/"), "form": percent(CANARY, "") })
            .to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-raw: {CANARY}\r\nx-url: {}\r\nconnection: \
         close\r\ncontent-length: {}\r\n\r\n",
        percent(CANARY, ""),
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| _ = repeat(stream)));
    url
}

#[test]
fn a_secret_stands_nowhere() {
    let canary = Canary::new();
    let sandbox = &canary.sandbox;
    _ = sandbox.write("runwright.yaml", LIBRARY);
    _ = sandbox.runbook("canary", STEPS);
    _ = sandbox.write("c.toml", "[a]\nb = \"old\" # keep\n");
    let (url, folder) = (format!("url={}", server()), format!("folder={}", sandbox.folder().display()));
    let values = ["-e", "test", "-i", &url, "-i", &folder];
    let with = |words: &[&str]| {
        let all: Vec<_> = words.iter().copied().chain(values).collect();
        canary.call(&all)
    };
    _ = with(&["plan", "canary"]).exits(0);
    _ = with(&["plan", "canary", "--out", "plan.json"]).exits(0);
    _ = with(&["plan", "canary", "--format", "json"]).exits(0);
    _ = with(&["probe", "canary"]);
    // It parks at its last gate.
    _ = with(&["run", "canary"]).exits(5).says("secret token");
    canary.is_nowhere();

    let own = std::fs::read_to_string(sandbox.path("own")).unwrap();
    assert_eq!(own, format!("t={CANARY}\n"), "the real value arrives where it belongs");
    for file in ["plan.json", "c.toml"] {
        canary.is_not_in(file, &std::fs::read(sandbox.path(file)).unwrap());
    }
}

#[test]
fn a_secret_that_cannot_be_masked_is_refused() {
    let rest = "inputs:\n  token: { type: string, secret: true, from: { env: CANARY } }\n  plain: { type: string, \
                default: harmless-text }\nsteps:\n  - id: a\n    diagnose: A\n    stdin: \"{{ token }}\"\n    run: \
                [cat]\n";
    for (secret, words) in [("short", "shorter than 8 bytes"), ("harmless-text", "is not secret")] {
        let canary = Canary::of(secret);
        _ = canary.sandbox.runbook("refused", rest);
        let output = canary.command(&["run", "refused", "-e", "free"]).output().unwrap();
        _ = Output::new("run".to_owned(), &output).exits(3).says(words);
        assert!(canary.sandbox.runs().is_empty());
    }
}
