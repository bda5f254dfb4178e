//! What the API answers when it does not do what was asked: a `Status`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal, in the form of Kubernetes.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, as `NotFound`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// What it is about.
    pub details: Value,
}

impl Failure {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    /// The request makes no sense.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// There is no such object. `resource` is `plural` or `plural.group`.
    pub fn not_found(resource: &str, name: &str) -> Self {
        let details = about(resource, name);
        Self { details, ..Self::new(404, "NotFound", format!("{resource} \"{name}\" not found")) }
    }

    /// There is no such path.
    pub fn no_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// The name is taken.
    pub fn exists(resource: &str, name: &str) -> Self {
        let details = about(resource, name);
        Self { details, ..Self::new(409, "AlreadyExists", format!("{resource} \"{name}\" already exists")) }
    }

    /// The object has changed since it was read.
    pub fn conflict(resource: &str, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {resource} \"{name}\": the object has been modified; please apply your \
             changes to the latest version and try again"
        );
        Self { details: about(resource, name), ..Self::new(409, "Conflict", message) }
    }

    /// The object breaks rules; each is a field and a sentence.
    pub fn invalid(kind: &str, name: &str, causes: &[(String, String)]) -> Self {
        let said: Vec<String> = causes.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let said = if said.len() == 1 { said.concat() } else { format!("[{}]", said.join(", ")) };
        let causes: Vec<Value> = causes
            .iter()
            .map(|(field, why)| json!({ "reason": "FieldValueInvalid", "message": why, "field": field }))
            .collect();
        let details = json!({ "name": name, "kind": kind, "causes": causes });
        Self { details, ..Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {said}")) }
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        })
    }
}

fn about(resource: &str, name: &str) -> Value {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    json!({ "name": name, "group": group, "kind": plural })
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.status())).into_response()
    }
}
