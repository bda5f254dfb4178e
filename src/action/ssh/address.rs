//! A machine to reach, and the command line of the client that reaches it. Everything is said; nothing is left to the
//! configuration of whoever runs this.

use super::super::address::Rules;
use super::super::outcome::{Refusal, known};
use crate::event::ErrorClass;
use crate::expr::Rendered;
use crate::plan::SshTarget;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

/// How long the connection may take to come, in seconds.
const CONNECT_TIMEOUT: u64 = 10;

/// Where an act goes; two acts with equal addresses share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    host: String,
    user: Option<String>,
    port: Option<u16>,
    /// What the name stands for, where the target says what may be connected to.
    pinned: Option<IpAddr>,
    key: Option<String>,
    known_hosts: Option<String>,
    jump: Option<Hop>,
    config: Option<String>,
    /// Whether the client may ask the operator's agent.
    pub(super) agent: bool,
}

/// The machine in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Hop {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// `user@host:port`, as a person writes it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        let is_v6 = self.host.contains(':');
        if is_v6 {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Address {
    /// # Errors
    /// A value is unknown, or is no host, user, port or path.
    pub(super) fn of(target: &SshTarget) -> Result<Self, Refusal> {
        let text = |value: &Option<Rendered>, what: &str| value.as_ref().map(|text| known(text, what)).transpose();
        let path = |value: &Option<Rendered>, what: &str| {
            text(value, what)?.map(|path| check_path(&path, what).map(|()| path)).transpose()
        };
        let hop = Hop::parse(&known(&target.host, "the host")?)?;
        let rules = Rules::new(&target.allow);
        let jump = text(&target.jump, "`jump`")?.map(|jump| Hop::parse(&jump)).transpose()?;
        let pinned = if target.allow.is_empty() { None } else { Some(resolved(&hop.host, jump.as_ref(), &rules)?) };
        let port = match text(&target.port, "the port")? {
            Some(port) => Some(parse_port(&port)?),
            None => hop.port,
        };
        Ok(Self {
            host: hop.host,
            user: hop.user,
            port,
            pinned,
            key: path(&target.key, "`key`")?,
            known_hosts: path(&target.known_hosts, "`known_hosts`")?,
            jump,
            config: path(&target.config, "`config`")?,
            agent: target.agent,
        })
    }

    /// A host and nothing else.
    #[cfg(test)]
    pub(super) fn plain(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            user: None,
            port: None,
            pinned: None,
            key: None,
            known_hosts: None,
            jump: None,
            config: None,
            agent: false,
        }
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The port, when one is named.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The name under which its key is looked up.
    pub(super) fn known_as(&self) -> String {
        let port = self.port.filter(|port| *port != 22);
        port.map_or_else(|| self.host.clone(), |port| format!("[{}]:{port}", self.host))
    }

    /// Where the keys of hosts are looked up.
    pub(super) fn known_hosts(&self) -> &str {
        self.known_hosts.as_deref().unwrap_or("~/.ssh/known_hosts")
    }

    /// The arguments of the client that hold for every use: options only, without the host.
    pub(super) fn options(&self, client: &Path) -> Result<Vec<OsString>, Refusal> {
        let mut options = self.common();
        options.extend(["-a", "-x", "-e", "none"].map(str::to_owned));
        let mut option = |name: &str, value: &str| options.extend(["-o".to_owned(), format!("{name}={value}")]);
        option("ServerAliveInterval", "5");
        option("ServerAliveCountMax", "3");
        option("ForwardAgent", "no");
        option("ForwardX11", "no");
        option("ClearAllForwardings", "yes");
        option("ControlMaster", "no");
        option("ControlPersist", "no");
        if let Some(jump) = &self.jump {
            option("ProxyCommand", &self.proxy(jump, client)?);
        } else if self.config.is_none() {
            option("ProxyCommand", "none");
        }
        if let Some(address) = self.pinned {
            option("HostName", &address.to_string());
            // The key is looked up under the name that was written.
            option("HostKeyAlias", &self.known_as());
        }
        if let Some(user) = &self.user {
            options.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            options.extend(["-p".to_owned(), port.to_string()]);
        }
        Ok(options.into_iter().map(OsString::from).collect())
    }

    /// What a jump needs too.
    fn common(&self) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), self.config.clone().unwrap_or_else(|| "none".to_owned())];
        let mut option = |name: &str, value: &str| options.extend(["-o".to_owned(), format!("{name}={value}")]);
        option("BatchMode", "yes");
        option("StrictHostKeyChecking", "yes");
        option("UpdateHostKeys", "no");
        option("CheckHostIP", "no");
        option("PasswordAuthentication", "no");
        option("KbdInteractiveAuthentication", "no");
        option("ConnectTimeout", &CONNECT_TIMEOUT.to_string());
        option("PermitLocalCommand", "no");
        option("AddKeysToAgent", "no");
        option("LogLevel", "INFO");
        if let Some(file) = &self.known_hosts {
            option("UserKnownHostsFile", &in_option(file));
            option("GlobalKnownHostsFile", "none");
        }
        if !self.agent {
            option("IdentityAgent", "none");
        }
        if let Some(key) = &self.key {
            option("IdentitiesOnly", "yes");
            option("IdentityFile", &in_option(key));
        }
        options
    }

    /// The command that reaches the machine in between, with the same strictness; `-J` would give it none of our options.
    fn proxy(&self, jump: &Hop, client: &Path) -> Result<String, Refusal> {
        let mut words = vec![client.display().to_string()];
        words.extend(self.common());
        words.extend(["-a", "-x", "-T", "-o", "ClearAllForwardings=yes", "-o", "ProxyCommand=none"].map(str::to_owned));
        if let Some(user) = &jump.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = jump.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        // The client fills %h and %p in; all other percent signs are doubled.
        for word in &mut words {
            *word = word.replace('%', "%%");
        }
        words.extend(["-W", "[%h]:%p", "--"].map(str::to_owned));
        words.push(jump.host.clone());
        shlex::try_join(words.iter().map(String::as_str)).map_err(|_| Refusal::value("`jump` holds a NUL"))
    }
}

impl Hop {
    /// `[user@]host[:port]`, also `[v6]:port` and `ssh://..`.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, after)) => (host, Some(after.strip_prefix(':').unwrap_or(after))),
            None => match rest.split_once(':') {
                // More than one colon: an IPv6 address by itself.
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        check_host(host)?;
        if let Some(user) = &user {
            check_user(user)?;
        }
        Ok(Self { user, host: host.to_owned(), port: port.map(parse_port).transpose()? })
    }
}

/// An address of the host, every one of which may be connected to.
fn resolved(host: &str, jump: Option<&Hop>, rules: &Rules) -> Result<IpAddr, Refusal> {
    if jump.is_some() {
        return Err(Refusal::value(
            "`allow` cannot be checked behind a `jump`: the name is resolved by the machine in between",
        ));
    }
    let unresolved =
        |why: String| Refusal::new(ErrorClass::Dns, format!("cannot reach {host}: {why}; nothing was sent"));
    let found = (host, 0_u16).to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
    let mut first = None;
    for address in found {
        rules.check(host, address.ip()).map_err(|refused| Refusal::new(ErrorClass::Address, refused.to_string()))?;
        first = first.or(Some(address.ip()));
    }
    first.ok_or_else(|| unresolved("the name has no address".to_owned()))
}

fn check_host(host: &str) -> Result<(), Refusal> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:%-".contains(c);
    if host.is_empty() || host.starts_with('-') || !host.chars().all(is_plain) {
        return Err(Refusal::value(format!("`{host}` is not a host name or an address")));
    }
    Ok(())
}

fn check_user(user: &str) -> Result<(), Refusal> {
    let is_plain = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(is_plain) {
        return Err(Refusal::value(format!("`{user}` is not the name of a user")));
    }
    Ok(())
}

fn parse_port(text: &str) -> Result<u16, Refusal> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| Refusal::value(format!("`{text}` is not a port (1 to 65535)")))
}

/// The client expands `${NAME}` in a path and knows no way to write it otherwise.
fn check_path(path: &str, what: &str) -> Result<(), Refusal> {
    if path.is_empty() || path.chars().any(char::is_control) || path.contains("${") {
        return Err(Refusal::value(format!("{what}: the ssh client cannot take `{path}` as a path")));
    }
    Ok(())
}

/// A path inside the value of an option: the client splits at blanks, takes quotes off, and fills percent signs in.
fn in_option(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str) -> SshTarget {
        SshTarget {
            name: "web".to_owned(),
            host: Rendered::text(host),
            port: None,
            key: None,
            known_hosts: None,
            jump: None,
            config: None,
            agent: false,
            allow: Vec::new(),
            program: None,
        }
    }

    #[test]
    fn what_may_be_connected_to_is_checked_after_the_name_is_resolved() {
        let allowing = |entry: &str| SshTarget { allow: vec![entry.to_owned()], ..target("localhost:2222") };
        assert_eq!(Address::of(&allowing("public")).unwrap_err().class, ErrorClass::Address);
        let address = Address::of(&allowing("loopback")).unwrap();
        let options = address.options(Path::new("/usr/bin/ssh")).unwrap();
        let has = |start: &str| options.iter().any(|word| word.to_str().unwrap().starts_with(start));
        assert!(has("HostName=127.0.0.1") || has("HostName=::1"), "{options:?}");
        assert!(has("HostKeyAlias=[localhost]:2222"), "{options:?}");
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (written, shown) in [
            ("web1", "web1"),
            ("deploy@web1", "deploy@web1"),
            ("deploy@web1:2222", "deploy@web1:2222"),
            ("ssh://deploy@web1:2222", "deploy@web1:2222"),
            ("[::1]:22", "[::1]:22"),
            ("root@fe80::1", "root@[fe80::1]"),
        ] {
            assert_eq!(Address::of(&target(written)).unwrap().to_string(), shown);
        }
        for written in ["", "-oProxyCommand=x", "a b", "a;b", "u@", "web1:0", "web1:x", "$(x)@web1", "-l@web1"] {
            assert!(Address::of(&target(written)).is_err(), "{written}");
        }
    }

    #[test]
    fn a_jump_is_as_strict_as_the_target() {
        let target = SshTarget {
            jump: Some(Rendered::text("hop@gate:2200")),
            key: Some(Rendered::text("/a b/100%/key")),
            ..target("web1")
        };
        let options = Address::of(&target).unwrap().options(Path::new("/usr/bin/ssh")).unwrap();
        let proxy = options.iter().find_map(|word| word.to_str()?.strip_prefix("ProxyCommand=")).unwrap();
        assert!(proxy.contains("StrictHostKeyChecking=yes") && proxy.ends_with("-W '[%h]:%p' -- gate"), "{proxy}");
        assert!(proxy.contains("100%%%%/key"), "{proxy}");
    }
}
