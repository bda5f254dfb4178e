//! TLS with a certificate of our own, or with a server whose certificate has another name than its host.

use crate::action::certificates::{certificates, private_key, read};
use crate::action::outcome::{Refusal, known};
use crate::event::ErrorClass;
use crate::expr::Rendered;
use crate::plan::TlsAct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// The files of a target's `tls`, read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Material {
    pub(super) ca: Option<Vec<u8>>,
    own: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl Material {
    /// # Errors
    /// A file cannot be read, or only one of `cert` and `key` is given.
    pub(super) fn read(tls: &TlsAct) -> Result<Self, Refusal> {
        let own = match (file(tls.cert.as_ref(), "cert")?, file(tls.key.as_ref(), "key")?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err(Refusal::value("`tls` needs both `cert` and `key`, or neither")),
        };
        let server_name = tls.server_name.as_ref().map(|name| known(name, "`server_name`")).transpose()?;
        Ok(Self { ca: file(tls.ca.as_ref(), "ca")?, own, server_name })
    }

    /// Whether the client's own settings are not enough.
    pub(super) fn is_special(&self) -> bool {
        self.own.is_some() || self.server_name.is_some()
    }

    /// The settings of a connection that trusts the roots of the platform and those of `ca`.
    ///
    /// # Errors
    /// A file does not hold what it should.
    pub(super) fn configuration(&self) -> Result<ClientConfig, Refusal> {
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            Refusal::new(ErrorClass::Tls, format!("the file of `{what}` cannot be used: {error}"))
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = self.ca.as_ref().map(|ca| certificates(ca, "ca")).transpose()?.unwrap_or_default();
        let verifier =
            Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(|error| broken("ca", &error))?;
        let expected = match &self.server_name {
            None => None,
            Some(name) => {
                let parsed = ServerName::try_from(name.clone());
                Some(parsed.map_err(|_| Refusal::value(format!("`{name}` is not a name a server can have")))?)
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken("ca", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Named { verifier, expected }));
        let Some((cert, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let (chain, key) = (certificates(cert, "cert")?, private_key(key)?);
        builder.with_client_auth_cert(chain, key).map_err(|error| broken("cert", &error))
    }
}

fn file(path: Option<&Rendered>, what: &str) -> Result<Option<Vec<u8>>, Refusal> {
    path.map(|path| read(path, what)).transpose()
}

/// The platform's own checks, against a name that the author gives.
#[derive(Debug)]
struct Named {
    verifier: Verifier,
    expected: Option<ServerName<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = self.expected.as_ref().unwrap_or(server_name);
        self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
