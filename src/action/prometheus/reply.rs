//! What Prometheus sends: the shape of its answers.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// An answer of the query interface.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) status: String,
    pub(super) data: Option<Data>,
    #[serde(rename = "errorType")]
    pub(super) sort: Option<String>,
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) infos: Vec<String>,
}

/// What a query gave.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Scalar(Sample),
    String(Sample),
    Vector(Vec<Instant>),
    Matrix(Vec<Range>),
}

/// A moment in seconds since 1970, and a number as text: `NaN` and `+Inf` are among them.
#[derive(Debug, Deserialize)]
pub(super) struct Sample(pub(super) f64, pub(super) String);

/// One series at one moment. It has a number or a histogram.
#[derive(Debug, Deserialize)]
pub(super) struct Instant {
    pub(super) metric: IndexMap<String, String>,
    pub(super) value: Option<Sample>,
    pub(super) histogram: Option<(f64, IgnoredAny)>,
}

/// One series over a range.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    pub(super) metric: IndexMap<String, String>,
    #[serde(default)]
    pub(super) values: Vec<Sample>,
    #[serde(default)]
    pub(super) histograms: Vec<(f64, IgnoredAny)>,
}
