//! Targets with their values in: where an act goes and what it may reach.

use crate::expr::Rendered;
use indexmap::IndexMap;

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
    /// How the connection is encrypted.
    pub tls: TlsAct,
}

/// How a connection is encrypted.
#[derive(Clone, Debug, Default)]
pub struct TlsAct {
    /// A file with more root certificates (PEM).
    pub ca: Option<Rendered>,
    /// A file with our certificate (PEM).
    pub cert: Option<Rendered>,
    /// A file with its private key (PEM).
    pub key: Option<Rendered>,
    /// The name that the server's certificate must have.
    pub server_name: Option<Rendered>,
}

/// The machine an act is performed on.
#[derive(Clone, Debug, Default)]
pub enum Machine {
    /// The one the run is on; with the name of its target, when the step names one.
    #[default]
    Here,
    /// A declared target of kind `local`.
    Local(String),
    /// Another one, through ssh.
    Ssh(Box<SshTarget>),
}

impl Machine {
    pub(super) fn target(&self) -> Option<&str> {
        match self {
            Self::Here => None,
            Self::Local(name) => Some(name),
            Self::Ssh(ssh) => Some(&ssh.name),
        }
    }

    /// `user@host:port` of another machine.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Here | Self::Local(_) => None,
            Self::Ssh(ssh) => Some(ssh.address()),
        }
    }
}

/// Another machine, with its values in.
#[derive(Clone, Debug)]
pub struct SshTarget {
    /// The target's name.
    pub name: String,
    /// `user@host`, or a host.
    pub host: Rendered,
    /// The port.
    pub port: Option<Rendered>,
    /// The file with the private key.
    pub key: Option<Rendered>,
    /// The file with the keys of known hosts.
    pub known_hosts: Option<Rendered>,
    /// Machines to go through.
    pub jump: Option<Rendered>,
    /// A configuration file for the client.
    pub config: Option<Rendered>,
    /// Whether keys of the running agent may be used.
    pub agent: bool,
    /// What it may connect to, as for [`TargetAct`].
    pub allow: Vec<String>,
    /// The path of the OpenSSH client, when it was found.
    pub program: Option<std::path::PathBuf>,
}

impl SshTarget {
    /// `user@host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }
}

/// A database, with its values in.
#[derive(Clone, Debug)]
pub struct PostgresTarget {
    /// The target's name.
    pub name: String,
    /// `postgres://user@host:port/database?sslmode=..`; holds no password.
    pub dsn: Rendered,
    /// The user, when `auth` names one.
    pub user: Option<Rendered>,
    /// The password.
    pub password: Option<Rendered>,
    /// How the connection is encrypted.
    pub tls: TlsAct,
    /// What it may connect to, as for [`TargetAct`].
    pub allow: Vec<String>,
}

impl PostgresTarget {
    /// The DSN as shown.
    #[must_use]
    pub fn address(&self) -> String {
        self.dsn.to_string()
    }
}

/// A cluster, with its values in.
#[derive(Clone, Debug)]
pub struct KubernetesTarget {
    /// The target's name.
    pub name: String,
    /// The context.
    pub context: Rendered,
    /// The namespace.
    pub namespace: Option<Rendered>,
    /// The kubeconfig file.
    pub kubeconfig: Option<Rendered>,
    /// The client as written: `kubectl`, `oc`.
    pub client: String,
    /// Its path, when it was found.
    pub program: Option<std::path::PathBuf>,
    /// What it may connect to, as for [`TargetAct`].
    pub allow: Vec<String>,
}

impl KubernetesTarget {
    /// `context/namespace`.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("context {}, namespace {namespace}", self.context),
            None => format!("context {}", self.context),
        }
    }
}
