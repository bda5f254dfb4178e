//! What an answer means: a number, several, none, or that it cannot be told.

use super::reply::{Data, Instant, Range, Reply, Sample};
use crate::action::outcome::{one_line, unobtained};
use crate::engine::{Evidence, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::expr::{Time, Value};
use crate::plan::PrometheusAct;
use indexmap::IndexMap;
use jiff::Timestamp;

/// Turns the report of the exchange into that of the query.
pub(super) fn read(mut performed: Performed, act: &PrometheusAct, evidence: &dyn Evidence) -> Performed {
    let mut http = std::mem::take(&mut performed.fields);
    let kept = ["elapsed", "retry_after"].map(|name| http.swap_remove_entry(name));
    let found = if performed.outcome == Outcome::Succeeded {
        meaning(&http, act.alert.is_some())
    } else {
        // The exchange says why, in its own words.
        Err(None)
    };
    performed.fields = match found {
        Ok(found) => {
            let said: Vec<String> = performed.message.take().into_iter().chain(found.warned()).collect();
            performed.message = (!said.is_empty()).then(|| said.join("; "));
            found.fields(act.alert.is_some())
        }
        Err(trouble) => {
            if let Some(Trouble { class, message }) = trouble {
                performed.outcome = match class {
                    ErrorClass::Timeout => Outcome::TimedOut,
                    _ => Outcome::Failed,
                };
                performed.error = Some(class);
                performed.message = Some(one_line(&evidence.mask(&message)));
            }
            missing(act.alert.is_some())
        }
    };
    performed.fields.extend(kept.into_iter().flatten());
    performed
}

/// Why an answer is none.
struct Trouble {
    class: ErrorClass,
    message: String,
}

/// A query's answer.
struct Found {
    value: Value,
    series: Vec<Value>,
    /// Whether there is a sample that is NaN.
    nan: bool,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Found {
    /// What the server itself says against its answer.
    fn warned(&self) -> Option<String> {
        let all = self.warnings.join("; ");
        (!all.is_empty()).then(|| one_line(&format!("Prometheus warns: {all}")))
    }

    fn fields(self, alert: bool) -> IndexMap<String, Value> {
        let empty = self.series.is_empty();
        let count = self.series.len();
        let texts = |list: Vec<String>| list.into_iter().map(Value::from).collect::<Value>();
        let mut fields = IndexMap::from_iter([("value".to_owned(), self.value)]);
        if alert {
            fields.insert("firing".to_owned(), Value::from(self.series));
        } else {
            // A list without items would pass most checks of "every series".
            let series = if empty { unobtained(EMPTY) } else { Value::from(self.series) };
            fields.insert("series".to_owned(), series);
            fields.insert("empty".to_owned(), Value::from(empty));
            fields.insert("nan".to_owned(), Value::from(self.nan));
        }
        fields.insert("count".to_owned(), Value::from(count));
        fields.insert("warnings".to_owned(), texts(self.warnings));
        fields.insert("infos".to_owned(), texts(self.infos));
        fields
    }
}

const EMPTY: &str = "the query returned no series";

/// The fields of a query that was not answered.
fn missing(alert: bool) -> IndexMap<String, Value> {
    let names: &[&str] = if alert {
        &["value", "firing", "count", "warnings", "infos"]
    } else {
        &["value", "series", "empty", "nan", "count", "warnings", "infos"]
    };
    names.iter().map(|name| ((*name).to_owned(), unobtained("there was no answer"))).collect()
}

fn meaning(http: &IndexMap<String, Value>, alert: bool) -> Result<Found, Option<Trouble>> {
    let status = http.get("status").and_then(|status| u16::try_from(status.clone()).ok()).unwrap_or_default();
    let trouble = |class, message: String| Some(Trouble { class, message });
    let text = http.get("text").cloned().unwrap_or_default();
    let Some(text) = text.as_str() else {
        return Err(trouble(ErrorClass::BadAnswer, format!("the answer cannot be read: {text}")));
    };
    let reply: Reply = serde_json::from_str(text).map_err(|error| {
        // Whole, or not at all: half of a secret is known to no masker.
        let start = text.lines().next().filter(|line| line.len() <= 300).unwrap_or("(a long answer)");
        if status == 200 {
            let message = format!("this is no answer of Prometheus: {error}: {start}");
            trouble(ErrorClass::BadAnswer, message)
        } else {
            trouble(ErrorClass::Status(status), format!("status {status}: {start}"))
        }
    })?;
    match (reply.status.as_str(), reply.data) {
        ("success", Some(data)) => found(data, reply.warnings, reply.infos, alert).map_err(Some),
        ("success", None) => Err(trouble(ErrorClass::BadAnswer, "the answer holds no data".to_owned())),
        _ => {
            let sort = reply.sort.unwrap_or_default();
            let said = reply.error.unwrap_or_else(|| format!("status {status}"));
            Err(Some(refused(status, &sort, &said)))
        }
    }
}

/// An error that Prometheus reports itself.
fn refused(status: u16, sort: &str, said: &str) -> Trouble {
    let (class, what) = match (sort, status) {
        ("bad_data", _) => (ErrorClass::BadValue, "Prometheus does not take the query"),
        ("timeout", _) => (ErrorClass::Timeout, "the query took too long"),
        ("execution", _) => (ErrorClass::BadAnswer, "the query cannot be computed"),
        (_, 503) => (ErrorClass::Status(503), "Prometheus cannot answer now"),
        _ => (ErrorClass::BadAnswer, "Prometheus has no answer"),
    };
    let said = said.strip_prefix("invalid parameter \"query\": ").unwrap_or(said);
    Trouble { class, message: format!("{what}: {said}") }
}

fn found(data: Data, warnings: Vec<String>, infos: Vec<String>, alert: bool) -> Result<Found, Trouble> {
    let mut nan = false;
    let (value, series) = match data {
        Data::String(_) if alert => {
            let message = "the expression of an alert gives a text, and neither series nor a number".to_owned();
            return Err(Trouble { class: ErrorClass::BadValue, message });
        }
        Data::String(Sample(time, text)) => {
            let value = Value::from(text);
            (value.clone(), vec![at_one_moment(IndexMap::new(), value, time)])
        }
        Data::Scalar(sample) => {
            let value = number(&sample.1, &mut nan);
            (value.clone(), vec![at_one_moment(IndexMap::new(), value, sample.0)])
        }
        Data::Vector(list) => {
            let values: Vec<(IndexMap<String, String>, Value, f64)> =
                list.into_iter().map(|series| instant(series, &mut nan)).collect();
            let value = only(values.iter().map(|(_, value, _)| value));
            let series = values.into_iter().map(|(labels, value, time)| at_one_moment(labels, value, time));
            (value, series.collect())
        }
        Data::Matrix(list) => {
            let series: Vec<Value> = list.into_iter().map(|series| over_time(series, &mut nan)).collect();
            let lasts: Vec<Value> = series.iter().map(|series| series.get_attr("last").unwrap_or_default()).collect();
            (only(lasts.iter()), series)
        }
    };
    Ok(Found { value, series, nan, warnings, infos })
}

/// The value of the only series.
fn only<'a>(mut values: impl ExactSizeIterator<Item = &'a Value>) -> Value {
    match (values.next(), values.len()) {
        (None, _) => unobtained(EMPTY),
        (Some(value), 0) => value.clone(),
        (Some(_), more) => unobtained(format!("the query returned {} series: use `series`", more + 1)),
    }
}

fn labels(metric: IndexMap<String, String>) -> Value {
    Value::from_pairs(metric.into_iter().map(|(name, value)| (name, Value::from(value))))
}

fn at_one_moment(metric: IndexMap<String, String>, value: Value, time: f64) -> Value {
    Value::from_pairs([("labels", labels(metric)), ("value", value), ("time", moment(time))])
}

fn instant(series: Instant, nan: &mut bool) -> (IndexMap<String, String>, Value, f64) {
    let (value, time) = match (series.value, series.histogram) {
        (Some(sample), _) => (number(&sample.1, nan), sample.0),
        (None, Some((time, _))) => (unobtained(HISTOGRAM), time),
        (None, None) => (unobtained("the series has no sample"), 0.0),
    };
    (series.metric, value, time)
}

const HISTOGRAM: &str = "the sample is a histogram: use `histogram_quantile` or the like";

fn over_time(series: Range, nan: &mut bool) -> Value {
    let mut bad = 0;
    let mut good: Vec<f64> = Vec::with_capacity(series.values.len());
    let mut points = Vec::with_capacity(series.values.len());
    for sample in &series.values {
        match sample.1.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => good.push(number),
            None => bad += 1,
        }
        points.push(Value::from_pairs([("value", number(&sample.1, nan)), ("time", moment(sample.0))]));
    }
    let whole = |value: Option<f64>| match value {
        Some(value) if bad == 0 && series.histograms.is_empty() => plain(value),
        None if !series.histograms.is_empty() => unobtained(HISTOGRAM),
        None if bad == 0 => unobtained("the series has no sample"),
        _ => unobtained(format!("{} of {} samples are no numbers", bad + series.histograms.len(), bad + good.len())),
    };
    #[expect(clippy::cast_precision_loss, reason = "a mean is in floating point")]
    let mean = (!good.is_empty()).then(|| good.iter().sum::<f64>() / good.len() as f64);
    let last = points.last().and_then(|point| point.get_attr("value").ok());
    Value::from_pairs([
        ("labels", labels(series.metric)),
        ("last", last.unwrap_or_else(|| whole(None))),
        ("min", whole(good.iter().copied().reduce(f64::min))),
        ("max", whole(good.iter().copied().reduce(f64::max))),
        ("avg", whole(mean)),
        ("count", Value::from(points.len())),
        ("values", Value::from(points)),
    ])
}

/// A sample as a number; one that is none is unknown, each with its own reason.
fn number(text: &str, nan: &mut bool) -> Value {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => plain(number),
        Ok(number) if number.is_nan() => {
            *nan = true;
            unobtained("the sample is NaN")
        }
        Ok(_) => unobtained(format!("the sample is {text}")),
        Err(_) => unobtained(format!("the sample is no number: {text:?}")),
    }
}

/// Whole numbers read well in a text, and most samples count something.
fn plain(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked first")]
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { Value::from(number) }
}

fn moment(seconds: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and then it is out of range")]
    let time = Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
    time.map_or_else(|_| unobtained("the sample's time is out of range"), |time| Time(time).into())
}
