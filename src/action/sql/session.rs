//! A session: opened from what the target says and nothing else, driven by whoever waits for it, closed with its step.

use super::tls::connector;
use super::trouble::Trouble;
use super::wire::{ANSWER, Allowance, GREETING, Wire};
use crate::action::address::{Rules, Unreachable};
use crate::action::outcome::{Refusal, known};
use crate::event::ErrorClass;
use crate::plan::PostgresTarget;
use crate::runbook::{Dsn, DsnHost, SslMode};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::error::DbError;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The longest `application_name` that PostgreSQL keeps.
const NAME: usize = 63;

/// The most notices that are kept.
const NOTICES: usize = 1000;

/// Everything needed to open a session.
pub(super) struct Doorway {
    config: Config,
    tls: MakeRustlsConnect,
    server_name: String,
    dsn: Dsn,
    rules: Rules,
    allowance: Allowance,
}

/// The one address that the session and its cancel request go to.
#[derive(Clone)]
enum Gate {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Wire>>::Stream;

/// An open session.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) line: Line,
    pub(super) cancel: Canceller,
    pub(super) allowance: Allowance,
}

/// The server's side of a session: whoever waits for an answer must listen here meanwhile.
pub(super) struct Line {
    /// Nothing once it has ended.
    connection: Option<Connection<Wire, TlsStream>>,
    /// How it ended, when it did not end well.
    pub(super) lost: Option<Error>,
    /// What the server told on the side.
    pub(super) notices: Vec<DbError>,
}

/// Tells the server to stop what a session does.
pub(super) struct Canceller {
    token: CancelToken,
    gate: Gate,
    tls: MakeRustlsConnect,
    server_name: String,
}

impl Doorway {
    /// # Errors
    /// The target's values are unknown or cannot be used.
    pub(super) fn new(target: &PostgresTarget, marker: &str) -> Result<Self, Refusal> {
        let text = known(&target.dsn, "the target's address")?;
        let dsn = Dsn::parse(&text).map_err(|problem| Refusal::value(problem.to_string()))?;
        let own = target.user.as_ref().map(|user| known(user, "`auth: {user}`")).transpose()?;
        let Some(user) = own.or_else(|| dsn.user.clone()).filter(|user| !user.is_empty()) else {
            return Err(Refusal::value("the target names no user"));
        };
        let mode = dsn.effective_sslmode();
        let mut config = Config::new();
        config.user(user).dbname(&dsn.database).application_name(application_name(marker));
        config.ssl_mode(match mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            _ => tokio_postgres::config::SslMode::Require,
        });
        if let Some(options) = &dsn.options {
            config.options(options);
        }
        if let Some(password) = &target.password {
            config.password(known(password, "`auth: {password}`")?);
        }
        let server_name = match (&target.tls.server_name, &dsn.host) {
            (Some(name), _) => known(name, "`tls: {server_name}`")?,
            (None, DsnHost::Tcp(host)) => host.clone(),
            (None, DsnHost::Socket(_)) => String::new(),
        };
        Ok(Self {
            config,
            tls: connector(mode, &target.tls)?,
            server_name,
            dsn,
            rules: Rules::new(&target.allow),
            allowance: Allowance::new(GREETING),
        })
    }

    /// Where it leads to, for messages.
    pub(super) fn place(&self) -> String {
        self.dsn.place()
    }

    /// Connects and logs in.
    pub(super) async fn open(&self) -> Result<Session, Trouble> {
        let (wire, gate) = self.connect().await?;
        let tls = self.handshake(&self.tls);
        let opened = self.config.connect_raw(wire, tls).await;
        let (client, connection) = opened.map_err(|error| Trouble::of_login(&error, &self.place()))?;
        self.allowance.renew(ANSWER);
        let token = client.cancel_token();
        Ok(Session {
            client,
            line: Line { connection: Some(connection), lost: None, notices: Vec::new() },
            cancel: Canceller { token, gate, tls: self.tls.clone(), server_name: self.server_name.clone() },
            allowance: self.allowance.clone(),
        })
    }

    fn handshake(&self, tls: &MakeRustlsConnect) -> <MakeRustlsConnect as MakeTlsConnect<Wire>>::TlsConnect {
        handshake(tls, &self.server_name)
    }

    async fn connect(&self) -> Result<(Wire, Gate), Trouble> {
        let refused = |class, message: String| Trouble::before(class, message);
        let host = match &self.dsn.host {
            DsnHost::Tcp(host) => host,
            DsnHost::Socket(folder) => {
                self.rules.check_socket(folder).map_err(|error| refused(ErrorClass::Address, error.to_string()))?;
                let path = PathBuf::from(folder).join(format!(".s.PGSQL.{}", self.dsn.port));
                let wire = UnixStream::connect(&path).await;
                let wire = wire.map_err(|error| Trouble::of_connect(&error, &path.display().to_string()))?;
                return Ok((Wire::unix(wire, self.allowance.clone()), Gate::Unix(path)));
            }
        };
        let addresses = self.rules.look_up(host, self.dsn.port).await.map_err(|error| match error {
            Unreachable::NotResolved(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                refused(ErrorClass::Dns, format!("`{host}`: {error}{cause}"))
            }
            Unreachable::Refused(error) => refused(ErrorClass::Address, error.to_string()),
        })?;
        let mut last = None;
        for address in addresses {
            // Plain text by default is for this machine; a name that leads elsewhere does not get it.
            let is_plain = self.dsn.effective_sslmode() == SslMode::Disable;
            if self.dsn.sslmode.is_none() && is_plain && !address.ip().to_canonical().is_loopback() {
                let message = format!("`{host}` is at {}, another machine: say how `sslmode` shall be", address.ip());
                return Err(refused(ErrorClass::Address, message));
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Without it small messages wait for the other side; failing to set it only costs time.
                    stream.set_nodelay(true).ok();
                    return Ok((Wire::tcp(stream, self.allowance.clone()), Gate::Tcp(address)));
                }
                Err(error) => last = Some(Trouble::of_connect(&error, &self.place())),
            }
        }
        Err(last.unwrap_or_else(|| refused(ErrorClass::Dns, format!("`{host}` has no address"))))
    }
}

fn handshake(tls: &MakeRustlsConnect, name: &str) -> <MakeRustlsConnect as MakeTlsConnect<Wire>>::TlsConnect {
    let Ok(handshake) = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls.clone(), name);
    handshake
}

/// `runwright RUN/STEP/ATTEMPT`, as long as PostgreSQL keeps it.
fn application_name(marker: &str) -> String {
    let name = format!("runwright {marker}");
    name[..name.floor_char_boundary(NAME)].to_owned()
}

impl Canceller {
    /// Asks the server, on a connection of its own to the very same address, to stop what the session does. Nobody
    /// answers such a request.
    pub(super) async fn cancel(&self) {
        let allowance = Allowance::new(GREETING);
        let wire = match &self.gate {
            Gate::Tcp(address) => TcpStream::connect(address).await.map(|stream| Wire::tcp(stream, allowance)),
            Gate::Unix(path) => UnixStream::connect(path).await.map(|stream| Wire::unix(stream, allowance)),
        };
        if let Ok(wire) = wire {
            // A server that cannot be told ends the session by its own `statement_timeout`.
            self.token.cancel_query_raw(wire, handshake(&self.tls, &self.server_name)).await.ok();
        }
    }
}

impl Line {
    /// Takes the next message of the server that is no answer. Never returns once the session has ended.
    pub(super) async fn listen(&mut self) {
        let Some(connection) = &mut self.connection else { return std::future::pending().await };
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notice(notice))) if self.notices.len() < NOTICES => self.notices.push(notice),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.lost = Some(error);
                self.connection = None;
            }
            None => self.connection = None,
        }
    }

    /// Waits for something the server must do, so long.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>, bound: Duration) -> Option<T> {
        let late = tokio::time::sleep(bound);
        tokio::pin!(work, late);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = &mut late => return None,
                () = self.listen() => {}
            }
        }
    }

    /// Says goodbye, so that the server ends its side; the client is gone already.
    pub(super) async fn close(&mut self, bound: Duration) {
        let ended = async {
            while self.connection.is_some() {
                self.listen().await;
            }
        };
        // A server that does not take leave is left.
        tokio::time::timeout(bound, ended).await.ok();
        self.connection = None;
    }
}
