//! A text as a list of its lines, without a value per line: 16 MiB of empty lines would otherwise be 400 MB.

use crate::expr::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use std::sync::Arc;

/// The lines of a text.
#[derive(Debug)]
pub(in crate::action) struct Lines {
    text: Arc<str>,
    /// Where each line ends, its newline not included.
    ends: Vec<u32>,
}

impl Lines {
    /// Splits a text of less than 4 GiB. A newline at the end begins no further line.
    pub(in crate::action) fn new(text: Arc<str>) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place);
        let mut ends: Vec<u32> = newlines.filter_map(|place| u32::try_from(place).ok()).collect();
        if !text.is_empty() && !text.ends_with('\n') {
            ends.extend(u32::try_from(text.len()));
        }
        Self { text, ends }
    }

    fn line(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize + 1,
            None => 0,
        };
        let line = self.text.get(start..end)?;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl Object for Lines {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.line(key.as_usize()?).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.ends.len())
    }
}
