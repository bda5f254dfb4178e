//! Commands that can be pasted: with the options that say where the records and the runbooks are.

use super::sanitize::shell_quote;

/// The options that were given to this process and that the next command needs as well: `--store DIR`, `--library DIR`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    options: Vec<String>,
}

impl Commands {
    /// With these options, each a word of its own.
    #[must_use]
    pub fn with(options: Vec<String>) -> Self {
        Self { options }
    }

    /// A command line: `runwright resume 20261121-0114-k3f9 --store /srv/records`. The verb stands as it is, the words
    /// are quoted for a shell, what follows stands as it is again: `--reason TEXT`.
    pub(crate) fn line(&self, verb: &str, words: &[&str], more: &str) -> String {
        let mut line = format!("runwright {verb}");
        for part in [shell_quote(words), more.to_owned()] {
            if !part.is_empty() {
                line.push(' ');
                line.push_str(&part);
            }
        }
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        if !options.is_empty() {
            line.push(' ');
            line.push_str(&shell_quote(&options));
        }
        line
    }
}
