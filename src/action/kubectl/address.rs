//! `allow` on a cluster: where its API server is.
//!
//! kubectl resolves names and connects by itself, so the check stands before the call: the address is read in the
//! kubeconfig file, resolved, and every address found must be allowed. A name that points elsewhere a moment later is not
//! caught; an address that is written out cannot move. The client itself is not asked for its file: some ask the server
//! for its version whatever they are called with.

use crate::action::address::{Rules, Unreachable};
use crate::action::environment::absolute;
use crate::action::outcome::{Refusal, known};
use crate::action::process::Workshop;
use crate::event::ErrorClass;
use crate::plan::KubectlAct;
use serde::Deserialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use url::Url;

/// The largest kubeconfig file.
const LARGEST: u64 = 4 << 20;

/// Checks that the server of a call is at an allowed address.
///
/// # Errors
/// It is elsewhere, behind a proxy, or not told.
pub(in crate::action) async fn check(act: &KubectlAct, workshop: &Workshop) -> Result<(), Refusal> {
    let name = known(&act.target.context, "the context")?;
    let refused = |class, why: String| Refusal::new(class, format!("the server of the context `{name}` {why}"));
    let variables = act.command.env.keys().chain(&act.command.pass_env);
    if let Some(variable) = variables.into_iter().find(|name| name.to_ascii_lowercase().ends_with("_proxy")) {
        return Err(refused(
            ErrorClass::Address,
            format!("may be reached through `{variable}`, so `allow` cannot be held"),
        ));
    }
    let file = file(act, workshop)?;
    let cluster = read(&file)
        .and_then(|text| cluster(&text, &name))
        .map_err(|why| Refusal::value(format!("`allow` cannot be checked: `{}` {why}", file.display())))?;
    if cluster.proxy_url.is_some_and(|proxy| !proxy.is_empty()) {
        return Err(refused(ErrorClass::Address, "is reached through a proxy, so `allow` cannot be held".to_owned()));
    }
    let server = cluster.server;
    let url = address(&server).ok_or_else(|| refused(ErrorClass::BadValue, format!("has no address: {server:?}")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let rules = Rules::new(&act.target.allow);
    match rules.check_all(&host, url.port_or_known_default().unwrap_or(443)).await {
        Ok(()) => Ok(()),
        Err(Unreachable::NotResolved(error)) => Err(refused(ErrorClass::Dns, format!("is `{host}`, and {error}"))),
        Err(Unreachable::Refused(error)) => Err(refused(ErrorClass::Address, format!("cannot be used: {error}"))),
    }
}

/// The address of a server; a bare `host:port` means http, as for kubectl.
fn address(server: &str) -> Option<Url> {
    let whole = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    Url::parse(&whole).ok().filter(Url::has_host)
}

/// The file that the client reads: the target's, else its own below `HOME`.
fn file(act: &KubectlAct, workshop: &Workshop) -> Result<PathBuf, Refusal> {
    let folder = act.command.cwd.as_ref().map(|folder| known(folder, "`cwd`")).transpose()?;
    if let Some(file) = &act.target.kubeconfig {
        let file = known(file, "the kubeconfig file")?;
        return Ok(absolute(&Path::new(folder.as_deref().unwrap_or(".")).join(file)));
    }
    let own = act.command.env.get("HOME").map(|home| known(home, "`HOME`")).transpose()?.map(PathBuf::from);
    let home = own.or_else(|| workshop.environment.var("HOME").map(PathBuf::from));
    let home = home.ok_or_else(|| Refusal::value("there is no HOME, so no kubeconfig file"))?;
    Ok(home.join(".kube/config"))
}

/// # Errors
/// A fragment that fits after the name of the file.
fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let is_file = std::fs::metadata(path).map_err(cannot)?.is_file();
    if !is_file {
        return Err("is no file".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(LARGEST).read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    clusters: Vec<Named>,
    #[serde(default)]
    contexts: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    cluster: Option<Cluster>,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    proxy_url: Option<String>,
}

/// The cluster of a context. Two of one name are an error for kubectl too.
fn cluster(text: &str, context: &str) -> Result<Cluster, String> {
    let config: Config = serde_yaml::from_str(text).map_err(|error| format!("is no kubeconfig file: {error}"))?;
    let found = config.contexts.into_iter().find(|named| named.name == context).and_then(|named| named.context);
    let wanted = found.ok_or_else(|| format!("has no context `{context}`"))?.cluster;
    let found = config.clusters.into_iter().find(|named| named.name == wanted).and_then(|named| named.cluster);
    found.ok_or_else(|| format!("has no cluster `{wanted}`"))
}
