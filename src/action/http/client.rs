//! Clients: what they trust, what they follow, what they connect to.

use super::tls::Material;
use crate::action::address::Rules;
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use crate::plan::{HttpAct, Method};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// How long a connection may take to be made, name look-up and TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// The most redirects that are followed.
pub(super) const REDIRECTS: usize = 5;

/// Installs the provider of cryptography (ring). Call it before anything else uses TLS; a second call does nothing.
pub fn install_crypto() {
    // An error means that one is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Makes clients, and keeps them: loading the roots of the platform takes milliseconds.
#[derive(Default)]
pub(in crate::action) struct Connector {
    clients: Mutex<HashMap<Key, Client>>,
}

/// What makes two clients the same.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    secure: bool,
    material: Material,
    allow: Vec<String>,
    follows: bool,
}

impl Connector {
    /// The client for an act.
    ///
    /// # Errors
    /// The file of certificates cannot be used, or the platform has none.
    pub(super) fn client(&self, act: &HttpAct, url: &Url, rules: &Rules) -> Result<Client, Refusal> {
        let key = Key {
            secure: url.scheme() == "https",
            material: Material::read(&act.target.tls)?,
            allow: act.target.allow.clone(),
            follows: matches!(act.method, Method::Get | Method::Head),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key, rules)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(key: &Key, rules: &Rules) -> Result<Client, Refusal> {
    install_crypto();
    let unusable = |error: reqwest::Error| {
        Refusal::new(ErrorClass::Tls, format!("the certificates to trust cannot be used: {}", causes(&error)))
    };
    let mut builder = Client::builder()
        .user_agent(concat!("runwright/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        // One request, one connection: no answer to a dead connection, and the address checked is the one used.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        .dns_resolver(std::sync::Arc::new(rules.clone()))
        .redirect(if key.follows { Policy::custom(same_place) } else { Policy::none() });
    let mut extra = Vec::new();
    if let Some(pem) = &key.material.ca {
        extra = Certificate::from_pem_bundle(pem).map_err(unusable)?;
        if extra.is_empty() {
            return Err(Refusal::new(ErrorClass::Tls, "the file of `ca` holds no certificate"));
        }
    }
    builder = if !key.secure {
        // Without TLS there is no need to load any roots, and no redirect leads to TLS.
        builder.tls_certs_only(Vec::new())
    } else if key.material.is_special() {
        builder.tls_backend_preconfigured(key.material.configuration()?)
    } else {
        builder.tls_certs_merge(extra)
    };
    builder.build().map_err(unusable)
}

/// Follows a redirect that stays at the same scheme, host and port. Any other is the answer.
fn same_place(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let near = attempt.previous().first().is_some_and(|first| {
        let next = attempt.url();
        first.scheme() == next.scheme()
            && first.host() == next.host()
            && first.port_or_known_default() == next.port_or_known_default()
            && next.username().is_empty()
            && next.password().is_none()
    });
    if near && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

/// An error with its causes on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
