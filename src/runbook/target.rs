//! Targets: named places to act on.

use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use crate::expr::{Expr, Template};
use crate::source::{Node, Sp, Span};
use indexmap::IndexMap;

/// What kind of place a target is.
#[derive(Clone, Debug)]
pub enum TargetPlace {
    /// A base URL.
    Http(Template),
    /// The machine the run is on.
    Local,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub place: TargetPlace,
    /// Headers of every request.
    pub headers: IndexMap<Sp<String>, Template>,
    /// Who we say we are.
    pub auth: Option<TargetAuth>,
    /// Address classes, hosts or networks it may connect to.
    pub allow: Vec<Sp<String>>,
    /// A file with more root certificates.
    pub ca: Option<Template>,
    /// How it proves what it is.
    pub identity: Option<Identity>,
}

record! {
    /// Who we say we are.
    pub struct TargetAuth = "auth" {
        /// A bearer token; must be a secret input.
        may bearer = "bearer": Template,
        /// User name for basic authentication.
        may user = "user": Template,
        /// Password for basic authentication; must be a secret input.
        may password = "password": Template,
    }
}

record! {
    /// A probe whose answer tells one target from another of the same form.
    pub struct Identity = "identity" {
        /// The path to GET.
        must get = "get": Template,
        /// The name read out of the answer: an expression over `body`, `status`, `headers`, `text`.
        must read = "read": Expr,
        /// What must hold for this to be the right target.
        must expect = "expect": Expr,
    }
}

record! {
    /// TLS settings of a target.
    pub(super) struct Tls = "tls" {
        /// A PEM file with more root certificates.
        may ca = "ca": Template,
    }
    later: ["cert", "key", "server_name"]
}

record! {
    /// A named place to act on.
    pub(super) struct TargetRecord = "target" {
        /// A base URL.
        may http = "http": Template,
        /// `true`: the machine the run is on.
        may local = "local": Sp<bool>,
        /// Headers of every request.
        with headers = "headers": IndexMap<Sp<String>, Template>,
        /// Who we say we are.
        may auth = "auth": TargetAuth,
        /// Address classes (loopback, private, link_local, public), host names or networks it may connect to.
        with allow = "allow": Many<Sp<String>>,
        /// TLS settings.
        may tls = "tls": Tls,
        /// How it proves what it is.
        may identity = "identity": Identity,
    }
    later: ["postgres", "prometheus", "kubernetes", "ssh", "service", "program", "each"]
}

impl Decode for Target {
    fn grammar() -> Grammar {
        TargetRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = TargetRecord::decode(node, decoder)?;
        let local = record.local.as_ref().is_some_and(|local| local.value);
        let place = match (record.http, local) {
            (Some(url), false) => TargetPlace::Http(url),
            (None, true) => TargetPlace::Local,
            (Some(_), true) => {
                decoder.error("target-kind", record.span, "this target is both `http` and `local`; it can be one");
                return None;
            }
            (None, false) => {
                decoder.error(
                    "target-kind",
                    record.span,
                    "this target does not say what it is: `http: URL` or `local: true`",
                );
                return None;
            }
        };
        if matches!(place, TargetPlace::Local) && record.identity.is_some() {
            decoder.error("target-kind", record.span, "a local target has no `identity` of this form");
            return None;
        }
        Some(Self {
            span: record.span,
            place,
            headers: record.headers,
            auth: record.auth,
            allow: record.allow.0,
            ca: record.tls.and_then(|tls| tls.ca),
            identity: record.identity,
        })
    }
}
