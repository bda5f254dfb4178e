//! The files of a target's `tls`: certificates and keys in PEM.

use super::outcome::{Refusal, known};
use crate::event::ErrorClass;
use crate::expr::Rendered;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The bytes of the file that `key` of `tls` names.
///
/// # Errors
/// Its name is not known, or it cannot be read.
pub(super) fn read(file: &Rendered, key: &str) -> Result<Vec<u8>, Refusal> {
    let file = known(file, &format!("`{key}`"))?;
    std::fs::read(&file).map_err(|error| {
        let class = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorClass::Denied,
            _ => ErrorClass::NotFound,
        };
        Refusal::new(class, format!("cannot read `{file}` of `tls: {{{key}}}`: {error}"))
    })
}

/// The certificates in a file, at least one.
///
/// # Errors
/// There is none, or one is broken.
pub(super) fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| broken(key, &e))?;
    if found.is_empty() {
        return Err(Refusal::new(ErrorClass::Tls, format!("the file of `tls: {{{key}}}` holds no certificate")));
    }
    Ok(found)
}

/// The private key in a file.
///
/// # Errors
/// There is none, or it is broken.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Refusal> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| broken("key", &error))
}

fn broken(key: &str, error: &Error) -> Refusal {
    Refusal::new(ErrorClass::Tls, format!("the file of `tls: {{{key}}}` cannot be used: {error}"))
}
