//! `gate:`: what a runbook asks before a change.

use super::amount::DurationSpec;
use super::decode::Many;
use super::window::Window;
use crate::expr::Template;
use crate::source::Sp;

record! {
    /// What the runbook asks of a gate: a floor that nothing loosens.
    pub struct Gate = "gate" {
        /// Say yes.
        may confirm = "confirm": Sp<bool>,
        /// Type this text.
        may text = "type": Template,
        /// So many people must sign: `runwright approve RUN STEP --sign KEY`. A name without a signature never counts.
        may approvals = "approvals": Sp<i64>,
        /// Groups of `runwright.yaml`, one or a list: only their people count (default: everybody under `approvers`).
        with from = "from": Many<Sp<String>>,
        /// Who runs the runbook does not count.
        may not_operator = "not_operator": Sp<bool>,
        /// Counted from when the gate opens: what was not passed by then is declined.
        may expires = "expires": DurationSpec,
        /// When the gate can be passed, one window or a list: `Sat 02:00-04:00 Europe/Berlin`.
        with window = "window": Many<Window>,
    }
}

/// The least that a gate asks, whatever the environment says.
#[derive(Clone, Debug)]
pub enum GateFloor {
    /// Say yes.
    Confirm,
    /// Type this text.
    Type(Template),
}

impl Gate {
    /// What it asks of the one who answers, if anything: whatever else it asks, somebody has to say yes.
    #[must_use]
    pub fn floor(&self) -> Option<GateFloor> {
        match (&self.text, &self.confirm) {
            (Some(text), _) => Some(GateFloor::Type(text.clone())),
            (None, Some(confirm)) if confirm.value => Some(GateFloor::Confirm),
            _ if self.asks_more() => Some(GateFloor::Confirm),
            _ => None,
        }
    }

    /// Whether one yes at any time does not do: it asks for signatures, or for a time.
    #[must_use]
    pub fn asks_more(&self) -> bool {
        self.approvals.is_some() || self.expires.is_some() || !self.window.0.is_empty()
    }
}
