use super::own_bound;
use super::trouble::Trouble;
use crate::event::ErrorClass;
use std::time::Duration;

fn class(stderr: &str) -> ErrorClass {
    Trouble::of(stderr, "", 1).class
}

/// The texts were seen from kubectl 1.31 to 1.33, or stand in client-go and apimachinery.
#[test]
fn every_way_of_saying_no_has_its_class() {
    let rows = [
        (r#"Error from server (NotFound): pods "x" not found"#, ErrorClass::NotFound),
        (r#"error: the server doesn't have a resource type "frobs""#, ErrorClass::NotFound),
        ("error: no matching resources found", ErrorClass::NotFound),
        (
            r#"error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for kind "F" in version "g/v1""#,
            ErrorClass::NotFound,
        ),
        (r#"Error from server (Forbidden): pods is forbidden: User "u" cannot list resource"#, ErrorClass::Denied),
        ("error: You must be logged in to the server (Unauthorized)", ErrorClass::Denied),
        (r#"Error from server: admission webhook "w" denied the request: no"#, ErrorClass::Denied),
        ("Unable to connect to the server: getting credentials: exec: executable x not found", ErrorClass::Denied),
        (r#"Error from server (AlreadyExists): namespaces "x" already exists"#, ErrorClass::AlreadyExists),
        ("Error from server (Conflict): Operation cannot be fulfilled on x", ErrorClass::Conflict),
        ("error: Expected replicas to be 2, was 3", ErrorClass::Conflict),
        ("The Deployment \"x\" is invalid: \n* spec.a: Invalid value\n* spec.b: Required", ErrorClass::Invalid),
        (r#"Error from server (BadRequest): unknown field "spec.frob""#, ErrorClass::Invalid),
        (r#"error: error validating "STDIN": error validating data: kind not set"#, ErrorClass::Invalid),
        (
            "The connection to the server 127.0.0.1:9 was refused - did you specify the right host or port?",
            ErrorClass::Refused,
        ),
        (
            r#"error: unable to recognize "STDIN": Get "http://127.0.0.1:9/api": dial tcp 127.0.0.1:9: connect: connection refused"#,
            ErrorClass::Refused,
        ),
        ("Unable to connect to the server: dial tcp: lookup h: no such host", ErrorClass::Dns),
        (
            "Unable to connect to the server: tls: failed to verify certificate: x509: unknown authority",
            ErrorClass::Tls,
        ),
        ("Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", ErrorClass::Timeout),
        ("error: timed out waiting for the condition", ErrorClass::Timeout),
        ("Error from server (Timeout): the server was unable to return a response in time", ErrorClass::Timeout),
        ("Unable to connect to the server: EOF", ErrorClass::Connection),
        (
            "error: unexpected error when reading response body. Please retry. Original error: unexpected EOF",
            ErrorClass::Connection,
        ),
        ("error: invalid character '<' looking for beginning of value", ErrorClass::BadAnswer),
        ("error: unexpected end of JSON input", ErrorClass::BadAnswer),
        ("Error in configuration: context was not found for specified context: nope", ErrorClass::BadValue),
        (r#"error: context "nope" does not exist"#, ErrorClass::BadValue),
        ("error: unknown flag: --frob", ErrorClass::BadValue),
        ("error: stat /nowhere/config: no such file or directory", ErrorClass::BadValue),
        ("Error from server (InternalError): an error on the server", ErrorClass::BadAnswer),
        ("Error from server (TooManyRequests): Cannot evict pod", ErrorClass::Conflict),
        (r#"error: deployment "x" exceeded its progress deadline"#, ErrorClass::Exit(1)),
        ("", ErrorClass::Exit(1)),
    ];
    for (stderr, wanted) in rows {
        assert_eq!(class(stderr), wanted, "{stderr}");
    }
}

#[test]
fn the_clients_own_log_and_its_warnings_are_not_the_error() {
    let stderr = "E1126 01:52:41.566 6084 memcache.go:265] \"Unhandled Error\" err=\"connection refused\"\n\
        Warning: the server doesn't have a resource type 'pods'\n\n\
        Error from server (InternalError): etcdserver: request timed out\n";
    let trouble = Trouble::of(stderr, "", 1);
    assert_eq!(trouble.class, ErrorClass::BadAnswer);
    assert_eq!(trouble.text, "Error from server (InternalError): etcdserver: request timed out");
    // An answer that may hide an effect.
    assert!(trouble.is_unclear);
}

#[test]
fn the_points_of_an_invalid_object_stand_in_the_message() {
    let trouble =
        Trouble::of("The Deployment \"x\" is invalid: \n* spec.a: Invalid value\n* spec.b: Required\n", "", 1);
    assert_eq!(trouble.text, "The Deployment \"x\" is invalid: * spec.a: Invalid value * spec.b: Required");
}

#[test]
fn a_program_in_a_pod_has_the_word_about_its_own_end() {
    let stderr =
        "Error from server (NotFound): pods \"x\" not found\nno such table\ncommand terminated with exit code 3\n";
    let trouble = Trouble::of(stderr, "", 3);
    assert_eq!(trouble.class, ErrorClass::Exit(3));
    assert_eq!(trouble.text, "the command in the pod ended with exit code 3: no such table");
    assert_eq!(class("Error from server (NotFound): pods \"x\" not found\n"), ErrorClass::NotFound);
}

#[test]
fn missing_credentials_are_named() {
    let trouble = Trouble::of("error: EOF\n", "Please enter Username: ", 1);
    assert_eq!(trouble.class, ErrorClass::Denied);
    assert!(trouble.text.contains("no credentials"), "{}", trouble.text);
}

#[test]
fn only_what_was_asked_of_the_server_can_have_had_an_effect() {
    let unclear = |stderr: &str| Trouble::of(stderr, "", 1).is_unclear;
    assert!(unclear("Unable to connect to the server: EOF"));
    assert!(unclear("error: timed out waiting for the condition on pods/x"));
    assert!(!unclear("Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout"));
    assert!(!unclear("The connection to the server h was refused - did you specify the right host or port?"));
    assert!(!unclear("Error from server (Forbidden): no"));
    assert!(!unclear("Error from server (InternalError): Internal error occurred: failed calling webhook"));
}

#[test]
fn kubectl_ends_a_bit_before_its_step() {
    assert_eq!(own_bound(Duration::from_mins(5)), Duration::from_secs(295));
    assert_eq!(own_bound(Duration::from_secs(4)), Duration::from_secs(3));
    assert!(own_bound(Duration::from_millis(1)) >= Duration::from_millis(1));
}
