//! `service`: something that a service manager keeps running.

use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use super::step::Probe;
use crate::expr::Template;
use crate::source::{Node, Span};

words! {
    /// What is done to a service.
    pub enum ServiceVerb = "a verb of `service`" {
        /// Stopped and started again.
        Restart = "restart",
        /// Started.
        Start = "start",
        /// Stopped.
        Stop = "stop",
        /// Made to read its configuration again.
        Reload = "reload",
        /// Looked at.
        Status = "status",
    }
}

/// `service:`
#[derive(Clone, Debug)]
pub struct ServiceAction {
    /// Where it stands.
    pub span: Span,
    /// What is done.
    pub verb: ServiceVerb,
    /// Its name.
    pub name: Template,
    /// When it counts as ready again.
    pub ready: Option<Box<Probe>>,
}

record! {
    /// A service, and what is done to it.
    pub(super) struct ServiceRecord = "service" {
        /// Restart this service.
        may restart = "restart": Template,
        /// Start this service.
        may start = "start": Template,
        /// Stop this service.
        may stop = "stop": Template,
        /// Make this service read its configuration again.
        may reload = "reload": Template,
        /// Look at this service.
        may status = "status": Template,
        /// A read that says when it is ready again.
        may ready = "ready": Probe,
    }
}

impl Decode for ServiceAction {
    fn grammar() -> Grammar {
        ServiceRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = ServiceRecord::decode(node, decoder)?;
        let verbs = [
            (ServiceVerb::Restart, record.restart),
            (ServiceVerb::Start, record.start),
            (ServiceVerb::Stop, record.stop),
            (ServiceVerb::Reload, record.reload),
            (ServiceVerb::Status, record.status),
        ];
        let mut given: Vec<_> = verbs.into_iter().filter_map(|(verb, name)| Some((verb, name?))).collect();
        if given.len() != 1 {
            let message = "say one thing to do: `restart`, `start`, `stop`, `reload` or `status`, with the name";
            decoder.error("service-verb", record.span, message);
            return None;
        }
        let (verb, name) = given.remove(0);
        if verb == ServiceVerb::Status && record.ready.is_some() {
            decoder.error("stray-key", record.span, "`ready` has no meaning for `status`, which changes nothing");
        }
        Some(Self { span: record.span, verb, name, ready: record.ready.map(Box::new) })
    }
}
