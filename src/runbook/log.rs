//! `log`: lines out of a journal, a file or a pod.

use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use crate::expr::Template;
use crate::source::{Node, Sp, Span};

/// Where lines come from.
#[derive(Clone, Debug)]
pub enum LogSource {
    /// A unit of the systemd journal.
    Journal {
        /// The unit.
        unit: Template,
        /// A folder of journal files instead of the machine's own.
        directory: Option<Template>,
    },
    /// A file.
    File(Template),
    /// Containers, through kubectl.
    Kubectl(Box<PodLog>),
}

/// `log:`
#[derive(Clone, Debug)]
pub struct LogAction {
    /// Where it stands.
    pub span: Span,
    /// Where the lines come from.
    pub source: LogSource,
    /// Only lines since then: a duration back from now, or a time.
    pub since: Option<Template>,
    /// Only the last lines.
    pub tail: Option<Sp<i64>>,
    /// Regular expressions of which one must match.
    pub include: Vec<Template>,
    /// Regular expressions of which none may match.
    pub exclude: Vec<Template>,
}

record! {
    /// Containers whose output is read.
    pub struct PodLog = "kubectl log" {
        /// One pod.
        may pod = "pod": Template,
        /// Pods by their labels.
        may selector = "selector": Template,
        /// A workload, such as `deployment/api`.
        may workload = "workload": Template,
        /// One container (default: all).
        may container = "container": Template,
        /// The container before the last restart.
        may previous = "previous": Sp<bool>,
    }
}

record! {
    /// Lines out of a journal, a file or a pod.
    pub(super) struct LogRecord = "log" {
        /// A unit of the systemd journal.
        may journal = "journal": Template,
        /// A folder of journal files instead of the machine's own.
        may directory = "directory": Template,
        /// A file.
        may file = "file": Template,
        /// Containers, through kubectl.
        may kubectl = "kubectl": PodLog,
        /// Only lines since then: a duration back from now such as `10m`, or a time.
        may since = "since": Template,
        /// Only the last so many lines.
        may tail = "tail": Sp<i64>,
        /// Regular expressions of which one must match.
        with include = "include": Many<Template>,
        /// Regular expressions of which none may match.
        with exclude = "exclude": Many<Template>,
    }
}

impl Decode for LogAction {
    fn grammar() -> Grammar {
        LogRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = LogRecord::decode(node, decoder)?;
        if let Some(tail) = record.tail.as_ref().filter(|tail| tail.value < 1) {
            decoder.error("wrong-type", tail.span, "`tail` is at least 1");
        }
        if let Some(directory) = record.directory.as_ref().filter(|_| record.journal.is_none()) {
            decoder.error("stray-key", directory.span(), "`directory` belongs to `journal`, and there is none");
        }
        let source = match (record.journal, record.file, record.kubectl) {
            (Some(unit), None, None) => LogSource::Journal { unit, directory: record.directory },
            (None, Some(file), None) => LogSource::File(file),
            (None, None, Some(pods)) => {
                let named = [&pods.pod, &pods.selector, &pods.workload];
                if named.into_iter().flatten().count() != 1 {
                    let message = "say which pods: one of `pod`, `selector` or `workload`";
                    decoder.error("log-source", pods.span, message);
                    return None;
                }
                LogSource::Kubectl(Box::new(pods))
            }
            _ => {
                let message = "lines come from one place: `journal`, `file` or `kubectl`";
                decoder.error("log-source", record.span, message);
                return None;
            }
        };
        Some(Self {
            span: record.span,
            source,
            since: record.since,
            tail: record.tail,
            include: record.include.0,
            exclude: record.exclude.0,
        })
    }
}
