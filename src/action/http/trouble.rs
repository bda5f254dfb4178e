//! Why an exchange broke: the class, read from the chain of causes, and whether something was sent.

use crate::action::address::{NotResolved, Refused};
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use std::error::Error;
use std::io;

/// Why an exchange broke.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) class: ErrorClass,
    /// One line; may still hold secrets.
    pub(super) message: String,
    /// Whether something may have been sent. If so, nobody knows what a change has done.
    pub(super) sent: bool,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self { class: refusal.class, message: refusal.message, sent: false }
    }
}

impl Trouble {
    /// An address that is not allowed; `sent` when it was found out only after the connection was made.
    pub(super) fn address(refused: &Refused, sent: bool) -> Self {
        Self { class: ErrorClass::Address, message: refused.to_string(), sent }
    }

    /// Reads an error of the client.
    pub(super) fn of(error: &reqwest::Error, host: &str) -> Self {
        let sent = !(error.is_connect() || error.is_builder());
        let mut reading = Reading::default();
        reading.follow(error);
        let found = reading.class.or_else(|| error.is_timeout().then_some(ErrorClass::Timeout));
        let class = found.unwrap_or(if error.is_builder() {
            ErrorClass::BadValue
        } else if error.is_decode() || error.is_redirect() {
            ErrorClass::BadAnswer
        } else {
            ErrorClass::Connection
        });
        // What broke before the request was sent is no answer.
        let class = if class == ErrorClass::BadAnswer && !sent { ErrorClass::Connection } else { class };
        let why = reading.deepest;
        let message = match class {
            ErrorClass::Address => why,
            ErrorClass::Dns => format!("`{host}`: {why}"),
            ErrorClass::Refused => format!("`{host}` refused the connection"),
            ErrorClass::Tls => format!("no trusted connection to `{host}`: {why}"),
            ErrorClass::Timeout if !sent => format!("no connection to `{host}` in time"),
            ErrorClass::BadAnswer => format!("the answer of `{host}` cannot be used: {why}"),
            _ if sent => format!("the connection to `{host}` broke: {why}"),
            _ => format!("no connection to `{host}`: {why}"),
        };
        Self { class, message, sent }
    }
}

/// What a chain of causes says.
#[derive(Default)]
struct Reading {
    class: Option<ErrorClass>,
    deepest: String,
}

impl Reading {
    fn follow(&mut self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(inside) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                // The chain of such an error leaves out what is inside.
                self.note(error);
                return self.follow(inside);
            }
            self.note(error);
            next = error.source();
        }
    }

    /// The first cause that names a class decides; the deepest one words it.
    fn note(&mut self, error: &(dyn Error + 'static)) {
        if self.class.is_none() {
            self.class = class_of(error);
        }
        self.deepest = if self.class == Some(ErrorClass::Dns) && !error.is::<NotResolved>() {
            format!("{}: {error}", NotResolved::TEXT)
        } else {
            error.to_string()
        };
    }
}

fn class_of(error: &(dyn Error + 'static)) -> Option<ErrorClass> {
    if error.is::<Refused>() {
        Some(ErrorClass::Address)
    } else if error.is::<NotResolved>() {
        Some(ErrorClass::Dns)
    } else if error.is::<rustls::Error>() {
        Some(ErrorClass::Tls)
    } else if let Some(http) = error.downcast_ref::<hyper::Error>() {
        // Half an answer, or something that is not HTTP.
        (http.is_parse() || http.is_incomplete_message()).then_some(ErrorClass::BadAnswer)
    } else {
        match error.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => Some(ErrorClass::Refused),
            io::ErrorKind::TimedOut => Some(ErrorClass::Timeout),
            io::ErrorKind::UnexpectedEof => Some(ErrorClass::BadAnswer),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable => Some(ErrorClass::Connection),
            _ => None,
        }
    }
}
