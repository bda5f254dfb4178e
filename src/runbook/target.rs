//! Targets: named places to act on.

use super::action::Argv;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use super::service::ServiceVerb;
use super::sql::{SqlQuery, check_dsn};
use crate::expr::{Expr, Template};
use crate::source::{Data, Node, Sp, Span};
use indexmap::IndexMap;

/// What kind of place a target is.
#[derive(Clone, Debug)]
pub enum TargetPlace {
    /// A base URL.
    Http(Template),
    /// The machine the run is on.
    Local,
    /// A PostgreSQL database: `postgres://user@host:port/database`.
    Postgres(Template),
    /// A base URL of a Prometheus.
    Prometheus(Template),
    /// A context and a namespace of Kubernetes.
    Kubernetes(Box<KubernetesPlace>),
    /// Another machine, through the OpenSSH client.
    Ssh(Box<SshPlace>),
    /// Several targets, by their names.
    Each(Vec<Sp<String>>),
}

impl TargetPlace {
    /// The key that names it.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Http(_) => TargetKind::Http,
            Self::Local => TargetKind::Local,
            Self::Postgres(_) => TargetKind::Postgres,
            Self::Prometheus(_) => TargetKind::Prometheus,
            Self::Kubernetes(_) => TargetKind::Kubernetes,
            Self::Ssh(_) => TargetKind::Ssh,
            Self::Each(_) => TargetKind::Each,
        }
    }
}

words! {
    /// The kinds of targets.
    pub enum TargetKind = "a kind of target" {
        /// A base URL.
        Http = "http",
        /// The machine the run is on.
        Local = "local",
        /// A database.
        Postgres = "postgres",
        /// A Prometheus.
        Prometheus = "prometheus",
        /// A cluster.
        Kubernetes = "kubernetes",
        /// Another machine.
        Ssh = "ssh",
        /// Several targets.
        Each = "each",
    }
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub place: TargetPlace,
    /// Headers of every request.
    pub headers: IndexMap<Sp<String>, Template>,
    /// Who we say we are.
    pub auth: Option<TargetAuth>,
    /// Address classes, hosts or networks it may connect to.
    pub allow: Vec<Sp<String>>,
    /// How the connection is encrypted.
    pub tls: Option<Tls>,
    /// How it proves what it is.
    pub identity: Option<Identity>,
    /// What drives its services, by verb: argument lists with `{{ name }}` in them.
    pub service: IndexMap<ServiceVerb, Vec<Template>>,
}

record! {
    /// Who we say we are.
    pub struct TargetAuth = "auth" {
        /// A bearer token; must be a secret input.
        may bearer = "bearer": Template,
        /// User name for basic authentication, or of the database.
        may user = "user": Template,
        /// Password for basic authentication, or of the database; must be a secret input.
        may password = "password": Template,
    }
}

record! {
    /// A context and a namespace of Kubernetes.
    pub struct KubernetesPlace = "kubernetes" {
        /// The context of the kubeconfig file.
        must context = "context": Template,
        /// The namespace (default: the context's own).
        may namespace = "namespace": Template,
        /// The kubeconfig file (default: the client's own).
        may kubeconfig = "kubeconfig": Template,
        /// The client program (default: kubectl).
        may program = "program": Sp<String>,
    }
}

/// Another machine.
#[derive(Clone, Debug)]
pub struct SshPlace {
    /// Where it stands.
    pub span: Span,
    /// `user@host`, or a host.
    pub host: Template,
    /// The port (default 22).
    pub port: Option<Template>,
    /// The file with the private key.
    pub key: Option<Template>,
    /// The file with the keys of known hosts.
    pub known_hosts: Option<Template>,
    /// Machines to go through, as `ssh -J` takes them.
    pub jump: Option<Template>,
    /// A configuration file for the client; without it, none is read.
    pub config: Option<Template>,
    /// Whether keys of the running agent may be used.
    pub agent: bool,
}

record! {
    /// Another machine, through the OpenSSH client.
    pub(super) struct SshRecord = "ssh" {
        /// `user@host`, or a host.
        must host = "host": Template,
        /// The port (default 22).
        may port = "port": Template,
        /// The file with the private key.
        may key = "key": Template,
        /// The file with the keys of known hosts (default: the client's own).
        may known_hosts = "known_hosts": Template,
        /// Machines to go through, as `ssh -J` takes them.
        may jump = "jump": Template,
        /// A configuration file for the client; without it, none is read.
        may config = "config": Template,
        /// Whether keys of the running agent may be used (default: no).
        may agent = "agent": Sp<bool>,
    }
}

impl Decode for SshPlace {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, SshRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let plain = |host| Self {
            span: node.span,
            host,
            port: None,
            key: None,
            known_hosts: None,
            jump: None,
            config: None,
            agent: false,
        };
        if node.as_scalar().is_some() {
            return Template::decode(node, decoder).map(plain);
        }
        let record = SshRecord::decode(node, decoder)?;
        Some(Self {
            port: record.port,
            key: record.key,
            known_hosts: record.known_hosts,
            jump: record.jump,
            config: record.config,
            agent: record.agent.is_some_and(|agent| agent.value),
            ..plain(record.host)
        })
    }
}

/// What a target is asked to prove what it is.
#[derive(Clone, Debug)]
pub enum IdentityProbe {
    /// GET this path (`http`, `prometheus`).
    Get(Template),
    /// A query (`postgres`).
    Query(Box<SqlQuery>),
    /// The system identifier of the database server.
    SystemIdentifier,
    /// The UID of the namespace `kube-system`.
    ClusterUid,
    /// A program (`ssh`, `local`).
    Run(Vec<Template>),
}

/// What must be true of the answer.
#[derive(Clone, Debug)]
pub enum IdentityExpect {
    /// An expression over the answer.
    Holds(Expr),
    /// The name that was read is this text.
    Is(Template),
}

/// A probe whose answer tells one target from another of the same form.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where it stands.
    pub span: Span,
    /// What is asked.
    pub probe: IdentityProbe,
    /// The name read out of the answer; the built-in probes know theirs.
    pub read: Option<Expr>,
    /// What must hold for this to be the right target.
    pub expect: IdentityExpect,
}

record! {
    /// A probe whose answer tells one target from another of the same form.
    pub(super) struct IdentityRecord = "identity" {
        /// The path to GET (for `http` and `prometheus`).
        may get = "get": Template,
        /// A query (for `postgres`).
        may query = "query": SqlQuery,
        /// A program and its arguments (for `ssh` and `local`).
        may run = "run": Argv,
        /// The system identifier that the database server must have (for `postgres`).
        may system_identifier = "system_identifier": Template,
        /// The UID that the namespace kube-system must have (for `kubernetes`).
        may uid = "uid": Template,
        /// The name read out of the answer: an expression over its fields (`body`, `first`, `stdout`, ..).
        may read = "read": Expr,
        /// What must hold for this to be the right target.
        may expect = "expect": Expr,
    }
}

impl Decode for Identity {
    fn grammar() -> Grammar {
        IdentityRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = IdentityRecord::decode(node, decoder)?;
        let span = record.span;
        let built_in =
            [(IdentityProbe::SystemIdentifier, record.system_identifier), (IdentityProbe::ClusterUid, record.uid)];
        let asked = [
            record.get.map(IdentityProbe::Get),
            record.query.map(|query| IdentityProbe::Query(Box::new(query))),
            record.run.map(|argv| IdentityProbe::Run(argv.list)),
        ];
        let mut built_in: Vec<_> =
            built_in.into_iter().filter_map(|(probe, expected)| Some((probe, expected?))).collect();
        let mut asked: Vec<_> = asked.into_iter().flatten().collect();
        match (asked.len(), built_in.len()) {
            (1, 0) => {
                let (Some(read), Some(expect)) = (record.read, record.expect) else {
                    let message = "this identity needs `read` (the name in the answer) and `expect` (what must hold)";
                    decoder.error("identity", span, message);
                    return None;
                };
                let expect = IdentityExpect::Holds(expect);
                Some(Self { span, probe: asked.remove(0), read: Some(read), expect })
            }
            (0, 1) => {
                if record.read.is_some() || record.expect.is_some() {
                    decoder.error("identity", span, "`read` and `expect` have no meaning here: the value is compared");
                    return None;
                }
                let (probe, expected) = built_in.remove(0);
                Some(Self { span, probe, read: None, expect: IdentityExpect::Is(expected) })
            }
            _ => {
                let message = "an identity asks one thing: `get`, `query`, `run`, `system_identifier` or `uid`";
                decoder.error("identity", span, message);
                None
            }
        }
    }
}

record! {
    /// TLS settings of a target.
    pub struct Tls = "tls" {
        /// A PEM file with root certificates: beside those of this machine for requests, instead of them for a database.
        may ca = "ca": Template,
        /// A PEM file with our certificate.
        may cert = "cert": Template,
        /// A PEM file with its private key.
        may key = "key": Template,
        /// The name that the server's certificate must have, when it is not the host's.
        may server_name = "server_name": Template,
    }
}

record! {
    /// What drives the services of a target, by verb: the value `name` is the service.
    pub(super) struct ServiceDriver = "service driver" {
        /// Restarts `{{ name }}`.
        may restart = "restart": Argv,
        /// Starts `{{ name }}`.
        may start = "start": Argv,
        /// Stops `{{ name }}`.
        may stop = "stop": Argv,
        /// Makes `{{ name }}` read its configuration again.
        may reload = "reload": Argv,
        /// Exits with 0 when `{{ name }}` runs, with 3 when it does not, with 4 when there is no such service.
        may status = "status": Argv,
    }
}

record! {
    /// A named place to act on.
    pub(super) struct TargetRecord = "target" {
        /// A base URL.
        may http = "http": Template,
        /// `true`: the machine the run is on.
        may local = "local": Sp<bool>,
        /// A PostgreSQL database: `postgres://user@host:port/database`.
        may postgres = "postgres": Template,
        /// The base URL of a Prometheus.
        may prometheus = "prometheus": Template,
        /// A context and a namespace of Kubernetes.
        may kubernetes = "kubernetes": KubernetesPlace,
        /// Another machine: `user@host`, through the OpenSSH client.
        may ssh = "ssh": SshPlace,
        /// Several targets, by their names.
        may each = "each": Vec<Sp<String>>,
        /// Headers of every request.
        with headers = "headers": IndexMap<Sp<String>, Template>,
        /// Who we say we are.
        may auth = "auth": TargetAuth,
        /// Address classes (loopback, private, link_local, public), host names or networks it may connect to.
        with allow = "allow": Many<Sp<String>>,
        /// TLS settings.
        may tls = "tls": Tls,
        /// How it proves what it is.
        may identity = "identity": Identity,
        /// What drives its services, instead of systemctl or kubectl.
        may service = "service": ServiceDriver,
    }
}

impl Decode for Target {
    fn grammar() -> Grammar {
        TargetRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = TargetRecord::decode(node, decoder)?;
        let places = [
            record.http.map(TargetPlace::Http),
            record.local.filter(|local| local.value).map(|_| TargetPlace::Local),
            record.postgres.map(TargetPlace::Postgres),
            record.prometheus.map(TargetPlace::Prometheus),
            record.kubernetes.map(|place| TargetPlace::Kubernetes(Box::new(place))),
            record.ssh.map(|place| TargetPlace::Ssh(Box::new(place))),
            record.each.map(TargetPlace::Each),
        ];
        let mut places: Vec<_> = places.into_iter().flatten().collect();
        let place = match places.len() {
            1 => places.remove(0),
            0 => {
                if !decoder.has_refused_key(record.span) {
                    let message =
                        format!("this target does not say what it is: one of {}", TargetKind::WORDS.join(", "));
                    decoder.error("target-kind", record.span, message);
                }
                return None;
            }
            _ => {
                let kinds: Vec<_> = places.iter().map(|place| format!("`{}`", place.kind().as_str())).collect();
                let message = format!("this target is {} at once; it can be one", kinds.join(" and "));
                decoder.error("target-kind", record.span, message);
                return None;
            }
        };
        if let TargetPlace::Postgres(dsn) = &place {
            check_dsn(dsn, decoder);
        }
        let kind = place.kind();
        let web = matches!(kind, TargetKind::Http | TargetKind::Prometheus);
        let fits = [
            ("headers", !record.headers.is_empty(), web),
            ("auth", record.auth.is_some(), web || kind == TargetKind::Postgres),
            ("tls", record.tls.is_some(), web || kind == TargetKind::Postgres),
            ("allow", !record.allow.0.is_empty(), !matches!(kind, TargetKind::Local | TargetKind::Each)),
            ("service", record.service.is_some(), matches!(kind, TargetKind::Local | TargetKind::Ssh)),
            ("identity", record.identity.is_some(), kind != TargetKind::Each),
        ];
        for (key, _, _) in fits.into_iter().filter(|(_, is_given, fits)| *is_given && !fits) {
            let message = format!("`{key}` has no meaning on a target of kind `{}`", kind.as_str());
            decoder.error("stray-key", record.span, message);
        }
        if let Some(identity) = &record.identity {
            identity_fits(identity, kind, decoder);
        }
        Some(Self {
            span: record.span,
            place,
            headers: record.headers,
            auth: record.auth,
            allow: record.allow.0,
            tls: record.tls,
            identity: record.identity,
            service: record.service.map(drivers).unwrap_or_default(),
        })
    }
}

fn drivers(driver: ServiceDriver) -> IndexMap<ServiceVerb, Vec<Template>> {
    let verbs = [
        (ServiceVerb::Restart, driver.restart),
        (ServiceVerb::Start, driver.start),
        (ServiceVerb::Stop, driver.stop),
        (ServiceVerb::Reload, driver.reload),
        (ServiceVerb::Status, driver.status),
    ];
    verbs.into_iter().filter_map(|(verb, argv)| Some((verb, argv?.list))).collect()
}

fn identity_fits(identity: &Identity, kind: TargetKind, decoder: &mut Decoder<'_>) {
    let fits = match identity.probe {
        IdentityProbe::Get(_) => matches!(kind, TargetKind::Http | TargetKind::Prometheus),
        IdentityProbe::Query(_) | IdentityProbe::SystemIdentifier => kind == TargetKind::Postgres,
        IdentityProbe::ClusterUid => kind == TargetKind::Kubernetes,
        IdentityProbe::Run(_) => matches!(kind, TargetKind::Ssh | TargetKind::Local),
    };
    if !fits && kind != TargetKind::Each {
        let message = format!("this form of `identity` does not fit a target of kind `{}`", kind.as_str());
        let hint = "http and prometheus: `get`; postgres: `system_identifier` or `query`; kubernetes: `uid`; ssh and local: `run`";
        decoder.error_hint("identity", identity.span, message, hint);
    }
}

/// Which target a step names.
#[derive(Clone, Debug)]
pub enum TargetRef {
    /// One, by its name.
    Name(Sp<String>),
    /// One, whose name is a value.
    Computed(Template),
    /// Several, by their names: the act is performed on each.
    Each(Vec<Sp<String>>),
}

impl TargetRef {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Name(name) => name.span,
            Self::Computed(template) => template.span(),
            Self::Each(names) => names.first().map(|name| name.span).unwrap_or_default(),
        }
    }

    /// The name, when it is written out.
    #[must_use]
    pub fn name(&self) -> Option<&Sp<String>> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl Decode for TargetRef {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Template, Grammar::List(Box::new(Grammar::Text))])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Data::List(_) = &node.data {
            let names = Vec::<Sp<String>>::decode(node, decoder)?;
            if names.is_empty() {
                decoder.error("wrong-type", node.span, "this list of targets is empty");
                return None;
            }
            return Some(Self::Each(names));
        }
        let template = Template::decode(node, decoder)?;
        Some(match template.literal() {
            Some(name) => Self::Name(Sp::new(name.to_owned(), node.span)),
            None => Self::Computed(template),
        })
    }
}
