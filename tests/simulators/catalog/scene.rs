//! What goes wrong in a simulated catalog-server, as a test sets it.

use serde::Deserialize;
use std::collections::BTreeMap;

/// How slow lists are. All of it adds up, and is spent in the database.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names are what a test writes in JSON, with their unit")]
pub(crate) struct Slow {
    /// Milliseconds of every list.
    pub(crate) base_ms: u32,
    /// Milliseconds of each item that the page may hold.
    pub(crate) item_ms: u32,
    /// Milliseconds more while no valid index begins with the column `namespace` of the assets.
    pub(crate) no_index_ms: u32,
    /// Milliseconds more of a filter by the column `description`.
    pub(crate) filter_ms: u32,
}

/// How a remote source answers the workers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Provider {
    /// Milliseconds that a refresh takes.
    pub(crate) latency_ms: u64,
    /// The status it refuses with, as 429; none when it answers.
    pub(crate) status: Option<u16>,
    /// It answers when the pod has this variable.
    pub(crate) token_env: Option<String>,
    /// It answers when a secret of the namespace has this key: `NAME/KEY`.
    pub(crate) token_secret: Option<String>,
}

/// All that is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// The initial load is not done: pods answer, and are not ready.
    pub(crate) loading: bool,
    /// Plugins that are not healthy.
    pub(crate) sick: Vec<String>,
    /// How slow lists are.
    pub(crate) slow: Slow,
    /// Sources by id.
    pub(crate) providers: BTreeMap<String, Provider>,
    /// Workers take no job.
    pub(crate) idle: bool,
    /// Requests that were denied are written into the audit trail whatever their method is. In the source that the
    /// document describes only changes are.
    pub(crate) audits_reads: bool,
}

impl Scene {
    /// Without anything wrong.
    pub(crate) fn new() -> Self {
        Self { audits_reads: true, ..Self::default() }
    }
}
