//! What `log` and `service` can be checked for before a run: patterns, times, and what a target can do.

use super::expressions::Checker;
use crate::expr::{Segment, Template, Time};
use crate::runbook::{LogAction, ServiceAction, ServiceVerb, TargetKind, TargetRef, parse_duration};
use crate::source::Span;
use std::ops::Range;

impl Checker<'_> {
    /// Patterns must be regular expressions, and a time must be one.
    pub(super) fn log(&mut self, log: &LogAction) {
        for pattern in log.include.iter().chain(&log.exclude) {
            self.pattern(pattern);
        }
        if let Some((since, text)) = log.since.as_ref().and_then(|since| Some((since, since.literal()?)))
            && parse_duration(text).is_none()
            && Time::parse(text).is_none()
        {
            let message = format!("`{text}` is neither a duration nor a time with its zone");
            let problem = self.problem("log-since", since.span(), message);
            self.problems
                .push(problem.hint("write `10m`, `2026-11-26T09:00:00Z`, or the time of a step: `{{ x.started }}`"));
        }
    }

    fn pattern(&mut self, pattern: &Template) {
        let mut text = String::new();
        for segment in pattern.segments() {
            match segment {
                Segment::Text(part) => text.push_str(part.as_str()),
                // A value stands for itself, so any letter does.
                Segment::Expr(_) => text.push('x'),
            }
        }
        let Err(error) = regex_syntax::Parser::new().parse(&text) else { return };
        let (why, at) = match &error {
            regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
            regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
            other => (other.to_string(), None),
        };
        let at = at.filter(|_| pattern.literal().is_some()).map(|at| at.start.offset..at.end.offset);
        let span = at.and_then(|at| self.within(pattern, &at)).unwrap_or_else(|| pattern.span());
        let problem = self.problem("pattern", span, format!("this is not a regular expression: {why}"));
        self.problems.push(problem.hint("a backslash makes the next character stand for itself"));
    }

    /// The place of a part of a text, where the file has it as it stands: not in quotes with escapes.
    fn within(&self, template: &Template, part: &Range<usize>) -> Option<Span> {
        let text = template.literal()?;
        let whole = template.span();
        let start = whole.start + self.runbook.source().slice(whole).find(text)?;
        // An error at the very end has no width.
        Some(Span::new(start + part.start, start + part.end.max(part.start + 1).min(text.len().max(part.start))))
    }

    /// What is wanted of a service must be something its target can do.
    pub(super) fn service(&mut self, service: &ServiceAction, target: Option<&TargetRef>) {
        let Some(TargetRef::Name(name)) = target else { return };
        let Some(target) = self.runbook.targets.get(name.value.as_str()) else { return };
        let verb = service.verb;
        let span = service.name.span();
        if target.place.kind() == TargetKind::Kubernetes {
            let scales = matches!(verb, ServiceVerb::Start | ServiceVerb::Stop);
            if !scales && verb != ServiceVerb::Reload {
                return;
            }
            let message =
                format!("a workload of Kubernetes can be restarted and looked at, and has no `{}`", verb.as_str());
            let problem = self.problem("service-verb", span, message);
            let hint = if scales { "use `kubectl: [scale, .., --replicas=N]`" } else { "use `restart`" };
            self.problems.push(problem.hint(hint));
            return;
        }
        if !target.service.is_empty() && !target.service.contains_key(&verb) {
            let message = format!("the `service` of target `{}` has no command for `{}`", name.value, verb.as_str());
            let problem = self.problem("service-driver", span, message);
            self.problems.push(problem);
        }
    }
}
