//! `allow` on a cluster: where its API server is.
//!
//! kubectl resolves names and connects by itself, so the check stands before the call: the address in the kubeconfig
//! file is read with the client, resolved, and every address found must be allowed. A name that points elsewhere a
//! moment later is not caught; an address that is written out cannot move.

use crate::action::address::{Rules, Unreachable};
use crate::action::outcome::Refusal;
use crate::action::process::{self, Workshop};
use crate::engine::{AttemptContext, Evidence, EvidenceWriter, StoreError};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::{Rendered, Value};
use crate::plan::{CommandAct, KubectlAct};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long the client may take to read its own file.
const LONGEST: Duration = Duration::from_secs(15);

/// Checks that the server of a call is at an allowed address.
///
/// # Errors
/// It is elsewhere, behind a proxy, or not told.
pub(super) async fn check(act: &KubectlAct, context: &AttemptContext, workshop: &Arc<Workshop>) -> Result<(), Refusal> {
    if act.target.allow.is_empty() {
        return Ok(());
    }
    let name = &act.target.context;
    let refused = |class, why: String| Refusal::new(class, format!("the server of the context `{name}` {why}"));
    let (server, proxy) = server(act, context, workshop).await?;
    if !proxy.is_empty() {
        return Err(refused(ErrorClass::Address, "is reached through a proxy, so `allow` cannot be held".to_owned()));
    }
    let url = Url::parse(&server).ok().filter(Url::has_host);
    let no_address = || refused(ErrorClass::BadValue, format!("has no address that can be checked: {server:?}"));
    let url = url.ok_or_else(no_address)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let rules = Rules::new(&act.target.allow);
    match rules.check_all(&host, url.port_or_known_default().unwrap_or(443)).await {
        Ok(()) => Ok(()),
        Err(Unreachable::NotResolved(error)) => Err(refused(ErrorClass::Dns, format!("is `{host}`, and {error}"))),
        Err(Unreachable::Refused(error)) => Err(refused(ErrorClass::Address, format!("cannot be used: {error}"))),
    }
}

/// The address of the server and of the proxy before it, as the client reads them.
async fn server(
    act: &KubectlAct,
    context: &AttemptContext,
    workshop: &Arc<Workshop>,
) -> Result<(String, String), Refusal> {
    let mut argv = vec![Rendered::text(act.target.client.clone())];
    let template = "jsonpath={.clusters[0].cluster.server} {.clusters[0].cluster.proxy-url}";
    argv.extend(["config", "view", "--minify", "-o", template].map(Rendered::text));
    let flags = [("--context=", Some(&act.target.context)), ("--kubeconfig=", act.target.kubeconfig.as_ref())];
    for (flag, value) in flags {
        let Some(value) = value else { continue };
        let mut word = Rendered::text(flag);
        word.pieces.extend(value.pieces.iter().cloned());
        argv.push(word);
    }
    let command = CommandAct { argv, stdin: None, ok: vec![0], cwd: None, ..act.command.clone() };
    let quiet = AttemptContext {
        step: context.step.clone(),
        marker: context.marker.clone(),
        change: false,
        timeout: context.timeout.min(LONGEST),
        grace: context.grace,
        cancel: context.cancel.clone(),
        evidence: Arc::new(Unkept(Arc::clone(&context.evidence))),
        live: None,
        started: None,
    };
    let performed = process::perform(command, quiet, Arc::clone(workshop)).await;
    let text = |name: &str| performed.fields.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let (stdout, stderr) = (text("stdout"), text("stderr"));
    if performed.outcome != Outcome::Succeeded {
        let said = stderr.lines().last().map(str::to_owned).or(performed.message).unwrap_or_default();
        let class =
            if performed.error == Some(ErrorClass::Cancelled) { ErrorClass::Cancelled } else { ErrorClass::BadValue };
        return Err(Refusal::new(class, format!("the address of the cluster cannot be read: {said}")));
    }
    let (server, proxy) = stdout.split_once(' ').unwrap_or((&stdout, ""));
    Ok((server.to_owned(), proxy.trim().to_owned()))
}

/// Evidence of a look at a file of the client: nothing is kept, secrets are masked all the same.
struct Unkept(Arc<dyn Evidence>);

impl Evidence for Unkept {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Nowhere(stream.to_owned())))
    }

    fn mask(&self, text: &str) -> String {
        self.0.mask(text)
    }
}

struct Nowhere(String);

impl EvidenceWriter for Nowhere {
    fn write(&mut self, _: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let nothing = EvidenceRef {
            stream: self.0,
            size: 0,
            sha256: String::new(),
            excerpt: String::new(),
            inline: true,
            cut: false,
        };
        Ok((nothing, Vec::new()))
    }
}
