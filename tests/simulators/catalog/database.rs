//! One pod's connection to PostgreSQL: made when it is needed, made again when it is lost.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A database by its address.
pub(crate) struct Database {
    config: Config,
    client: Mutex<Option<Arc<Client>>>,
}

impl Database {
    /// From a DSN, `postgres://user:password@host:port/name?sslmode=require` or `host=... user=...`.
    pub(crate) fn new(dsn: &str) -> Result<Self, String> {
        let mut config: Config = dsn.parse().map_err(|why| format!("cannot parse the DSN: {why}"))?;
        config.application_name("catalog-server").connect_timeout(Duration::from_secs(5));
        Ok(Self { config, client: Mutex::default() })
    }

    /// The connection; an error in the words of the server.
    pub(crate) async fn client(&self) -> Result<Arc<Client>, String> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.connect().await?);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }

    /// A connection of its own, for what holds a lock.
    pub(crate) async fn connect(&self) -> Result<Client, String> {
        if self.config.get_ssl_mode() == SslMode::Require {
            let tls = MakeRustlsConnect::new(unchecked()?);
            let (client, connection) = self.config.connect(tls).await.map_err(|why| told(&why))?;
            tokio::spawn(connection);
            return Ok(client);
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(|why| told(&why))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Whether it answers.
    pub(crate) async fn ping(&self) -> Result<(), String> {
        let asked = async { self.client().await?.simple_query("select 1").await.map_err(|why| told(&why)).map(drop) };
        tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap_or_else(|_| Err("ping: timeout".to_owned()))
    }
}

/// An error as a person reads it: what the server said, if it said something.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}: {} (SQLSTATE {})", said.severity(), said.message(), said.code().code()),
        None => std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    }
}

/// `sslmode=require`: encrypted, and nobody looks at the certificate.
fn unchecked() -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(schemes))).with_no_client_auth())
}

#[derive(Debug)]
struct Unchecked(Vec<SignatureScheme>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
