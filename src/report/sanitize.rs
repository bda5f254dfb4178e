//! Text that is not ours, made safe for the place where it is shown.
//!
//! A title, a value, an error message or a line of output may hold bytes that move the cursor, reorder what is read or
//! hide a part of it. Each sink has its own escaper here and nothing reaches a sink without it.

use std::fmt::Write as _;

/// Whether a character must not reach a terminal or a page as it is: control characters (C0, C1, DEL), characters that
/// turn the direction of text around, and characters without width that hide or separate.
#[must_use]
pub fn is_treacherous(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A text on one line: every treacherous character, line breaks and tabs included, becomes a visible `\u{..}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        push_visible(&mut out, character);
    }
    out
}

/// A text on as many lines as it has: line breaks (`\n`, `\r\n`) split it, tabs go to the next multiple of four
/// columns, all else is as in [`visible`]. A last line break makes no empty line.
#[must_use]
pub fn visible_lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let mut out = String::with_capacity(line.len());
            for character in line.chars() {
                if character == '\t' {
                    let column = out.chars().count();
                    out.extend(std::iter::repeat_n(' ', 4 - column % 4));
                } else {
                    push_visible(&mut out, character);
                }
            }
            out
        })
        .collect()
}

/// A text that may be copied: line breaks and tabs stay as they are, all else is as in [`visible`].
#[must_use]
pub fn visible_block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\n' | '\t') {
            out.push(character);
        } else {
            push_visible(&mut out, character);
        }
    }
    out
}

/// One line of a program's output: colours and "erase the line" are dropped, of text written over by a carriage return
/// only the last layer stays, all else is as in [`visible`] (tabs become four columns).
#[must_use]
pub fn output_line(text: &str) -> String {
    let text = text.trim_end_matches('\r');
    let last = text.rsplit('\r').find(|layer| !layer.is_empty()).unwrap_or_default();
    let mut out = String::with_capacity(last.len());
    let mut rest = last;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = without_colour(rest) {
            rest = after;
            continue;
        }
        if character == '\t' {
            out.push_str("    ");
        } else {
            push_visible(&mut out, character);
        }
        rest = &rest[character.len_utf8()..];
    }
    out
}

/// What follows a sequence that only sets colours or erases a line, if the text begins with one.
fn without_colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|character: char| !(character.is_ascii_digit() || matches!(character, ';' | ':')))?;
    matches!(parameters.as_bytes().get(end), Some(b'm' | b'K')).then(|| &parameters[end + 1..])
}

fn push_visible(out: &mut String, character: char) {
    if is_treacherous(character) {
        // Writing into a string cannot fail.
        _ = write!(out, "\\u{{{:x}}}", u32::from(character));
    } else {
        out.push(character);
    }
}

/// Characters of plain text that Markdown or HTML inside it would take as more than text.
const MARKDOWN: &[char] =
    &['\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '(', ')', '#', '+', '!', '|', '~', '&', '$'];

/// A text in running Markdown, on one line: nothing in it is taken as markup, HTML or a link.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let clean = visible(text);
    let numbered = clean.trim_start_matches(|character: char| character.is_ascii_digit()).starts_with(['.', ')']);
    for (index, character) in clean.chars().enumerate() {
        let opens_list = index == 0 && matches!(character, '-' | '=' | ':');
        let link = character == ':' && clean.contains("://") || character == '@';
        if MARKDOWN.contains(&character) || opens_list || link || numbered && matches!(character, '.') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// A text as inline code, on one line; longer fences than any run of backticks inside.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let clean = visible(text);
    if clean.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&clean) + 1);
    let blank = clean.starts_with(['`', ' ']) || clean.ends_with(['`', ' ']);
    let space = if blank { " " } else { "" };
    format!("{fence}{space}{clean}{space}{fence}")
}

/// A text as a cell of a Markdown table: as in [`markdown`] (which already covers the bar).
#[must_use]
pub fn markdown_cell(text: &str) -> String {
    markdown(text)
}

/// A text as inline code in a cell of a table, where a bar ends the cell even inside code.
#[must_use]
pub fn markdown_cell_code(text: &str) -> String {
    markdown_code(text).replace('|', "\\|")
}

/// A text as a fenced block; the fence is longer than any run of backticks inside.
#[must_use]
pub fn markdown_block(text: &str, language: &str) -> String {
    let clean = visible_block(text);
    let fence = "`".repeat(longest_run(&clean).max(2) + 1);
    let end = if clean.is_empty() || clean.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{clean}{end}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

/// JSON text whose strings hold no treacherous character in raw form (they stand as `\uXXXX`, which is the same JSON).
#[must_use]
pub fn json_text(value: &serde_json::Value) -> String {
    let pretty = format!("{value:#}");
    let mut out = String::with_capacity(pretty.len());
    for character in pretty.chars() {
        if character != '\n' && is_treacherous(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// An argument list as a line that can be pasted into a shell (bash, zsh, ksh and every POSIX shell of 2024) and gives
/// the same arguments. Plain words stay bare, others stand in single quotes, those with treacherous characters in `$'..'`.
#[must_use]
pub fn shell_quote<S: AsRef<str>>(argv: &[S]) -> String {
    let mut out = String::new();
    for (index, word) in argv.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        quote_word(&mut out, word.as_ref(), index == 0);
    }
    out
}

fn quote_word(out: &mut String, word: &str, first: bool) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    // A first word with `=` would be an assignment; a leading `=` is a path look-up in zsh.
    let bare = !word.is_empty() && word.bytes().all(plain) && !(word.starts_with('=') || first && word.contains('='));
    if bare {
        out.push_str(word);
    } else if word.chars().any(is_treacherous) {
        out.push_str("$'");
        for character in word.chars() {
            match character {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\'' | '\\' => out.extend(['\\', character]),
                _ if is_treacherous(character) => {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        _ = write!(out, "\\{byte:03o}");
                    }
                }
                _ => out.push(character),
            }
        }
        out.push('\'');
    } else {
        out.push('\'');
        out.push_str(&word.replace('\'', "'\\''"));
        out.push('\'');
    }
}
