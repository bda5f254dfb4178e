//! Queries of Prometheus with their values in: none of them can become a part of the query's own syntax.

use super::act::TargetAct;
use super::resolve::{Refusal, duration};
use crate::event::{ActView, Line};
use crate::expr::{self, Expr, Piece, Rendered, Scope, Segment, Template, Time, Value, is_secret, to_json, unknown_of};
use crate::runbook::{DurationSpec, QueryPlace, query_places};
use jiff::Timestamp;
use minijinja::value::ValueKind;
use std::time::Duration;

/// How many points a range has when the author gives no step.
const POINTS: u32 = 250;

/// One query.
#[derive(Clone, Debug)]
pub struct PrometheusAct {
    /// Where.
    pub target: TargetAct,
    /// The name of the alert whose expression this is; then every series is one that fires.
    pub alert: Option<String>,
    /// PromQL with its values in.
    pub query: Rendered,
    /// Which moments it is asked about.
    pub window: Window,
    /// What else is not known: the text and the reason.
    pub holes: Vec<(String, String)>,
}

/// Which moments a query is asked about. Without a `time` it is the moment of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One moment.
    Instant {
        /// Which.
        time: Option<Timestamp>,
    },
    /// Every `step` over a span of time.
    Range {
        /// How long.
        range: Duration,
        /// How far apart; at least a millisecond.
        step: Duration,
        /// The last moment.
        time: Option<Timestamp>,
    },
}

/// The parts of a query as written.
pub(super) struct Parts<'a> {
    pub(super) query: &'a Template,
    pub(super) range: Option<&'a DurationSpec>,
    pub(super) step: Option<&'a DurationSpec>,
    pub(super) time: Option<&'a Template>,
}

impl PrometheusAct {
    /// The act of a query.
    ///
    /// # Errors
    /// A value that its place refuses.
    pub(super) fn new(target: TargetAct, parts: &Parts<'_>, scope: &dyn Scope) -> Result<Self, Refusal> {
        let mut holes = Vec::new();
        let mut span_of = |spec: Option<&DurationSpec>, name: &str| -> Result<Option<Duration>, Refusal> {
            let Some(spec) = spec else { return Ok(None) };
            let found = duration(spec, scope)?;
            if found.is_none() {
                holes.push((name.to_owned(), "the duration is unknown".to_owned()));
            }
            Ok(Some(found.unwrap_or_default()))
        };
        let range = span_of(parts.range, "range")?;
        let step = span_of(parts.step, "step")?;
        let time = parts.time.map(|time| moment(time, scope)).transpose()?;
        let time = match time {
            Some(Err(hole)) => {
                holes.push(hole);
                None
            }
            Some(Ok(time)) => Some(time),
            None => None,
        };
        let window = match range {
            None => Window::Instant { time },
            Some(range) => Window::Range { range, step: step.unwrap_or_else(|| own_step(range)), time },
        };
        Ok(Self { target, alert: None, query: query(parts.query, scope)?, window, holes })
    }

    /// The act that asks whether an alert fires.
    pub(super) fn of_alert(target: TargetAct, name: &str, expression: &str) -> Self {
        let query = Rendered::text(expression);
        let window = Window::Instant { time: None };
        Self { target, alert: Some(name.to_owned()), query, window, holes: Vec::new() }
    }

    /// As a person reads it; the holes are those of the window.
    #[must_use]
    pub fn view(&self) -> ActView {
        let line = |label: &str, text: String| Line { label: label.to_owned(), text };
        let query = self.query.to_string();
        let query = query.trim();
        let (action, text) = match &self.alert {
            Some(name) => ("alert", format!("{name}: {query}")),
            None => ("prometheus", query.to_owned()),
        };
        let mut more = Vec::new();
        let at = match self.window {
            Window::Instant { time } => time,
            Window::Range { range, step, time } => {
                more.push(line("range", format!("{}, every {}", spoken(range), spoken(step))));
                time
            }
        };
        if let Some(at) = at {
            more.push(line("time", at.to_string()));
        }
        for (name, value) in &self.target.headers {
            more.push(line("header", format!("{name}: {value}")));
        }
        let mut holes: Vec<Line> = self.holes.iter().map(|(label, reason)| line(label, reason.clone())).collect();
        let rendered = self.target.headers.values().chain([&self.target.base, &self.query]);
        for (expression, reason) in rendered.flat_map(Rendered::holes) {
            if !holes.iter().any(|hole| hole.label == expression) {
                holes.push(line(expression, reason.to_owned()));
            }
        }
        let target = (!self.target.name.is_empty()).then(|| self.target.name.clone());
        ActView { action: action.to_owned(), text, more, target, holes }
    }
}

fn spoken(duration: Duration) -> String {
    expr::Duration(jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)).to_string()
}

/// So many seconds that a range has at most [`POINTS`] points.
fn own_step(range: Duration) -> Duration {
    Duration::from_secs(range.as_secs().div_ceil(u64::from(POINTS)).max(1))
}

/// A point in time: as such, as RFC 3339 text, or in seconds since 1970; the hole when it is unknown.
fn moment(template: &Template, scope: &dyn Scope) -> Result<Result<Timestamp, (String, String)>, Refusal> {
    let value = template.value(scope)?;
    if let Some(unknown) = unknown_of(&value) {
        return Ok(Err((template.source_text().trim().to_owned(), unknown.reason.clone())));
    }
    let found = Time::of(&value)
        .or_else(|| value.as_str().and_then(Time::parse))
        .map(|time| time.0)
        .or_else(|| f64::try_from(value.clone()).ok().filter(|_| value.is_number()).and_then(from_seconds));
    found.map(Ok).ok_or_else(|| Refusal {
        message: format!("`time` is no point in time: {}", to_json(&value)),
        span: template.span(),
    })
}

fn from_seconds(seconds: f64) -> Option<Timestamp> {
    let span = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(span).ok()
}

/// A query with its values in.
fn query(template: &Template, scope: &dyn Scope) -> Result<Rendered, Refusal> {
    let (places, problems) = query_places(template);
    // The check of the runbook reports these; a run without a check stops here.
    if let Some(problem) = problems.first() {
        return Err(Refusal { message: problem.message.to_owned(), span: problem.span });
    }
    let mut places = places.into_iter();
    let mut pieces = Vec::new();
    for segment in template.segments() {
        pieces.push(match segment {
            Segment::Text(text) => Piece::Text(text.to_owned()),
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
    use crate::source::Span;
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

    fn shown(text: &str) -> String {
        let template = Template::parse(text, &|range| Span::new(range.start, range.end)).unwrap();
        match query(&template, &World) {
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
