//! What the ssh client complained about, as a class and a sentence.

use super::super::outcome::Refusal;
use super::address::Address;
use crate::event::ErrorClass;

/// Why there was no connection, from what the client wrote into its log. `noise` is what the other side said instead of
/// what was expected of it.
pub(super) fn not_reached(address: &Address, log: &str, noise: &str) -> Refusal {
    let (class, why) = why(address, log, noise);
    Refusal::new(class, format!("cannot reach {address}: {why}; nothing was sent"))
}

fn why(address: &Address, log: &str, noise: &str) -> (ErrorClass, String) {
    let low = log.to_lowercase();
    let has = |words: &str| low.contains(words);
    let last = last_line(log);
    let (name, file) = (address.known_as(), address.known_hosts());
    if has("remote host identification has changed") || has("host key for") && has("has changed") {
        let why = format!(
            "its host key is not the one that {file} has for it. Somebody may be in between, or the machine was set up \
             anew: compare the keys, then remove the old one (ssh-keygen -f {file} -R '{name}')"
        );
        return (ErrorClass::Denied, why);
    }
    if has("host key is known for") || has("host key verification failed") {
        let (host, port) = (address.host(), address.port().map(|port| format!(" -p {port}")).unwrap_or_default());
        let why = format!(
            "its host key is not in {file}. Get it (ssh-keyscan{port} {host}), compare it with what the machine says of itself, and add it"
        );
        return (ErrorClass::Denied, why);
    }
    if has("permission denied (") || has("too many authentication failures") {
        let key = log.lines().find(|line| is_about_a_key(line)).map(|line| format!(" ({})", line.trim()));
        return (ErrorClass::Denied, format!("it did not let us in: {last}{}", key.unwrap_or_default()));
    }
    if has("could not resolve hostname") || has("name or service not known") {
        return (ErrorClass::Dns, last);
    }
    if has("connection refused") {
        return (ErrorClass::Refused, last);
    }
    if has("timed out") || has("not responding") {
        return (ErrorClass::Timeout, last);
    }
    if has("bad configuration option") || has("can't open user config file") || has("bad owner or permissions on") {
        return (ErrorClass::BadValue, last);
    }
    let noise = last_line(noise);
    match (last.is_empty(), noise.is_empty()) {
        (_, false) => (ErrorClass::Denied, format!("it has no POSIX shell for us; it said: {noise}")),
        (false, true) => (ErrorClass::Connection, last),
        (true, true) => (ErrorClass::Connection, "it closed the connection without a word".to_owned()),
    }
}

fn is_about_a_key(line: &str) -> bool {
    ["Load key", "not accessible", "bad permissions", "Permissions 0"].iter().any(|words| line.contains(words))
}

/// The last line that says something about the connection itself.
pub(super) fn last_line(log: &str) -> String {
    let dull = |line: &&str| {
        line.starts_with("mux_client") || line.starts_with("ControlSocket") || line.starts_with("Warning:")
    };
    let line = log.lines().map(str::trim).rfind(|line| !line.is_empty() && !dull(line));
    line.unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_have_classes() {
        let address = Address::plain("web1");
        for (log, noise, class) in [
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                "",
                ErrorClass::Denied,
            ),
            ("No ED25519 host key is known for web1 and you have requested strict checking.", "", ErrorClass::Denied),
            ("root@web1: Permission denied (publickey).", "", ErrorClass::Denied),
            ("ssh: Could not resolve hostname web1: Name or service not known", "", ErrorClass::Dns),
            ("ssh: connect to host web1 port 22: Connection refused", "", ErrorClass::Refused),
            ("ssh: connect to host web1 port 22: Connection timed out", "", ErrorClass::Timeout),
            ("Connection closed by 127.0.0.1 port 22", "", ErrorClass::Connection),
            ("", "This account is currently not available.", ErrorClass::Denied),
            ("", "", ErrorClass::Connection),
        ] {
            let refusal = not_reached(&address, log, noise);
            assert_eq!(refusal.class, class, "{log} {}", refusal.message);
        }
    }
}
