//! Servers that do as a test says: whatever a server on the other side may do.

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Both directions of one connection.
pub(crate) trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// A certificate that signed itself, with its key.
pub(crate) type Certified = rcgen::CertifiedKey<rcgen::KeyPair>;

/// A certificate for a name.
pub(crate) fn certified(name: &str) -> Certified {
    rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate")
}

/// A server; every connection has a thread, which ends with the tests at the latest.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
}

impl Server {
    /// Reads the head of each request, and hands its target (`/path?query`) and the connection on.
    pub(crate) fn new(answer: impl Fn(&str, &mut dyn Connection) + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let (address, listener) = listen();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let target = head(&mut stream);
                    answer(&target, &mut stream);
                    drain(&stream);
                });
            }
        });
        Self { address, url: format!("http://{address}") }
    }

    /// The same behind TLS, with a certificate that it signed itself; the certificate comes along. With the
    /// certificate of a client, nobody else gets in.
    pub(crate) fn with_tls(
        name: &str,
        client: Option<&Certified>,
        answer: impl Fn(&str, &mut dyn Connection) + Send + Sync + 'static,
    ) -> (Self, String) {
        let own = certified(name);
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
        let mut clients = rustls::RootCertStore::empty();
        if let Some(client) = client {
            clients.add(client.cert.der().clone()).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let configuration = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let configuration = if client.is_some() {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider).build();
            configuration.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            configuration.with_no_client_auth()
        };
        let configuration = configuration.with_single_cert(vec![own.cert.der().clone()], key).expect("a configuration");
        let configuration = Arc::new(configuration);
        let answer = Arc::new(answer);
        let (address, listener) = listen();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (answer, configuration) = (Arc::clone(&answer), Arc::clone(&configuration));
                std::thread::spawn(move || {
                    let mut session = rustls::ServerConnection::new(configuration).expect("a session");
                    let mut tls = rustls::Stream::new(&mut session, &mut stream);
                    let target = head(&mut tls);
                    if !target.is_empty() {
                        answer(&target, &mut tls);
                    }
                });
            }
        });
        (Self { address, url: format!("https://localhost:{}", address.port()) }, own.cert.pem())
    }
}

fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    (listener.local_addr().expect("an address"), listener)
}

/// The target of the request; empty when none came.
fn head(stream: &mut dyn Connection) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Reads until the other side is done: what was sent is not lost in a reset then.
fn drain(mut stream: &TcpStream) {
    stream.shutdown(std::net::Shutdown::Write).ok();
    std::io::copy(&mut stream, &mut std::io::sink()).ok();
}

/// Sends a whole answer. The other side may be gone by then.
pub(crate) fn say(stream: &mut dyn Connection, status: &str, headers: &[(&str, &str)], body: &str) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).ok();
}

/// Sends JSON.
pub(crate) fn say_json(stream: &mut dyn Connection, body: &serde_json::Value) {
    say(stream, "200 OK", &[("Content-Type", "application/json")], &body.to_string());
}
