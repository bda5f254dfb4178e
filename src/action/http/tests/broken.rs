//! Tests of servers that are not there, break off, hang, drip or flood.

use super::*;

#[tokio::test]
async fn a_bomb_of_headers_is_no_answer() {
    let many: String = (0..2000).map(|number| format!("X-{number}: x\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(2 << 20));
    for bomb in [many, long] {
        let text: &'static str =
            Box::leak(format!("HTTP/1.1 200 OK\r\n{bomb}Content-Length: 0\r\n\r\n").into_boxed_str());
        let base = raw(move |mut stream| async move {
            stream.write_all(text.as_bytes()).await.ok();
        })
        .await;
        let performed = run(Trial::new(), act(&base, Method::Get, "/")).await;
        assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::BadAnswer)), "{performed:?}");
    }
}

#[tokio::test]
async fn nothing_there_means_nothing_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let performed = run(Trial::new().change(), act(&format!("http://{closed}"), Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Refused)), "{performed:?}");
    assert_eq!(message(&performed), "`127.0.0.1` refused the connection");
    assert!(field(&performed, "status")["unknown"].is_string());

    let performed = run(Trial::new().change(), act("http://no-such-host.invalid", Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Dns)), "{performed:?}");
    assert!(message(&performed).starts_with("`no-such-host.invalid`: the name does not resolve"), "{performed:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            // Reads until the client gives up, so that the answer is not lost in a reset.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
        }
    });
    let performed = run(Trial::new().change(), act(&base, Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Tls)), "{performed:?}");
    let mut act = act(&base, Method::Post, "/");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    act.target.tls.ca = Some(Rendered::text(file.to_str().unwrap()));
    let performed = run(Trial::new().change(), act.clone()).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::NotFound)), "{performed:?}");
    std::fs::write(&file, "nothing").unwrap();
    let performed = run(Trial::new().change(), act).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Tls)), "{performed:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_a_timeout_and_unknown_for_a_change() {
    for (change, outcome) in [(true, Outcome::Unknown), (false, Outcome::TimedOut)] {
        let base = raw(|stream| async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(stream);
        })
        .await;
        let mut trial = Trial::new().timeout(200);
        trial.context.change = change;
        let performed = run(trial, act(&base, Method::Post, "/")).await;
        assert_eq!(ended(&performed), (outcome, Some(ErrorClass::Timeout)));
    }
}

#[tokio::test]
async fn a_slow_drip_is_ended_by_the_timeout() {
    let base = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let trial = Trial::new().timeout(300);
    let memory = trial.memory.clone();
    let began = Instant::now();
    let performed = run(trial, act(&base, Method::Get, "/")).await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(ended(&performed), (Outcome::TimedOut, Some(ErrorClass::Timeout)));
    assert_eq!(field(&performed, "status"), 200);
    assert_eq!(field(&performed, "body"), json!({ "unknown": "the answer is not whole" }));
    assert!(memory.kept("body").size > 0 && memory.kept("body").finished);
}

#[tokio::test]
async fn broken_answers_are_unknown_for_a_change() {
    let answers = [
        ("", ErrorClass::BadAnswer),
        ("SSH-2.0-OpenSSH_9.2\r\n", ErrorClass::BadAnswer),
        ("HTTP/1.1 200 OK\r\nContent-Le", ErrorClass::BadAnswer),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ErrorClass::BadAnswer),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", ErrorClass::BadAnswer),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrorClass::BadAnswer),
    ];
    for (text, class) in answers {
        for (change, outcome) in [(true, Outcome::Unknown), (false, Outcome::Failed)] {
            let mut trial = Trial::new();
            trial.context.change = change;
            let performed = run(trial, act(&says(text).await, Method::Post, "/")).await;
            assert_eq!(ended(&performed), (outcome, Some(class.clone())), "{text:?}: {performed:?}");
        }
    }
    let cut = says("HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf").await;
    let performed = run(Trial::new().change(), act(&cut, Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Status(500))), "{performed:?}");
}

#[tokio::test]
async fn a_reset_connection_is_a_connection_error() {
    let base = raw(|stream| async move {
        // Unread input and no lingering: the kernel answers with a reset.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        drop(stream);
    })
    .await;
    let performed = run(Trial::new().change(), act(&base, Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Unknown, Some(ErrorClass::Connection)), "{performed:?}");
}

#[tokio::test]
async fn a_stop_is_seen_at_once() {
    let trial = Trial::new().change();
    let cancel = trial.cancel.clone();
    let base = raw(move |stream| {
        cancel.cancel();
        async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(stream);
        }
    })
    .await;
    let began = Instant::now();
    let performed = run(trial, act(&base, Method::Post, "/")).await;
    assert_eq!(ended(&performed), (Outcome::Unknown, Some(ErrorClass::Cancelled)));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_flood_is_kept_in_bounded_memory() {
    let base = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let mut chunk = b"100000\r\n".to_vec();
        chunk.resize(chunk.len() + (1 << 20), b'x');
        chunk.extend_from_slice(b"\r\n");
        for _ in 0..1024 {
            stream.write_all(&chunk).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let trial = Trial::new();
    let memory = trial.memory.clone();
    let performed = run(trial, act(&base, Method::Get, "/")).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    assert_eq!(memory.kept("body").size, 1 << 30);
    assert!(memory.kept("body").largest <= 64 << 10);
    assert_eq!(field(&performed, "body"), json!({ "unknown": "too large: 1 GiB" }));
    assert_eq!(field(&performed, "text"), json!({ "unknown": "too large: 1 GiB" }));
}
