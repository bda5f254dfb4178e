//! What containers have said: set by the control endpoint, otherwise three lines of its own.

use super::defaults::containers;
use super::object::{name, namespace, number, text, uid};
use super::seed::fits;
use super::status::Failure;
use super::store::{Key, Store};
use super::verbs::{Call, Reply};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A log that goes on.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The pod.
    pub key: Key,
    /// Its uid: another pod of the same name is another log.
    pub uid: String,
    /// The container.
    pub container: String,
    /// Whether each line starts with its time.
    pub stamps: bool,
    /// What is told at once.
    pub first: String,
    /// How many lines have been told.
    pub told: usize,
}

impl Follow {
    /// The lines since the last call, and whether there will be more.
    pub fn next(&mut self, store: &Store) -> (String, bool) {
        let Some(pod) = store.get(&self.key).filter(|pod| uid(pod) == self.uid) else { return (String::new(), false) };
        let lines = lines(store, pod, &self.container, false);
        let more = text_of(lines.get(self.told..).unwrap_or_default(), self.stamps);
        self.told = lines.len().max(self.told);
        (more, !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
    }
}

/// Answers `pods/NAME/log`.
pub fn answer(call: &Call) -> Result<Reply, Failure> {
    let pod = call.old()?;
    let query = &call.request.query;
    let container = chosen(pod, query.get("container"))?;
    if text(pod, "/spec/nodeName").is_empty() {
        let message = format!("pod {} does not have a host assigned", name(pod));
        return Err(Failure::bad(message));
    }
    let waits = container_status(pod, &container).and_then(|status| status.pointer("/state/waiting/reason"));
    let told = waits.and_then(Value::as_str).filter(|reason| *reason != "CrashLoopBackOff");
    if let (Some(reason), false) = (told, query.on("previous")) {
        let message = format!("container \"{container}\" in pod \"{}\" is waiting to start: {reason}", name(pod));
        return Err(Failure::bad(message));
    }
    let previous = query.on("previous");
    let all = lines(call.store, pod, &container, previous);
    if previous && all.is_empty() {
        let message = format!("previous terminated container \"{container}\" in pod \"{}\" not found", name(pod));
        return Err(Failure::bad(message));
    }
    let since = match (query.number("sinceSeconds"), query.get("sinceTime").parse::<Timestamp>()) {
        (Some(seconds), _) => call.now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
        (None, time) => time.ok(),
    };
    let mut shown: Vec<(Timestamp, String)> =
        all.iter().filter(|(time, _)| since.is_none_or(|since| *time >= since)).cloned().collect();
    if let Some(tail) = query.number("tailLines").and_then(|tail| usize::try_from(tail).ok()) {
        shown.drain(..shown.len().saturating_sub(tail));
    }
    let mut said = text_of(&shown, query.on("timestamps"));
    if let Some(limit) = query.number("limitBytes").and_then(|limit| usize::try_from(limit).ok()) {
        said.truncate(said.floor_char_boundary(limit));
    }
    if !query.on("follow") {
        return Ok(Reply::Text(said));
    }
    Ok(Reply::Follow(Follow {
        key: call.key(),
        uid: uid(pod).to_owned(),
        container,
        stamps: query.on("timestamps"),
        first: said,
        told: all.len(),
    }))
}

fn chosen(pod: &Value, asked: &str) -> Result<String, Failure> {
    let names = containers(pod);
    match (asked, names.as_slice()) {
        ("", [only]) => Ok((*only).to_owned()),
        ("", _) => {
            let list = names.join(" ");
            let message = format!("a container name must be specified for pod {}, choose one of: [{list}]", name(pod));
            Err(Failure::bad(message))
        }
        (asked, names) if names.contains(&asked) => Ok(asked.to_owned()),
        (asked, _) => Err(Failure::bad(format!("container {asked} is not valid for pod {}", name(pod)))),
    }
}

fn container_status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    super::object::items(pod, "/status/containerStatuses").iter().find(|status| status["name"] == container)
}

/// The lines of a container with their times: what was set for it, otherwise what it says by itself.
fn lines(store: &Store, pod: &Value, container: &str, previous: bool) -> Vec<(Timestamp, String)> {
    let born = store.since.get(uid(pod)).copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let mut set: Vec<(Timestamp, String)> = Vec::new();
    let meant = store.scene.said.iter().filter(|said| {
        said.previous == previous
            && fits(&said.pod, name(pod))
            && said.namespace.as_deref().is_none_or(|own| own == namespace(pod))
            && said.container.as_deref().is_none_or(|own| own == container)
    });
    for said in meant {
        let told = said.told.unwrap_or(born);
        let time = told.checked_sub(SignedDuration::from_secs(said.age)).unwrap_or(told);
        set.extend(said.lines.iter().map(|line| (time, line.clone())));
    }
    if set.is_empty() && !previous && text(pod, "/status/phase") != "Pending" {
        let restarts = container_status(pod, container).map_or(0, |status| number(status, "/restartCount", 0));
        let own = ["starting", "loaded configuration", "ready"];
        set = own.iter().map(|word| (born, format!("{} {container}[{restarts}]: {word}", name(pod)))).collect();
    }
    set
}

fn text_of(lines: &[(Timestamp, String)], stamps: bool) -> String {
    let line = |(time, text): &(Timestamp, String)| {
        if stamps { format!("{} {text}\n", time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ")) } else { format!("{text}\n") }
    };
    lines.iter().map(line).collect()
}
