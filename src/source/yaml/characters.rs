//! Characters that have no business in a file a person writes.

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::file::{BYTE_ORDER_MARK, Source, Span};

/// How many are reported; a binary file would have thousands.
const REPORTED: usize = 5;

/// Reports control characters as errors and invisible reordering as warnings; tells whether the text can be parsed.
pub(super) fn check(source: &Source, problems: &mut Diagnostics) -> bool {
    let (mut controls, mut turns) = (0, 0);
    for (at, char) in source.text().char_indices() {
        let span = Span::new(at, at + char.len_utf8());
        if is_refused(char) || (char == BYTE_ORDER_MARK && at > 0) {
            controls += 1;
            if controls <= REPORTED {
                problems.push(refused(source, char, span));
            }
        } else if is_turn(char) {
            turns += 1;
            if turns <= REPORTED {
                problems.push(turn(source, char, span));
            }
        }
    }
    controls == 0
}

fn is_refused(char: char) -> bool {
    (char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\u{85}')) || matches!(char, '\u{fffe}' | '\u{ffff}')
}

/// Characters that show the text after them in another order than it is read.
pub(crate) fn is_turn(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

fn refused(source: &Source, char: char, span: Span) -> Diagnostic {
    let code = u32::from(char);
    let (name, escape) = match char {
        '\0' => (" (NUL)", "\\0".to_owned()),
        '\u{1b}' => (" (escape)", "\\e".to_owned()),
        '\u{7}' => (" (bell)", "\\a".to_owned()),
        '\u{8}' => (" (backspace)", "\\b".to_owned()),
        BYTE_ORDER_MARK => (" (byte-order mark)", "\\uFEFF".to_owned()),
        _ if code <= 0xFF => ("", format!("\\x{code:02X}")),
        _ => ("", format!("\\u{code:04X}")),
    };
    Diagnostic::error(
        source,
        "control-character",
        span,
        format!("the control character U+{code:04X}{name} may not stand in a file"),
    )
    .hint(format!("remove it; where it is meant, write `{escape}` inside double quotes"))
}

fn turn(source: &Source, char: char, span: Span) -> Diagnostic {
    let code = u32::from(char);
    Diagnostic::warning(
        source,
        "bidi-character",
        span,
        format!("the invisible character U+{code:04X} changes the order in which this line is shown"),
    )
    .hint(format!("remove it; where it is meant, write `\\u{code:04X}` inside double quotes"))
}
