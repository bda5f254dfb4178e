//! What a request asks for: its path, its query, its body.

use super::kind::{Kind, Kinds};
use super::selector::Selector;
use super::status::Failure;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

/// A request, read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: Query,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Request {
    /// From the parts of an HTTP request.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Vec<u8>) -> Self {
        let query = Query::parse(uri.query().unwrap_or_default());
        Self { method, path: uri.path().to_owned(), query, headers, body }
    }

    /// One header field, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON or YAML; nothing for an empty one.
    pub fn document(&self) -> Result<Value, Failure> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        if self.header("content-type").contains("yaml") {
            return serde_yaml::from_slice(&self.body)
                .map_err(|why| Failure::bad(format!("the body is not YAML: {why}")));
        }
        if self.header("content-type").contains("protobuf") {
            return super::wire::decode(&self.body);
        }
        serde_json::from_slice(&self.body).map_err(|why| Failure::bad(format!("the body is not JSON: {why}")))
    }

    /// Whether the answer is wanted as a table.
    pub fn wants_table(&self) -> bool {
        self.header("accept").contains("as=Table")
    }
}

/// The query of a request.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// From the text after the question mark.
    pub fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// One value, empty when it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether a switch is on.
    pub fn on(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }

    /// The selectors.
    pub fn selector(&self) -> Result<Selector, Failure> {
        Selector::parse(self.get("labelSelector"), self.get("fieldSelector"))
    }

    /// All pairs.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// The place that a resource path names. Whether there is such a kind is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind's name in paths.
    pub plural: String,
    /// Empty for all namespaces, and for what has none.
    pub namespace: String,
    /// Empty for the collection.
    pub name: String,
    /// As `scale`; empty for the object itself.
    pub subresource: String,
}

impl Place {
    /// From `/api/v1/...` or `/apis/GROUP/VERSION/...`; nothing for another path.
    pub fn parse(path: &str) -> Option<Self> {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts[..] {
            ["api", version, ref rest @ ..] => ("", version, rest),
            ["apis", group, version, ref rest @ ..] => (group, version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] | [] | [_] | ["namespaces", _] => ("", rest),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |place: usize| rest.get(place).copied().unwrap_or_default().to_owned();
        let place = Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            plural: part(0),
            name: part(1),
            subresource: rest.get(2..).unwrap_or_default().join("/"),
        };
        (!place.plural.is_empty()).then_some(place)
    }

    /// Its kind.
    pub fn kind<'a>(&self, kinds: &'a Kinds) -> Result<&'a Kind, Failure> {
        let kind = kinds.find(&self.group, &self.version, &self.plural).ok_or_else(Failure::no_path)?;
        let is_there = self.subresource.is_empty() || kind.has(&self.subresource);
        if is_there { Ok(kind) } else { Err(Failure::no_path()) }
    }

    /// The verb of access control that a method on this place is.
    pub fn verb(&self, method: &Method, query: &Query) -> &'static str {
        match (method.as_str(), self.name.is_empty()) {
            ("GET" | "HEAD", _) if query.on("watch") => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "",
        }
    }
}

/// How a change is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Says what would come of it, and changes nothing.
    pub dry_run: bool,
    /// Who the changed fields belong to from now on.
    pub manager: String,
    /// Takes fields from other managers.
    pub force: bool,
    /// Refuses fields that the kind does not know.
    pub strict: bool,
}

impl Options {
    /// From the query, and from the body of a deletion.
    pub fn of(request: &Request, body: &Value) -> Self {
        let agent = request.header("user-agent").split(['/', ' ']).next().unwrap_or_default();
        let manager = match request.query.get("fieldManager") {
            "" if agent.is_empty() => "unknown",
            "" => agent,
            given => given,
        };
        Self {
            dry_run: request.query.get("dryRun") == "All" || body.get("dryRun") == Some(&json!(["All"])),
            manager: manager.to_owned(),
            force: request.query.on("force"),
            strict: request.query.get("fieldValidation") == "Strict",
        }
    }
}
