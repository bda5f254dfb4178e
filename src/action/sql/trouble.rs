//! What went wrong: the class, a line that says where, and whether the server said so.

use super::wire::Flood;
use crate::event::ErrorClass;
use crate::plan::{SqlPlace, SqlStatement};
use crate::runbook::sqlstate_class;
use std::error::Error as Cause;
use std::fmt::Write as _;
use std::io;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, ErrorPosition, Severity};

/// Why a session or a statement failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) class: ErrorClass,
    /// One line; may still hold secrets.
    pub(super) message: String,
    /// Whether the server refused and goes on: then nothing of the statement stands.
    pub(super) is_answer: bool,
    /// The whole of what the server said, with the line of the runbook.
    pub(super) account: Option<String>,
}

impl Trouble {
    /// Something that happened before anything was sent.
    pub(super) fn before(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), is_answer: true, account: None }
    }

    /// Something of our own: an answer that is too large.
    pub(super) fn bad_answer(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::BadAnswer, message: message.into(), is_answer: false, account: None }
    }

    /// No connection.
    pub(super) fn of_connect(error: &io::Error, place: &str) -> Self {
        let class = class_of_io(error).unwrap_or(ErrorClass::Connection);
        let message = match class {
            ErrorClass::Refused => format!("`{place}` refused the connection"),
            _ => format!("no connection to `{place}`: {error}"),
        };
        Self::before(class, message)
    }

    /// A session that could not be opened.
    pub(super) fn of_login(error: &Error, place: &str) -> Self {
        if let Some(said) = error.as_db_error() {
            let told = Self::said(said, None);
            let message = format!("`{place}` gives no session: {}", told.message);
            return Self { is_answer: true, message, ..told };
        }
        let causes = Causes::of(error);
        let class = match error.to_string().as_str() {
            "authentication error" | "invalid configuration" => ErrorClass::Denied,
            "error performing TLS handshake" => ErrorClass::Tls,
            _ => causes.class.unwrap_or(ErrorClass::Connection),
        };
        let message = match class {
            ErrorClass::Denied if causes.deepest == "password missing" => {
                format!("`{place}` wants a password: give it as `auth: {{password: ..}}` with a secret input")
            }
            ErrorClass::Denied => format!("`{place}` and we do not agree who we are: {}", causes.deepest),
            ErrorClass::Tls if causes.deepest == "server does not support TLS" => {
                format!("`{place}` does not speak TLS, and `sslmode` wants it")
            }
            ErrorClass::Tls => format!("no trusted connection to `{place}`: {}", causes.deepest),
            ErrorClass::BadAnswer => format!("`{place}` does not answer like PostgreSQL: {}", causes.deepest),
            _ => format!("no session at `{place}`: {}", causes.deepest),
        };
        Self::before(class, message)
    }

    /// A statement that failed, or the connection under it; `lost` is how the connection ended.
    pub(super) fn of_statement(error: &Error, lost: Option<&Error>, sent: Option<&Sent<'_>>) -> Self {
        // What ended the connection says more than that it is closed.
        let error = if error.is_closed() { lost.unwrap_or(error) } else { error };
        if let Some(said) = error.as_db_error() {
            return Self::said(said, sent);
        }
        let causes = Causes::of(error);
        let class = causes.class.unwrap_or(ErrorClass::Connection);
        let message = match class {
            ErrorClass::BadAnswer => format!("the answer of the server cannot be used: {}", causes.deepest),
            ErrorClass::BadValue => format!("a value cannot be sent: {}", causes.deepest),
            _ => format!("the connection broke: {}", causes.deepest),
        };
        Self { is_answer: class == ErrorClass::BadValue, class, message, account: None }
    }

    fn said(said: &DbError, sent: Option<&Sent<'_>>) -> Self {
        let code = said.code().code();
        let class = if code.starts_with("28") { ErrorClass::Denied } else { ErrorClass::Sql(sqlstate_class(code)) };
        let place = sent.and_then(|sent| sent.place(said));
        let mut message = said.message().to_owned();
        if let Some(place) = &place {
            // Writing to a String cannot fail.
            write!(message, ", at line {}, column {}", place.line, place.column).ok();
        }
        if let Some(detail) = said.detail() {
            write!(message, " ({detail})").ok();
        }
        let own = match code {
            "25006" => Some("this step only reads: a change is a `remediate` step"),
            "42601" if sent.is_some_and(|sent| sent.is_at_parameter(said)) => {
                Some("a value can stand in select, insert, update, delete, merge and values only")
            }
            _ => None,
        };
        if let Some(hint) = own.or(said.hint()) {
            write!(message, "; hint: {hint}").ok();
        }
        let goes_on = matches!(said.parsed_severity(), Some(Severity::Error));
        Self { class, message, is_answer: goes_on, account: Some(account(said, place.as_ref())) }
    }

    /// Whether the server stopped because it was told to.
    pub(super) fn is_stop(&self) -> bool {
        matches!(&self.class, ErrorClass::Sql(name) if name == "query_canceled")
    }

    /// Says of which statement this is.
    pub(super) fn of(mut self, number: usize, count: usize) -> Self {
        if count > 1 {
            self.message = format!("statement {number} of {count}: {}", self.message);
        }
        self
    }
}

/// The text that was sent, with the bytes put before it by us.
pub(super) struct Sent<'s> {
    pub(super) text: &'s str,
    pub(super) before: usize,
    pub(super) statement: &'s SqlStatement,
}

impl Sent<'_> {
    /// The byte that the server means.
    fn offset(&self, said: &DbError) -> Option<usize> {
        let Some(ErrorPosition::Original(position)) = said.position() else { return None };
        let character = usize::try_from(*position).ok()?.checked_sub(1)?;
        let (offset, _) = self.text.char_indices().nth(character)?;
        offset.checked_sub(self.before)
    }

    fn place(&self, said: &DbError) -> Option<SqlPlace> {
        self.statement.places.at(self.offset(said)?)
    }

    fn is_at_parameter(&self, said: &DbError) -> bool {
        let rest = self.offset(said).and_then(|offset| self.text.get(self.before + offset..));
        rest.is_some_and(|rest| {
            rest.strip_prefix('$').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }
}

/// Everything that the server said, for the evidence.
fn account(said: &DbError, place: Option<&SqlPlace>) -> String {
    let mut text = format!("{}: {} (SQLSTATE {})\n", said.severity(), said.message(), said.code().code());
    let more = [("detail", said.detail()), ("hint", said.hint()), ("context", said.where_())];
    let names = [("table", said.table()), ("column", said.column()), ("constraint", said.constraint())];
    for (name, value) in more.into_iter().chain(names) {
        if let Some(value) = value {
            writeln!(text, "{name}: {value}").ok();
        }
    }
    if let Some(place) = place {
        let caret = " ".repeat(place.column.saturating_sub(1));
        writeln!(text, "line {}:\n{}\n{caret}^", place.line, place.text).ok();
    }
    text
}

/// What a chain of causes says.
struct Causes {
    class: Option<ErrorClass>,
    deepest: String,
}

impl Causes {
    fn of(error: &Error) -> Self {
        let own = match error.to_string().as_str() {
            "unexpected message from server" | "error parsing response from server" => Some(ErrorClass::BadAnswer),
            text if text.starts_with("error serializing") || text.starts_with("error encoding") => {
                Some(ErrorClass::BadValue)
            }
            text if text.starts_with("expected ") => Some(ErrorClass::BadValue),
            _ => None,
        };
        let mut causes = Self { class: own, deepest: error.to_string() };
        let mut next = error.source();
        while let Some(cause) = next {
            causes.deepest = cause.to_string();
            let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            causes.class = causes.class.or_else(|| class_of(cause));
            // The chain of such an error leaves out what is inside.
            next = inside.map(|inside| inside as &(dyn Cause + 'static)).or_else(|| cause.source());
        }
        causes
    }
}

fn class_of(cause: &(dyn Cause + 'static)) -> Option<ErrorClass> {
    if cause.is::<Flood>() {
        Some(ErrorClass::BadAnswer)
    } else if cause.is::<rustls::Error>() {
        Some(ErrorClass::Tls)
    } else {
        class_of_io(cause.downcast_ref::<io::Error>()?)
    }
}

fn class_of_io(error: &io::Error) -> Option<ErrorClass> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorClass::Refused,
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        io::ErrorKind::TimedOut => ErrorClass::Timeout,
        // A length or a text that no server of this protocol sends.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ErrorClass::BadAnswer,
        io::ErrorKind::Other => return None,
        _ => ErrorClass::Connection,
    })
}
