//! Durations in documents.

use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use crate::expr::Expr;
use crate::source::{Node, Span};
use jiff::{SignedDuration, SpanRelativeTo};
use std::time::Duration;

/// A duration as written, or the expression that gives it.
#[derive(Clone, Debug)]
pub enum DurationSpec {
    /// Written out.
    Fixed(Duration, Span),
    /// One `{{ .. }}`.
    Computed(Expr),
}

impl DurationSpec {
    /// The duration, when it is written out.
    #[must_use]
    pub fn fixed(&self) -> Option<Duration> {
        match self {
            Self::Fixed(duration, _) => Some(*duration),
            Self::Computed(_) => None,
        }
    }

    /// The expression, when it is computed.
    #[must_use]
    pub fn expression(&self) -> Option<&Expr> {
        match self {
            Self::Fixed(..) => None,
            Self::Computed(expr) => Some(expr),
        }
    }
}

/// Reads `90s`, `1h 30m`, `2d` or ISO 8601; days count 24 hours. Nothing for other texts and for negative durations.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let signed: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

impl Decode for DurationSpec {
    fn grammar() -> Grammar {
        Grammar::Duration
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a duration such as 90s")?;
        if scalar.text.contains("{{") {
            let template = decoder.template(scalar)?;
            if let Some(expr) = template.single() {
                return Some(Self::Computed(expr.clone()));
            }
            decoder.error("wrong-type", node.span, "a duration is either written out or exactly one `{{ .. }}`");
            return None;
        }
        if let Some(duration) = parse_duration(&scalar.text) {
            return Some(Self::Fixed(duration, node.span));
        }
        let text = &scalar.text;
        let hint = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("say the unit: {text}s, {text}m or {text}h")
        } else {
            "write it like 90s, 10m, 1h 30m or 2d".to_owned()
        };
        decoder.error_hint("wrong-type", node.span, format!("`{text}` is not a duration"), hint);
        None
    }
}
