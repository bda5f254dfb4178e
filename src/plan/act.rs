//! Acts: actions with their values in. Still with holes when a value is unknown; then they cannot be performed.

use super::pages::PagesAct;
use super::prometheus::PrometheusAct;
use crate::expr::{Rendered, Value};
use crate::runbook::{EditFormat, Method};
use indexmap::IndexMap;

/// One resolved action that is performed on the world. Actions that only compute or ask people are not acts.
#[derive(Clone, Debug)]
pub enum Act {
    /// `run` and `shell`.
    Command(CommandAct),
    /// `http`.
    Http(HttpAct),
    /// `prometheus` and `alert`.
    Prometheus(Box<PrometheusAct>),
    /// `edit`.
    Edit(EditAct),
    /// `write`.
    Write(WriteAct),
}

/// A program without a shell, or a script.
#[derive(Clone, Debug)]
pub struct CommandAct {
    /// Program and arguments. For a script: `bash -p -euo pipefail -c SCRIPT` (or `sh -eu -c SCRIPT`).
    pub argv: Vec<Rendered>,
    /// The script, when this is `shell`: shown instead of argv.
    pub script: Option<String>,
    /// The absolute path found for `argv[0]`, when it could be found.
    pub program: Option<std::path::PathBuf>,
    /// `env:` of the step.
    pub env: IndexMap<String, Rendered>,
    /// `pass_env:` of the step: names taken from our own environment.
    pub pass_env: Vec<String>,
    /// Working folder.
    pub cwd: Option<Rendered>,
    /// Standard input; none means null.
    pub stdin: Option<Rendered>,
    /// Exit codes that count as success.
    pub ok: Vec<i32>,
}

/// Which statuses count as success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusRule {
    /// 200 to 299.
    Success,
    /// Exactly these.
    Among(Vec<u16>),
}

impl StatusRule {
    /// Whether a status counts as success.
    #[must_use]
    pub fn allows(&self, status: u16) -> bool {
        match self {
            Self::Success => (200..300).contains(&status),
            Self::Among(list) => list.contains(&status),
        }
    }
}

/// The body of a request.
#[derive(Clone, Debug)]
pub enum RequestBody {
    /// None.
    Empty,
    /// JSON. Values keep their type; secrets are [`crate::expr::SecretText`] objects inside; unknowns are holes.
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Rendered)>),
    /// As it stands, `text/plain; charset=utf-8` unless a header says otherwise.
    Text(Rendered),
}

/// A target, resolved: where an HTTP act goes and what it may reach.
#[derive(Clone, Debug)]
pub struct TargetAct {
    /// The target's name in the runbook; empty for an absolute URL.
    pub name: String,
    /// Base URL: scheme, host, port and perhaps a path; the act's path is added to it.
    pub base: Rendered,
    /// Headers sent with every request.
    pub headers: IndexMap<String, Rendered>,
    /// User and password for basic authentication.
    pub basic: Option<(Rendered, Rendered)>,
    /// Bearer token.
    pub bearer: Option<Rendered>,
    /// Address classes (`loopback`, `private`, `public`, `link_local`) and host names or CIDR blocks it may connect to;
    /// empty means any. Checked on the connected address.
    pub allow: Vec<String>,
    /// File with more root certificates (PEM).
    pub ca: Option<Rendered>,
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct HttpAct {
    /// Where.
    pub target: TargetAct,
    /// The verb.
    pub method: Method,
    /// The path with values already percent-encoded; starts with `/`.
    pub path: Rendered,
    /// Query pairs, raw: the hands encode them.
    pub query: Vec<(String, Rendered)>,
    /// The step's own headers.
    pub headers: IndexMap<String, Rendered>,
    /// The body.
    pub body: RequestBody,
    /// What counts as success.
    pub status: StatusRule,
    /// How the pages of the answer are followed; none for one answer.
    pub pages: Option<PagesAct>,
}

/// One setting: a path of keys and the new value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `["content_defense", "quality_threshold"]`
    pub path: Vec<String>,
    /// The value; none removes the key.
    pub value: Option<Value>,
}

/// Keys set or removed in a file.
#[derive(Clone, Debug)]
pub struct EditAct {
    /// The file.
    pub file: Rendered,
    /// Its format.
    pub format: EditFormat,
    /// What to set and remove, in order.
    pub settings: Vec<Setting>,
    /// Whether a symlink may be followed.
    pub follow: bool,
}

/// A whole file written.
#[derive(Clone, Debug)]
pub struct WriteAct {
    /// The file.
    pub file: Rendered,
    /// Its new content.
    pub text: Rendered,
    /// Permission bits; an existing file keeps its own.
    pub mode: Option<u32>,
    /// `user` or `user:group`; an existing file keeps its own.
    pub owner: Option<String>,
    /// Whether a symlink may be followed.
    pub follow: bool,
}
