//! Links in the head of an answer (RFC 8288).

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::value::Value;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[Entry::own("header_link", "header_link(headers, relation)", (2, 2), header_link)
    .kinds(Takes::Map, Gives::Text)
    .doc(
        "Gives the address in the header `Link` that has this relation; unknown when there is none.",
        "header_link(headers, 'next') | default('')",
    )];

fn header_link(arguments: &mut Arguments<'_>) -> Outcome {
    let relation = arguments.text(1)?;
    let header = arguments.present(0)?.get_attr("link").unwrap_or_default();
    let found = header.as_str().and_then(|text| address(text, relation));
    found.map(Value::from).ok_or_else(|| Refusal::missing(format!("no `Link` header has the relation `{relation}`")))
}

/// The address of the first link of this relation: `<ADDRESS>; rel="a b"; title="x, y", <ADDRESS>; rel=c`.
fn address(mut text: &str, relation: &str) -> Option<String> {
    loop {
        let (address, rest) = text.split_once('<')?.1.split_once('>')?;
        let (parameters, rest) = rest.split_at(end_of_link(rest));
        let is_it = parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let mut names = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && names.any(|name| name.eq_ignore_ascii_case(relation))
        });
        if is_it {
            return Some(address.trim().to_owned());
        }
        text = rest;
    }
}

/// Where the parameters of a link end: at the next comma outside of quotes.
fn end_of_link(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    let end = text.find(|character: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    });
    end.unwrap_or(text.len())
}
