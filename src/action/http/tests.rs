//! Tests of requests, against servers that behave and servers that do not.

#![expect(clippy::disallowed_methods, reason = "the tests measure how long a deadline takes")]

use super::install_crypto;
use crate::action::address::{Class, Rules};
use crate::action::fixture::{SECRET, Trial, field};
use crate::engine::Performed;
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Piece, Rendered, SecretText, Value, secret, unknown};
use crate::plan::{Act, HttpAct, Method, RequestBody, StatusRule, TargetAct};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{any, get};
use serde_json::json;
use std::future::Future;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

mod broken;
mod pages;

fn act(base: &str, method: Method, path: &str) -> HttpAct {
    HttpAct {
        target: TargetAct {
            name: "api".to_owned(),
            base: Rendered::text(base),
            headers: indexmap::IndexMap::new(),
            basic: None,
            bearer: None,
            allow: Vec::new(),
            tls: crate::plan::TlsAct::default(),
        },
        method,
        path: Rendered::text(path),
        query: Vec::new(),
        headers: indexmap::IndexMap::new(),
        body: RequestBody::Empty,
        status: StatusRule::Success,
        pages: None,
    }
}

async fn run(trial: Trial, act: HttpAct) -> Performed {
    install_crypto();
    trial.perform(Act::Http(act)).await
}

fn message(performed: &Performed) -> &str {
    performed.message.as_deref().unwrap_or_default()
}

fn ended(performed: &Performed) -> (Outcome, Option<ErrorClass>) {
    (performed.outcome, performed.error.clone())
}

/// Answers with what it was asked.
async fn echo(request: Request) -> axum::Json<serde_json::Value> {
    let headers: serde_json::Map<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let (method, uri) = (request.method().to_string(), request.uri().to_string());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    axum::Json(json!({
        "method": method, "uri": uri, "headers": headers, "body": String::from_utf8_lossy(&body)
    }))
}

async fn server(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn echo_server() -> String {
    server(Router::new().fallback(any(echo))).await
}

/// A server that reads the head of each request and then does what it is told.
async fn raw<F, D>(answer: F) -> String
where
    F: Fn(TcpStream) -> D + Send + 'static,
    D: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}")
}

async fn says(text: &'static str) -> String {
    raw(move |mut stream| async move {
        stream.write_all(text.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn success_has_every_field() {
    let base = echo_server().await;
    let trial = Trial::new();
    let memory = trial.memory.clone();
    let mut act = act(&format!("{base}/api/"), Method::Get, "/v1/a%2Fb%3F?x=1");
    act.query = vec![("q&".to_owned(), Rendered::text("a b&c=d#ü+"))];
    act.headers.insert("X-One".to_owned(), Rendered::text("ü 1"));
    let performed = run(trial, act).await;
    assert_eq!(ended(&performed), (Outcome::Succeeded, None), "{performed:?}");
    assert_eq!(field(&performed, "status"), 200);
    let body = field(&performed, "body");
    assert_eq!(body["uri"], "/api/v1/a%2Fb%3F?x=1&q%26=a+b%26c%3Dd%23%C3%BC%2B");
    assert_eq!(body["headers"]["x-one"], "ü 1");
    assert_eq!(field(&performed, "headers")["content-type"], "application/json");
    let text = field(&performed, "text");
    assert_eq!(serde_json::from_str::<serde_json::Value>(text.as_str().unwrap()).unwrap(), body);
    assert_eq!(field(&performed, "address"), base.trim_start_matches("http://"));
    assert!(field(&performed, "elapsed").as_f64().unwrap() > 0.0);
    assert_eq!(memory.kept("body").start, text.as_str().unwrap().as_bytes());
    assert!(memory.kept("body").finished);
    assert_eq!(performed.evidence.len(), 1);
}

#[tokio::test]
async fn bodies_and_credentials_arrive() {
    let base = echo_server().await;
    let mut json_act = act(&base, Method::Post, "/x");
    json_act.target.bearer = Some(Rendered { pieces: vec![Piece::Secret(SecretText::new("t", SECRET))] });
    let inner = Value::from_pairs([("key", secret(SecretText::new("k", SECRET))), ("n", Value::from(1.5))]);
    json_act.body = RequestBody::Json(Value::from(vec![inner, Value::from(()), Value::from(true)]));
    let body = field(&run(Trial::new().change(), json_act).await, "body");
    assert_eq!(body["body"], format!("[{{\"key\":\"{SECRET}\",\"n\":1.5}},null,true]"));
    assert_eq!(body["headers"]["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(body["headers"]["content-type"], "application/json");
    assert_eq!(body["method"], "POST");

    let mut form = act(&base, Method::Put, "/x");
    form.target.basic = Some((Rendered::text("me"), Rendered::text("pässword")));
    form.body = RequestBody::Form(vec![("a&".to_owned(), Rendered::text("1 =&"))]);
    let body = field(&run(Trial::new(), form).await, "body");
    assert_eq!(body["body"], "a%26=1+%3D%26");
    assert_eq!(body["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(body["headers"]["authorization"], "Basic bWU6cMOkc3N3b3Jk");

    let mut text = act(&base, Method::Patch, "/x");
    text.body = RequestBody::Text(Rendered::text("a\r\nb"));
    text.target.headers.insert("X-A".to_owned(), Rendered::text("target"));
    text.headers.insert("x-a".to_owned(), Rendered::text("step"));
    text.headers.insert("Content-Type".to_owned(), Rendered::text("text/csv"));
    let body = field(&run(Trial::new(), text).await, "body");
    assert_eq!((&body["body"], &body["headers"]["content-type"]), (&json!("a\r\nb"), &json!("text/csv")));
    assert_eq!(body["headers"]["x-a"], "step");
}

#[tokio::test]
async fn what_could_split_or_redirect_a_request_is_refused() {
    let base = echo_server().await;
    let get = |path: &str| act(&base, Method::Get, path);
    let header = |name: &str, value: &str| {
        let mut act = act(&base, Method::Get, "/");
        act.headers.insert(name.to_owned(), Rendered::text(value));
        act
    };
    let mut deep = Value::from(1);
    for _ in 0..130 {
        deep = Value::from(vec![deep]);
    }
    let json_body = |value: Value| {
        let mut act = act(&base, Method::Post, "/");
        act.body = RequestBody::Json(value);
        act
    };
    let hole = unknown(crate::expr::UnknownSort::Unobtained, "gone");
    let refused = [
        header("X", "a\r\nEvil: 1"),
        header("X", "a\nb"),
        header("X", "a\0b"),
        header("X\r\nEvil", "1"),
        header("Host", "evil"),
        header("content-length", "0"),
        header("Transfer-Encoding", "chunked"),
        get("no-slash"),
        get("/a/../b"),
        get("/a/%2E%2e/b"),
        get("/a\\..\\b"),
        get("/a#b"),
        get("/a\nb"),
        act("ftp://host", Method::Get, "/"),
        act("http://user:pass@host", Method::Get, "/"),
        act("http://host?x=1", Method::Get, "/"),
        act("not a url", Method::Get, "/"),
        json_body(Value::from(vec![hole])),
        json_body(Value::from(f64::NAN)),
        json_body(deep),
        get(&format!("/{}", "x".repeat(195 << 10))),
        get(&format!("/{}", "x".repeat(65_535))),
    ];
    for act in refused {
        let shown = format!("{act:?}");
        let performed = run(Trial::new().change(), act).await;
        assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::BadValue)), "{shown}");
    }
    let performed = run(Trial::new(), get(&format!("/{}", "x".repeat(195 << 10)))).await;
    assert!(message(&performed).contains("195 KiB long, and no more than 60 KiB"), "{performed:?}");
    let performed = run(Trial::new(), get(&format!("/{}", "x".repeat(59 << 10)))).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    let performed = run(Trial::new(), act(&base, Method::Get, "//evil.example/x")).await;
    assert_eq!(field(&performed, "body")["uri"], "//evil.example/x");
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_a_field() {
    let busy = || async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "busy") };
    let base = server(Router::new().route("/busy", any(busy)).fallback(any(echo))).await;
    assert_eq!(field(&run(Trial::new(), act(&base, Method::Get, "/busy")).await, "retry_after"), "7s");
    let plain = run(Trial::new(), act(&base, Method::Get, "/")).await;
    assert!(crate::expr::unknown_of(&plain.fields["retry_after"]).is_some(), "nothing is asked for");
}

#[tokio::test]
async fn a_status_that_is_not_wanted_is_a_clear_no() {
    let answer = || async { (StatusCode::SERVICE_UNAVAILABLE, format!("\n busy \u{1b}[2J {SECRET}\nmore")) };
    let base = server(Router::new().route("/", any(answer))).await;
    let performed = run(Trial::new().change(), act(&base, Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Status(503))));
    assert_eq!(message(&performed), "status 503 Service Unavailable: busy \\u{1b}[2J ***");
    assert_eq!(field(&performed, "status"), 503);
    let mut wanted = act(&base, Method::Get, "/");
    wanted.status = StatusRule::Among(vec![503]);
    assert_eq!(run(Trial::new(), wanted).await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn redirects_stay_at_home_and_are_for_reads() {
    let other = echo_server().await;
    let away = format!("{other}/away");
    let router = Router::new()
        .route("/near", any(|| async { Redirect::temporary("/here") }))
        .route("/here", any(echo))
        .route("/ring", any(|| async { Redirect::temporary("/ring") }))
        .route("/far", any(move || async move { Redirect::temporary(&away) }));
    let base = server(router).await;
    let performed = run(Trial::new(), act(&base, Method::Get, "/near")).await;
    assert_eq!(field(&performed, "body")["uri"], "/here");
    for (method, path) in [(Method::Post, "/near"), (Method::Get, "/far"), (Method::Get, "/ring")] {
        let performed = run(Trial::new(), act(&base, method, path)).await;
        assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Status(307))), "{path}: {performed:?}");
    }
}

#[tokio::test]
async fn the_body_is_what_its_type_says() {
    let typed = |kind: &'static str, text: &'static str| async move {
        let route = get(move || async move { ([("content-type", kind)], Bytes::from_static(text.as_bytes())) });
        let base = server(Router::new().route("/", route)).await;
        run(Trial::new(), act(&base, Method::Get, "/")).await
    };
    assert_eq!(field(&typed("application/problem+json; charset=utf-8", "{\"a\":1}").await, "body"), json!({ "a": 1 }));
    assert_eq!(field(&typed("text/plain", "{\"a\":1}").await, "body"), "{\"a\":1}");
    let bad = typed("application/json", "{\"a\": }").await;
    assert_eq!(bad.outcome, Outcome::Succeeded);
    assert_eq!(field(&bad, "text"), "{\"a\": }");
    assert!(field(&bad, "body")["unknown"].as_str().unwrap().contains("line 1 column 7"), "{bad:?}");
    assert!(field(&typed("application/json", "").await, "body")["unknown"].as_str().unwrap().contains("empty"));
    let deep: &'static str = Box::leak(format!("{}{}", "[".repeat(200), "]".repeat(200)).into_boxed_str());
    assert!(field(&typed("application/json", deep).await, "body")["unknown"].is_string());

    let bare = says("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n [1]").await;
    let performed = run(Trial::new(), act(&bare, Method::Get, "/")).await;
    assert_eq!(field(&performed, "body"), json!([1]));
    assert_eq!(field(&performed, "headers")["x-a"], "1, 2");
    let bare = says("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{").await;
    assert_eq!(field(&run(Trial::new(), act(&bare, Method::Get, "/")).await, "body"), "{{");
}

#[tokio::test]
async fn only_allowed_addresses_are_connected_to() {
    let base = echo_server().await;
    let named = base.replace("127.0.0.1", "localhost");
    let with = |base: &str, allow: &[&str]| {
        let mut act = act(base, Method::Post, "/");
        act.target.allow = allow.iter().map(|entry| (*entry).to_owned()).collect();
        act
    };
    for allow in [&["loopback"][..], &["127.0.0.0/8"], &["public", "127.0.0.1"], &["private", "LOCALHOST"]] {
        if allow.contains(&"LOCALHOST") {
            assert_eq!(run(Trial::new(), with(&named, allow)).await.outcome, Outcome::Succeeded);
            continue;
        }
        for base in [&base, &named] {
            let performed = run(Trial::new(), with(base, allow)).await;
            assert_eq!(performed.outcome, Outcome::Succeeded, "{base} {allow:?}: {performed:?}");
        }
    }
    for allow in [&["private"][..], &["public", "link_local"], &["10.0.0.0/8"], &["127.0.0.1/33"], &["example.com"]] {
        for base in [&base, &named] {
            let performed = run(Trial::new().change(), with(base, allow)).await;
            assert_eq!(
                ended(&performed),
                (Outcome::Failed, Some(ErrorClass::Address)),
                "{base} {allow:?}: {performed:?}"
            );
            assert!(message(&performed).contains("which is loopback"), "{performed:?}");
        }
    }
}

#[test]
fn addresses_have_classes_whatever_they_wear() {
    let expected = [
        ("127.9.9.9", Class::Loopback),
        ("::1", Class::Loopback),
        ("::ffff:127.0.0.1", Class::Loopback),
        ("64:ff9b::7f00:1", Class::Loopback),
        ("2002:a00:1::1", Class::Private),
        ("10.255.0.1", Class::Private),
        ("172.31.0.1", Class::Private),
        ("172.32.0.1", Class::Public),
        ("192.168.1.1", Class::Private),
        ("fd00::1", Class::Private),
        ("169.254.169.254", Class::LinkLocal),
        ("fe80::1", Class::LinkLocal),
        ("8.8.8.8", Class::Public),
        ("2606:4700::1111", Class::Public),
        ("0.0.0.0", Class::Other),
        ("100.64.0.1", Class::Other),
        ("224.0.0.1", Class::Other),
        ("255.255.255.255", Class::Other),
        ("::", Class::Other),
        ("ff02::1", Class::Other),
        ("2001:db8::1", Class::Other),
    ];
    for (text, class) in expected {
        assert_eq!(Class::of(text.parse::<IpAddr>().unwrap()), class, "{text}");
    }
    let rules = Rules::new(&["fd00::/8".to_owned(), "192.0.2.7".to_owned()]);
    let allowed =
        |address: &str| rules.check_connected("host", Some((address.parse::<IpAddr>().unwrap(), 1).into())).is_ok();
    assert!(allowed("fdff::1") && allowed("192.0.2.7") && allowed("::ffff:192.0.2.7"));
    assert!(!allowed("fe00::1") && !allowed("192.0.2.8") && !allowed("127.0.0.1"));
    assert!(rules.check_connected("host", None).is_err());
}
