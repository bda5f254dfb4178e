//! Where a database is: `postgres://user@host:port/database?sslmode=..`, or `host=.. user=.. dbname=..`.
//!
//! Everything comes from this text. Nothing is filled in from the environment, a password file or the name of the user
//! of the operating system, as PostgreSQL's own client library does.

use percent_encoding::percent_decode_str;

/// The port when none is given.
const PORT: u16 = 5432;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// The host.
    pub host: DsnHost,
    /// The port.
    pub port: u16,
    /// The role, when it is named here and not in `auth`.
    pub user: Option<String>,
    /// The database.
    pub database: String,
    /// How the connection is encrypted, when it says so.
    pub sslmode: Option<SslMode>,
    /// Settings for the session (`-c search_path=app`).
    pub options: Option<String>,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DsnHost {
    /// A host name or an address.
    Tcp(String),
    /// The folder of a Unix socket.
    Socket(String),
}

/// How a connection is encrypted. The modes of libpq that fall back to plain text are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text.
    Disable,
    /// Encrypted; with a `ca` its certificate is checked, otherwise anybody may answer.
    Require,
    /// Encrypted, and the certificate is signed by somebody trusted.
    VerifyCa,
    /// The same, and it is for this host.
    VerifyFull,
}

impl SslMode {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Why a text does not say where a database is: one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DsnProblem(String);

fn problem<T>(message: impl Into<String>) -> Result<T, DsnProblem> {
    Err(DsnProblem(message.into()))
}

/// Named parts of a DSN as they are found.
#[derive(Default)]
struct Found {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    database: Option<String>,
    sslmode: Option<String>,
    options: Option<String>,
}

impl Dsn {
    /// Reads either form.
    ///
    /// # Errors
    /// The first problem. A password is refused: it belongs to `auth`.
    pub fn parse(text: &str) -> Result<Self, DsnProblem> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let found = match rest {
            Some(rest) => Found::url(rest)?,
            None if text.contains('=') => Found::pairs(text)?,
            None => return problem("a database is written `postgres://user@host:port/database`"),
        };
        found.dsn()
    }

    /// `host:port/database`, as people read it.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.host {
            DsnHost::Tcp(host) if host.contains(':') => format!("[{host}]:{}/{}", self.port, self.database),
            DsnHost::Tcp(host) => format!("{host}:{}/{}", self.port, self.database),
            DsnHost::Socket(folder) => format!("{folder}:{}/{}", self.port, self.database),
        }
    }

    /// How the connection is encrypted: as it says, else not at all to this machine and fully checked to any other.
    #[must_use]
    pub fn effective_sslmode(&self) -> SslMode {
        let is_near = match &self.host {
            DsnHost::Socket(_) => true,
            DsnHost::Tcp(host) => {
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        };
        self.sslmode.unwrap_or(if is_near { SslMode::Disable } else { SslMode::VerifyFull })
    }
}

impl Found {
    fn url(rest: &str) -> Result<Self, DsnProblem> {
        let mut found = Self::default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if let Some(user) = user {
            if user.contains(':') {
                return problem(PASSWORD);
            }
            found.set("user", decoded(user)?)?;
        }
        if place.contains(',') {
            return problem("one host is wanted, not several");
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(six) => {
                let Some((host, after)) = six.split_once(']') else { return problem("`[` in the host is not closed") };
                (host, after.strip_prefix(':'))
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        if !host.is_empty() {
            found.set("host", decoded(host)?)?;
        }
        if let Some(port) = port.filter(|port| !port.is_empty()) {
            found.set("port", port.to_owned())?;
        }
        if !path.is_empty() {
            found.set("dbname", decoded(path)?)?;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            found.set(&decoded(name)?, decoded(value)?)?;
        }
        Ok(found)
    }

    /// `name=value name='va''lue'`, as libpq reads it: a backslash takes the next character as it is.
    fn pairs(text: &str) -> Result<Self, DsnProblem> {
        let mut found = Self::default();
        let mut characters = text.chars().peekable();
        loop {
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
            if characters.peek().is_none() {
                return Ok(found);
            }
            let mut name = String::new();
            while let Some(character) = characters.next_if(|c| *c != '=') {
                name.push(character);
            }
            if characters.next().is_none() {
                return problem(format!("`{}` has no `=`", name.trim()));
            }
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
            let quoted = characters.next_if_eq(&'\'').is_some();
            let mut value = String::new();
            loop {
                match characters.next() {
                    Some('\\') => value.extend(characters.next()),
                    Some('\'') if quoted => break,
                    None if quoted => return problem(format!("the quote of `{}` is not closed", name.trim())),
                    None => break,
                    Some(character) if !quoted && character.is_whitespace() => break,
                    Some(character) => value.push(character),
                }
            }
            found.set(name.trim(), value)?;
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), DsnProblem> {
        if value.contains('\0') {
            return problem(format!("`{name}` holds a NUL character"));
        }
        let slot = match name {
            "host" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "dbname" => &mut self.database,
            "sslmode" => &mut self.sslmode,
            "options" => &mut self.options,
            "password" => return problem(PASSWORD),
            "sslrootcert" | "sslcert" | "sslkey" | "sslsni" => {
                return problem(format!("`{name}` is not taken from here: use `tls: {{ca, cert, key, server_name}}`"));
            }
            "application_name" => return problem("`application_name` is set by the run: it tells whose session it is"),
            "connect_timeout" => return problem("`connect_timeout` is not taken from here: use the step's `timeout`"),
            other => {
                return problem(format!(
                    "`{other}` is not supported: host, port, user, dbname, sslmode and options are"
                ));
            }
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => problem(format!("`{name}` is given twice")),
        }
    }

    fn dsn(self) -> Result<Dsn, DsnProblem> {
        let Some(host) = self.host.filter(|host| !host.is_empty()) else { return problem("the address names no host") };
        let Some(database) = self.database.filter(|name| !name.is_empty()) else {
            return problem("the address names no database");
        };
        let port = match self.port {
            None => PORT,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return problem(format!("`{port}` is not a port")),
            },
        };
        let sslmode = match self.sslmode.as_deref() {
            None => None,
            Some("disable") => Some(SslMode::Disable),
            Some("require") => Some(SslMode::Require),
            Some("verify-ca") => Some(SslMode::VerifyCa),
            Some("verify-full") => Some(SslMode::VerifyFull),
            Some(mode @ ("allow" | "prefer")) => {
                return problem(format!(
                    "`sslmode={mode}` falls back to plain text without a word: write disable, require, verify-ca or verify-full"
                ));
            }
            Some(mode) => return problem(format!("`{mode}` is not an `sslmode`")),
        };
        let host = if host.starts_with('/') { DsnHost::Socket(host) } else { DsnHost::Tcp(host) };
        if matches!(host, DsnHost::Socket(_)) && !matches!(sslmode, None | Some(SslMode::Disable)) {
            return problem("there is no TLS on a Unix socket: leave `sslmode` out");
        }
        let user = self.user.filter(|user| !user.is_empty());
        Ok(Dsn { host, port, user, database, sslmode, options: self.options })
    }
}

const PASSWORD: &str = "it holds a password, and an address is shown and recorded: use `auth: {password: \"{{ name }}\"}` with a secret input";

fn decoded(text: &str) -> Result<String, DsnProblem> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => problem("what is percent-encoded is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str) -> DsnHost {
        DsnHost::Tcp(host.to_owned())
    }

    #[test]
    fn both_forms_say_the_same() {
        let url = Dsn::parse("postgresql://app@db.example:6432/orders?sslmode=verify-ca").expect("a DSN");
        let pairs =
            Dsn::parse("host=db.example port = 6432 user='app' dbname=orders sslmode=verify-ca").expect("a DSN");
        assert_eq!(url, pairs);
        assert_eq!(url.host, tcp("db.example"));
        assert_eq!(url.place(), "db.example:6432/orders");
        assert_eq!(Dsn::parse("user='a\\'b c' host=h dbname=d").expect("a DSN").user.as_deref(), Some("a'b c"));
    }

    #[test]
    fn hosts_have_many_forms() {
        for (text, host, port) in [
            ("postgres://h/d", tcp("h"), 5432),
            ("postgres://u@[::1]:99/d", tcp("::1"), 99),
            ("postgres://u@[::1]/d", tcp("::1"), 5432),
            ("postgres://%2Fvar%2Frun/d", DsnHost::Socket("/var/run".to_owned()), 5432),
            ("postgres:///d?host=/tmp&port=7", DsnHost::Socket("/tmp".to_owned()), 7),
        ] {
            let dsn = Dsn::parse(text).expect(text);
            assert_eq!((dsn.host, dsn.port), (host, port), "{text}");
        }
    }

    #[test]
    fn plain_text_is_for_this_machine() {
        for (text, mode) in [
            ("postgres://localhost/d", SslMode::Disable),
            ("postgres://127.0.0.1/d", SslMode::Disable),
            ("postgres:///d?host=/tmp", SslMode::Disable),
            ("postgres://db/d", SslMode::VerifyFull),
            ("postgres://10.0.0.1/d", SslMode::VerifyFull),
            ("postgres://db/d?sslmode=disable", SslMode::Disable),
            ("postgres://localhost/d?sslmode=require", SslMode::Require),
        ] {
            assert_eq!(Dsn::parse(text).expect(text).effective_sslmode(), mode, "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_unsafe_is_refused() {
        for (text, words) in [
            ("postgres://u:secret@h/d", "password"),
            ("postgres://u:@h/d", "password"),
            ("host=h dbname=d password=x", "password"),
            ("postgres://u@h/d?password=x", "password"),
            ("postgres://u@/d", "no host"),
            ("postgres://u@h", "no database"),
            ("postgres://u@h/", "no database"),
            ("postgres://u@a,b/d", "one host"),
            ("postgres://h:x/d", "not a port"),
            ("postgres://h:0/d", "not a port"),
            ("postgres://h/d?sslmode=prefer", "falls back"),
            ("postgres://h/d?sslmode=maybe", "not an `sslmode`"),
            ("postgres://h/d?host=x", "twice"),
            ("postgres://h/d?service=x", "`service` is not supported"),
            ("postgres://h/d?sslrootcert=x", "tls"),
            ("postgres://%ff/d", "UTF-8"),
            ("postgres://h/a%00b", "NUL"),
            ("host='h dbname=d", "not closed"),
            ("host=h d", "no `=`"),
            ("mysql://h/d", "postgres://"),
            ("postgres:///d?host=/tmp&sslmode=require", "Unix socket"),
        ] {
            let found = Dsn::parse(text).expect_err(text).to_string();
            assert!(found.contains(words), "{text}: {found}");
        }
    }
}
