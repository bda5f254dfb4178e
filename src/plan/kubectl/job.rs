//! Names for jobs made from a cron job: a second `create job` with one name is refused by the server, so each step of
//! each run has one of its own.

use crate::expr::{Piece, Rendered, Scope, Value, unknown_of};
use crate::runbook::KubectlCall;
use crate::source::Span;
use sha2::{Digest, Sha256};

/// The longest name whose pods can carry it as a label.
const LONGEST: usize = 63;

/// The name for `create job --from=cronjob/NAME` without one: the cron job's name, the run, and four characters that
/// tell steps and items apart. Further attempts of a step take the same name: what an attempt without an end has made
/// is not made twice.
pub(super) fn unique_name(call: &KubectlCall, args: &[Rendered], span: Span, scope: &dyn Scope) -> Option<Rendered> {
    let from = call.flag("from").filter(|_| call.verb() == "create job" && !call.has_name())?;
    let written = match &from.value {
        Some(_) => args.get(from.place)?,
        None => args.get(from.place + 1)?,
    };
    let run = scope.lookup("run").and_then(|run| run.get_item(&Value::from("id")).ok()).unwrap_or_default();
    if let Some(unknown) = unknown_of(&run) {
        return Some(hole("run.id", &unknown.reason));
    }
    if let Some((expression, reason)) = written.holes().first() {
        return Some(hole(expression, reason));
    }
    let all: Vec<String> = args.iter().map(ToString::to_string).collect();
    let mark = Sha256::digest(format!("{} {span:?} {all:?}", run.as_str().unwrap_or_default()));
    let mark: String = mark.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    let end = format!("-{}-{mark}", run.as_str().unwrap_or_default());
    let text = written.to_string();
    let name = text.rsplit(['/', '=']).next().unwrap_or_default();
    let room = LONGEST.saturating_sub(end.len());
    let short: String = name.chars().take(room).collect();
    Some(Rendered::text(format!("{}{end}", short.trim_end_matches(['-', '.']))))
}

fn hole(expression: &str, reason: &str) -> Rendered {
    let (expression, reason) = (expression.to_owned(), reason.to_owned());
    Rendered { pieces: vec![Piece::Hole { expression, reason }] }
}
