//! Alert rules: what a runbook answers, and what a rule file of Prometheus is written from.

use super::amount::DurationSpec;
use super::decode::Decoder;
use crate::source::Sp;
use indexmap::IndexMap;
use std::time::Duration;

/// Labels that Prometheus sets by itself, whatever a rule says.
const TAKEN_LABELS: [&str; 2] = ["__name__", "alertname"];
/// Prometheus counts durations in nanoseconds of 64 bits; this stays well below.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 250);

record! {
    /// An alert rule that this runbook answers. Its texts are Prometheus's own: nothing in them is a template of ours.
    pub struct Alert = "alert" {
        /// Its name.
        must alert = "alert": Sp<String>,
        /// Its expression (PromQL).
        may expr = "expr": Sp<String>,
        /// How long it must hold before it fires.
        may hold_for = "for": DurationSpec,
        /// Its severity.
        may severity = "severity": Sp<String>,
        /// Labels it carries.
        with labels = "labels": IndexMap<Sp<String>, Sp<String>>,
        /// Labels that choose this runbook among several for the same alert.
        with match_labels = "match": IndexMap<Sp<String>, Sp<String>>,
        /// One line for the person it pages.
        may summary = "summary": Sp<String>,
        /// More for that person.
        may description = "description": Sp<String>,
    }
}

/// What Prometheus would refuse in a rule file, where one mistake makes it refuse all of the file: reported as `alert-rule`.
pub(super) fn check_alerts(alerts: &[Alert], decoder: &mut Decoder<'_>) {
    for alert in alerts {
        check_texts(alert, decoder);
        check_labels(alert, decoder);
        check_hold(alert, decoder);
    }
}

fn check_texts(alert: &Alert, decoder: &mut Decoder<'_>) {
    if alert.alert.value.trim().is_empty() {
        decoder.error("alert-rule", alert.alert.span, "an alert has a name that is not empty");
    }
    if let Some(expr) = alert.expr.as_ref().filter(|expr| expr.value.trim().is_empty()) {
        let hint = "leave `expr` out when the rule is kept elsewhere";
        decoder.error_hint("alert-rule", expr.span, "the expression of this alert is empty", hint);
    }
}

fn check_labels(alert: &Alert, decoder: &mut Decoder<'_>) {
    for name in alert.labels.keys().chain(alert.match_labels.keys()) {
        if !is_label_name(&name.value) {
            let message = format!("`{}` cannot be the name of a label", name.value);
            let hint = "letters, digits and `_`, and no digit at the beginning";
            decoder.error_hint("alert-rule", name.span, message, hint);
        }
    }
    for name in alert.labels.keys().filter(|name| TAKEN_LABELS.contains(&name.value.as_str())) {
        let message = format!("an alert cannot set the label `{}`: Prometheus does", name.value);
        decoder.error("alert-rule", name.span, message);
    }
    if let (Some(severity), Some((label, _))) = (&alert.severity, alert.labels.get_key_value("severity")) {
        let message = "`severity` of this alert and its label `severity` are the same thing said twice";
        let place = if severity.span.start > label.span.start { severity.span } else { label.span };
        decoder.error_hint("alert-rule", place, message, "keep one of them");
    }
}

fn check_hold(alert: &Alert, decoder: &mut Decoder<'_>) {
    match &alert.hold_for {
        Some(DurationSpec::Computed(expr)) => {
            let message = "the `for` of an alert is written out: Prometheus waits, and it knows no values of a run";
            decoder.error("alert-rule", expr.span(), message);
        }
        Some(DurationSpec::Fixed(duration, span))
            if duration.subsec_nanos() % 1_000_000 != 0 || *duration > LONGEST =>
        {
            let message = "Prometheus counts the `for` of an alert in milliseconds, up to 250 years";
            decoder.error("alert-rule", *span, message);
        }
        _ => {}
    }
}

/// The rule of Prometheus for names of labels.
fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(is_letter) && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}
