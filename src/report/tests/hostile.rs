use super::super::sanitize::is_treacherous;
use super::super::{
    About, Ahead, CardFrame, Commands, LiveScreen, OpenLine, OwnerLine, Problem, Recorded, RunLine, ScreenOptions,
    StepInfo, StepTable, Style, WaitLine, card, evidence, handover_json, handover_markdown, handover_text, list_text,
    problem, prompt, prompt_act, prompt_evidence, show_json, show_markdown, show_text,
};
use super::sample::{self, DIGEST, Tape, rarities, resolved, start};
use crate::engine::{Chunk, Prompt, PromptId, PromptKind};
use crate::event::{Event, Record, StepPath};
use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr as _;

/// Moves the cursor, turns the direction, hides, ends a frame, ends a fence, is wide and long.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{200b}\u{9b}1A\r\n  └ type yes\n``````\n| a | <script> 東京東京";

/// A runbook that says evil things about itself.
fn evil_about() -> About {
    let text = || format!("{EVIL}{}", "長".repeat(200));
    About {
        summary: Some(text()),
        impact: Some(text()),
        symptoms: vec![text(), text()],
        alerts: vec![text()],
        owner: Some(text()),
        contacts: vec![text()],
        order: vec![Ahead { path: StepPath(text()), arms: Vec::new(), on_failure: false }],
    }
}

/// A store in a folder with an evil name.
fn evil_commands() -> Commands {
    Commands::with(vec!["--store".to_owned(), EVIL.to_owned()])
}

/// The same record with the evil text in every string that is free text.
fn poisoned(record: &Record) -> Record {
    let mut json = serde_json::to_value(record).unwrap();
    poison(&mut json["event"], "");
    serde_json::from_value(json).unwrap()
}

/// Words of closed sets, and texts with a form, keep it.
const FIXED: [&str; 27] = [
    "settlement",
    "mark",
    "at",
    "until",
    "kind",
    "run",
    "mode",
    "identity",
    "outcome",
    "verdict",
    "answer",
    "door",
    "result",
    "error",
    "expires",
    "number",
    "pid",
    "took_ms",
    "holds",
    "changes",
    "validations",
    "waited_ms",
    "by_ms",
    "semantics",
    "size",
    "likelihood",
    "inline",
];

fn poison(value: &mut Json, key: &str) {
    match value {
        Json::String(text) if !FIXED.contains(&key) => {
            *text = format!("{text}{EVIL}{}", "長".repeat(200));
        }
        Json::Array(entries) => entries.iter_mut().for_each(|entry| poison(entry, key)),
        Json::Object(fields) => fields.iter_mut().for_each(|(key, value)| {
            // The answer of a gate is an object that holds a word of the same name, and a reason in free text.
            let key = if value.is_object() { "" } else { key.as_str() };
            poison(value, key);
        }),
        _ => {}
    }
}

fn poisoned_run() -> Vec<Record> {
    rarities().records.iter().chain(&resolved().records).map(poisoned).collect()
}

fn poisoned_steps() -> StepTable {
    let names = ["queue", "rates", "cause", "ban_agent", "reject", "loosen", "under_50"];
    let info = |name: &str| StepInfo {
        kind: format!("diagnose{EVIL}"),
        id: format!("{name}{EVIL}"),
        title: EVIL.into(),
        depth: 3,
        risk: Some(EVIL.into()),
        answers: vec![EVIL.into()],
    };
    names.iter().map(|name| (StepPath((*name).into()), info(name))).collect::<std::collections::HashMap<_, _>>().into()
}

fn assert_safe(lines: &[String], width: usize, what: &str) {
    for line in lines {
        assert!(!line.chars().any(is_treacherous), "{what}: {line:?}");
        let pasted = line.contains("runwright ");
        assert!(line.width() <= width || pasted, "{what}: {} of {width} columns: {line:?}", line.width());
        // A frame can only be ended by ourselves.
        let inset = line.chars().take_while(|character| *character == ' ').count();
        assert!(inset >= 6 || !line.trim_start().starts_with('└') || !line.contains("type yes"), "{what}: {line:?}");
    }
}

#[test]
fn the_screen_and_show_stay_whole() {
    let (records, steps) = (poisoned_run(), poisoned_steps());
    for width in [40, 80, 200] {
        let style = Style { width, ..Style::PLAIN };
        for options in [ScreenOptions::LIVE, ScreenOptions::UNATTENDED, ScreenOptions::RECORDED] {
            let mut screen = LiveScreen::new(style, steps.clone(), options);
            let lines: Vec<String> = records.iter().flat_map(|record| screen.fold(record)).collect();
            assert_safe(&lines, width, "screen");
            assert!(lines.iter().any(|line| line.contains(r"\u{1b}[2J")));
        }
        let run = Recorded {
            records: &records,
            steps: &steps,
            findings: &[EVIL.to_owned()],
            head: Some(EVIL),
            live: false,
            commands: &evil_commands(),
        };
        assert_safe(&show_text(&run, &style), width, "show");
        let page = handover_text(&run, &evil_about(), start(), &style);
        assert_safe(&page, width, "handover");
        assert!(page.len() < 40, "{}", page.join("\n"));
    }
}

#[test]
fn cards_and_prompts_stay_whole() {
    let mut tape = Tape::default();
    tape.put(0, Some("ban_agent"), sample::gate_opened());
    let Event::GateOpened { card: view, .. } = poisoned(&tape.records[0]).event else { panic!() };
    let step = StepInfo { kind: EVIL.into(), id: EVIL.into(), ..StepInfo::default() };
    for style in [Style::PLAIN, Style { unicode: false, width: 40, ..Style::PLAIN }] {
        let frame =
            CardFrame { step: &step, card: &view, digest: DIGEST, good_for_ms: 1, may_skip: true, answers: true };
        assert_safe(&card(&frame, &style), style.width, "card");
        assert_safe(&evidence(&view, &style), style.width, "evidence");
        let kinds = [
            PromptKind::Gate { card: view.clone(), digest: EVIL.into(), expires: start(), may_skip: true },
            PromptKind::When { expression: EVIL.into(), reason: EVIL.into() },
            PromptKind::Manual { text: EVIL.into(), may_skip: true },
            PromptKind::Decide {
                options: sample::options(),
                shown: vec![sample::used(EVIL, EVIL.into())],
                reason: EVIL.into(),
            },
        ];
        for kind in kinds {
            let asked = Prompt { id: PromptId(1), step: StepPath(EVIL.into()), title: EVIL.into(), kind };
            assert_safe(&prompt(&asked, &StepTable::default(), &style, start()), style.width, "prompt");
            assert_safe(&prompt_evidence(&asked, &style), style.width, "prompt evidence");
            // Shown on demand and as it is, but for what would act on the terminal.
            let act = prompt_act(&asked).concat();
            assert!(!act.chars().any(|character| character != '\t' && is_treacherous(character)), "{act:?}");
        }
    }
}

#[test]
fn markdown_and_json_stay_whole() {
    let (records, steps) = (poisoned_run(), poisoned_steps());
    let run = Recorded {
        records: &records,
        steps: &steps,
        findings: &[EVIL.to_owned()],
        head: Some(EVIL),
        live: false,
        commands: &evil_commands(),
    };
    let page = show_markdown(&run);
    assert!(!page.chars().any(|character| character != '\n' && is_treacherous(character)));
    // Outside fences no line begins with what a foreign text could have made, and every table row has its cells.
    let mut fence: Option<String> = None;
    let mut columns = 0;
    for line in page.lines() {
        let ticks: String = line.chars().take_while(|character| *character == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => continue,
            None if ticks.len() >= 3 && !line[ticks.len()..].contains('`') => fence = Some(ticks),
            None => assert!(!line.contains("<script>") || line.contains("\\<script") || line.contains('`'), "{line}"),
        }
        if line.starts_with('|') {
            let cells = line.replace("\\|", "").matches('|').count();
            columns = if columns == 0 { cells } else { columns };
            assert_eq!(cells, columns, "{line}");
        } else {
            columns = 0;
        }
    }
    assert!(fence.is_none());
    let handover = handover_markdown(&run, &evil_about(), start());
    assert!(!handover.chars().any(|character| character != '\n' && is_treacherous(character)));
    for line in handover.lines().filter(|line| line.contains("script")) {
        assert!(line.contains("\\<script") || line.contains('`'), "{line}");
    }
    assert!(
        handover
            .lines()
            .all(|line| line.is_empty() || line.starts_with(['#', '-', '`', 'p', '\\']) || !line.contains("type yes"))
    );
    let json = handover_json(&run, &evil_about(), start());
    assert!(!json.chars().any(|character| character != '\n' && is_treacherous(character)));
    let json = show_json(&run);
    assert!(!json.chars().any(|character| character != '\n' && is_treacherous(character)));
    let json: Json = serde_json::from_str(&json).unwrap();
    assert!(json["steps"][0]["title"].as_str().unwrap().contains(EVIL));
}

#[test]
fn the_rest_stays_whole() {
    let text = || EVIL.to_owned();
    let told = Problem {
        code: text(),
        message: text(),
        facts: vec![(text(), text())],
        notes: vec![text()],
        location: Some(text()),
        hint: Some(text()),
    };
    // A place is never broken, so that an editor can open it.
    assert_safe(&problem(&told, &Style::PLAIN), 200, "problem");
    let run = RunLine {
        run: "20261121-0114-k3f9".into(),
        runbook: text(),
        started: start(),
        operator: text(),
        environment: Some(text()),
        state: "parked".into(),
        elapsed_ms: 1,
        owner: Some(OwnerLine {
            operator: text(),
            pid: 1,
            host: text(),
            since: start(),
            last_sign_ms: Some(4000),
            is_certain: false,
        }),
        step: Some(text()),
        unknown: Some(text()),
        reason: Some(text()),
        waits: vec![WaitLine { step: text(), what: text(), text: text() }],
        open_changes: vec![OpenLine { step: text(), undo: Some(text()), until: None }],
        hosts: vec![text(), text()],
    };
    assert_safe(&list_text(&[run], &Style::PLAIN), 80, "list");
    let mut screen =
        LiveScreen::new(Style { terminal: true, ..Style::PLAIN }, StepTable::default(), ScreenOptions::LIVE);
    let mut tape = Tape::default();
    tape.attempt(0, EVIL, "run", "x", false);
    screen.fold(&tape.records[0]);
    screen.output(&Chunk { step: StepPath(text()), stream: "stderr", bytes: [EVIL.as_bytes(), b"\xff\n"].concat() });
    let now = start() + std::time::Duration::from_secs(9);
    assert_safe(&screen.tick(now), 80, "output");
    assert_safe(&[screen.status_line(now).unwrap()], 80, "status");
}
