//! A run that a process lets go of without ending it: what it waits for, what stands, and how to go on.

use super::blocks::loud;
use super::changes::{Became, Changes};
use super::closing::{open_lines, pasted};
use super::commands::Commands;
use super::layout::{labelled, prose};
use super::sanitize::shell_quote;
use super::steps::StepTable;
use super::style::Style;
use crate::event::Waiting;
use jiff::Timestamp;

/// What the last lines of a run that goes on later need.
pub(crate) struct Left<'a> {
    pub(crate) run: &'a str,
    pub(crate) steps: &'a StepTable,
    pub(crate) changes: &'a Changes,
    pub(crate) commands: &'a Commands,
    pub(crate) at: Timestamp,
}

impl Left<'_> {
    /// What a parked run waits for, each with the command that settles it from elsewhere.
    pub(crate) fn parked(&self, style: &Style, waiting: &[Waiting]) -> Vec<String> {
        let count =
            if waiting.len() == 1 { "1 answer is".to_owned() } else { format!("{} answers are", waiting.len()) };
        let mut out = loud(style, "PARKED", &format!("the run waits in the store; {count} needed"));
        for wait in waiting {
            let step = style.text(&wait.step.0);
            let what = style.text(&wait.what);
            out.extend(labelled(style, 2, &what, "  ", &format!("{step}: {}", style.text(&wait.text))));
            if let Some(wants) = &wait.wants {
                out.extend(labelled(style, 4, "waits for", " ", &style.text(wants)));
            }
        }
        out.extend(self.standing(style));
        if !waiting.is_empty() {
            out.push("  answer from anywhere:".to_owned());
        }
        for wait in waiting {
            let (command, instead) = settles(self, wait);
            out.push(format!("    {command}"));
            out.extend(instead.iter().flat_map(|text| prose(style, 6, &style.text(text))));
        }
        out.extend(self.go_on("then let it go on, or answer here:"));
        out
    }

    /// A run that was left by its operator.
    pub(crate) fn suspended(&self, style: &Style, reason: &str) -> Vec<String> {
        let mut out = loud(style, "SUSPENDED", "nothing is undone and nothing is closed");
        out.extend(labelled(style, 2, "because ", " ", &style.text(reason)));
        out.extend(self.standing(style));
        out.extend(self.go_on("go on, here or on another machine:"));
        out
    }

    /// A run whose process died.
    pub(crate) fn interrupted(&self, style: &Style) -> Vec<String> {
        let mut out = loud(style, "INCOMPLETE", "the record has no closing event, and no process has the run");
        let unknown = self.changes.all().filter(|(_, change)| change.is_open);
        for (path, _) in unknown {
            let text = "had begun, and its end is not in the record: whether it happened is not known";
            out.extend(labelled(style, 2, "unknown ", " ", &style.text(&format!("`{}` {text}", path.0))));
        }
        out.extend(self.standing(style));
        out.extend(self.go_on("go on where it stopped:"));
        out.push(format!("  record   {}", self.commands.line("verify", &[self.run], "")));
        out
    }

    /// Changes that end by themselves or wait to be taken back, and those nobody knows of.
    fn standing(&self, style: &Style) -> Vec<String> {
        let mut out = Vec::new();
        let passing: Vec<_> = self.changes.standing(self.at).filter(|(_, change)| change.is_passing()).collect();
        if !passing.is_empty() {
            let word = if passing.len() == 1 { "open change" } else { "open changes" };
            out.push(format!("  {} {word}:", passing.len()));
            out.extend(open_lines(style, passing.into_iter(), self.at));
        }
        let unknown = self.changes.count(Became::Unknown);
        if unknown > 0 && out.is_empty() {
            let word = if unknown == 1 { "1 change is" } else { "changes are" };
            out.push(format!("  {word} not known to be done or not: `resume` settles that first"));
        }
        out
    }

    fn go_on(&self, words: &str) -> Vec<String> {
        let command = |verb, more| format!("    {}", self.commands.line(verb, &[self.run], more));
        vec![
            format!("  {words}"),
            command("resume", ""),
            "  end it for good, or hand it over:".to_owned(),
            command("abort", "--reason TEXT"),
            command("handover", ""),
        ]
    }
}

/// The command that settles what is waited for, and what else can be said in its place.
fn settles(left: &Left<'_>, wait: &Waiting) -> (String, Option<String>) {
    let words = [left.run, wait.step.0.as_str()];
    let command = |verb, more: &str| left.commands.line(verb, &words, more);
    let answers = left.steps.find(&wait.step).answers;
    match wait.what.as_str() {
        "decide" => {
            // No option is filled in: a command that is pasted must not choose by itself.
            let known = (!answers.is_empty()).then(|| format!("OPTION is one of {}", answers.join(", ")));
            (command("answer", "--choose OPTION"), known)
        }
        "when" => (command("answer", "perform=yes"), Some("or perform=no".to_owned())),
        "manual" | "interactive" => {
            (command("answer", "result=done"), Some("or result=failed --reason TEXT".to_owned()))
        }
        "ask" => {
            let names = if answers.is_empty() { vec!["NAME".to_owned()] } else { answers };
            let pairs: Vec<String> = names.iter().map(|name| format!("{}=VALUE", shell_quote(&[name]))).collect();
            (command("answer", &pairs.join(" ")), None)
        }
        "settle" => {
            let instead = "or result=not_done, or result=retry; `resume` asks it at a terminal";
            (command("answer", "result=done --reason TEXT"), Some(instead.to_owned()))
        }
        // Signatures are wanted: a name alone would be refused.
        _ if wait.wants.as_ref().is_some_and(|wants| wants.contains(" approval")) => {
            let instead = "with --digest and the digest on the card where there is no terminal, or runwright deny";
            (command("approve", "--sign KEYFILE"), Some(instead.to_owned()))
        }
        _ => {
            let instead = "with --digest and the digest on the card where there is no terminal, or with --deny";
            (command("approve", ""), Some(instead.to_owned()))
        }
    }
}

/// A closing fact that can be pasted.
pub(crate) fn record_line(commands: &Commands, run: &str) -> Vec<String> {
    pasted("record", &commands.line("show", &[run], ""))
}
