//! One expression in its place: names, shapes, and what may not go there.

use super::super::names::{Fields, Layers};
use super::expressions::{Checker, Goes, Used};
use crate::expr::{Expr, Shape, Template};
use crate::runbook::DurationSpec;
use crate::source::{Diagnostic, Span, nearest};

impl Checker<'_> {
    pub(super) fn duration(&mut self, duration: &DurationSpec, own: &Fields, hidden: Option<&str>, used: &mut Used) {
        let Some(expr) = duration.expression() else { return };
        let shape = self.expression(expr, own, hidden, Goes::Free, used);
        if !matches!(shape, Shape::Any | Shape::Duration) {
            let message = format!("a duration is wanted here, and this is {}", shape_word(&shape));
            let problem = self.problem("type-clash", expr.span(), message);
            self.problems.push(problem);
        }
    }

    pub(super) fn template(
        &mut self,
        template: &Template,
        own: &Fields,
        hidden: Option<&str>,
        goes: Goes,
        used: &mut Used,
    ) {
        for expr in template.expressions() {
            self.expression(expr, own, hidden, goes, used);
        }
    }

    pub(super) fn expression(
        &mut self,
        expr: &Expr,
        own: &Fields,
        hidden: Option<&str>,
        goes: Goes,
        used: &mut Used,
    ) -> Shape {
        let around = self.around.iter().map(|(name, shape)| (name.clone(), shape.clone()));
        let own: Fields = around.chain(own.iter().map(|(name, shape)| (name.clone(), shape.clone()))).collect();
        let own = &own;
        let names = Layers { own: own.clone(), steps: &self.steps, roots: &self.roots, hidden };
        let (shape, found) = expr.check(&names);
        for problem in found {
            let mut diagnostic = Diagnostic::error(self.runbook.source(), problem.code, problem.span, problem.message);
            diagnostic.hint = self.loop_hint(expr, problem.code).or(problem.hint);
            self.problems.push(diagnostic);
        }
        for reference in expr.references() {
            let Some(root) = reference.path.first() else { continue };
            self.reads.add(&reference.path);
            if !own.contains_key(root) {
                used.names.push((root.clone(), reference.span));
            }
            self.environment_value(&reference.path, reference.span);
            self.tainted(root, own, reference.span, goes);
        }
        self.place(&shape, expr, goes);
        shape
    }

    /// A capture of a loop read from outside has its own explanation.
    fn loop_hint(&self, expr: &Expr, code: &str) -> Option<String> {
        if code != "unknown-field" {
            return None;
        }
        let reference = expr.references().into_iter().find(|reference| {
            reference
                .path
                .first()
                .and_then(|root| self.steps.get(root))
                .is_some_and(|shape| matches!(shape, Shape::Record(fields) if fields.contains_key("results")))
        })?;
        let root = reference.path.first()?;
        Some(format!(
            "`{root}` is a loop: its items are in `{root}.results`, a list of {{item, outcome, error, captures}}"
        ))
    }

    fn environment_value(&mut self, path: &[String], span: Span) {
        let Some(known) = &self.context.environment_values else { return };
        let [root, name, ..] = path else { return };
        if root != "env" || known.contains(name) {
            return;
        }
        let message = format!("no environment of this library gives `env.{name}`");
        let mut problem = Diagnostic::warning(self.runbook.source(), "unknown-environment-value", span, message);
        if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
            problem = problem.hint(format!("did you mean `env.{near}`?"));
        }
        self.problems.push(problem);
    }

    fn tainted(&mut self, root: &str, own: &Fields, span: Span, goes: Goes) {
        let (Goes::Steers(place) | Goes::SteersSecret(place)) = goes else { return };
        if own.contains_key(root) || !self.tainted.contains(root) {
            return;
        }
        let message = format!("`{root}` can come from an alert's label, and {place} must not be steered by one");
        let problem = self.problem("tainted-target", span, message).hint(
            "labels are written by whoever can send metrics; take this value from the environment or the command line",
        );
        self.problems.push(problem);
    }

    fn place(&mut self, shape: &Shape, expr: &Expr, goes: Goes) {
        let problem = match goes {
            Goes::Condition if !matches!(shape, Shape::Boolean | Shape::Any) => {
                let message = format!("a condition is `true` or `false`, and this is {}", shape_word(shape));
                self.problem("not-a-condition", expr.span(), message).hint("compare it with something")
            }
            Goes::Open(place) | Goes::Steers(place) if *shape == Shape::Secret => {
                let message = format!("`{}` is a secret, and {place} can be read by others", expr.text().trim());
                self.problem("secret-place", expr.span(), message)
                    .hint("secrets travel in `env`, `stdin`, a header or a body")
            }
            _ => return,
        };
        self.problems.push(problem);
    }
}

/// The shape of a value, in words.
pub(super) fn shape_word(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "any value",
        Shape::Text => "a text",
        Shape::Number => "a number",
        Shape::Boolean => "true or false",
        Shape::Duration => "a duration",
        Shape::Time => "a point in time",
        Shape::List(_) => "a list",
        Shape::Record(_) | Shape::Map => "a map",
        Shape::Secret => "a secret",
    }
}
