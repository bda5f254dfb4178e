//! From `prometheus` and `alert` as written to a query: no value in it can become a part of its syntax.

use super::act::PrometheusAct;
use super::place::TargetAct;
use super::resolve::{Refusal, Resolver, duration};
use super::values::StepScope;
use crate::event::{ActView, Line};
use crate::expr::{self, Expr, Piece, Rendered, Scope, Segment, Template, Time, Value, is_secret, to_json, unknown_of};
use crate::runbook::{DurationSpec, PrometheusAction, QueryPlace, TargetKind, TargetRef, query_places};
use crate::source::{Sp, Span};
use jiff::Timestamp;
use minijinja::value::ValueKind;
use std::time::Duration;

/// How many steps a range has when the author does not say how far apart.
const STEPS: u32 = 60;

/// The query of an action with its values.
pub(super) fn act(
    resolver: &Resolver,
    query: &PrometheusAction,
    target: Option<&TargetRef>,
    scope: &StepScope,
) -> Result<PrometheusAct, Refusal> {
    let mut holes = Vec::new();
    let range = span_of("range", query.range.as_ref(), scope, &mut holes)?;
    let step = span_of("step", query.step.as_ref(), scope, &mut holes)?;
    let time = query.time.as_ref().map(|time| moment(time, scope, &mut holes)).transpose()?;
    Ok(PrometheusAct {
        target: place(resolver, target, query.span, scope)?,
        query: text(&query.query, scope)?,
        range: range.map(|range| (range, step.unwrap_or_else(|| (range / STEPS).max(Duration::from_secs(1))))),
        time: time.flatten(),
        alert: None,
        holes,
    })
}

/// The query of an alert of this runbook. Its expression is taken as it is written: nothing in it is a template.
pub(super) fn alert(
    resolver: &Resolver,
    name: &Sp<String>,
    target: Option<&TargetRef>,
    scope: &StepScope,
) -> Result<PrometheusAct, Refusal> {
    let alerts = &resolver.runbook().alerts.0;
    let expression = alerts.iter().find(|alert| alert.alert.value == name.value).and_then(|alert| alert.expr.as_ref());
    let Some(expression) = expression else {
        let message = format!("`{}` is no alert of this runbook that has an `expr`", name.value);
        return Err(Refusal { message, span: name.span });
    };
    Ok(PrometheusAct {
        target: place(resolver, target, name.span, scope)?,
        query: Rendered::text(expression.value.clone()),
        range: None,
        time: None,
        alert: Some(name.value.clone()),
        holes: Vec::new(),
    })
}

/// The query as a person reads it.
pub(super) fn view(act: &PrometheusAct) -> ActView {
    let line = |label: &str, text: String| Line { label: label.to_owned(), text };
    let query = act.query.to_string();
    let query = query.trim();
    let (action, mut text) = match &act.alert {
        Some(name) => ("alert", format!("{name}: {query}")),
        None => ("prometheus", query.to_owned()),
    };
    if let Some((range, step)) = act.range {
        text.push_str(&format!("  (over {}, every {})", spoken(range), spoken(step)));
    }
    if let Some(time) = act.time {
        text.push_str(&format!("  (at {time})"));
    }
    let mut more = vec![line("on", act.target.base.to_string())];
    for (name, value) in &act.target.headers {
        more.push(line("header", format!("{name}: {value}")));
    }
    if let Some(bearer) = &act.target.bearer {
        more.push(line("header", format!("authorization: Bearer {bearer}")));
    }
    if let Some((user, password)) = &act.target.basic {
        more.push(line("auth", format!("{user} with {password}")));
    }
    let target = (!act.target.name.is_empty()).then(|| act.target.name.clone());
    ActView { action: action.to_owned(), text, more, target, holes: holes(act) }
}

fn holes(act: &PrometheusAct) -> Vec<Line> {
    let credentials =
        act.target.bearer.iter().chain(act.target.basic.iter().flat_map(|(user, password)| [user, password]));
    let parts = [&act.query, &act.target.base].into_iter().chain(act.target.headers.values()).chain(credentials);
    let mut found: Vec<Line> = Vec::new();
    let own = act.holes.iter().map(|(label, reason)| (label.as_str(), reason.as_str()));
    for (label, reason) in parts.flat_map(Rendered::holes).chain(own) {
        if !found.iter().any(|hole| hole.label == label) {
            found.push(Line { label: label.to_owned(), text: reason.to_owned() });
        }
    }
    found
}

/// The target a query goes to: the one that is named, or the only one.
fn place(resolver: &Resolver, target: Option<&TargetRef>, span: Span, scope: &StepScope) -> Result<TargetAct, Refusal> {
    let found = match resolver.declared(target, &[TargetKind::Prometheus], scope)? {
        Some((name, _)) => resolver.target(name, scope)?,
        None => None,
    };
    found.ok_or_else(|| Refusal { message: "this query has no target of kind `prometheus`".to_owned(), span })
}

/// A duration of the query; a hole when it is unknown.
fn span_of(
    name: &str,
    spec: Option<&DurationSpec>,
    scope: &StepScope,
    holes: &mut Vec<(String, String)>,
) -> Result<Option<Duration>, Refusal> {
    let Some(spec) = spec else { return Ok(None) };
    let found = duration(spec, scope)?;
    if found.is_none() {
        let label = spec.expression().map_or(name, |expr| expr.text().trim());
        holes.push((label.to_owned(), format!("`{name}` is not known")));
    }
    Ok(Some(found.unwrap_or_default()))
}

fn spoken(duration: Duration) -> String {
    expr::Duration(jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)).to_string()
}

/// A point in time: as such, as RFC 3339 text, or in seconds since 1970; a hole when it is unknown.
fn moment(
    template: &Template,
    scope: &StepScope,
    holes: &mut Vec<(String, String)>,
) -> Result<Option<Timestamp>, Refusal> {
    let value = template.value(scope)?;
    if let Some(unknown) = unknown_of(&value) {
        let label = template.single().map_or(template.source_text(), Expr::text);
        holes.push((label.trim().to_owned(), unknown.reason.clone()));
        return Ok(None);
    }
    let found = Time::of(&value)
        .or_else(|| value.as_str().and_then(Time::parse))
        .map(|time| time.0)
        .or_else(|| f64::try_from(value.clone()).ok().filter(|_| value.is_number()).and_then(from_seconds));
    found.map(Some).ok_or_else(|| Refusal {
        message: format!("`time` is no point in time: {}", to_json(&value)),
        span: template.span(),
    })
}

fn from_seconds(seconds: f64) -> Option<Timestamp> {
    let span = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(span).ok()
}

/// A query with its values in.
fn text(template: &Template, scope: &dyn Scope) -> Result<Rendered, Refusal> {
    let (places, problems) = query_places(template);
    // The check of the runbook reports these; a run without a check stops here.
    if let Some(problem) = problems.first() {
        return Err(Refusal { message: problem.message.to_owned(), span: problem.span });
    }
    let mut places = places.into_iter();
    let mut pieces = Vec::new();
    for segment in template.segments() {
        pieces.push(match segment {
            Segment::Text(text) => Piece::Text(text.as_str().to_owned()),
            Segment::Expr(expr) => piece(expr, places.next().unwrap_or(QueryPlace::Bare), scope)?,
        });
    }
    Ok(Rendered { pieces })
}

fn piece(expr: &Expr, place: QueryPlace, scope: &dyn Scope) -> Result<Piece, Refusal> {
    let value = expr.eval(scope)?;
    let name = expr.text().trim();
    let refuse = |why: String| Err(Refusal { message: format!("`{name}` {why}"), span: expr.span() });
    let list = matches!(place, QueryPlace::Pattern(_)) && matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    let items: Vec<Value> =
        if list { value.try_iter().map(Iterator::collect).unwrap_or_default() } else { vec![value] };
    if let Some(unknown) = items.iter().find_map(unknown_of) {
        return Ok(Piece::Hole { expression: name.to_owned(), reason: unknown.reason.clone() });
    }
    if items.iter().any(is_secret) {
        return refuse("is a secret: a query is kept and shown, also by the server".to_owned());
    }
    if items.is_empty() {
        return refuse("is an empty list, which no label matches".to_owned());
    }
    let mut texts = Vec::with_capacity(items.len());
    for item in &items {
        let text = match place {
            QueryPlace::Bare => bare(item),
            QueryPlace::Label(_) => plain(item),
            QueryPlace::Pattern(_) => plain(item).map(|text| regex::escape(&text)),
        };
        match text {
            Some(text) => texts.push(text),
            None => return refuse(format!("{}: {}", refusal(place), to_json(item))),
        }
    }
    let text = if list { format!("(?:{})", texts.join("|")) } else { texts.concat() };
    Ok(Piece::Text(match place {
        QueryPlace::Bare => text,
        QueryPlace::Label(quote) | QueryPlace::Pattern(quote) => escaped(&text, quote),
    }))
}

fn refusal(place: QueryPlace) -> &'static str {
    match place {
        QueryPlace::Bare => "stands outside of quotes and is no number, duration or point in time",
        QueryPlace::Label(_) | QueryPlace::Pattern(_) => "has no text that a label could have",
    }
}

/// A value as the text of a label.
fn plain(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let plain = matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    let time = || Time::of(value).is_some() || expr::Duration::of(value).is_some();
    (plain || time()).then(|| value.to_string())
}

/// A value as PromQL writes it: `0.5`, `90s`, and a point in time in seconds since 1970.
fn bare(value: &Value) -> Option<String> {
    if let Some(time) = Time::of(value) {
        let milliseconds = time.0.as_millisecond();
        return Some(format!("{}.{:03}", milliseconds / 1000, (milliseconds % 1000).abs()));
    }
    if let Some(duration) = expr::Duration::of(value) {
        return span_text(duration);
    }
    if value.is_integer() {
        return Some(value.to_string());
    }
    let number = f64::try_from(value.clone()).ok().filter(|number| value.is_number() && number.is_finite())?;
    Some(number.to_string())
}

/// A duration in one unit; Prometheus knows none below a millisecond, and what is negative goes the other way.
fn span_text(duration: expr::Duration) -> Option<String> {
    let nanoseconds = duration.0.as_nanos();
    if nanoseconds < 0 || nanoseconds % 1_000_000 != 0 {
        return None;
    }
    let milliseconds = nanoseconds / 1_000_000;
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let unit = units.into_iter().find(|(_, length)| milliseconds != 0 && milliseconds % length == 0);
    let (unit, length) = unit.unwrap_or(("ms", 1));
    Some(format!("{}{unit}", milliseconds / length))
}

/// A text for a string in these quotes, as Go writes it.
fn escaped(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            own if own == quote => {
                escaped.push('\\');
                escaped.push(own);
            }
            control if control.is_ascii_control() => escaped.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{SecretText, UnknownSort, from_record, secret, unknown};
    use serde_json::json;

    struct World;

    impl Scope for World {
        fn lookup(&self, name: &str) -> Option<Value> {
            Some(match name {
                "nasty" => Value::from("a\"} or up{b=\"\\\n\u{1}'"),
                "dots" => Value::from("a.b|c-\"d"),
                "pods" => vec![Value::from("a.1"), Value::from("b")].into(),
                "none_of_them" => Value::from(Vec::<Value>::new()),
                "text" => Value::from("5"),
                "n" => Value::from(5),
                "share" => Value::from(-0.25),
                "tiny" => Value::from(1e-9),
                "nan" => Value::from(f64::NAN),
                "window" => from_record(&json!({ "$duration": "1h 30m" })),
                "short" => from_record(&json!({ "$duration": "1500ms" })),
                "back" => from_record(&json!({ "$duration": "-5m" })),
                "began" => from_record(&json!({ "$time": "2026-03-01T11:30:00.25Z" })),
                "gone" => unknown(UnknownSort::Unobtained, "lost"),
                "admin" => secret(SecretText::new("admin", "hunter2hunter2".to_owned())),
                _ => return None,
            })
        }

        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn shown(query: &str) -> String {
        let template = Template::parse(query, &|range| Span::new(range.start, range.end)).unwrap();
        match text(&template, &World) {
            Ok(rendered) => rendered.to_string(),
            Err(refusal) => format!("error: {}", refusal.message),
        }
    }

    #[test]
    fn values_stay_values() {
        let cases = [
            (r#"x{a="{{ nasty }}"}"#, r#"x{a="a\"} or up{b=\"\\\n\x01'"}"#),
            (r"x{a='{{ nasty }}'}", r#"x{a='a"} or up{b="\\\n\x01\''}"#),
            (r#"x{a=~"{{ dots }}.*"}"#, r#"x{a=~"a\\.b\\|c\\-\"d.*"}"#),
            (r#"x{a=~"{{ pods }}"}"#, r#"x{a=~"(?:a\\.1|b)"}"#),
            (r#"x{a="{{ n }}-{{ share }}"}"#, r#"x{a="5--0.25"}"#),
            ("rate(x[{{ window }}]) > {{ share }}", "rate(x[90m]) > -0.25"),
            ("x offset {{ short }} * {{ tiny }}", "x offset 1500ms * 0.000000001"),
            ("x @ {{ began }} > {{ n }}", "x @ 1772364600.250 > 5"),
            ("x > {{ gone }}", "x > ‹gone›"),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let cases = [
            ("x > {{ text }}", "`text` stands outside of quotes and is no number, duration or point in time: \"5\""),
            ("x > {{ nan }}", "`nan` stands outside"),
            ("x offset {{ back }}", "`back` stands outside"),
            ("x > {{ pods }}", "`pods` stands outside"),
            (r#"x{a="{{ pods }}"}"#, "`pods` has no text that a label could have"),
            (r#"x{a=~"{{ none_of_them }}"}"#, "`none_of_them` is an empty list"),
            (r#"x{a="{{ admin }}"}"#, "`admin` is a secret"),
            ("x{{ n }}", "a value outside of quotes must stand by itself"),
        ];
        for (text, wanted) in cases {
            assert!(shown(text).starts_with(&format!("error: {wanted}")), "{text}: {}", shown(text));
        }
    }
}
