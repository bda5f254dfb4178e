//! Acts: actions with their values in. Still with holes when a value is unknown; then they cannot be performed.

use super::place::{KubernetesTarget, Machine, PostgresTarget, TargetAct};
use super::restore::RestoreAct;
use super::sql::SqlPlaces;
use super::values::StepScope;
use crate::expr::{Expr, Rendered, Value};
use crate::runbook::{EditFormat, Method, ServiceVerb};
use indexmap::IndexMap;

/// One resolved action that is performed on the world. Actions that only compute or ask people are not acts.
#[derive(Clone, Debug)]
pub enum Act {
    /// `run` and `shell`.
    Command(CommandAct),
    /// `http`.
    Http(HttpAct),
    /// `edit`.
    Edit(EditAct),
    /// `write`.
    Write(WriteAct),
    /// What takes an `edit` or `write` back; no author writes it.
    Restore(Box<RestoreAct>),
    /// `sql`.
    Sql(Box<SqlAct>),
    /// `prometheus` and `alert`.
    Prometheus(Box<PrometheusAct>),
    /// `kubectl`.
    Kubectl(Box<KubectlAct>),
    /// `log`.
    Log(Box<LogAct>),
    /// `service`.
    Service(Box<ServiceAct>),
    /// `interactive`: performed by the person at the terminal, never by the hands alone.
    Interactive(Box<CommandAct>),
}

impl Act {
    /// The name of the target it goes to, when it goes to a declared one.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        let name = match self {
            Self::Http(http) => &http.target.name,
            Self::Sql(sql) => &sql.target.name,
            Self::Prometheus(prometheus) => &prometheus.target.name,
            Self::Kubectl(kubectl) => &kubectl.target.name,
            Self::Log(log) => match &log.source {
                LogSourceAct::Kubectl { command, .. } => &command.target.name,
                _ => return log.machine.target(),
            },
            Self::Service(service) => match &service.driver {
                ServiceDriverAct::Kubectl { look, .. } => &look.target.name,
                _ => return service.machine.target(),
            },
            Self::Command(command) => return command.machine.target(),
            Self::Interactive(command) => return command.machine.target(),
            Self::Edit(edit) => return edit.machine.target(),
            Self::Write(write) => return write.machine.target(),
            Self::Restore(restore) => return restore.machine().target(),
        };
        (!name.is_empty()).then_some(name)
    }

    /// The machine it is performed on, for acts that are performed on one.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        match self {
            Self::Command(command) => Some(&command.machine),
            Self::Interactive(command) => Some(&command.machine),
            Self::Edit(edit) => Some(&edit.machine),
            Self::Write(write) => Some(&write.machine),
            Self::Restore(restore) => Some(restore.machine()),
            Self::Log(log) => Some(&log.machine),
            Self::Service(service) => Some(&service.machine),
            Self::Http(_) | Self::Sql(_) | Self::Prometheus(_) | Self::Kubectl(_) => None,
        }
    }

    /// The call of kubectl that it comes down to, for acts on a cluster.
    #[must_use]
    pub fn cluster_call(&self) -> Option<&KubectlAct> {
        match self {
            Self::Kubectl(call) => Some(call),
            Self::Log(log) => match &log.source {
                LogSourceAct::Kubectl { command, .. } => Some(command),
                _ => None,
            },
            Self::Service(service) => match &service.driver {
                ServiceDriverAct::Kubectl { look, .. } => Some(look),
                _ => None,
            },
            _ => None,
        }
    }

    /// The address it goes to, as a card shows it; nothing on this machine.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Http(http) => Some(http.target.base.to_string()),
            Self::Sql(sql) => Some(sql.target.address()),
            Self::Prometheus(prometheus) => Some(prometheus.target.base.to_string()),
            Self::Kubectl(kubectl) => Some(kubectl.target.address()),
            Self::Log(log) => match &log.source {
                LogSourceAct::Kubectl { command, .. } => Some(command.target.address()),
                _ => log.machine.address(),
            },
            Self::Service(service) => match &service.driver {
                ServiceDriverAct::Kubectl { look, .. } => Some(look.target.address()),
                _ => service.machine.address(),
            },
            Self::Command(command) => command.machine.address(),
            Self::Interactive(command) => command.machine.address(),
            Self::Edit(edit) => edit.machine.address(),
            Self::Write(write) => write.machine.address(),
            Self::Restore(restore) => restore.machine().address(),
        }
    }

    /// Whether it gives a file other bytes: it can be previewed as a diff against the file as it is.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Edit(_) | Self::Write(_) | Self::Restore(_))
    }
}

/// A value for `$n`.
#[derive(Clone, Debug)]
pub struct SqlBind {
    /// The expression as written.
    pub expression: String,
    /// Its value; an unknown value is a hole, a secret stays one.
    pub value: Value,
}

/// One statement with its values.
#[derive(Clone, Debug)]
pub struct SqlStatement {
    /// The text that is sent, with `$1`, `$2`, ... and quoted names in.
    pub text: Rendered,
    /// The values, in order.
    pub binds: Vec<SqlBind>,
    /// Where its pieces stand in the runbook.
    pub places: SqlPlaces,
    /// Its first word, in lower case: `select`, `update`.
    pub command: String,
}

/// Statements to PostgreSQL.
#[derive(Clone, Debug)]
pub struct SqlAct {
    /// Where.
    pub target: PostgresTarget,
    /// The statements, in order.
    pub statements: Vec<SqlStatement>,
    /// Whether they run in a READ ONLY transaction.
    pub read_only: bool,
    /// Whether all stand or fall together.
    pub transaction: bool,
    /// The most rows that may come back.
    pub rows: usize,
}

/// A question to Prometheus.
#[derive(Clone, Debug)]
pub struct PrometheusAct {
    /// Where.
    pub target: TargetAct,
    /// The query.
    pub query: Rendered,
    /// For a range query: its length and resolution.
    pub range: Option<(std::time::Duration, std::time::Duration)>,
    /// The moment; none means now.
    pub time: Option<jiff::Timestamp>,
    /// The alert whose expression this is.
    pub alert: Option<String>,
    /// What else is not known yet: each text with its reason.
    pub holes: Vec<(String, String)>,
}
/// A call of kubectl.
#[derive(Clone, Debug)]
pub struct KubectlAct {
    /// Where.
    pub target: KubernetesTarget,
    /// The verb: `get`, `apply`, `rollout status`.
    pub verb: String,
    /// The whole command: argv with context and namespace, the manifest on its standard input.
    pub command: CommandAct,
    /// The documents on standard input; secrets stay secrets, unknown values are holes.
    pub manifest: Vec<Value>,
    /// What its answer means.
    pub answer: KubectlAnswer,
}

/// What the answer of a call of kubectl means, beside its text.
#[derive(Clone, Debug)]
pub enum KubectlAnswer {
    /// Nothing more.
    Text,
    /// Whether somebody may do something: exit 1 is "no".
    Allowed,
    /// Whether there are differences: exit 1 is "yes".
    Differs,
    /// It waits, and has no bound of its own.
    Waits,
    /// The text is the name of the cluster.
    Identity,
    /// It makes an object of this name.
    Created(Rendered),
}

/// Where log lines come from.
#[derive(Clone, Debug)]
pub enum LogSourceAct {
    /// The systemd journal: the command that prints its entries as JSON.
    Journal(CommandAct),
    /// A file of this machine.
    File(Rendered),
    /// A file of another machine: the command that prints it.
    FileThere(CommandAct),
    /// Containers: the command that prints their lines.
    Kubectl {
        /// The command.
        command: Box<KubectlAct>,
        /// Whether each line begins with its pod and container.
        has_prefix: bool,
    },
}

/// Since when lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(std::time::Duration),
    /// Since this moment.
    Time(jiff::Timestamp),
}

/// Lines of a log.
#[derive(Clone, Debug)]
pub struct LogAct {
    /// On which machine (journal and file).
    pub machine: Machine,
    /// Where they come from. Commands hold `since` and `tail` already.
    pub source: LogSourceAct,
    /// Only lines since then.
    pub since: Option<Since>,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Regular expressions of which one must match.
    pub include: Vec<Rendered>,
    /// Regular expressions of which none may match.
    pub exclude: Vec<Rendered>,
    /// What is not known yet beside what the texts hold: the expression and why.
    pub holes: Vec<(String, String)>,
}

/// What drives a service, with its commands.
#[derive(Clone, Debug)]
pub enum ServiceDriverAct {
    /// systemctl.
    Systemctl {
        /// Prints what is known of the unit, a property a line.
        look: CommandAct,
        /// Does what is wanted; none for `status`.
        act: Option<CommandAct>,
        /// Prints the last lines of its journal.
        journal: CommandAct,
    },
    /// kubectl rollout.
    Kubectl {
        /// Prints the workload as JSON.
        look: Box<KubectlAct>,
        /// Restarts it; none for `status`.
        act: Option<Box<KubectlAct>>,
    },
    /// Commands of the target.
    Commands {
        /// Exits with 0 when it runs, with 3 when it does not, with 4 when there is none.
        look: Option<CommandAct>,
        /// Does what is wanted; none for `status`.
        act: Option<CommandAct>,
    },
}

/// Something done to a service.
#[derive(Clone, Debug)]
pub struct ServiceAct {
    /// On which machine.
    pub machine: Machine,
    /// What drives it.
    pub driver: ServiceDriverAct,
    /// What is done.
    pub verb: ServiceVerb,
    /// Its name.
    pub name: Rendered,
    /// Whether the act waits until the service is what it shall be; not where `ready` says when that is.
    pub waits: bool,
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
    /// On which machine.
    pub machine: Machine,
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
    /// How the answer goes on in further pages.
    pub pages: Option<PagesAct>,
}

/// How an answer goes on in further pages. The expressions are evaluated for each page, over its result fields.
#[derive(Clone)]
pub struct PagesAct {
    /// The items of one page.
    pub items: Expr,
    /// Where it goes on.
    pub next: Expr,
    /// The query key that takes the token.
    pub param: Option<String>,
    /// The most items.
    pub limit: usize,
    /// What the expressions see beside the page.
    pub scope: StepScope,
}

impl std::fmt::Debug for PagesAct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (items, next) = (self.items.text(), self.next.text());
        f.debug_struct("PagesAct").field("items", &items).field("next", &next).finish_non_exhaustive()
    }
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
    /// On which machine.
    pub machine: Machine,
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
    /// On which machine.
    pub machine: Machine,
}
