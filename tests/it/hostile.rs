//! Values that want to be something else: a second argument, a command, a path, a host, a header line, a control
//! sequence. Each is pushed through every place where a value can stand; it arrives byte for byte, or it is refused.

#![expect(
    clippy::disallowed_methods,
    reason = "a test asks a real shell what it reads, and a real clock how long it took"
)]

use crate::support::Sandbox;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// What people and attackers put into a field.
const HOSTILE: &[&str] = &[
    "'",
    "\"",
    "a'b\"c",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "&& touch pwned",
    "| touch pwned",
    "a\nb",
    "a\rb",
    "\r\nX-Evil: 1",
    "-rf",
    "--help",
    "ünïcødé 日本",
    "a\u{202e}b\u{200b}",
    "..",
    ".",
    "../..",
    "\\..\\",
    "%2e%2e",
    "%00",
    "?a=b#c",
    "@host",
    "a/b",
    "//evil.example/x",
    "",
    " lead and trail ",
    "{{ 1+1 }}",
    "{% for x in y %}",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{7f}\u{9b}31m",
    "‹secret x›",
    "true",
    "1e9",
    "null",
    "#c: d",
    "&a *b",
    "!tag x",
    "|\n x",
    "=cmd|' /C calc'!A0",
    "$HOME",
    "a\\",
    "\u{2028}",
    "\u{feff}bom",
];

const STEPS: &str = r#"
inputs:
  v: { type: string, min: 0 }
  url: { type: url }
  folder: { type: string }
targets:
  api: { http: "{{ url }}", allow: [loopback] }
steps:
  - id: argument
    diagnose: Argument {{ v }}
    run: [printf, '%s\0', --, "{{ v }}", "a{{ v }}b"]
    capture: { back: stdout }
    show: [back]
  - id: environment
    diagnose: Environment
    env: { V: "{{ v }}" }
    shell: printf '%s' "$V"
    capture: { back: stdout }
  - id: input
    diagnose: Standard input
    stdin: "{{ v }}"
    run: [cat]
    capture: { back: stdout }
  - id: again
    diagnose: What came back goes out again
    stdin: "{{ input.back }}"
    run: [cat]
    capture: { back: stdout }
  - id: path
    diagnose: Path and query
    target: api
    http: { get: "/path/{{ v }}/end", query: { q: "{{ v }}" } }
    on_failure: continue
  - id: query
    diagnose: Query
    target: api
    http: { get: /query, query: { q: "{{ v }}" } }
  - id: header
    diagnose: Header
    target: api
    http: { get: /header, headers: { X-V: "{{ v }}" } }
    on_failure: continue
  - id: json_body
    remediate: JSON
    risk: low
    target: api
    http: { post: /json, json: { v: "{{ v }}" } }
    irreversible: A test.
  - id: form_body
    remediate: Form
    risk: low
    target: api
    http: { post: /form, form: { v: "{{ v }}" } }
    irreversible: A test.
  - id: text_body
    remediate: Text
    risk: low
    target: api
    http: { post: /text, text: "{{ v }}" }
    irreversible: A test.
  - id: written
    remediate: Write {{ v }}
    risk: low
    write: { file: "{{ folder }}/written", text: "{{ v }}" }
  - id: toml
    remediate: TOML
    risk: low
    edit: { file: "{{ folder }}/c.toml", format: toml, set: { a.b: "{{ v }}" } }
  - id: json
    remediate: JSON
    risk: low
    edit: { file: "{{ folder }}/c.json", format: json, set: { a.b: "{{ v }}" } }
  - id: ini
    remediate: INI
    risk: low
    edit: { file: "{{ folder }}/c.ini", format: ini, set: { a.b: "{{ v }}" } }
    on_failure: continue
  - id: env_file
    remediate: Environment file
    risk: low
    edit: { file: "{{ folder }}/c.env", format: env, set: { B: "{{ v }}" } }
    on_failure: continue
  - id: end
    validate: The end is reached
    expect: 1 == 1
"#;

const LIBRARY: &str = "library: hostile\nenvironments:\n  test:\n    production: false\n    gates: { low: pass, \
                       medium: pass, high: pass, irreversible: pass }\n";

/// A request as it came, byte for byte.
#[derive(Clone)]
struct Request {
    head: String,
    body: String,
}

/// A server that keeps what it is sent and answers `{}`.
struct Listener {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || _ = answer(stream, &kept));
            }
        });
        Self { url, seen }
    }

    /// The one request whose path begins so, if it came.
    fn request(&self, path: &str) -> Option<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|request| request.target().starts_with(path)).cloned()
    }
}

impl Request {
    fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.strip_prefix(' ').unwrap_or(value))
        })
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = Request { head: head.to_owned(), body: body.to_owned() };
            let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                seen.lock().unwrap().push(request);
                break;
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    )
}

/// Whether a text would act on a terminal instead of standing on it.
fn acts_on_a_terminal(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a program printed.
fn printed(show: &Value, step: &str) -> String {
    step_of(show, step)["captures"]["back"].as_str().unwrap_or_default().to_owned()
}

fn step_of<'show>(show: &'show Value, step: &str) -> &'show Value {
    show["steps"].as_array().unwrap().iter().find(|one| one["step"] == step).unwrap()
}

/// One value through every place.
fn attack(value: &str) {
    let sandbox = Sandbox::new();
    let listener = Listener::start();
    sandbox.write("runwright.yaml", LIBRARY);
    sandbox.runbook("places", STEPS);
    sandbox.write("value", value);
    sandbox.write("c.toml", "[a]\nb = \"old\"\n");
    sandbox.write("c.json", "{\"a\": {\"b\": \"old\"}}\n");
    sandbox.write("c.ini", "[a]\nb = old\n[z]\nb = other\n");
    sandbox.write("c.env", "B=old\nZ=other\n");
    let url = format!("url={}", listener.url);
    let folder = format!("folder={}", sandbox.folder().display());
    let run = sandbox.call(["run", "places", "-e", "test", "-i", "v=@value", "-i", &url, "-i", &folder]).exits(0);
    let mut screens = vec![run.all()];
    for form in ["text", "json", "markdown"] {
        screens.push(sandbox.runwright(&format!("show last --format {form}")).exits(0).all());
    }
    for screen in &screens {
        assert!(!screen.contains(acts_on_a_terminal), "{value:?} on the screen:\n{screen:?}");
    }
    assert!(!sandbox.path("pwned").exists(), "{value:?} was executed");

    let show: Value = sandbox.runwright("show last --format json").json();
    assert_eq!(printed(&show, "argument"), format!("--\0{value}\0a{value}b\0"));
    for step in ["environment", "input", "again"] {
        assert_eq!(printed(&show, step), value, "{value:?} in {step}");
    }
    requests(value, &listener, &show);
    files(value, &sandbox, &show);
    _ = sandbox.runwright("verify last").exits(0);
}

fn requests(value: &str, listener: &Listener, show: &Value) {
    let host = listener.url.trim_start_matches("http://");
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    for request in listener.seen.lock().unwrap().iter() {
        assert_eq!(request.header("host"), Some(host), "{value:?}");
        assert_eq!(request.header("x-evil"), None, "{value:?}");
    }
    match listener.request("/path/") {
        Some(request) => {
            let (path, _) = request.target().split_once('?').unwrap();
            let segments: Vec<_> = path.split('/').collect();
            assert_eq!(segments.len(), 4, "{value:?}: {path}");
            assert_eq!(percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap(), value);
        }
        None => refused(show, "path", value),
    }
    let query = listener.request("/query").unwrap_or_else(|| panic!("{value:?}: {}", step_of(show, "query")));
    let (_, query) = query.target().split_once("?q=").unwrap();
    assert!(!query.contains(['&', '#', '=']), "{value:?}: {query}");
    assert_eq!(decode(query), value);
    match listener.request("/header") {
        Some(request) => assert_eq!(request.header("x-v"), Some(value), "{value:?}"),
        None => refused(show, "header", value),
    }
    let body = |path: &str| listener.request(path).unwrap().body;
    assert_eq!(serde_json::from_str::<Value>(&body("/json")).unwrap(), serde_json::json!({ "v": value }));
    assert_eq!(decode(body("/form").strip_prefix("v=").unwrap()), value);
    assert_eq!(body("/text"), value);
}

fn files(value: &str, sandbox: &Sandbox, show: &Value) {
    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(read("written"), value);
    let toml: toml_edit::DocumentMut = read("c.toml").parse().unwrap();
    assert_eq!(toml["a"]["b"].as_str(), Some(value));
    assert_eq!(serde_json::from_str::<Value>(&read("c.json")).unwrap()["a"]["b"], value);
    let ini = read("c.ini");
    assert_eq!(ini.lines().count(), 4, "{ini}");
    if ini.contains("b = old") {
        refused(show, "ini", value);
    } else {
        assert_eq!(ini.lines().nth(1), Some(format!("b = {value}").as_str()));
    }
    if read("c.env").contains("B=old") {
        refused(show, "env_file", value);
        return;
    }
    // The shell that reads it is the judge.
    let shell = std::process::Command::new("bash")
        .args(["-c", ". ./c.env; printf '%s|%s' \"$B\" \"$Z\""])
        .current_dir(sandbox.folder())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), format!("{value}|other"));
    assert!(!sandbox.path("pwned").exists(), "{value:?} was executed");
}

/// What did not arrive says why.
#[track_caller]
fn refused(show: &Value, step: &str, value: &str) {
    let step = step_of(show, step);
    assert_eq!(step["outcome"], "failed", "{value:?}: {step}");
    let said = step["error"].as_str().or(step["reason"].as_str());
    assert!(said.is_some_and(|text| text.len() > 20), "{value:?}: {step}");
}

#[test]
fn hostile_values_arrive_as_they_are_or_are_refused() {
    // Four at a time: most of the time goes into waiting for the disk.
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|part| scope.spawn(move || HOSTILE.iter().skip(part).step_by(4).for_each(|value| attack(value))))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_title_of_a_megabyte_is_printed_in_a_moment() {
    let sandbox = Sandbox::new();
    sandbox.write("runwright.yaml", LIBRARY);
    sandbox.runbook(
        "long",
        "inputs:\n  v: { type: string }\nsteps:\n  - id: a\n    diagnose: \"{{ v }}\"\n    run: [\"true\"]\n",
    );
    sandbox.write("value", &"x".repeat(1 << 20));
    let started = std::time::Instant::now();
    _ = sandbox.call(["run", "long", "-e", "test", "-i", "v=@value"]).exits(0);
    // Measuring the rest of the word for each line took minutes; now it is about a second.
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_nul_byte_is_refused_where_no_program_could_take_it() {
    let sandbox = Sandbox::new();
    sandbox.write("runwright.yaml", LIBRARY);
    sandbox.runbook(
        "nul",
        "inputs:\n  v: { type: string }\nsteps:\n  - id: a\n    diagnose: A\n    run: [echo, --, \"{{ v }}\"]\n",
    );
    sandbox.write("value", "a\0b");
    let run = sandbox.call(["run", "nul", "-e", "test", "-i", "v=@value"]);
    assert!(!run.all().contains('\0'), "{run}");
    assert!(run.code == 3 || run.all().contains("NUL"), "{run}");
}

/// A run that waits at the gate of a change.
struct Waiting {
    sandbox: Sandbox,
    run: Child,
    digest: String,
}

impl Waiting {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("runwright.yaml", "library: x\nenvironments:\n  test: { production: false }\n");
        sandbox.runbook(
            "gated",
            "steps:\n  - id: change\n    remediate: Change\n    risk: high\n    gate: { confirm: true }\n    \
             shell: echo done >> done\n    irreversible: A test.\n  - id: end\n    validate: The end\n    \
             expect: 1 == 1\n",
        );
        let mut run = sandbox
            .command(["run", "gated", "-e", "test", "--park-after", "60s"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("needs an answer")), "the gate never opened");
        let show = sandbox.runwright("show last --format json").json();
        let digest = show["gates"][0]["digest"].as_str().unwrap().to_owned();
        Self { sandbox, run, digest }
    }

    /// How often the change was made.
    fn changes(&self) -> usize {
        std::fs::read_to_string(self.sandbox.path("done")).map_or(0, |text| text.lines().count())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.run.kill().ok();
        self.run.wait().ok();
    }
}

#[test]
fn a_gate_takes_no_answer_but_one_to_its_own_card() {
    let waiting = Waiting::new();
    let digest = &waiting.digest;
    let wrong = if digest.starts_with("ffffff") { "eeeeeeee" } else { "ffffffff" };
    for arguments in [
        vec!["approve", "last", "change"],
        vec!["approve", "last", "change", "--digest", wrong],
        vec!["approve", "last", "change", "--digest", &digest[..4]],
        vec!["approve", "last", "change", "--digest", ""],
        vec!["approve", "last", "../../change", "--digest", digest],
        vec!["approve", "../../etc", "change", "--digest", digest],
    ] {
        let answer = waiting.sandbox.call(&arguments);
        assert_ne!(answer.code, 0, "{answer}");
        assert_ne!(answer.code, 70, "{answer}");
    }
    assert_eq!(waiting.changes(), 0);
    let show = waiting.sandbox.runwright("show last --format json").json();
    assert_eq!(show["gates"][0]["answer"], Value::Null);
}

#[test]
fn of_many_answers_at_once_one_counts() {
    let mut waiting = Waiting::new();
    let calls: Vec<_> = (0..50)
        .map(|index| {
            let mut command = waiting.sandbox.command(["approve", "last", "change", "--digest", &waiting.digest]);
            if index % 2 == 1 {
                command.args(["--deny", "--reason", "no"]);
            }
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let codes = calls.into_iter().map(|mut call| call.wait().unwrap().code());
    let taken = codes.filter(|code| *code == Some(0)).count();
    waiting.run.wait().unwrap();
    // A call may leave its answer while another one is taken up; the record says which of them counted.
    assert!(taken >= 1);
    let events = Sandbox::events(&waiting.sandbox.only_run());
    let answers = events.iter().filter(|event| event["event"]["kind"] == "gate_answered").count();
    assert_eq!(answers, 1, "{events:#?}");
    assert!(waiting.changes() <= 1);
    let late = waiting.sandbox.call(["approve", "last", "change", "--digest", &waiting.digest]);
    assert_ne!(late.code, 0, "{late}");
    _ = waiting.sandbox.runwright("verify last").exits(0);
}

#[test]
fn a_name_of_a_run_is_no_path() {
    let waiting = Waiting::new();
    for name in ["../../etc/passwd", "..", "/etc/passwd", ".", "a/b", "\u{1b}[2J", "%2e%2e", "--help-me", "' or 1"] {
        for command in ["show", "verify"] {
            let said = waiting.sandbox.call([command, "--", name]);
            assert_ne!(said.code, 0, "{said}");
            assert_ne!(said.code, 70, "{said}");
            assert!(!said.all().contains(acts_on_a_terminal), "{said}");
        }
    }
}
