//! Which lines are looked for.

use crate::action::outcome::Refusal;
use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes: a counted repetition of a repetition would take all memory.
const LARGEST: usize = 4 << 20;

/// Patterns that a line must and must not match.
#[derive(Debug, Default)]
pub(super) struct Filter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Filter {
    /// # Errors
    /// A pattern that is none; `check` finds those that hold no value before the run.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, Refusal> {
        Ok(Self { include: compiled("include", include)?, exclude: compiled("exclude", exclude)? })
    }

    /// Whether a line is looked for: it matches one of `include` (when there is any) and none of `exclude`.
    pub(super) fn takes(&self, line: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|pattern| pattern.is_match(line));
        included && !self.exclude.iter().any(|pattern| pattern.is_match(line))
    }
}

fn compiled(key: &str, patterns: &[String]) -> Result<Vec<Regex>, Refusal> {
    let one = |pattern: &String| {
        RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Refusal::value(format!("`{key}`: `{pattern}` is not a regular expression: {last}"))
        })
    };
    patterns.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn without_patterns_every_line_is_taken() {
        assert!(filter(&[], &[]).takes(""));
    }

    #[test]
    fn one_include_is_enough_and_one_exclude_is_too() {
        let filter = filter(&["ERROR", "pool .* timed out"], &["ignored", "^#"]);
        assert!(filter.takes("12:00 ERROR"));
        assert!(filter.takes("the pool acquire timed out"));
        assert!(!filter.takes("all is well"));
        assert!(!filter.takes("ERROR ignored"));
        assert!(!filter.takes("# ERROR"));
    }

    #[test]
    fn a_pattern_that_is_none_is_named_with_its_key() {
        let refusal = Filter::new(&["(".to_owned()], &[]).unwrap_err();
        assert_eq!(refusal.message, "`include`: `(` is not a regular expression: unclosed group");
        let refusal = Filter::new(&[], &["(a{1000}){1000}".to_owned()]).unwrap_err();
        assert!(refusal.message.starts_with("`exclude`: `(a{1000}){1000}` is not a regular expression"), "{refusal:?}");
    }
}
