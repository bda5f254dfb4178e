//! What went wrong, read from what kubectl says on standard error.
//!
//! kubectl ends with 1 for nearly everything, so the class of an error stands in its words. They are those of client-go
//! and apimachinery: `Error from server (REASON): ..` for what the server said, `The connection to the server ..` and
//! `Unable to connect ..` for what the network did, `error: ..` for the rest.

use crate::event::ErrorClass;

/// An error with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) class: ErrorClass,
    /// kubectl's own words, on one line.
    pub(super) text: String,
    /// Whether the request may have had an effect all the same.
    pub(super) is_unclear: bool,
}

impl Trouble {
    /// The first error that is told, else the last line; `code` is the exit code.
    pub(super) fn of(stderr: &str, stdout: &str, code: i32) -> Self {
        let asks = |text: &str| text.contains("Please enter Username") || text.contains("Please enter Password");
        if asks(stdout) || asks(stderr) {
            let text = "the kubeconfig file holds no credentials for this context: kubectl asked for a user name";
            return Self { class: ErrorClass::Denied, text: text.to_owned(), is_unclear: false };
        }
        if let Some(exit) = remote_exit(stderr) {
            let words = last_line(stderr, 1).map_or_else(String::new, |line| format!(": {line}"));
            let text = format!("the command in the pod ended with exit code {exit}{words}");
            return Self { class: ErrorClass::Exit(exit), text, is_unclear: false };
        }
        let Some(text) = told(stderr) else {
            let text = last_line(stderr, 0).unwrap_or("it said nothing about it").to_owned();
            return Self { class: ErrorClass::Exit(code), text, is_unclear: false };
        };
        let class = class_of(&text).unwrap_or(ErrorClass::Exit(code));
        let is_unclear = is_unclear(&class, &text);
        Self { class, text, is_unclear }
    }
}

/// The exit code of the program in a pod: `exec` hands it on.
fn remote_exit(stderr: &str) -> Option<i32> {
    last_line(stderr, 0)?.strip_prefix("command terminated with exit code ")?.trim().parse().ok()
}

/// A line counted from the end that says something.
pub(super) fn last_line(text: &str, before: usize) -> Option<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_chatter(line)).rev().nth(before)
}

/// Warnings and the client's own log (`E1126 01:52:21.386320 6084 memcache.go:265] ..`).
fn is_chatter(line: &str) -> bool {
    let mut characters = line.chars();
    let is_log = characters.next().is_some_and(|first| "EWIF".contains(first))
        && characters.take(4).filter(char::is_ascii_digit).count() == 4
        && line.contains(".go:");
    is_log || line.starts_with("Warning:")
}

/// The first error in kubectl's own form. The points of `The X is invalid:` stand on lines of their own.
fn told(stderr: &str) -> Option<String> {
    const BEGINNINGS: [&str; 6] = [
        "Error from server",
        "error:",
        "Error:",
        "Error in configuration",
        "The connection to the server",
        "Unable to",
    ];
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !is_chatter(line)).collect();
    let is_invalid = |line: &str| line.starts_with("The ") && line.contains(" is invalid");
    let first = lines
        .iter()
        .position(|line| BEGINNINGS.iter().any(|beginning| line.starts_with(beginning)) || is_invalid(line))?;
    let points = lines[first + 1..].iter().take_while(|line| line.starts_with("* "));
    let mut text = lines[first].to_owned();
    for point in points {
        text.push(' ');
        text.push_str(point);
    }
    Some(text)
}

/// The reason in `Error from server (REASON): ..`.
fn reason(text: &str) -> Option<&str> {
    text.strip_prefix("Error from server (")?.split_once(')').map(|(reason, _)| reason)
}

fn class_of(text: &str) -> Option<ErrorClass> {
    if let Some(reason) = reason(text) {
        return class_of_reason(reason, text);
    }
    if text.ends_with("EOF") {
        return Some(ErrorClass::Connection);
    }
    let own =
        FORMS.iter().find(|(_, forms)| forms.iter().any(|form| text.contains(form))).map(|(class, _)| class.clone());
    own.or_else(|| is_about_the_call(text).then_some(ErrorClass::BadValue))
        .or_else(|| text.ends_with("not found").then_some(ErrorClass::NotFound))
}

/// Words of errors that are not the server's, with their classes. The first that fits wins: "error validating data: failed
/// to download openapi: .. connection refused" is about the connection.
const FORMS: &[(ErrorClass, &[&str])] = &[
    (ErrorClass::Refused, &["connection refused", "was refused - did you specify"]),
    (ErrorClass::Dns, &["no such host", "server misbehaving", "Temporary failure in name resolution"]),
    (ErrorClass::Tls, &["x509: ", "tls: ", "HTTP response to HTTPS client"]),
    (ErrorClass::Denied, &["must be logged in", "provide credentials", "getting credentials", "denied the request"]),
    (
        ErrorClass::Timeout,
        &["timed out waiting", "i/o timeout", "deadline exceeded", "Client.Timeout", "handshake timeout"],
    ),
    (ErrorClass::Timeout, &["UntilWithSync timeout", "request canceled while waiting"]),
    (ErrorClass::Connection, &["connection reset", "broken pipe", "GOAWAY", "connection lost", "server closed"]),
    (ErrorClass::Connection, &["no route to host", "network is unreachable", "unexpected EOF"]),
    (ErrorClass::BadAnswer, &["invalid character", "unexpected end of JSON", "proto: ", "serializer for "]),
    (ErrorClass::BadAnswer, &["an error on the server", "currently unable to handle"]),
    (ErrorClass::BadValue, &["not found for specified context", "Error in configuration", "error loading config file"]),
    (
        ErrorClass::BadValue,
        &["unknown flag", "unknown shorthand", "unknown command", "no configuration has been provided"],
    ),
    (ErrorClass::NotFound, &["have a resource type", "no matching resources", "no matches for kind"]),
    (ErrorClass::NotFound, &["could not find the requested"]),
    (ErrorClass::Invalid, &[" is invalid", "error validating", "error parsing", "error converting YAML"]),
    (ErrorClass::Conflict, &["Expected replicas to be"]),
];

/// The call itself or the kubeconfig file makes no sense: nothing was sent.
fn is_about_the_call(text: &str) -> bool {
    let no_context = text.starts_with("error: context ") && text.ends_with("does not exist");
    let no_file = text.starts_with("error: stat ") && text.ends_with("no such file or directory");
    no_context || no_file
}

/// What the reasons of the server come to. Where it could not do its work, its answer tells nothing about the object.
fn class_of_reason(reason: &str, text: &str) -> Option<ErrorClass> {
    Some(match reason {
        "NotFound" => ErrorClass::NotFound,
        "Forbidden" | "Unauthorized" => ErrorClass::Denied,
        "AlreadyExists" => ErrorClass::AlreadyExists,
        "Conflict" => ErrorClass::Conflict,
        "Invalid" | "BadRequest" | "MethodNotAllowed" | "RequestEntityTooLarge" => ErrorClass::Invalid,
        "Timeout" | "ServerTimeout" => ErrorClass::Timeout,
        // An eviction that a disruption budget forbids.
        "TooManyRequests" if text.contains("evict") => ErrorClass::Conflict,
        "TooManyRequests"
        | "InternalError"
        | "ServiceUnavailable"
        | "Gone"
        | "Expired"
        | "NotAcceptable"
        | "UnsupportedMediaType" => ErrorClass::BadAnswer,
        _ => return None,
    })
}

/// Whether the request may have had an effect: no answer, or one that does not say no (ruling 5).
fn is_unclear(class: &ErrorClass, text: &str) -> bool {
    // These come before anything is asked to change.
    let is_before = ["error validating", "unable to recognize", "dial tcp", "Unable to connect to the server: dial"];
    if is_before.iter().any(|words| text.contains(words)) {
        return false;
    }
    match class {
        // A server that could not do it has not done it, unless it only did not hear back from its store.
        ErrorClass::BadAnswer if reason(text).is_some() || text.contains("on the server") => {
            text.contains("timed out") || text.contains("timeout")
        }
        ErrorClass::Timeout | ErrorClass::Connection | ErrorClass::BadAnswer => true,
        _ => false,
    }
}
