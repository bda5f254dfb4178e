//! What the pods say: text lines of structured logs, on stderr, in a file, and in the logs of the simulated cluster.

use super::cluster::Cluster;
use jiff::Timestamp;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// The way to all of them.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::UnboundedSender<(String, String)>);

impl Journal {
    /// Starts to write. Lines of a pod stay in their order.
    pub(crate) fn start(file: Option<PathBuf>, cluster: Option<Cluster>) -> Self {
        let (sender, mut lines) = mpsc::unbounded_channel::<(String, String)>();
        tokio::spawn(async move {
            while let Some(first) = lines.recv().await {
                // What is said within a moment is told together.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut all = vec![first];
                while let Ok(more) = lines.try_recv() {
                    all.push(more);
                }
                write(file.as_ref(), &all);
                if let Some(cluster) = &cluster {
                    tell(cluster, &all).await;
                }
            }
        });
        Self(sender)
    }

    /// One line as it is.
    pub(crate) fn line(&self, pod: &str, line: String) {
        // Nobody reads it any more when the program ends.
        let _at_the_end = self.0.send((pod.to_owned(), line));
    }

    /// One line of the structured log: a level, a message, and fields.
    pub(crate) fn say(&self, pod: &str, level: &str, message: &str, fields: &[(&str, &str)]) {
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        let mut line = format!("time={time} level={level} msg={}", quoted(message));
        for (name, value) in fields {
            line += &format!(" {name}={}", quoted(value));
        }
        self.line(pod, line);
    }
}

/// A value with blanks, quotes or an equals sign in it is quoted.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains([' ', '"', '=', '\n', '\\']);
    if plain { value.to_owned() } else { format!("{value:?}") }
}

fn write(file: Option<&PathBuf>, lines: &[(String, String)]) {
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    // Nobody may read stderr, and a full disk is no reason to stop serving.
    let _reader_may_be_gone = std::io::stderr().write_all(text.as_bytes());
    if let Some(file) = file {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        let _disk_may_be_full = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

async fn tell(cluster: &Cluster, lines: &[(String, String)]) {
    let mut pods: Vec<&str> = lines.iter().map(|(pod, _)| pod.as_str()).collect();
    pods.sort_unstable();
    pods.dedup();
    for pod in pods {
        let own: Vec<&str> = lines.iter().filter(|(of, _)| of == pod).map(|(_, line)| line.as_str()).collect();
        cluster.control(&json!({ "logs": { "namespace": cluster.namespace, "pod": pod, "lines": own } })).await;
    }
}
