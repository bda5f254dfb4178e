//! What came back, and what it means.

use super::client::REDIRECTS;
use super::retry_after;
use super::trouble::Trouble;
use crate::action::outcome::{bytes, one_line, span, unobtained};
use crate::engine::{AttemptContext, EvidenceWriter, Performed};
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::{self, Value, from_json};
use crate::plan::HttpAct;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What expressions may see of a body.
const SEEN: usize = 16 << 20;

/// The most that is given to the evidence in one piece.
const PIECE: usize = 64 << 10;

/// How an exchange ended.
pub(super) enum End {
    /// The whole answer is there.
    Whole,
    /// It broke, or was refused.
    Broken(Trouble),
    /// Its time was over.
    TimedOut,
    /// Somebody wanted it to stop.
    Cancelled,
}

/// An answer as it comes in.
pub(super) struct Answer {
    head: Option<Head>,
    writer: Option<Box<dyn EvidenceWriter>>,
    trouble: Option<String>,
    seen: Vec<u8>,
    size: u64,
}

/// Everything before the body.
struct Head {
    status: u16,
    reason: String,
    headers: HeaderMap,
    address: Option<SocketAddr>,
}

/// An outcome with its reason.
struct Judged {
    outcome: Outcome,
    error: Option<ErrorClass>,
    message: Option<String>,
}

impl Answer {
    /// An answer whose body is kept by the writer, if there is one.
    pub(super) fn new(writer: Option<Box<dyn EvidenceWriter>>) -> Self {
        Self { head: None, writer, trouble: None, seen: Vec::new(), size: 0 }
    }

    /// Takes the status line and the headers.
    pub(super) fn begin(&mut self, response: &Response) {
        self.head = Some(Head {
            status: response.status().as_u16(),
            reason: response.status().canonical_reason().unwrap_or_default().to_owned(),
            headers: response.headers().clone(),
            address: response.remote_addr(),
        });
    }

    /// Takes a piece of the body.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        if self.size <= SEEN as u64 {
            self.seen.extend_from_slice(piece);
        } else {
            self.seen = Vec::new();
        }
        for part in piece.chunks(PIECE) {
            let written = self.writer.as_mut().map(|writer| writer.write(part));
            if let Some(Err(error)) = written {
                self.trouble = Some(error.to_string());
                self.writer = None;
            }
        }
    }

    /// The report.
    pub(super) fn judge(mut self, end: &End, act: &HttpAct, context: &AttemptContext, took: Duration) -> Performed {
        let evidence = self.finish();
        let Judged { outcome, error, message } = self.outcome(end, act, context);
        let kept = self.trouble.as_ref().map(|trouble| format!("its body was not kept: {trouble}"));
        let message: Vec<String> = message.into_iter().chain(kept).collect();
        let message = (!message.is_empty()).then(|| one_line(&context.evidence.mask(&message.join("; "))));
        let fields = self.fields(end, took);
        Performed { outcome, error, message, fields, evidence: evidence.into_iter().collect(), left: Vec::new() }
    }

    fn finish(&mut self) -> Option<EvidenceRef> {
        match self.writer.take()?.finish() {
            Ok((reference, _)) => (self.size > 0).then_some(reference),
            Err(error) => {
                self.trouble = Some(error.to_string());
                None
            }
        }
    }

    fn outcome(&self, end: &End, act: &HttpAct, context: &AttemptContext) -> Judged {
        let unclear = |read: Outcome| if context.change { Outcome::Unknown } else { read };
        let told = |outcome, error, message| Judged { outcome, error: Some(error), message: Some(message) };
        // A status that says no is a clear answer, even when the rest of it did not come.
        let status_counts = !matches!(end, End::Broken(Trouble { class: ErrorClass::Address, .. }));
        if let Some(head) = self.head.as_ref().filter(|head| status_counts && !act.status.allows(head.status)) {
            let says = head.leads_to().unwrap_or_else(|| self.first_line());
            let message = format!("status {} {}{says}", head.status, head.reason);
            return told(Outcome::Failed, ErrorClass::Status(head.status), message);
        }
        match end {
            End::Whole => Judged { outcome: Outcome::Succeeded, error: None, message: None },
            End::Broken(trouble) => {
                let read = match trouble.class {
                    ErrorClass::Timeout => Outcome::TimedOut,
                    _ => Outcome::Failed,
                };
                let outcome = match (trouble.sent, context.change) {
                    (true, _) => unclear(read),
                    (false, true) => Outcome::Failed,
                    (false, false) => read,
                };
                told(outcome, trouble.class.clone(), trouble.message.clone())
            }
            End::TimedOut => {
                let message = format!("the answer was not whole within {}", span(context.timeout));
                told(unclear(Outcome::TimedOut), ErrorClass::Timeout, message)
            }
            End::Cancelled => {
                told(unclear(Outcome::Cancelled), ErrorClass::Cancelled, "the request was stopped".to_owned())
            }
        }
    }

    /// The first line of the body that says something, to be put behind a message.
    fn first_line(&self) -> String {
        let start = self.seen.get(..PIECE).unwrap_or(&self.seen);
        let text = String::from_utf8_lossy(start);
        let line = text.split_inclusive('\n').find(|line| !line.trim().is_empty());
        // A line that begins close before the cut may be half of a secret, which nobody would know again.
        let is_whole = |line: &&str| self.seen.len() <= PIECE || line.ends_with('\n') || line.len() > PIECE / 2;
        let line = line.filter(is_whole).map(str::trim);
        line.map(|line| format!(": {line}")).unwrap_or_default()
    }

    fn fields(&self, end: &End, took: Duration) -> IndexMap<String, Value> {
        let Some(head) = &self.head else {
            let missing = |name: &str| (name.to_owned(), unobtained("there was no answer"));
            let mut fields: IndexMap<_, _> =
                ["status", "headers", "body", "text", "address"].into_iter().map(missing).collect();
            fields.insert("elapsed".to_owned(), Value::from(took.as_secs_f64()));
            return fields;
        };
        let text = self.text(head, end);
        let body = text.as_ref().map_or_else(|reason| unobtained(reason.clone()), |text| head.parsed(text));
        let text = text.map_or_else(unobtained, Value::from);
        let address = head.address.map_or_else(|| unobtained("it is not known"), |it| Value::from(it.to_string()));
        let pause = retry_after::wished(&head.headers, Timestamp::now());
        let pause = pause.and_then(|pause| SignedDuration::try_from(pause).ok());
        let pause = pause.map_or_else(|| unobtained("the server asks for no pause"), |it| expr::Duration(it).into());
        IndexMap::from_iter([
            ("status".to_owned(), Value::from(head.status)),
            ("headers".to_owned(), head.map()),
            ("body".to_owned(), body),
            ("text".to_owned(), text),
            ("elapsed".to_owned(), Value::from(took.as_secs_f64())),
            ("address".to_owned(), address),
            ("retry_after".to_owned(), pause),
        ])
    }

    /// The body as text, or why there is none.
    fn text(&self, head: &Head, end: &End) -> Result<String, String> {
        if !matches!(end, End::Whole) {
            return Err("the answer is not whole".to_owned());
        }
        if self.size > SEEN as u64 {
            return Err(format!("too large: {}", bytes(self.size)));
        }
        let encoding = head.headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
        match encoding.as_deref() {
            None | Some("identity" | "") => Ok(String::from_utf8_lossy(&self.seen).into_owned()),
            Some(other) => Err(format!("the server encoded it as `{}`, which was not asked for", one_line(other))),
        }
    }
}

impl Head {
    /// Where a redirect that was not followed leads to, to be put behind a message.
    fn leads_to(&self) -> Option<String> {
        let place = self.headers.get(LOCATION).filter(|_| (300..400).contains(&self.status))?;
        let place = String::from_utf8_lossy(place.as_bytes());
        Some(format!(" to {place}: a read is redirected at its own scheme, host and port, {REDIRECTS} times at most"))
    }

    /// The headers with names in lower case; several of one name are joined by a comma.
    fn map(&self) -> Value {
        let mut map: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            map.entry(name.as_str().to_owned())
                .and_modify(|before| {
                    before.push_str(", ");
                    before.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        Value::from(map)
    }

    /// The body as the type says; without a type, what looks like an object or a list and is one, is one.
    fn parsed(&self, text: &str) -> Value {
        let kind = self.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let parsed = || serde_json::from_str::<serde_json::Value>(text);
        match kind.as_deref() {
            Some(kind) if is_json(kind) => match parsed() {
                Ok(json) => from_json(&json),
                Err(_) if text.trim().is_empty() => unobtained("the body is empty, not JSON"),
                Err(error) => unobtained(format!("the body is not JSON: {error}")),
            },
            None if text.trim_start().starts_with(['{', '[']) => {
                parsed().map_or_else(|_| Value::from(text), |json| from_json(&json))
            }
            _ => Value::from(text),
        }
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}
