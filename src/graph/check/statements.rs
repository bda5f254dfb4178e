//! Rules about statements of SQL: a read only reads, and transactions are ours unless the author takes them.

use super::super::build::Flat;
use crate::runbook::{Action, IdentityProbe, Probe, Runbook, SqlAction, SqlText, StepBody, Undo};
use crate::source::{Diagnostic, Diagnostics, Span};

pub(super) fn check(flat: &Flat, runbook: &Runbook, problems: &mut Diagnostics) {
    let mut rules = Rules { runbook, problems };
    for node in &flat.nodes {
        if let StepBody::Action(action) = &node.step.body {
            rules.action(action, node.step.kind.is_read());
        }
        let Some(change) = &node.step.change else { continue };
        for probe in [&change.preview, &change.verify].into_iter().flatten() {
            rules.action(&probe.action, true);
        }
        for (undo, changes) in change.undo.iter().flat_map(Undo::probes) {
            rules.undo(undo, changes);
        }
    }
    for target in runbook.targets.values() {
        if let Some(IdentityProbe::Query(query)) = target.identity.as_ref().map(|identity| &identity.probe) {
            query.script.statements().iter().for_each(|statement| rules.reading(statement));
        }
    }
}

struct Rules<'a> {
    runbook: &'a Runbook,
    problems: &'a mut Diagnostics,
}

impl Rules<'_> {
    fn problem(&mut self, code: &'static str, span: Span, message: String, hint: &str) {
        self.problems.push(Diagnostic::error(self.runbook.source(), code, span, message).hint(hint));
    }

    fn undo(&mut self, undo: &Probe, changes: bool) {
        self.action(&undo.action, !changes);
        if let Some(verify) = &undo.verify {
            self.action(&verify.action, true);
        }
    }

    fn action(&mut self, action: &Action, reads: bool) {
        match action {
            Action::Sql(sql) if reads => self.read(sql),
            Action::Sql(sql) => self.change(sql),
            _ => {}
        }
    }

    fn read(&mut self, sql: &SqlAction) {
        if let Some(transaction) = &sql.transaction {
            self.problem(
                "stray-key",
                transaction.span,
                "`transaction` belongs to a change: a read always runs in one that is READ ONLY".to_owned(),
                "leave it out",
            );
        }
        sql.query.script.statements().iter().for_each(|statement| self.reading(statement));
    }

    fn reading(&mut self, statement: &SqlText) {
        if let Some(word) = statement.transaction_word() {
            let message = format!("`{word}` would end the READ ONLY transaction that a read runs in");
            self.problem("sql-transaction", statement.span(), message, "leave it out");
        }
        // A READ ONLY transaction does not keep it from writing files or starting programs on the server.
        if statement.words().first().is_some_and(|word| word == "copy") {
            let message = "`copy` writes files, and a read only reads".to_owned();
            self.problem("read-that-changes", statement.span(), message, "use `remediate`");
        }
    }

    fn change(&mut self, sql: &SqlAction) {
        if sql.transaction.as_ref().is_some_and(|transaction| !transaction.value) {
            return;
        }
        for statement in sql.query.script.statements() {
            if let Some(word) = statement.transaction_word() {
                let message = format!("`{word}` would break the transaction that these statements run in");
                let hint =
                    "leave it out: all statements stand or fall together; or write `transaction: false` beside `query`";
                self.problem("sql-transaction", statement.span(), message, hint);
            }
        }
    }
}
