//! What it takes to pass a gate (`format.md` 8, ruling 14).

use super::resolve::Refusal;
use crate::event::{ApprovalTerms, GateRequirement, GateTerms};
use crate::expr::{Place, Scope};
use crate::runbook::{Change, GateFloor, Risk};

/// How much a gate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateLevel {
    /// Nothing.
    Pass,
    /// A yes.
    Confirm,
    /// The target's name, typed.
    Type,
}

/// What an environment says about gates; nothing where the built-in rule holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct GatePolicy {
    /// Whether the environment counts as production.
    pub production: bool,
    /// For changes of low risk.
    pub low: Option<GateLevel>,
    /// For changes of medium risk.
    pub medium: Option<GateLevel>,
    /// For changes of high risk.
    pub high: Option<GateLevel>,
    /// For changes that cannot be undone.
    pub irreversible: Option<GateLevel>,
    /// How old evidence may be when a run is taken up again, where the environment says so.
    pub stale_after: Option<std::time::Duration>,
}

/// How old evidence may be when a run is taken up again, where nobody says otherwise (ruling 19).
const STALE_AFTER: std::time::Duration = std::time::Duration::from_mins(15);

impl GatePolicy {
    /// How old evidence may be when a run is taken up again.
    #[must_use]
    pub fn stale_after(&self) -> std::time::Duration {
        self.stale_after.unwrap_or(STALE_AFTER)
    }

    /// What a change asks before the runbook's own floor.
    #[must_use]
    pub fn level(&self, change: &Change) -> GateLevel {
        let (own, built_in) = match change.risk {
            Risk::Low => (self.low, if self.production { GateLevel::Confirm } else { GateLevel::Pass }),
            Risk::Medium => (self.medium, GateLevel::Confirm),
            Risk::High => (self.high, GateLevel::Type),
        };
        let by_risk = own.unwrap_or(built_in);
        let marked_low = change.has_own_risk && change.risk == Risk::Low;
        if change.irreversible.is_some() && !marked_low {
            return by_risk.max(self.irreversible.unwrap_or(GateLevel::Type));
        }
        by_risk
    }

    /// What a change asks, the runbook's floor included; nothing when no gate is opened. `name` is what a typed gate
    /// wants: the target's name.
    ///
    /// # Errors
    /// The text to type cannot be rendered.
    pub fn requirement(
        &self,
        change: &Change,
        name: &str,
        scope: &dyn Scope,
    ) -> Result<Option<GateRequirement>, Refusal> {
        let level = self.level(change);
        let floor = change.gate.as_ref().and_then(crate::runbook::Gate::floor);
        if let Some(GateFloor::Type(template)) = &floor {
            let text = template.render(scope, Place::Plain)?;
            let Some(text) = text.reveal().filter(|text| !text.trim().is_empty() && !text.contains('\n')) else {
                let message = format!("the text to type (`{}`) is not known", template.source_text());
                return Err(Refusal { message, span: template.span() });
            };
            return Ok(Some(GateRequirement::Type { text, what: "the text asked for".to_owned() }));
        }
        let level = if floor.is_some() { level.max(GateLevel::Confirm) } else { level };
        Ok(match level {
            GateLevel::Pass => None,
            GateLevel::Confirm => Some(GateRequirement::Confirm),
            GateLevel::Type => {
                Some(GateRequirement::Type { text: name.to_owned(), what: "the target's name".to_owned() })
            }
        })
    }
}

/// What a runbook asks of a gate beside the answer; nothing where it asks for none of it.
///
/// # Errors
/// How long it stays open cannot be told, or is not a span of time.
pub fn gate_terms(change: &Change, scope: &dyn Scope) -> Result<GateTerms, Refusal> {
    let Some(gate) = &change.gate else { return Ok(GateTerms::default()) };
    let expires_ms = match &gate.expires {
        None => None,
        Some(spec) => {
            let refused = |message: &str| {
                let span = spec.expression().map_or(gate.span, crate::expr::Expr::span);
                Refusal { message: message.to_owned(), span }
            };
            let after = super::resolve::duration(spec, scope)?;
            let after = after.ok_or_else(|| refused("how long this gate stays open is not known"))?;
            if after.is_zero() {
                return Err(refused("this gate expires before anybody can answer"));
            }
            Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
        }
    };
    let approvals = gate.approvals.as_ref().map(|approvals| ApprovalTerms {
        wanted: u32::try_from(approvals.value).unwrap_or(u32::MAX).max(1),
        from: gate.from.0.iter().map(|group| group.value.clone()).collect(),
        not_operator: gate.not_operator.as_ref().is_some_and(|not| not.value),
    });
    Ok(GateTerms {
        approvals,
        windows: gate.window.0.iter().map(ToString::to_string).collect(),
        opens: None,
        expires_ms,
    })
}
