//! How a connection to a database is encrypted, and whom it trusts.

use crate::action::certificates::{certificates, private_key, read};
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use crate::expr::Rendered;
use crate::plan::TlsAct;
use crate::runbook::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes the TLS side of connections.
///
/// # Errors
/// A file of certificates or a key cannot be used, or the machine trusts nobody.
pub(super) fn connector(mode: SslMode, tls: &TlsAct) -> Result<MakeRustlsConnect, Refusal> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, &tls.ca) {
        (SslMode::Disable, _) | (SslMode::Require, None) => Arc::new(Anybody(Arc::clone(&provider))),
        // As in libpq: with roots given, `require` looks at them.
        (SslMode::Require | SslMode::VerifyCa, ca) => Arc::new(AnyName(trusted(ca.as_ref(), &provider)?)),
        (SslMode::VerifyFull, ca) => trusted(ca.as_ref(), &provider)?,
    };
    let unusable = |error: Error| Refusal::new(ErrorClass::Tls, format!("the TLS settings cannot be used: {error}"));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let (chain, key) = (certificates(&read(cert, "cert")?, "cert")?, private_key(&read(key, "key")?)?);
            builder.with_client_auth_cert(chain, key).map_err(unusable)?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(Refusal::value("`tls` needs `cert` and `key` together")),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Trusts the given roots and no others; without them those of the machine.
fn trusted(ca: Option<&Rendered>, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Refusal> {
    let none = |why: String| Refusal::new(ErrorClass::Tls, format!("the certificates to trust cannot be used: {why}"));
    let Some(ca) = ca else {
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
        return Ok(Arc::new(verifier.map_err(|error| none(error.to_string()))?));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read(ca, "ca")?, "ca")? {
        roots.add(certificate).map_err(|error| none(error.to_string()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(verifier.build().map_err(|error| none(error.to_string()))?)
}

/// Looks at the chain of a certificate, not at the name it was made for.
#[derive(Debug)]
struct AnyName(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, after the chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes any certificate, as long as its owner signed the handshake: what `sslmode=require` without roots means.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
