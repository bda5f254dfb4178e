//! Which addresses a target may connect to.
//!
//! Names are resolved by a resolver of our own that leaves out what is not allowed, so that the check is made on the
//! very addresses that are connected to, and no second look-up can give another answer.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// The kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Loopback,
    Private,
    LinkLocal,
    Public,
    /// Unspecified, multicast, documentation, shared: only an address block allows these.
    Other,
}

impl Class {
    /// The class of an address. IPv6 forms that carry an IPv4 address are taken for that address.
    pub(super) fn of(address: IpAddr) -> Self {
        match plain(address) {
            IpAddr::V4(four) => Self::of_four(four),
            IpAddr::V6(six) => Self::of_six(six),
        }
    }

    fn of_four(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        let shared = first == 100 && (64..128).contains(&second);
        let benchmark = first == 198 && (18..20).contains(&second);
        let protocol = matches!(address.octets(), [192, 0, 0, _]);
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_private() {
            Self::Private
        } else if address.is_link_local() {
            Self::LinkLocal
        } else if first == 0 || first >= 224 || address.is_documentation() || shared || benchmark || protocol {
            Self::Other
        } else {
            Self::Public
        }
    }

    fn of_six(address: Ipv6Addr) -> Self {
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_unique_local() {
            Self::Private
        } else if address.is_unicast_link_local() {
            Self::LinkLocal
        } else if matches!(address.segments(), [0x2000..=0x3fff, ..])
            && !matches!(address.segments(), [0x2001, 0xdb8 | 0, ..] | [0x3fff, 0..=0xfff, ..])
        {
            Self::Public
        } else {
            Self::Other
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "loopback" => Some(Self::Loopback),
            "private" => Some(Self::Private),
            "link_local" => Some(Self::LinkLocal),
            "public" => Some(Self::Public),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link_local",
            Self::Public => "public",
            Self::Other => "neither public nor private",
        })
    }
}

/// An address without disguise: mapped, translated (`64:ff9b::/96`) and 6to4 forms become the IPv4 address inside.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => from(high, low),
        _ => six.to_canonical(),
    }
}

/// One entry of `allow`.
#[derive(Clone, Debug)]
enum Rule {
    Class(Class),
    /// An address block: its first address as a number, the length of the prefix, and whether it is IPv4.
    Block {
        first: u128,
        prefix: u32,
        four: bool,
    },
    Host(String),
}

impl Rule {
    fn parse(entry: &str) -> Self {
        if let Some(class) = Class::parse(entry) {
            return Self::Class(class);
        }
        let (address, prefix) = entry.split_once('/').unwrap_or((entry, ""));
        let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() else {
            return Self::Host(entry.trim_end_matches('.').to_ascii_lowercase());
        };
        let (first, width) = number(address);
        let prefix =
            if entry.contains('/') { prefix.parse().ok().filter(|prefix| *prefix <= width) } else { Some(width) };
        match prefix {
            Some(prefix) => Self::Block { first, prefix, four: address.is_ipv4() },
            // Not a block after all: as a host name it allows nothing.
            None => Self::Host(entry.to_owned()),
        }
    }

    fn allows(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Class(class) => Class::of(address) == *class,
            Self::Host(name) => host.trim_end_matches('.').eq_ignore_ascii_case(name),
            Self::Block { first, prefix, four } => {
                let (number, width) = number(plain(address));
                let shift = width - prefix.min(&width);
                (width == 32) == *four
                    && number.checked_shr(shift).unwrap_or(0) == first.checked_shr(shift).unwrap_or(0)
            }
        }
    }
}

/// An address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()), 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    }
}

/// What a target may connect to.
#[derive(Clone, Debug)]
pub(in crate::action) struct Rules(Arc<[Rule]>);

impl Rules {
    /// No entry: anything.
    pub(in crate::action) fn new(allow: &[String]) -> Self {
        Self(allow.iter().map(|entry| Rule::parse(entry)).collect())
    }

    fn allow(&self, host: &str, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|rule| rule.allows(host, address))
    }

    /// # Errors
    /// The address is not allowed.
    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        if self.allow(host, address) { Ok(()) } else { Err(Refused::Address { host: host.to_owned(), address }) }
    }

    /// Checks an address that stands in the URL itself: those are never resolved.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(four)) => IpAddr::V4(four),
            Some(Host::Ipv6(six)) => IpAddr::V6(six),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.check(url.host_str().unwrap_or_default(), address)
    }

    /// Checks the address that was really connected to.
    pub(super) fn check_connected(&self, host: &str, address: Option<SocketAddr>) -> Result<(), Refused> {
        match address {
            Some(address) => self.check(host, address.ip()),
            None if self.0.is_empty() => Ok(()),
            None => Err(Refused::NotKnown),
        }
    }

    /// Checks a Unix socket: it counts as loopback.
    pub(super) fn check_socket(&self, path: &str) -> Result<(), Refused> {
        let is_loopback = |rule: &Rule| matches!(rule, Rule::Class(Class::Loopback));
        if self.0.is_empty() || self.0.iter().any(is_loopback) {
            Ok(())
        } else {
            Err(Refused::Socket { path: path.to_owned() })
        }
    }

    /// The allowed addresses of a host, which may be an address itself.
    ///
    /// # Errors
    /// [`NotResolved`] or [`Refused`].
    pub(super) async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| NotResolved(Some(error)))?;
        let found: Vec<SocketAddr> = found.collect();
        let first = *found.first().ok_or(NotResolved(None))?;
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| self.allow(host, address.ip())).collect();
        if allowed.is_empty() {
            return Err(Refused::Address { host: host.to_owned(), address: first.ip() }.into());
        }
        Ok(allowed)
    }

    /// Checks every address of a host, for a program that resolves the name by itself and may take any of them.
    ///
    /// # Errors
    /// [`NotResolved`], or [`Refused`] for the first that is not allowed.
    pub(super) async fn check_all(&self, host: &str, port: u16) -> Result<(), Unreachable> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| NotResolved(Some(error)))?;
        let mut found = found.peekable();
        if found.peek().is_none() {
            return Err(NotResolved(None).into());
        }
        found.try_for_each(|address| self.check(host, address.ip())).map_err(Unreachable::from)
    }
}

/// An address is not allowed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("`{host}` is at {address}, which is {}; the target does not allow that", Class::of(*address))]
    Address { host: String, address: IpAddr },
    #[error("`{path}` is a socket of this machine, which is loopback; the target does not allow that")]
    Socket { path: String },
    #[error("the address that was connected to is not known")]
    NotKnown,
}

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("{}", Self::TEXT)]
pub(super) struct NotResolved(#[source] Option<std::io::Error>);

impl NotResolved {
    pub(super) const TEXT: &str = "the name does not resolve";
}

/// There is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(transparent)]
    NotResolved(#[from] NotResolved),
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Resolve for Rules {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.clone();
        Box::pin(async move {
            match rules.look_up(name.as_str(), 0).await {
                Ok(allowed) => Ok(Box::new(allowed.into_iter()) as Addrs),
                Err(Unreachable::NotResolved(error)) => Err(error.into()),
                Err(Unreachable::Refused(error)) => Err(error.into()),
            }
        })
    }
}
