//! A screen as a picture: monospaced text, readable on light and on dark pages.

const COLUMNS: usize = 80;
/// Sizes in tenths of a pixel, so that the picture is the same on every machine.
const CHARACTER: usize = 84;
const LINE: usize = 180;
const MARGIN: usize = 200;

/// Colours say kind and state, as on a terminal; every state is a word all the same.
const COLOURS: [(&[&str], &str); 5] = [
    (&["DIAGNOSE", "VALIDATE"], "#58a6ff"),
    (&["DECIDE"], "#d2a8ff"),
    (&["REMEDIATE"], "#ffa657"),
    (&["RESOLVED", "done", "holds", "verified"], "#56d364"),
    (&["WARNING", "FAILED", "NOT RESOLVED"], "#ff7b72"),
];

/// The picture of a screen. A line `$ ...` is what a person typed.
pub(super) fn svg(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let width = pixels(COLUMNS * CHARACTER + 2 * MARGIN);
    let height = pixels(lines.len() * LINE + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         role=\"img\" aria-label=\"A run of the runbook quarantine-overflow on a terminal\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#161b22\" stroke=\"#30363d\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"14\" \
         fill=\"#c9d1d9\" xml:space=\"preserve\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let columns = line.chars().count();
        assert!(columns <= COLUMNS, "line {} of docs/run.txt is wider than {COLUMNS} columns", number + 1);
        let y = pixels(MARGIN + LINE * number + 135);
        for Part { column, text, look } in parts(line) {
            // The length pins the grid, whatever font is there.
            svg += &format!(
                "<text x=\"{}\" y=\"{y}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"{look}>{}</text>\n",
                pixels(MARGIN + column * CHARACTER),
                pixels(text.chars().count() * CHARACTER),
                escaped(text)
            );
        }
    }
    svg + "</g>\n</svg>\n"
}

/// A part of a line that looks the same throughout.
struct Part<'l> {
    column: usize,
    text: &'l str,
    look: String,
}

fn pixels(tenths: usize) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The words of a line, each at its column; neighbours that look the same stay together unless two blanks part them.
fn parts(line: &str) -> Vec<Part<'_>> {
    if line.starts_with("$ ") {
        return vec![Part { column: 0, text: line, look: " fill=\"#ffffff\" font-weight=\"bold\"".to_owned() }];
    }
    let mut found: Vec<Part<'_>> = Vec::new();
    let (mut at, mut column) = (0, 0);
    while at < line.len() {
        let (word, _) = next_word(&line[at..]);
        if !word.starts_with(' ') {
            let colour = COLOURS.iter().find(|(words, _)| words.contains(&word.trim_end_matches(',')));
            let look = colour.map_or_else(String::new, |(_, colour)| format!(" fill=\"{colour}\""));
            match found.last_mut() {
                Some(last) if last.look == look && last.column + last.text.chars().count() + 1 == column => {
                    let start = at - 1 - last.text.len();
                    last.text = &line[start..at + word.len()];
                }
                _ => found.push(Part { column, text: word, look }),
            }
        }
        at += word.len();
        column += word.chars().count();
    }
    found
}

/// The next run of blanks or of other characters.
fn next_word(text: &str) -> (&str, &str) {
    let is_blank = text.starts_with(' ');
    text.split_at(text.find(|c| (c == ' ') != is_blank).unwrap_or(text.len()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
