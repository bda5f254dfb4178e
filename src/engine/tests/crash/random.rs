//! Runbooks that nobody wrote.

use super::books::Book;
use proptest::prelude::*;
use std::fmt::Write as _;

/// One step of such a runbook.
#[derive(Clone, Debug)]
struct Line {
    kind: u8,
    act: u8,
    on_failure: u8,
    needs_none: bool,
    temporary: bool,
}

fn line() -> impl Strategy<Value = Line> {
    (0_u8..13, 0_u8..8, 0_u8..4, proptest::bool::weighted(0.15), proptest::bool::weighted(0.2)).prop_map(
        |(kind, act, on_failure, needs_none, temporary)| Line { kind, act, on_failure, needs_none, temporary },
    )
}

/// Any runbook.
pub(super) fn any_book() -> impl Strategy<Value = Book> {
    let lines = prop::collection::vec(line(), 1..7);
    (lines, any::<bool>()).prop_map(|(mut lines, side_by_side)| {
        // What fails beside something else leaves out more or less of it, as it comes: a runbook has one or the other.
        for line in &mut lines {
            if side_by_side {
                line.act = 7;
                line.kind = if line.kind == 1 { 0 } else { line.kind };
            } else {
                line.needs_none = false;
            }
        }
        let text = text(&lines);
        let alone = text.replace("    at_once: 2\n", "").replace("    parallel: true\n", "");
        Book::new("random", if side_by_side { &text } else { &alone })
    })
}

fn text(lines: &[Line]) -> String {
    let mut text = "steps:\n".to_owned();
    for (at, line) in lines.iter().enumerate() {
        step(&mut text, at, line);
    }
    // What proves the goal comes after every change, in whatever order they were made.
    text + "  - { id: goal, validate: Goal, run: [look, goal], expect: exit == 0 }\nfinally:\n  - { id: last, remediate: Tidy, risk: low, run: [do, last] }\n"
}

fn step(text: &mut String, at: usize, line: &Line) {
    let act = match line.act {
        0 => "fail",
        1 => "trips",
        _ => "do",
    };
    let needs = if line.needs_none { "    needs: []\n" } else { "" };
    let on_failure = match line.on_failure {
        0 => "    on_failure: continue\n".to_owned(),
        1 => format!(
            "    on_failure:\n      steps: [ {{ id: fix{at}, remediate: Fix, risk: low, run: [do, fix{at}] }} ]\n      then: again\n"
        ),
        2 => format!(
            "    on_failure:\n      steps: [ {{ id: fix{at}, remediate: Fix, risk: low, run: [do, fix{at}] }}, {{ id: see{at}, validate: See, run: [is, fix{at}], expect: exit == 0 }} ]\n      then: continue\n"
        ),
        _ => String::new(),
    };
    let temporary = if line.temporary { "temporary: true, " } else { "" };
    let undo = |name: &str| format!("{temporary}undo: {{ run: [back, '{name}'] }}");
    let more = format!("{needs}{on_failure}");
    match line.kind {
        0 => writeln!(text, "  - id: s{at}\n    diagnose: D\n    run: [look, x{at}]\n{more}"),
        1 => writeln!(text, "  - id: s{at}\n    validate: V\n    run: [is, x{}]\n    expect: exit == 0\n{more}", at / 2),
        2 | 3 => {
            let temporary = if line.temporary { "    temporary: true\n" } else { "" };
            let act = act.replace("trips", "flaky");
            writeln!(text, "  - id: s{at}\n    remediate: R\n    risk: low\n    run: [{act}, x{at}]\n    retry: {{ attempts: 2, every: 1s }}\n{temporary}    undo: {{ run: [back, x{at}] }}\n    verify: {{ run: [is, x{at}], expect: exit == 0, within: 3s }}\n{more}")
        }
        4 => writeln!(text, "  - id: s{at}\n    remediate: R\n    run: [{act}, x{at}]\n    irreversible: it is\n    risk: low\n{more}"),
        5 => writeln!(text, "  - id: look{at}\n    diagnose: D\n    run: [look, x{at}]\n  - id: s{at}\n    decide: C\n    options:\n      one: {{ when: look{at}.exit == 0, steps: [ {{ id: in{at}, remediate: I, risk: low, run: [do, i{at}], {} }} ] }}\n      two: {{ when: look{at}.exit == 1, end: resolved }}\n", undo(&format!("i{at}"))),
        6 => writeln!(text, "  - id: s{at}\n    group: G\n{more}    steps:\n      - {{ id: g{at}, remediate: I, risk: low, run: [{act}, g{at}] }}\n      - {{ id: h{at}, validate: H, run: [is, g{at}], expect: exit == 0 }}\n"),
        7 => writeln!(text, "  - id: s{at}\n    group: L\n    for_each: \"[1, 2, 3]\"\n    on_item_failure: continue\n    at_once: 2\n    pause: 1s\n{more}    steps:\n      - {{ id: l{at}, diagnose: L, run: [look, '{{{{ item }}}}'] }}\n      - {{ id: m{at}, remediate: M, risk: low, run: [do, 'm{at} {{{{ item }}}}'], {} }}\n      - {{ id: n{at}, remediate: N, risk: low, run: [{act}, 'n{at} {{{{ item }}}}'], when: l{at}.exit == 0 }}\n      - {{ id: o{at}, group: O, for_each: \"['x']\", as: o, steps: [ {{ id: p{at}, validate: P, run: [is, 'm{at} {{{{ item }}}}'], expect: exit == 0 }} ] }}\n", undo(&format!("m{at} {{{{ item }}}}"))),
        8 => writeln!(text, "  - id: s{at}\n    remediate: Call\n    runbook: {{ name: inner, inputs: {{ who: 'c{at}' }} }}\n{more}"),
        9 => writeln!(text, "  - id: s{at}\n    group: Side by side\n    parallel: true\n{more}    steps:\n      - {{ id: q{at}, diagnose: Q, run: [look, q{at}] }}\n      - {{ id: r{at}, group: R, steps: [ {{ id: t{at}, remediate: T, risk: low, run: [do, t{at}] }}, {{ id: u{at}, remediate: U, runbook: {{ name: inner, inputs: {{ who: 'u{at}' }} }} }} ] }}\n"),
        10 => writeln!(text, "  - id: s{at}\n    group: Calls\n    for_each: \"['v', 'w']\"\n{more}    steps:\n      - {{ id: w{at}, remediate: W, runbook: {{ name: inner, inputs: {{ who: 'k{at} {{{{ item }}}}' }} }} }}\n"),
        11 => writeln!(text, "  - {{ id: s{at}, diagnose: Pause, wait: 20s }}"),
        _ => writeln!(text, "  - id: s{at}\n    remediate: List\n    for_each: \"['a', 'b', 'c']\"\n    run: [do, 'y{at} {{{{ item }}}}']\n    risk: low\n    {}\n    at_once: 2\n{more}", undo(&format!("y{at} {{{{ item }}}}")).replace(", undo", "\n    undo")),
    }
    .expect("text");
}
