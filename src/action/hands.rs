//! The performer of the real world.

use super::environment::BaseEnvironment;
use super::fingerprint::Fingerprints;
use super::http::Connector;
use super::process::{Crew, Isolation, Survivors, Workshop};
use super::ssh::Links;
use super::{file, http, kubectl, log, process, prometheus, service, sql};
use crate::engine::{AttemptContext, Cancel, NoPreview, Performed, Performer, Survivor, Trace};
use crate::plan::{Act, Machine};
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Performs acts on the world: programs, requests, files.
///
/// It needs a tokio runtime with its network and time drivers; [`super::install_crypto`] must have been called. Each
/// running program has a thread to itself, so the number of attempts at once is the engine's to bound.
pub struct Hands {
    workshop: Arc<Workshop>,
    connector: Arc<Connector>,
    fingerprints: Fingerprints,
}

impl Hands {
    /// Hands that give children this environment and keep them apart from us in this way. Files of the `library` that
    /// an act names are part of what an approval is bound to.
    #[must_use]
    pub fn new(environment: BaseEnvironment, isolation: Isolation, library: Option<PathBuf>) -> Self {
        Self {
            workshop: Arc::new(Workshop { environment, isolation, crew: Crew::default(), links: Links::default() }),
            connector: Arc::new(Connector::default()),
            fingerprints: Fingerprints::new(library),
        }
    }
}

impl Hands {
    /// Each mechanism has hands of its own.
    fn performing(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Performed> {
        match act {
            Act::Command(command) => Box::pin(process::perform(command, context, Arc::clone(&self.workshop))),
            Act::Http(request) => Box::pin(http::perform(request, context, Arc::clone(&self.connector))),
            Act::Prometheus(query) => Box::pin(prometheus::perform(*query, context, Arc::clone(&self.connector))),
            act @ (Act::Edit(_) | Act::Write(_) | Act::Restore(_)) => match act.machine() {
                Some(Machine::Ssh(_)) => Box::pin(file::perform_far(act, context, Arc::clone(&self.workshop))),
                _ => Box::pin(file::perform(act, context)),
            },
            Act::Kubectl(call) => Box::pin(kubectl::perform(*call, context, Arc::clone(&self.workshop))),
            Act::Log(log) => Box::pin(log::perform(*log, context, Arc::clone(&self.workshop))),
            Act::Service(service) => Box::pin(service::perform(*service, context, Arc::clone(&self.workshop))),
            Act::Sql(sql) => Box::pin(sql::perform(*sql, context)),
            other => Box::pin(async move {
                let what = crate::plan::view(&other).action;
                let message = format!("`{what}` is not supported yet");
                super::outcome::Refusal::new(crate::event::ErrorClass::System, message).report(&*context.evidence)
            }),
        }
    }
}

impl Performer for Hands {
    fn perform(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Performed> {
        let call = act.cluster_call().filter(|call| !call.target.allow.is_empty()).cloned();
        let (evidence, workshop) = (Arc::clone(&context.evidence), Arc::clone(&self.workshop));
        let performing = self.performing(act, context);
        let Some(call) = call else { return performing };
        Box::pin(async move {
            match kubectl::check_address(&call, &workshop).await {
                Ok(()) => performing.await,
                Err(refusal) => refusal.report(&*evidence),
            }
        })
    }

    fn preview(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Result<Option<String>, NoPreview>> {
        match act.machine() {
            Some(Machine::Ssh(_)) if act.is_file() => {
                Box::pin(file::preview_far(act, context, Arc::clone(&self.workshop)))
            }
            _ if act.is_file() => Box::pin(std::future::ready(file::preview(&act))),
            _ => Box::pin(std::future::ready(Ok(None))),
        }
    }

    fn fingerprint(&self, act: &Act) -> Vec<(String, String)> {
        self.fingerprints.of(act)
    }
    fn survivors(&self, trace: &Trace) -> Vec<Survivor> {
        Survivors::of(trace).named()
    }

    fn await_survivors(&self, trace: Trace, cancel: Cancel) -> BoxFuture<'static, Vec<Survivor>> {
        Box::pin(process::await_survivors(trace, cancel))
    }

    fn end_survivors(&self, trace: Trace, grace: Duration) -> BoxFuture<'static, Vec<Survivor>> {
        Box::pin(process::end_survivors(trace, grace))
    }
}
