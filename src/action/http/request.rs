//! From an act to a request: every value final, and none of them able to change where it goes.

use crate::action::json::with_secrets;
use crate::action::outcome::{Refusal, bytes, known};
use crate::expr::Rendered;
use crate::plan::{HttpAct, RequestBody, TargetAct};
use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response};
use url::Url;

/// The longest address. The library beneath takes 65,534 bytes; most servers take 8 KiB.
const LONGEST_URL: usize = 60 << 10;

/// Set by the connection itself; a header of this name could split the request.
const REFUSED: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// A request ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Request {
    /// # Errors
    /// A value is unknown or refused.
    pub(super) fn new(act: &HttpAct) -> Result<Self, Refusal> {
        let method = Method::from_bytes(act.method.as_str().as_bytes())
            .map_err(|_| Refusal::value("the method is not one of HTTP"))?;
        let (body, kind) = body(&act.body)?;
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        add_headers(&mut headers, &act.target.headers)?;
        if let Some(authorization) = authorization(&act.target)? {
            headers.insert(AUTHORIZATION, authorization);
        }
        add_headers(&mut headers, &act.headers)?;
        Ok(Self { url: url(act)?, method, headers, body })
    }

    /// The same request to another address of the target.
    ///
    /// # Errors
    /// The address is too long.
    pub(super) fn at(self, url: Url) -> Result<Self, Refusal> {
        Ok(Self { url: sendable(url)?, ..self })
    }

    pub(super) async fn send(self, client: &Client) -> reqwest::Result<Response> {
        let mut request = client.request(self.method, self.url).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        request.send().await
    }
}

/// The base with the path and the query added; never another scheme, host or port.
fn url(act: &HttpAct) -> Result<Url, Refusal> {
    let base = base(&act.target)?;
    let path = known(&act.path, "the path")?;
    check_path(&path)?;
    let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    if !act.query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in &act.query {
            pairs.append_pair(name, &known(value, &format!("`{name}` in `query`"))?);
        }
    }
    let same = url.scheme() == base.scheme() && url.host() == base.host() && url.port() == base.port();
    if same && url.username().is_empty() {
        sendable(url)
    } else {
        Err(Refusal::value("the path leads away from the target"))
    }
}

/// Refuses an address that the HTTP library would not take.
fn sendable(url: Url) -> Result<Url, Refusal> {
    let length = url.as_str().len();
    if length > LONGEST_URL {
        return Err(Refusal::value(format!(
            "the address is {} long, and no more than {} can be sent: put long values into the body",
            bytes(length as u64),
            bytes(LONGEST_URL as u64)
        )));
    }
    Ok(url)
}

fn base(target: &TargetAct) -> Result<Url, Refusal> {
    let text = known(&target.base, "the target's URL")?;
    let base =
        Url::parse(&text).map_err(|error| Refusal::value(format!("the target's URL cannot be used: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(Refusal::value("the target's URL does not begin with `http://` or `https://` and a host"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(Refusal::value("the target's URL holds a user or a password: use `auth`"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(Refusal::value("the target's URL ends with `?` or `#`: give the query in the step"));
    }
    Ok(base)
}

fn check_path(path: &str) -> Result<(), Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::value("the path does not begin with `/`"));
    }
    if path.contains(|character: char| character.is_control() || matches!(character, '#' | '\\')) {
        return Err(Refusal::value("the path holds `#`, `\\` or a control character"));
    }
    let only_path = path.split('?').next().unwrap_or_default();
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if only_path.split('/').any(dots) {
        return Err(Refusal::value("the path holds a segment `.` or `..`"));
    }
    Ok(())
}

fn add_headers(headers: &mut HeaderMap, given: &indexmap::IndexMap<String, Rendered>) -> Result<(), Refusal> {
    for (name, value) in given {
        if REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Refusal::value(format!("the header `{name}` is set by the connection itself")));
        }
        let value_text = known(value, &format!("the header `{name}`"))?;
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Refusal::value(format!("`{name}` is not a name a header can have")))?;
        headers.insert(parsed, header_value(&value_text, name, value.has_secret())?);
    }
    Ok(())
}

fn header_value(text: &str, name: &str, secret: bool) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        Refusal::value(format!("the value of the header `{name}` holds a line break or another control character"))
    })?;
    value.set_sensitive(secret);
    Ok(value)
}

fn authorization(target: &TargetAct) -> Result<Option<HeaderValue>, Refusal> {
    let text = match (&target.bearer, &target.basic) {
        (Some(token), _) => format!("Bearer {}", known(token, "the bearer token")?),
        (None, Some((user, password))) => {
            let user = known(user, "the user")?;
            if user.contains(':') {
                return Err(Refusal::value("a user for basic authentication cannot hold `:`"));
            }
            let pair = format!("{user}:{}", known(password, "the password")?);
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        (None, None) => return Ok(None),
    };
    header_value(&text, "Authorization", true).map(Some)
}

/// The bytes of the body and their type.
fn body(body: &RequestBody) -> Result<(Option<Vec<u8>>, Option<&'static str>), Refusal> {
    match body {
        RequestBody::Empty => Ok((None, None)),
        RequestBody::Json(value) => {
            let json = with_secrets(value, "the body")?;
            Ok((Some(json.to_string().into_bytes()), Some("application/json")))
        }
        RequestBody::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in pairs {
                form.append_pair(name, &known(value, &format!("`{name}` in `form`"))?);
            }
            Ok((Some(form.finish().into_bytes()), Some("application/x-www-form-urlencoded")))
        }
        RequestBody::Text(text) => Ok((Some(known(text, "the body")?.into_bytes()), Some("text/plain; charset=utf-8"))),
    }
}
