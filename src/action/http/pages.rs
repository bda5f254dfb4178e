//! An answer in pages: each asks for the next one, until none is left or one cannot be had.

use super::Exchange;
use super::request::Request;
use crate::action::outcome::{bytes, one_line, unobtained};
use crate::engine::Performed;
use crate::event::{ErrorClass, EvidenceRef, Outcome};
use crate::expr::Value;
use crate::plan::PagesAct;
use std::collections::HashSet;
use url::Url;

/// The most pages of one answer: empty pages come to no number of items.
const MOST_PAGES: usize = 10_000;

/// The most bytes of all bodies together: their items are in memory at the same time.
const MOST_BYTES: usize = 64 << 20;

/// What was gathered so far.
#[derive(Default)]
struct Book {
    items: Vec<Value>,
    evidence: Vec<EvidenceRef>,
    pages: usize,
    bytes: usize,
    /// Where pages were asked for, by address.
    seen: HashSet<String>,
}

/// Follows the pages. A page that fails, fails all of them: part of a list has a length too.
pub(super) async fn perform(exchange: &Exchange<'_>, rule: &PagesAct, first: Request) -> Performed {
    let mut book = Book::default();
    let mut url = first.url.clone();
    let mut request = first;
    loop {
        book.seen.insert(url.to_string());
        book.pages += 1;
        let stream = if book.pages == 1 { "body".to_owned() } else { format!("body-{}", book.pages) };
        let mut performed = exchange.perform(request, &stream).await;
        book.evidence.append(&mut performed.evidence);
        if performed.outcome != Outcome::Succeeded {
            let message = performed.message.take().unwrap_or_default();
            performed.message = Some(format!("page {}: {message}", book.pages));
            return book.close(performed);
        }
        let next = match book.turn(rule, &performed) {
            Ok(None) => return book.close(performed),
            Ok(Some(next)) => next,
            Err(reason) => return book.fail(exchange, performed, &reason),
        };
        url = match address(&url, rule, &next) {
            Ok(next) if book.seen.contains(next.as_str()) => {
                let reason = format!("the next page is one that was read before (`{next}`): the pages go round");
                return book.fail(exchange, performed, &reason);
            }
            Ok(next) => next,
            Err(reason) => return book.fail(exchange, performed, &reason),
        };
        request = match Request::new(exchange.act).and_then(|request| request.at(url.clone())) {
            Ok(request) => request,
            Err(refusal) => return book.fail(exchange, performed, &refusal.message),
        };
    }
}

impl Book {
    /// Takes the items of a page; what asks for the next one.
    fn turn(&mut self, rule: &PagesAct, performed: &Performed) -> Result<Option<String>, String> {
        let page = rule.read(&performed.fields, self.pages, self.items.len())?;
        let size = performed.fields.get("text").and_then(|text| text.as_str()).map_or(0, str::len);
        self.bytes += size;
        self.items.extend(page.items);
        if self.items.len() > rule.limit {
            return Err(format!("there are more than {} items: ask for fewer, or raise `limit`", rule.limit));
        }
        if page.next.is_some() && self.bytes > MOST_BYTES {
            return Err(format!("the pages hold more than {} together", bytes(MOST_BYTES as u64)));
        }
        if page.next.is_some() && self.pages >= MOST_PAGES {
            return Err(format!("there are more than {MOST_PAGES} pages"));
        }
        Ok(page.next)
    }

    /// The report of pages that cannot be used.
    fn fail(self, exchange: &Exchange<'_>, mut performed: Performed, reason: &str) -> Performed {
        performed.outcome = Outcome::Failed;
        performed.error = Some(ErrorClass::BadAnswer);
        let message = format!("page {}: {reason}", self.pages);
        performed.message = Some(one_line(&exchange.context.evidence.mask(&message)));
        self.close(performed)
    }

    /// The report: the last page, with what all pages have together.
    fn close(self, mut performed: Performed) -> Performed {
        let whole = performed.outcome == Outcome::Succeeded;
        let all = |value: Value| if whole { value } else { unobtained("not every page was read") };
        let count = self.items.len();
        performed.fields.insert("items".to_owned(), all(Value::from(self.items)));
        performed.fields.insert("count".to_owned(), all(Value::from(count)));
        performed.fields.insert("pages".to_owned(), Value::from(self.pages));
        performed.evidence = self.evidence;
        performed
    }
}

/// Where the next page is. It stays at the scheme, host and port of the target: credentials go there and nowhere else.
fn address(here: &Url, rule: &PagesAct, next: &str) -> Result<Url, String> {
    let Some(param) = &rule.param else {
        let mut url = here.join(next).map_err(|error| format!("the next page is no address (`{next}`): {error}"))?;
        url.set_fragment(None);
        let same = url.origin() == here.origin() && url.username().is_empty() && url.password().is_none();
        return if same { Ok(url) } else { Err(format!("the next page is not at the target (`{next}`)")) };
    };
    let kept: Vec<(String, String)> =
        here.query_pairs().filter(|(name, _)| name != param.as_str()).map(|(a, b)| (a.into(), b.into())).collect();
    let mut url = here.clone();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(param, next);
    Ok(url)
}
