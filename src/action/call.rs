//! A program that an act runs for itself: a command on some machine, or a call of kubectl with what its end means.

use super::kubectl;
use super::process::{self, Workshop};
use crate::engine::{AttemptContext, Performed};
use crate::plan::{CommandAct, KubectlAct};
use std::sync::Arc;

/// What is run.
#[derive(Clone)]
pub(super) enum Call {
    /// A command.
    Command(CommandAct),
    /// A call of kubectl.
    Kubectl(Box<KubectlAct>),
}

impl Call {
    /// Runs it to its end.
    pub(super) async fn perform(self, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
        match self {
            Self::Command(command) => process::perform(command, context, workshop).await,
            Self::Kubectl(call) => kubectl::perform(*call, context, workshop).await,
        }
    }

    /// The name of its program, for people.
    pub(super) fn program(&self) -> String {
        let command = match self {
            Self::Command(command) => command,
            Self::Kubectl(call) => &call.command,
        };
        command.argv.first().map(ToString::to_string).unwrap_or_default()
    }
}
