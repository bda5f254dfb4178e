//! Output of running steps, in bounded memory: the latest lines of each, escaped.

use super::sanitize::output_line;
use super::style::{Style, Tone};
use crate::engine::Chunk;
use crate::event::StepPath;
use std::collections::{HashMap, VecDeque};

/// Lines of a step that are shown at a time.
const LINES: usize = 10;
/// A step is quick before it has run so long, and its output is not shown.
const AFTER_MS: u64 = 2000;
/// Bytes of a line that are looked at.
const LINE_BYTES: usize = 4096;

/// What the running steps have written and was not shown yet.
#[derive(Default)]
pub(crate) struct Output {
    steps: HashMap<StepPath, Pending>,
}

#[derive(Default)]
struct Pending {
    lines: VecDeque<String>,
    left_out: u64,
    /// One unfinished line for each stream, so that two streams do not mix within a line.
    open: HashMap<&'static str, Vec<u8>>,
}

impl Output {
    pub(crate) fn take(&mut self, chunk: &Chunk) {
        let pending = self.steps.entry(chunk.step.clone()).or_default();
        let mut open = pending.open.remove(chunk.stream).unwrap_or_default();
        let mut pieces = chunk.bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LINE_BYTES.saturating_sub(open.len());
            open.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                pending.push(&open);
                open.clear();
            }
        }
        pending.open.insert(chunk.stream, open);
    }

    /// The lines that are due for a step that has run for so long.
    pub(crate) fn due(&mut self, step: &StepPath, ran_ms: u64, style: &Style) -> Vec<String> {
        let Some(pending) = self.steps.get_mut(step) else { return Vec::new() };
        if ran_ms < AFTER_MS {
            return Vec::new();
        }
        let name = style.text(&step.0);
        let side = style.glyphs().side;
        let mut out = Vec::new();
        if pending.left_out > 0 {
            out.push(format!("    {name} {side} ({} lines not shown; all are kept)", pending.left_out));
            pending.left_out = 0;
        }
        for line in pending.lines.drain(..) {
            let line = if style.unicode { line } else { style.text(&line) };
            let line = style.cut(&format!("    {name} {side} {line}"), style.columns());
            out.push(line.trim_end().to_owned());
        }
        out.into_iter().map(|line| style.paint(Tone::Quiet, &line)).collect()
    }

    pub(crate) fn forget(&mut self, step: &StepPath) {
        self.steps.remove(step);
    }
}

impl Pending {
    fn push(&mut self, bytes: &[u8]) {
        let line = output_line(&String::from_utf8_lossy(bytes));
        if line.trim().is_empty() {
            return;
        }
        self.lines.push_back(line);
        if self.lines.len() > LINES {
            self.lines.pop_front();
            self.left_out += 1;
        }
    }
}
