//! What a run came to beside its steps: what stands, marks, and where processes let go of it and others took it up.

use super::super::closing::end_of;
use super::super::resumed;
use super::super::sanitize::{markdown_cell, markdown_cell_code};
use super::super::style::Style;
use super::super::words::{self, day_and_clock, span};
use super::{Page, VALUE, who};
use crate::event::{Event, Record};

impl Page<'_> {
    /// Changes that stand, or may stand, where the record ends.
    pub(super) fn standing(&mut self) {
        let Some(last) = self.story.last else { return };
        let standing: Vec<_> = self.story.changes.standing(last.time).collect();
        if standing.is_empty() {
            return;
        }
        self.section("What stands");
        self.table(&["Step", "Act", "Ends", "Undo"]);
        for (path, change) in standing {
            let name = format!("{}{}", markdown_cell_code(&path.0), markdown_cell(&end_of(change, last.time)));
            let until = change.until.map(|until| format!("{} UTC", day_and_clock(until)));
            let ends = match (until, change.temporary) {
                (Some(until), _) => until,
                (None, true) => "with the run".to_owned(),
                (None, false) => "not by itself".to_owned(),
            };
            let undo = match (&change.undo, &change.irreversible) {
                (_, Some(why)) => format!("cannot be undone: {}", markdown_cell(why)),
                (Some(undo), None) => markdown_cell_code(undo),
                (None, None) => "none is written".to_owned(),
            };
            self.row(&[name, markdown_cell_code(&Style::PLAIN.cut(&change.act, VALUE)), ends, undo]);
        }
    }

    pub(super) fn marks(&mut self) {
        let story = self.story;
        if story.marks.all().is_empty() {
            return;
        }
        self.section("Marks");
        self.table(&["Mark", "At (UTC)", "By", "Text"]);
        let current = story.marks.current();
        for said in story.marks.all() {
            let counts = current.iter().any(|one| std::ptr::eq(*one, said));
            let mark = if counts { said.mark.to_string() } else { format!("{} (said anew later)", said.mark) };
            let text = markdown_cell(said.text.as_deref().unwrap_or_default());
            self.row(&[mark, day_and_clock(said.at), markdown_cell(&who(&said.by)), text]);
        }
        let spans = story.marks.spans_in_words();
        if !spans.is_empty() {
            self.line("");
        }
        for text in spans {
            self.line(&format!("- {text}"));
        }
    }

    /// Where processes let go of the run and others took it up, and what people settled then.
    pub(super) fn hands(&mut self) {
        let story = self.story;
        let mut rows: Vec<(&Record, String)> = Vec::new();
        for record in &story.left {
            let text = match &record.event {
                Event::RunSuspended { reason } => format!("suspended: {reason}"),
                _ => "parked: it waits for people".to_owned(),
            };
            rows.push((record, text));
        }
        for (record, left) in &story.resumed {
            if let Event::RunResumed(resumption) = &record.event {
                rows.push((record, format!("resumed {}", resumed::facts(record, resumption, *left).join("; "))));
            }
        }
        for (record, settlement, reason) in &story.settled {
            let step = record.step.as_ref().map(|step| step.0.as_str()).unwrap_or_default();
            let word = words::settlement(*settlement);
            rows.push((record, format!("{step}: {word}, says {}: {reason}", who(&record.actor))));
        }
        if let Some((record, reason)) = story.aborted {
            rows.push((record, format!("aborted by {}: {reason}", who(&record.actor))));
        }
        rows.sort_by_key(|(record, _)| record.seq);
        let mut rows: Vec<(String, String)> =
            rows.into_iter().map(|(record, text)| (day_and_clock(record.time), text)).collect();
        for (time, by_ms) in &story.clock_moved {
            let way = if *by_ms < 0 { "back" } else { "ahead" };
            let text = format!("the wall clock was set {way} by {}", span(by_ms.unsigned_abs()));
            rows.push((day_and_clock(*time), text));
        }
        self.list("Stopped and taken up", rows.iter().map(|(when, text)| (when.clone(), text.as_str())));
    }
}
