//! A screen as a picture: monospaced text, readable on light and on dark pages.

#![expect(clippy::cast_precision_loss, reason = "a screen has few columns and lines")]

use std::fmt::Write as _;

const WIDTH: usize = 80;
const CHARACTER: f32 = 8.4;
const LINE: f32 = 18.0;
const MARGIN: f32 = 20.0;

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
    let width = WIDTH as f32 * CHARACTER + 2.0 * MARGIN;
    let height = lines.len() as f32 * LINE + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         role=\"img\" aria-label=\"A run of the runbook quarantine-overflow on a terminal\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#161b22\" stroke=\"#30363d\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"14\" \
         fill=\"#c9d1d9\" xml:space=\"preserve\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + LINE * (number as f32 + 0.75);
        if line.is_empty() {
            continue;
        }
        assert!(line.chars().count() <= WIDTH, "line {} of docs/run.txt is wider than {WIDTH} columns", number + 1);
        // The length pins the grid, whatever font is there.
        let length = line.chars().count() as f32 * CHARACTER;
        writeln!(
            svg,
            "<text x=\"{MARGIN:.0}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
            painted(line)
        )
        .unwrap();
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn painted(line: &str) -> String {
    if line.starts_with("$ ") {
        return format!("<tspan fill=\"#ffffff\" font-weight=\"bold\">{}</tspan>", escaped(line));
    }
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (word, after) = next_word(rest);
        match COLOURS.iter().find(|(words, _)| words.contains(&word.trim_end_matches(','))) {
            Some((_, colour)) => write!(text, "<tspan fill=\"{colour}\">{}</tspan>", escaped(word)).unwrap(),
            None => text.push_str(&escaped(word)),
        }
        rest = after;
    }
    text
}

/// The next run of blanks or of other characters.
fn next_word(text: &str) -> (&str, &str) {
    let is_blank = text.starts_with(' ');
    text.split_at(text.find(|c| (c == ' ') != is_blank).unwrap_or(text.len()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
