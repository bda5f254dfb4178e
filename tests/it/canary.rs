//! A secret goes through everything that can carry one, and comes back through everything that can show one. It stands
//! nowhere afterwards but in the files that the runbook itself wrote.

use crate::support::{Output, Sandbox};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// A secret with a character that each kind of quoting has to treat.
const CANARY: &str = "c4nary'Tok+en/\"z=Q\\w;Xé";

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

/// What must not be found.
fn forms() -> Vec<Vec<u8>> {
    let bytes = CANARY.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let json = serde_json::to_string(CANARY).unwrap();
    let json = &json[1..json.len() - 1];
    let twice = serde_json::to_string(json).unwrap();
    let mut forms = vec![
        CANARY.to_owned(),
        hex.to_uppercase(),
        hex,
        json.to_owned(),
        twice[1..twice.len() - 1].to_owned(),
        CANARY.replace('\'', r"'\''"),
        URL_SAFE_NO_PAD.encode(bytes),
        STANDARD.encode(format!("u:{CANARY}")),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        percent(""),
        percent("/"),
    ];
    for before in ["", "x", "xy"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{CANARY}"));
        // Without the characters that also depend on the neighbours.
        let inner = encoded[[0, 2, 3][before.len()]..encoded.len() - 1].to_owned();
        forms.push(inner.replace('+', "-").replace('/', "_"));
        forms.push(inner);
    }
    // The longest beginning and the longest end: half of a secret is one too.
    forms.extend([CANARY[..14].to_owned(), CANARY[10..].to_owned()]);
    forms.into_iter().map(String::into_bytes).collect()
}

/// Percent-encoded, with these characters left as they are.
fn percent(stay: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || stay.as_bytes().contains(&byte);
    CANARY.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[track_caller]
fn holds_no_canary(name: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).position(|window| window == form);
        let around = |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at + form.len()]).into_owned();
        let form = String::from_utf8_lossy(&form);
        assert!(found.is_none(), "{name} holds {form}: {}", found.map(around).unwrap_or_default());
    }
}

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
    let status = if came.contains(" /error ") { format!("500 {CANARY}") } else { "200 OK".to_owned() };
    let body = serde_json::json!({ "came": came, "raw": CANARY, "url": percent("/"), "form": percent("") }).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-raw: {CANARY}\r\nx-url: {}\r\nconnection: \
         close\r\ncontent-length: {}\r\n\r\n",
        percent(""),
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

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn call(sandbox: &Sandbox, secret: &str, arguments: &[&str]) -> Output {
    let mut command = sandbox.command(arguments);
    command.env("CANARY", secret).env("RUST_BACKTRACE", "1");
    let output = command.output().unwrap();
    let output = Output::new(arguments.join(" "), &output);
    holds_no_canary(&format!("stdout of {arguments:?}"), output.stdout.as_bytes());
    holds_no_canary(&format!("stderr of {arguments:?}"), output.stderr.as_bytes());
    output
}

#[test]
fn a_secret_stands_nowhere() {
    let sandbox = Sandbox::new();
    sandbox.write("runwright.yaml", LIBRARY);
    sandbox.runbook("canary", STEPS);
    sandbox.write("c.toml", "[a]\nb = \"old\" # keep\n");
    let (url, folder) = (format!("url={}", server()), format!("folder={}", sandbox.folder().display()));
    let values = ["-e", "test", "-i", &url, "-i", &folder];
    let with = |words: &[&str]| {
        let all: Vec<_> = words.iter().copied().chain(values).collect();
        call(&sandbox, CANARY, &all)
    };
    _ = with(&["plan", "canary"]).exits(0);
    _ = with(&["plan", "canary", "--out", "plan.json"]).exits(0);
    _ = with(&["plan", "canary", "--format", "json"]).exits(0);
    _ = with(&["probe", "canary"]);
    // It parks at its last gate.
    _ = with(&["run", "canary"]).exits(5).says("secret token");
    for form in ["text", "json", "markdown"] {
        _ = call(&sandbox, CANARY, &["show", "last", "--format", form]).exits(0);
    }
    _ = call(&sandbox, CANARY, &["list"]);

    let own = std::fs::read_to_string(sandbox.path("own")).unwrap();
    assert_eq!(own, format!("t={CANARY}\n"), "the real value arrives where it belongs");
    for file in walk(&sandbox.store()).into_iter().chain([sandbox.path("plan.json"), sandbox.path("c.toml")]) {
        holds_no_canary(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

#[test]
fn a_secret_that_cannot_be_masked_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("runwright.yaml", LIBRARY);
    sandbox.runbook(
        "refused",
        "inputs:\n  token: { type: string, secret: true, from: { env: CANARY } }\n  plain: { type: string, default: \
         harmless-text }\nsteps:\n  - id: a\n    diagnose: A\n    stdin: \"{{ token }}\"\n    run: [cat]\n",
    );
    let arguments = ["run", "refused", "-e", "test"];
    _ = call(&sandbox, "short", &arguments).exits(3).says("shorter than 8 bytes");
    _ = call(&sandbox, "harmless-text", &arguments).exits(3).says("secret");
    assert!(sandbox.runs().is_empty());
}
