//! `http`: one request, or the pages of one answer.

use super::action::Data;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use crate::expr::{Expr, Template};
use crate::source::{Node, Sp, Span};
use indexmap::IndexMap;

/// HTTP methods of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// HEAD
    Head,
}

impl Method {
    /// The word in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }
}

/// The body of a request.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Data),
    /// Form fields.
    Form(IndexMap<Sp<String>, Template>),
    /// Text as it stands.
    Text(Template),
}

/// `http:`
#[derive(Clone, Debug)]
pub struct HttpAction {
    /// Where the record stands.
    pub span: Span,
    /// The verb.
    pub method: Method,
    /// The path, or an absolute URL without values.
    pub path: Template,
    /// Query pairs.
    pub query: IndexMap<Sp<String>, Template>,
    /// Headers.
    pub headers: IndexMap<Sp<String>, Template>,
    /// The body.
    pub body: Body,
    /// Statuses that count as success; empty means 2xx.
    pub status: Vec<Sp<i64>>,
    /// The author's word that a POST only reads.
    pub reads: bool,
    /// How the answer goes on in further pages.
    pub pages: Option<Pages>,
}

record! {
    /// How an answer goes on in further pages.
    pub struct Pages = "pages" {
        /// The items of one page: an expression over its result.
        must items = "items": Expr,
        /// Where it goes on: a token, a path or a URL of the same host; none or an empty text on the last page.
        must next = "next": Expr,
        /// The query key that takes the token; without it, `next` is a path or a URL.
        may param = "param": Sp<String>,
        /// The most items (default 10000); more fail the step.
        may limit = "limit": Sp<i64>,
    }
}

record! {
    /// One HTTP request.
    pub(super) struct HttpRecord = "http" {
        /// GET this path.
        may get = "get": Template,
        /// HEAD this path.
        may head = "head": Template,
        /// POST to this path.
        may post = "post": Template,
        /// PUT to this path.
        may put = "put": Template,
        /// PATCH this path.
        may patch = "patch": Template,
        /// DELETE this path.
        may delete = "delete": Template,
        /// Query pairs; every value is percent-encoded.
        with query = "query": IndexMap<Sp<String>, Template>,
        /// Headers; a value cannot hold a line break.
        with headers = "headers": IndexMap<Sp<String>, Template>,
        /// A JSON body; values keep their type.
        may json = "json": Data,
        /// Form fields.
        may form = "form": IndexMap<Sp<String>, Template>,
        /// A text body.
        may text = "text": Template,
        /// The statuses that count as success (default: 200 to 299).
        with status = "status": Many<Sp<i64>>,
        /// Says that this POST only reads (a query sent as a body).
        may reads = "reads": Sp<bool>,
        /// How the answer goes on in further pages.
        may pages = "pages": Pages,
    }
}

impl Decode for HttpAction {
    fn grammar() -> Grammar {
        HttpRecord::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let record = HttpRecord::decode(node, decoder)?;
        let verbs = [
            (Method::Get, record.get),
            (Method::Head, record.head),
            (Method::Post, record.post),
            (Method::Put, record.put),
            (Method::Patch, record.patch),
            (Method::Delete, record.delete),
        ];
        let mut given: Vec<_> = verbs.into_iter().filter_map(|(method, path)| Some((method, path?))).collect();
        if given.len() != 1 {
            let message = if given.is_empty() {
                "this request has no verb: say `get:`, `head:`, `post:`, `put:`, `patch:` or `delete:` with its path"
            } else {
                "this request has more than one verb"
            };
            decoder.error("http-verb", record.span, message);
            return None;
        }
        let (method, path) = given.remove(0);
        let bodies = [record.json.is_some(), record.form.is_some(), record.text.is_some()];
        if bodies.iter().filter(|&&is_given| is_given).count() > 1 {
            decoder.error("http-body", record.span, "a request has one body: `json`, `form` or `text`");
            return None;
        }
        let body = match (record.json, record.form, record.text) {
            (Some(json), ..) => Body::Json(json),
            (_, Some(form), _) => Body::Form(form),
            (.., Some(text)) => Body::Text(text),
            _ => Body::Empty,
        };
        for status in &record.status.0 {
            if !(100..600).contains(&status.value) {
                decoder.error("http-status", status.span, format!("{} is not an HTTP status", status.value));
            }
        }
        let reads = record.reads.is_some_and(|reads| reads.value);
        if let Some(pages) = &record.pages {
            if method != Method::Get && !reads {
                let message = "pages are followed by reading, and this request may change something";
                decoder.error_hint("http-pages", pages.span, message, "a POST that only reads says `reads: true`");
            }
            if let Some(limit) = pages.limit.as_ref().filter(|limit| limit.value < 1) {
                decoder.error("http-pages", limit.span, "`limit` is a number of items, at least 1");
            }
        }
        Some(Self {
            span: record.span,
            method,
            path,
            query: record.query,
            headers: record.headers,
            body,
            status: record.status.0,
            reads,
            pages: record.pages,
        })
    }
}
