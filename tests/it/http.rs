//! Requests through the whole program: what goes wrong is a finding with a class, pages are followed, and a busy server
//! is left alone as long as it asks for.

use crate::support::{Connection, Output, Sandbox, Server, certified, documented, free_address, say, say_json};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The step of a run, as `show` has it.
#[track_caller]
fn step(sandbox: &Sandbox, id: &str) -> Value {
    let show = sandbox.call(["show", "last", "--format", "json"]).exits(0).json();
    let steps = show["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == id).unwrap_or_else(|| panic!("no step {id}: {show:#}")).clone()
}

fn run(sandbox: &Sandbox) -> Output {
    let output = sandbox.call(["run", "./case.yaml"]);
    sandbox.is_whole();
    output
}

/// Answers well, badly, late and never, each at its own path.
fn awkward(target: &str, stream: &mut dyn Connection) {
    let json = [("Content-Type", "application/json")];
    match target {
        "/well" => say_json(stream, &json!({ "state": "fine" })),
        "/broken-json" => say(stream, "200 OK", &json, "{\"state\": "),
        "/no-json" => say(stream, "200 OK", &[("Content-Type", "text/html")], "<html>{\"state\": \"fine\"}</html>"),
        "/gone" => say(stream, "404 Not Found", &[], "no such thing"),
        "/ring" => say(stream, "302 Found", &[("Location", "/ring")], ""),
        "/away" => say(stream, "302 Found", &[("Location", "http://elsewhere.invalid/")], ""),
        "/half" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").expect("it takes it"),
        "/ssh" => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").expect("it takes it"),
        "/bomb" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok();
            for number in 0..100_000 {
                if write!(stream, "X-{number}: {}\r\n", "x".repeat(1000)).is_err() {
                    return;
                }
            }
        }
        // The client leaves first.
        "/hang" => _ = std::io::copy(stream, &mut std::io::sink()),
        other => say(stream, "500 Internal Server Error", &[], &format!("nobody asked for {other}")),
    }
}

#[test]
fn every_trouble_is_a_finding_with_its_class() {
    let sandbox = Sandbox::new();
    let server = Server::new(awkward);
    let (secure, certificate) = Server::with_tls("localhost", None, awkward);
    let ca = sandbox.write("ca.pem", &certificate).display().to_string();
    let nobody = free_address();
    let cases = [
        ("well", "here", "/well", "none"),
        ("refused", "nobody", "/", "'refused'"),
        ("dns", "nowhere", "/", "'dns'"),
        ("tls", "distrusted", "/well", "'tls'"),
        ("trusted", "trusted", "/well", "none"),
        ("late", "here", "/hang", "'timeout'"),
        ("gone", "here", "/gone", "'status_404'"),
        ("half", "here", "/half", "'bad_answer'"),
        ("ssh", "here", "/ssh", "'bad_answer'"),
        ("bomb", "here", "/bomb", "'bad_answer'"),
        ("ring", "here", "/ring", "'status_302'"),
        ("away", "here", "/away", "'status_302'"),
        ("elsewhere", "fenced", "/well", "'address'"),
        ("named", "named", "/well", "'address'"),
    ];
    let steps: String = cases
        .iter()
        .map(|(id, target, path, error)| {
            format!(
                "  - id: {id}\n    validate: Is it {id}?\n    target: {target}\n    http: {{ get: {path} }}\n    timeout: 1s\n    \
                 tolerate: [refused, timeout, tls, dns, connection, bad_answer, address, status]\n    expect: error == {error}\n"
            )
        })
        .collect();
    let (url, port) = (&server.url, server.address.port());
    let targets = format!(
        "targets:
  here: {{ http: \"{url}\", allow: [loopback] }}
  nobody: {{ http: \"http://{nobody}\" }}
  nowhere: {{ http: \"http://no-such-host.invalid\" }}
  distrusted: {{ http: \"{0}\" }}
  trusted: {{ http: \"{0}\", tls: {{ ca: \"{ca}\" }} }}
  fenced: {{ http: \"{url}\", allow: [private, public] }}
  named: {{ http: \"http://localhost:{port}\", allow: [public, 10.0.0.0/8, example.com] }}
",
        secure.url
    );
    let decide = "  - id: what
    decide: What is the matter?
    options:
      away: { when: dns.error == 'dns' and refused.error == 'refused', end: no_action }
      there: { when: refused.error is none, end: resolved }
";
    _ = sandbox.runbook("case", &format!("{targets}steps:\n{steps}{decide}"));
    let began = Instant::now();
    let output = run(&sandbox).exits(0).tells("NO ACTION").tells("14 of 14 validations hold");
    assert!(began.elapsed() < Duration::from_secs(20), "{output}");
    sandbox.leaves_nothing_behind();
}

#[test]
fn what_is_not_tolerated_fails_and_says_why() {
    let sandbox = Sandbox::new();
    let server = Server::new(awkward);
    let cases = [
        ("/half", "bad_answer", "cannot be used"),
        ("/gone", "status_404", "no such thing"),
        ("/away", "status_302", "to http://elsewhere.invalid/: a read is redirected at its own scheme"),
        ("/hang", "timeout", "not whole within 300ms"),
    ];
    for (path, class, words) in cases {
        let target = format!("targets: {{ here: {{ http: \"{}\" }} }}\n", server.url);
        let steps = format!("steps:\n  - {{ id: look, diagnose: Look, http: {{ get: {path} }}, timeout: 300ms }}\n");
        _ = sandbox.runbook("case", &format!("{target}{steps}"));
        _ = run(&sandbox).exits(1).tells(words).tells(class);
        let error = step(&sandbox, "look")["error"].to_string();
        assert!(error.contains(class), "{error}");
    }
}

#[test]
fn a_body_that_is_not_what_it_says_cannot_tell() {
    let sandbox = Sandbox::new();
    let server = Server::new(awkward);
    for (path, words) in [("/broken-json", "the body is not JSON"), ("/no-json", "body")] {
        let target = format!("targets: {{ here: {{ http: \"{}\" }} }}\n", server.url);
        let steps = format!(
            "steps:\n  - {{ id: look, validate: Is it fine?, http: {{ get: {path} }}, expect: body.state == 'fine' }}\n"
        );
        _ = sandbox.runbook("case", &format!("{target}{steps}"));
        let output = run(&sandbox).exits(1).tells(words);
        let step = step(&sandbox, "look");
        assert_eq!((&step["outcome"], &step["verdict"]), (&json!("succeeded"), &json!("cannot_tell")), "{output}");
    }
}

#[test]
fn a_value_that_makes_the_address_too_long_is_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::new(move |_, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        say(stream, "200 OK", &[], "");
    });
    let text = format!(
        "targets: {{ here: {{ http: \"{}\" }} }}
steps:
  - {{ id: long, diagnose: Much, shell: \"head -c 200000 /dev/zero | tr '\\\\0' x\" }}
  - {{ id: look, diagnose: Look, http: {{ get: \"/{{{{ long.stdout }}}}\" }} }}
",
        server.url
    );
    _ = sandbox.runbook("case", &text);
    _ = run(&sandbox).exits(1).tells("the address is 195 KiB long, and no more than 60 KiB can be sent");
    assert!(step(&sandbox, "look")["error"].to_string().contains("bad_value"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// Two refusals that ask for a second each, then an answer.
#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let sandbox = Sandbox::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::new(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => say(stream, "503 Service Unavailable", &[("Retry-After", "1")], "busy"),
        _ => say_json(stream, &json!({ "state": "fine" })),
    });
    let text = format!(
        "targets: {{ here: {{ http: \"{}\" }} }}
steps:
  - id: look
    validate: Is it fine?
    http: {{ get: / }}
    retry: {{ attempts: 3, backoff: 10ms, for: [status_503, timeout] }}
    expect: body.state == 'fine'
",
        server.url
    );
    _ = sandbox.runbook("case", &text);
    let began = Instant::now();
    _ = run(&sandbox).exits(0);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
    assert_eq!((asked.load(Ordering::SeqCst), &step(&sandbox, "look")["attempts"]), (3, &json!(3)));
}

/// The most memory that a process had, in KiB.
fn peak_memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[test]
fn an_answer_of_a_gigabyte_is_taken_in_bounded_memory() {
    let sandbox = Sandbox::new();
    let server = Server::new(|_, stream| {
        let piece = vec![b'x'; 1 << 20];
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30).as_bytes()).ok();
        for _ in 0..1024 {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let target = format!("targets: {{ here: {{ http: \"{}\" }} }}\n", server.url);
    let steps = "steps:\n  - { id: look, validate: Is it long?, http: { get: / }, expect: text | length > 0 }\n";
    _ = sandbox.runbook("case", &format!("{target}{steps}"));
    let mut child =
        sandbox.command(["run", "./case.yaml"]).stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let mut most = 0;
    let status = loop {
        most = most.max(peak_memory(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().expect("its state") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(1));
    assert!(most > 0 && most < 200 << 10, "{most} KiB");
    let step = step(&sandbox, "look");
    assert_eq!((&step["outcome"], &step["verdict"]), (&json!("succeeded"), &json!("cannot_tell")));
    assert!(step.to_string().contains("too large: 1 GiB"), "{step:#}");
    sandbox.is_whole();
}

#[test]
fn the_pages_of_the_reference_are_followed_to_the_end() {
    let sandbox = Sandbox::new();
    let after = |target: &str, key: &str| -> usize {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let found = pairs.into_iter().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        found.and_then(|value| value.trim_start_matches("t=").parse().ok()).unwrap_or(0)
    };
    let server = Server::new(move |target, stream| {
        let list = |from: usize, most: usize, all: usize| -> Vec<usize> { (from..all).take(most).collect() };
        if target.starts_with("/jobs?state=queued") {
            let from = after(target, "pageToken");
            let next = if from + 20 < 45 { format!("t={}", from + 20) } else { String::new() };
            say_json(stream, &json!({ "items": list(from, 20, 45), "nextPageToken": next }));
        } else if target.starts_with("/hosts") {
            let from = after(target, "from");
            let link = format!("</hosts?from={}>; rel=\"next\"", from + 2);
            let head = [("Content-Type", "application/json"), ("Link", link.as_str())];
            let body = json!(list(from, 2, 5)).to_string();
            say(stream, "200 OK", if from + 2 < 5 { &head } else { &head[..1] }, &body);
        } else {
            let from = after(target, "offset");
            say_json(stream, &json!({ "events": list(from, 100, 250) }));
        }
    });
    let file = sandbox.write("pages-example.yaml", &documented("pages-example")).display().to_string();
    let output = sandbox.call(["run", &file, "-i", &format!("url={}", server.url)]).exits(0);
    assert_eq!(step(&sandbox, "by_link")["captures"]["hosts"], json!([0, 1, 2, 3, 4]), "{output}");
    let evidence = |id: &str| step(&sandbox, id)["evidence"].as_array().expect("evidence").len();
    assert_eq!([evidence("by_token"), evidence("by_link"), evidence("by_offset")], [3, 3, 3], "{output}");
    sandbox.is_whole();
}

#[test]
fn pages_that_do_not_end_well_fail_and_say_why() {
    let sandbox = Sandbox::new();
    let server = Server::new(|target, stream| match target {
        "/ring" | "/ring?again" => say_json(stream, &json!({ "items": [1], "next": "/ring?again" })),
        "/breaks" => say_json(stream, &json!({ "items": [1], "next": "/gone" })),
        "/away" => say_json(stream, &json!({ "items": [1], "next": "http://elsewhere.invalid/" })),
        "/many" => say_json(stream, &json!({ "items": [1, 2, 3, 4], "next": "" })),
        _ => say(stream, "404 Not Found", &[], "no such page"),
    });
    let cases = [
        ("/ring", "page 2: the next page is one that was read before"),
        ("/breaks", "page 2: status 404 Not Found: no such page"),
        ("/away", "page 1: the next page is not at the target (`http://elsewhere.invalid/`)"),
        ("/many", "page 1: there are more than 3 items"),
    ];
    for (path, words) in cases {
        let target = format!("targets: {{ here: {{ http: \"{}\" }} }}\n", server.url);
        let pages = "pages: { items: body.items, next: body.next, limit: 3 }";
        let steps =
            format!("steps:\n  - {{ id: look, diagnose: Look, http: {{ get: {path}, {pages} }}, show: items }}\n");
        _ = sandbox.runbook("case", &format!("{target}{steps}"));
        _ = run(&sandbox).exits(1).tells(words);
    }
}

/// A server of another name, which lets in only one client.
#[test]
fn both_sides_of_a_tls_connection_prove_who_they_are() {
    let sandbox = Sandbox::new();
    let client = certified("runwright");
    let (server, certificate) = Server::with_tls("api.internal", Some(&client), awkward);
    let file = |name: &str, text: &str| sandbox.write(name, text).display().to_string();
    let (ca, cert, key) = (
        file("ca.pem", &certificate),
        file("cert.pem", &client.cert.pem()),
        file("key.pem", &client.signing_key.serialize_pem()),
    );
    let url = &server.url;
    let text = format!(
        "targets:
  whole: {{ http: \"{url}\", tls: {{ ca: \"{ca}\", cert: \"{cert}\", key: \"{key}\", server_name: api.internal }} }}
  nameless: {{ http: \"{url}\", tls: {{ ca: \"{ca}\", cert: \"{cert}\", key: \"{key}\" }} }}
  unknown: {{ http: \"{url}\", tls: {{ ca: \"{ca}\", server_name: api.internal }} }}
  distrusting: {{ http: \"{url}\", tls: {{ cert: \"{cert}\", key: \"{key}\", server_name: api.internal }} }}
  keyless: {{ http: \"{url}\", tls: {{ ca: \"{ca}\", cert: \"{cert}\" }} }}
  mixed: {{ http: \"{url}\", tls: {{ ca: \"{ca}\", cert: \"{key}\", key: \"{cert}\" }} }}
steps:
  - {{ id: whole, validate: Whole, target: whole, http: {{ get: /well }}, expect: body.state == 'fine' }}
  - {{ id: nameless, validate: The wrong name, target: nameless, http: {{ get: /well }}, tolerate: [tls], expect: error == 'tls' }}
  - {{ id: unknown, validate: Nobody, target: unknown, http: {{ get: /well }}, tolerate: [tls, connection], expect: error is not none }}
  - {{ id: distrusting, validate: No root, target: distrusting, http: {{ get: /well }}, tolerate: [tls], expect: error == 'tls' }}
  - {{ id: keyless, validate: Half a key, target: keyless, http: {{ get: /well }}, tolerate: [bad_value], expect: error == 'bad_value' }}
  - {{ id: mixed, validate: Mixed up, target: mixed, http: {{ get: /well }}, tolerate: [tls], expect: error == 'tls' }}
"
    );
    _ = sandbox.runbook("case", &text);
    _ = run(&sandbox).exits(0).tells("6 of 6 validations hold");
}

#[test]
fn a_header_without_a_value_is_not_sent() {
    let sandbox = Sandbox::new();
    let server = Server::new(|target, stream| say_json(stream, &json!({ "asked": target })));
    let body = format!(
        "inputs:\n  key: {{ type: string, optional: true }}\n  page: {{ type: string, optional: true }}\n\
         targets: {{ api: {{ http: \"{}\" }} }}\nsteps:\n  - id: look\n    diagnose: Look\n\
        \x20   http: {{ get: /items, query: {{ page: \"{{{{ page | default(none) }}}}\" }}, headers: {{ X-Key: \"{{{{ key | default(none) }}}}\" }} }}\n\
        \x20   capture: {{ asked: body.asked }}\n",
        server.url
    );
    _ = sandbox.runbook("case", &body);
    _ = run(&sandbox).exits(0);
    assert_eq!(step(&sandbox, "look")["captures"]["asked"], "/items");
    _ = sandbox.call(["run", "./case.yaml", "-i", "page=2", "-i", "key=k"]).exits(0);
    assert_eq!(step(&sandbox, "look")["captures"]["asked"], "/items?page=2");
}
