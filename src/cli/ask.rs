//! Questions before the first step: inputs that nothing else gives.

use super::console::Console;
use super::person::typed_line;
use crate::report::sanitize::visible;
use crate::runbook::Input;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks for one input on the terminal; nothing when no answer comes.
pub(super) fn ask_input(console: &Console, name: &str, input: &Input, wrong: Option<&str>) -> Option<String> {
    if let Some(wrong) = wrong {
        console.say(&format!("  {}\n", visible(wrong)));
    }
    let kind = input.kind.as_str();
    let about = input.description.as_ref().map(|text| format!("  {}", visible(text.source_text())));
    console.say(&format!("input {} ({kind}){}\n", visible(name), about.unwrap_or_default()));
    if let Some(find) = &input.find {
        console.say(&format!("  found: {}\n", visible(find.source_text())));
    }
    if !input.choices.0.is_empty() {
        let all: Vec<&str> = input.choices.0.iter().map(|choice| choice.value.as_str()).collect();
        console.say(&format!("  one of {}\n", visible(&all.join(", "))));
    }
    let label = format!("{}: ", visible(name));
    if input.is_secret() {
        return hidden_line(console, &label).filter(|line| !line.is_empty());
    }
    console.say(&label);
    let answer = typed_line();
    answer.filter(|line| !line.is_empty())
}

/// A line that is not shown while it is typed; nothing where it could not be hidden.
pub(super) fn hidden_line(console: &Console, label: &str) -> Option<String> {
    let terminal = rustix::stdio::stdin();
    let before = tcgetattr(terminal).ok()?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(terminal, OptionalActions::Flush, &hidden).ok()?;
    let restore = Restore(before);
    // Only now: what is typed as soon as the question is there must not be shown.
    console.say(label);
    let line = typed_line();
    drop(restore);
    console.say("\n");
    line
}

/// Puts the terminal back, whatever happens.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
