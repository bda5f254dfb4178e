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
        return class_of_reason(reason);
    }
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // What comes first wins: "failed to download openapi: .. connection refused" is about the connection.
    Some(if has(&["connection refused", "was refused - did you specify"]) {
        ErrorClass::Refused
    } else if has(&["no such host", "server misbehaving", "Temporary failure in name resolution"]) {
        ErrorClass::Dns
    } else if has(&["x509: ", "tls: ", "HTTP response to HTTPS client"]) {
        ErrorClass::Tls
    } else if has(&["must be logged in", "provide credentials", "getting credentials", "denied the request"]) {
        ErrorClass::Denied
    } else if has(&["timed out waiting", "i/o timeout", "deadline exceeded", "Client.Timeout", "handshake timeout"])
        || has(&["UntilWithSync timeout", "request canceled while waiting"])
    {
        ErrorClass::Timeout
    } else if text.ends_with("EOF")
        || has(&["connection reset", "broken pipe", "GOAWAY", "connection lost"])
        || has(&["no route to host", "network is unreachable", "server closed"])
    {
        ErrorClass::Connection
    } else if has(&["invalid character", "unexpected end of JSON", "proto: ", "serializer for "]) {
        ErrorClass::BadAnswer
    } else if is_about_the_call(text) {
        ErrorClass::BadValue
    } else if has(&[
        "have a resource type",
        "no matching resources",
        "no matches for kind",
        "could not find the requested",
    ]) || text.ends_with("not found")
    {
        ErrorClass::NotFound
    } else if has(&[" is invalid", "error validating", "error parsing", "error converting YAML"]) {
        ErrorClass::Invalid
    } else if text.contains("Expected replicas to be") {
        ErrorClass::Conflict
    } else if has(&["an error on the server", "currently unable to handle"]) {
        ErrorClass::Status(500)
    } else {
        return None;
    })
}

/// The call itself or the kubeconfig file makes no sense: nothing was sent.
fn is_about_the_call(text: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let context = text.contains("context") && has(&["not found for specified context", "does not exist"]);
    let usage = has(&["unknown flag", "unknown shorthand", "unknown command", "invalid argument", "is required"]);
    context
        || usage
        || has(&["Error in configuration", "error loading config file", "no configuration has been provided"])
}

/// Reasons of the server that say more than its status.
fn class_of_reason(reason: &str) -> Option<ErrorClass> {
    Some(match reason {
        "NotFound" => ErrorClass::NotFound,
        "Forbidden" | "Unauthorized" => ErrorClass::Denied,
        "AlreadyExists" => ErrorClass::AlreadyExists,
        "Conflict" => ErrorClass::Conflict,
        "Invalid" | "BadRequest" => ErrorClass::Invalid,
        "Timeout" | "ServerTimeout" => ErrorClass::Timeout,
        "MethodNotAllowed" => ErrorClass::Status(405),
        "NotAcceptable" => ErrorClass::Status(406),
        "Gone" | "Expired" => ErrorClass::Status(410),
        "RequestEntityTooLarge" => ErrorClass::Status(413),
        "UnsupportedMediaType" => ErrorClass::Status(415),
        "TooManyRequests" => ErrorClass::Status(429),
        "InternalError" => ErrorClass::Status(500),
        "ServiceUnavailable" => ErrorClass::Status(503),
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
        ErrorClass::Timeout | ErrorClass::Connection | ErrorClass::BadAnswer => true,
        ErrorClass::Status(500 | 503) => text.contains("timed out") || text.contains("timeout"),
        _ => false,
    }
}
