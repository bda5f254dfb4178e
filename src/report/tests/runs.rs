use super::super::{
    Commands, LiveScreen, OpenLine, OwnerLine, Recorded, RunLine, ScreenOptions, Style, WaitLine, list_json, list_text,
    show_json, show_markdown, show_text,
};
use super::sample::{self, Tape, diagnosis, kept, rarities, resolved, start, step_ended, steps};
use crate::engine::Chunk;
use crate::event::{
    Actor, AnswerKind, CheckView, Door, ErrorClass, Event, GateAnswer, Outcome, RunResult, StepPath, StepVerdict,
    Waiting,
};
use indexmap::IndexMap;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

fn screen(tape: &Tape, style: Style, options: ScreenOptions) -> String {
    let mut screen = LiveScreen::new(style, steps(), options);
    let mut out: Vec<String> = tape.records.iter().flat_map(|record| screen.fold(record)).collect();
    if let Some(Event::RunEnded { .. }) = tape.records.last().map(|record| &record.event) {
        out.extend(screen.sealed(&"4be1".repeat(16)));
    }
    out.join("\n")
}

fn failing() -> Tape {
    let mut tape = diagnosis();
    tape.by_ana(5000, Some("ban_agent"), sample::gate_answered(crate::event::AnswerKind::Approved));
    tape.attempt(5100, "ban_agent", "http", "POST http://10.0.3.7:18180/v1/admin/circuit_breakers/8f3a2b1c/open", true);
    let ended = Event::AttemptEnded {
        outcome: Outcome::Unknown,
        error: Some(ErrorClass::Connection),
        message: Some("the connection broke after 214 bytes were sent".into()),
        fields: IndexMap::new(),
        evidence: vec![kept("stderr", 61, "\u{1b}[31mreset by peer\u{1b}[0m\nretry later\n")],
        took_ms: 900,
        left: vec!["pid 812 (curl) was ended with KILL".into()],
    };
    tape.put(6000, Some("ban_agent"), ended).attempt = Some(1);
    let check = CheckView {
        expression: "body.state == 'OPEN'".into(),
        verdict: StepVerdict::CannotTell,
        used: vec![],
        reason: Some("the target did not answer within 10 s".into()),
    };
    let reason = Some("started, and its end was not seen; verify cannot tell");
    tape.put(
        16_000,
        Some("ban_agent"),
        step_ended(Outcome::Unknown, Some(StepVerdict::CannotTell), &[], vec![check], reason),
    );
    for step in ["reject", "under_50", "alert_gone"] {
        let reason = "a change before it has an unknown outcome".to_owned();
        tape.put(16_001, Some(step), Event::StepSkipped { reason, deviation: false, blocked: false, ending: false });
    }
    let ended = Event::RunEnded {
        result: RunResult::Failed,
        ran_to_end: false,
        reasons: vec!["ban_agent: unknown, look at the target before anything else is done".into()],
        holds: 0,
        validations: 2,
        changes: 1,
        open_changes: vec!["ban_agent: agent 8f3a2b1c may be banned until 02:19 UTC".into()],
        waited_ms: 4000,
        cleaned_up: None,
        outputs: indexmap::IndexMap::new(),
    };
    tape.put(16_100, None, ended);
    tape
}

fn parked() -> Tape {
    let mut tape = diagnosis();
    let waiting = |step: &str, what: &str, text: &str| Waiting {
        wants: None,
        step: StepPath(step.into()),
        what: what.into(),
        text: text.into(),
        digest: Some(sample::DIGEST.into()),
    };
    let mut waiting = vec![
        waiting("ban_agent", "gate", "Open the circuit breaker of 8f3a2b1c; typed, risk high"),
        waiting("reject[3]", "ask", "How many items may go?"),
        waiting("cause", "decide", "no option holds"),
        waiting("loosen", "manual", "Call the owner of the agent"),
        waiting("under_50", "when", "queue.pending > 50: `queue` failed"),
    ];
    waiting.iter_mut().skip(1).for_each(|wait| wait.digest = None);
    tape.put(2000, None, Event::RunParked { waiting });
    tape
}

#[test]
fn a_resolved_run_on_the_screen() {
    insta::assert_snapshot!(screen(&resolved(), Style::PLAIN, ScreenOptions::LIVE));
}

#[test]
fn a_failed_run_ends_with_what_must_be_known() {
    insta::assert_snapshot!(screen(&failing(), Style::PLAIN, ScreenOptions::LIVE));
}

#[test]
fn a_parked_run_shows_the_card_and_the_commands() {
    insta::assert_snapshot!(screen(&parked(), Style::PLAIN, ScreenOptions::UNATTENDED));
}

#[test]
fn every_command_of_a_parked_run_is_told_once_and_is_understood() {
    let text = screen(&parked(), Style::PLAIN, ScreenOptions::UNATTENDED);
    let commands: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("runwright ")).collect();
    assert_eq!(
        commands,
        [
            "runwright approve 20261121-0114-k3f9 ban_agent",
            "runwright answer 20261121-0114-k3f9 'reject[3]' count=VALUE why=VALUE",
            "runwright answer 20261121-0114-k3f9 cause --choose OPTION",
            "runwright answer 20261121-0114-k3f9 loosen result=done",
            "runwright answer 20261121-0114-k3f9 under_50 perform=yes",
            "runwright resume 20261121-0114-k3f9",
            "runwright abort 20261121-0114-k3f9 --reason TEXT",
            "runwright handover 20261121-0114-k3f9",
        ]
    );
}

fn passed(door: Door) -> Tape {
    let mut tape = diagnosis();
    let answer = GateAnswer { answer: AnswerKind::Approved, door, reason: None };
    tape.put(2000, Some("ban_agent"), Event::GateAnswered { number: 1, digest: sample::DIGEST.into(), answer });
    tape.attempt(2001, "ban_agent", "http", "POST http://10.0.3.7:18180/v1/admin/circuit_breakers/8f3a2b1c/open", true);
    tape.put(2100, Some("ban_agent"), step_ended(Outcome::Succeeded, Some(StepVerdict::Holds), &[], vec![], None));
    tape
}

#[test]
fn a_gate_that_nobody_is_asked_at_is_told_in_short() {
    let tape = passed(Door::Policy);
    for options in [ScreenOptions::LIVE, ScreenOptions::UNATTENDED] {
        let text = screen(&tape, Style::PLAIN, options);
        let (_, text) = text.split_once("(by evidence)\n").unwrap();
        insta::assert_snapshot!("passed_by_policy", text);
    }
    let by_flag = screen(&passed(Door::Flag), Style::PLAIN, ScreenOptions::UNATTENDED);
    assert!(by_flag.contains("passed by flag · digest") && !by_flag.contains("needs an answer"), "{by_flag}");
    let recorded = screen(&tape, Style::PLAIN, ScreenOptions::RECORDED);
    assert!(recorded.contains("└ passed by the environment's policy, nobody was asked"), "{recorded}");
}

#[test]
fn a_gate_that_waits_is_shown_by_the_next_tick() {
    let mut screen = LiveScreen::new(Style::PLAIN, steps(), ScreenOptions::UNATTENDED);
    let lines: Vec<String> = diagnosis().records.iter().flat_map(|record| screen.fold(record)).collect();
    assert!(!lines.iter().any(|line| line.contains("will send")));
    let lines = screen.tick(start() + Duration::from_secs(2));
    assert_eq!(lines.last().map(String::as_str), Some("  └ needs an answer"));
    assert_eq!(screen.tick(start() + Duration::from_secs(3)), Vec::<String>::new());
}

#[test]
fn what_stands_at_the_end_is_named_with_the_command_that_takes_it_back() {
    let ended = |changes, open_changes: &[&str]| {
        let mut tape = Tape::default();
        tape.put(0, None, sample::started(&[]));
        let ended = Event::RunEnded {
            result: RunResult::Completed,
            ran_to_end: true,
            reasons: vec![],
            holds: 0,
            validations: 0,
            changes,
            open_changes: open_changes.iter().map(|text| (*text).to_owned()).collect(),
            waited_ms: 0,
            cleaned_up: None,
            outputs: indexmap::IndexMap::new(),
        };
        tape.put(10, None, ended);
        screen(&tape, Style::PLAIN, ScreenOptions::LIVE)
    };
    assert!(!ended(0, &[]).contains("stands"));
    assert!(!ended(0, &[]).contains("runwright undo"));
    assert!(ended(2, &[]).contains("\n  stands           nothing that an undo would take back\n"), "{}", ended(2, &[]));
    let two = ended(2, &["ban_agent: POST http://10.0.3.7/reset", &format!("tune: {}", "x".repeat(100))]);
    let expected = format!(
        "\n  stands           and can be taken back:\n    ban_agent  POST http://10.0.3.7/reset\n    tune\n      \
         {}\n      {}\n",
        "x".repeat(74),
        "x".repeat(26)
    );
    assert!(two.contains(&expected), "{two}");
    assert!(two.contains("runwright undo 20261121-0114-k3f9\n"), "{two}");
}

#[test]
fn steps_after_the_runbooks_own_end_are_one_quiet_line() {
    let mut tape = diagnosis();
    for step in ["reject", "under_50"] {
        let reason = "the run is ending".to_owned();
        tape.put(2000, Some(step), Event::StepSkipped { reason, deviation: false, blocked: false, ending: false });
    }
    tape.put(2001, None, Event::Noted { text: "after".into() });
    let text = screen(&tape, Style::PLAIN, ScreenOptions::LIVE);
    assert!(text.contains("\n  not reached, because the run ends here: reject, under_50\n"), "{text}");
    assert!(!text.contains("skipped reject"), "{text}");
}

#[test]
fn rarer_events_on_the_screen() {
    insta::assert_snapshot!(screen(&rarities(), Style::PLAIN, ScreenOptions::LIVE));
}

#[test]
fn a_refused_target() {
    let mut tape = Tape::default();
    tape.put(0, None, sample::started(&[]));
    let refused = Event::TargetRefused {
        target: "db".into(),
        address: "10.0.3.9:5432".into(),
        expected: "system identifier 7316482 (prod-eu)".into(),
        found: "system identifier 7289115".into(),
    };
    tape.put(300, Some("queue"), refused);
    let mut screen = LiveScreen::new(Style::PLAIN, steps(), ScreenOptions::LIVE)
        .with_places([(StepPath("queue".into()), "runbooks/replace.yaml:38:7".to_owned())].into());
    let lines: Vec<String> = tape.records.iter().flat_map(|record| screen.fold(record)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_run_as_text_markdown_and_json() {
    let tape = resolved();
    let (steps, findings) = (steps(), vec!["the verify of ban_agent took longer than it should".to_owned()]);
    let head = "4be1".repeat(16);
    let run = Recorded {
        records: &tape.records,
        steps: &steps,
        findings: &findings,
        head: Some(&head),
        live: false,
        commands: &Commands::default(),
    };
    insta::assert_snapshot!("show_text", show_text(&run, &Style::PLAIN).join("\n"));
    insta::assert_snapshot!("show_markdown", show_markdown(&run));
    insta::assert_snapshot!("show_json", show_json(&run));
}

#[test]
fn a_run_without_an_end_says_so() {
    let tape = diagnosis();
    let steps = steps();
    let run = Recorded {
        records: &tape.records,
        steps: &steps,
        findings: &[],
        head: None,
        live: false,
        commands: &Commands::default(),
    };
    let text = show_text(&run, &Style::PLAIN).join("\n");
    assert!(text.contains("INCOMPLETE") && text.contains("runwright verify 20261121-0114-k3f9"), "{text}");
    assert!(show_json(&run).contains("\"state\": \"incomplete\""));
    assert!(show_markdown(&run).contains("no closing event"));
    assert!(!text.contains("had begun"), "{text}");
}

#[test]
fn of_many_outputs_of_a_failure_the_last_are_shown() {
    let mut tape = diagnosis();
    tape.attempt(9_000, "queue", "http", "GET /queue", false);
    let ended = Event::AttemptEnded {
        outcome: Outcome::Failed,
        error: Some(ErrorClass::BadAnswer),
        message: Some("page 6: there are more than 5 items".into()),
        fields: IndexMap::new(),
        evidence: (1..=6).map(|page| kept(&format!("body-{page}"), 3, "[1]")).collect(),
        took_ms: 100,
        left: vec![],
    };
    tape.put(9_100, Some("queue"), ended).attempt = Some(1);
    let reason = Some("page 6: there are more than 5 items");
    tape.put(9_101, Some("queue"), step_ended(Outcome::Failed, None, &[], vec![], reason));
    let text = screen(&tape, Style::PLAIN, ScreenOptions::LIVE);
    assert!(text.contains("2 more before these are in the record"), "{text}");
    assert!(!text.contains("body-2") && text.contains("body-3") && text.contains("body-6"), "{text}");
    assert_eq!(text.matches("there are more than 5 items").count(), 1, "the class alone is left of the error: {text}");
}

#[test]
fn a_run_that_died_in_a_change_names_it() {
    let mut tape = diagnosis();
    tape.attempt(9_000, "queue", "http", "GET /queue", false);
    tape.attempt(9_100, "ban_agent", "http", "POST /ban", true);
    let steps = steps();
    let show = |tape: &Tape| {
        let run = Recorded {
            records: &tape.records,
            steps: &steps,
            findings: &[],
            head: None,
            live: false,
            commands: &Commands::default(),
        };
        show_text(&run, &Style::PLAIN).join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = show(&tape);
    assert!(text.contains("unknown `ban_agent` had begun, and its end is not in the record"), "{text}");
    assert!(!text.contains("`queue` had begun"), "a read is nothing to worry about: {text}");
    tape.attempt_ended(9_200, "ban_agent", Outcome::Succeeded);
    assert!(!show(&tape).contains("had begun"));
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    for width in [40, 80, 200] {
        for tape in [resolved(), failing(), parked(), rarities()] {
            let style = Style { width, ..Style::PLAIN };
            for options in [ScreenOptions::UNATTENDED, ScreenOptions::RECORDED] {
                for line in screen(&tape, style, options).lines() {
                    // Commands are never broken: they are there to be pasted.
                    let command = line.contains("runwright ");
                    assert!(line.width() <= width || command, "{width}: {} columns in {line:?}", line.width());
                }
            }
        }
    }
}

#[test]
fn colour_changes_no_character() {
    let tape = failing();
    let plain = screen(&tape, Style::PLAIN, ScreenOptions::UNATTENDED);
    let coloured = screen(&tape, Style { colour: true, ..Style::PLAIN }, ScreenOptions::UNATTENDED);
    assert_ne!(plain, coloured);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn ascii_is_enough() {
    let style = Style { unicode: false, ..Style::PLAIN };
    for tape in [resolved(), failing(), parked(), rarities()] {
        let text = screen(&tape, style, ScreenOptions::UNATTENDED);
        assert!(text.is_ascii(), "{:?}", text.chars().find(|character| !character.is_ascii()));
    }
}

#[test]
fn the_status_line_names_what_runs_and_what_waits() {
    let style = Style { terminal: true, ..Style::PLAIN };
    let mut screen = LiveScreen::new(style, steps(), ScreenOptions::LIVE);
    let tape = diagnosis();
    for record in &tape.records[..4] {
        screen.fold(record);
    }
    let now = start() + Duration::from_secs(12);
    assert_eq!(screen.status_line(now).as_deref(), Some("… queue 11 s  rates 11 s"));
    for record in &tape.records[4..] {
        screen.fold(record);
    }
    assert_eq!(screen.status_line(now).as_deref(), Some("… ban_agent waits for an answer"));
    let mut piped = LiveScreen::new(Style::PLAIN, steps(), ScreenOptions::LIVE);
    piped.fold(&tape.records[2]);
    assert_eq!(piped.status_line(now), None);
}

#[test]
fn output_is_shown_once_a_step_takes_long_and_only_its_latest_lines() {
    let mut screen = LiveScreen::new(Style::PLAIN, steps(), ScreenOptions::LIVE);
    let tape = diagnosis();
    for record in &tape.records[..4] {
        screen.fold(record);
    }
    let chunk =
        |text: &str| Chunk { step: StepPath("queue".into()), stream: "stdout", bytes: text.as_bytes().to_vec() };
    let text = (1..=25).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n") + "\n";
    // Cut in the middle of a line, as pipes do.
    screen.output(&chunk(&text[..13]));
    screen.output(&chunk(&text[13..]));
    assert_eq!(screen.tick(start() + Duration::from_secs(1)), Vec::<String>::new());
    let lines = screen.tick(start() + Duration::from_secs(3));
    assert_eq!(lines.first().map(String::as_str), Some("    queue │ (15 lines not shown; all are kept)"));
    assert_eq!(lines.last().map(String::as_str), Some("    queue │ line 25"));
    assert_eq!(lines.len(), 11);
    screen.output(&chunk("10 %\r20 %\r\u{1b}[32m30 %\u{1b}[0m\r\n\u{1b}]0;title\u{7}\n"));
    let lines = screen.tick(start() + Duration::from_secs(4));
    assert_eq!(lines, ["    queue │ 30 %", "    queue │ \\u{1b}]0;title\\u{7}"]);
}

#[test]
fn a_long_loop_shows_only_trouble_after_some_items() {
    let mut tape = Tape::default();
    tape.put(0, None, sample::started(&[]));
    for item in 0..100 {
        let outcome = if item == 70 { Outcome::Failed } else { Outcome::Succeeded };
        let reason = (item == 70).then_some("status_409: already rejected");
        let path = format!("reject[{item}]");
        tape.put(item * 10, Some(&path), step_ended(outcome, None, &[], vec![], reason));
    }
    let text = screen(&tape, Style::PLAIN, ScreenOptions::LIVE);
    assert!(text.contains("reject[70]    FAILED\n              status_409: already rejected"), "{text}");
    assert!(text.contains("reject[2]") && !text.contains("reject[3]"), "{text}");
}

#[test]
fn a_target_proven_again_is_not_told_again() {
    let mut tape = Tape::default();
    let proven = |identity: &str| Event::TargetProven {
        target: "api".into(),
        address: "10.0.3.7:18180".into(),
        identity: Some(identity.into()),
    };
    for (at, identity) in [(1, "cluster a"), (2, "cluster a"), (3, "cluster b")] {
        tape.put(at, None, proven(identity));
    }
    let text = screen(&tape, Style::PLAIN, ScreenOptions::LIVE);
    assert_eq!((text.matches("cluster a").count(), text.matches("cluster b").count()), (1, 1), "{text}");
}

#[test]
fn a_decision_of_a_person_names_them() {
    let mut tape = Tape::default();
    let mut event = sample::decided();
    if let Event::Decided { by, chosen, reason, .. } = &mut event {
        *by = "person".into();
        *chosen = vec!["surge".into()];
        *reason = Some("marketing campaign".into());
    }
    tape.put(5, Some("cause"), event).actor = Actor::Person(sample::ana());
    let text = screen(&tape, Style::PLAIN, ScreenOptions::LIVE);
    assert!(text.ends_with("-> A legitimate surge (by ana (os user): marketing campaign)"), "{text}");
}

#[test]
fn runs_are_listed() {
    let run = |run: &str, state: &str| RunLine {
        run: run.into(),
        runbook: "quarantine-overflow".into(),
        started: start(),
        operator: "ana".into(),
        environment: Some("prod".into()),
        state: state.into(),
        elapsed_ms: 252_000,
        ..RunLine::default()
    };
    let step = || Some("ban_agent".to_owned());
    let owner = |is_certain| OwnerLine {
        operator: "bo".into(),
        pid: 4711,
        host: "ops1".into(),
        since: start(),
        last_sign_ms: Some(4000),
        is_certain,
    };
    let wait = WaitLine { step: "ban_agent".into(), what: "gate".into(), text: "2 approvals of dba, 1 given".into() };
    let until = Some("2026-11-21T05:00:00Z".parse().unwrap());
    let open = OpenLine { step: "ban_agent".into(), undo: Some("DELETE /bans/7".into()), until };
    let runs = [
        RunLine { waits: vec![wait], step: step(), ..run("20261121-0114-k3f9", "parked") },
        RunLine { owner: Some(owner(true)), step: step(), unknown: step(), ..run("20261121-0110-bbbb", "running") },
        RunLine { step: step(), unknown: step(), ..run("20261121-0109-cccc", "incomplete") },
        RunLine { owner: Some(owner(false)), step: step(), ..run("20261121-0108-dddd", "incomplete") },
        RunLine {
            reason: Some("Ctrl-C".into()),
            step: step(),
            hosts: vec!["ops1".into(), "ops2".into()],
            ..run("20261121-0107-eeee", "suspended")
        },
        RunLine {
            open_changes: vec![OpenLine { until: None, ..open.clone() }, open],
            ..run("20261120-0900-aaaa", "resolved")
        },
    ];
    insta::assert_snapshot!("list_text", list_text(&runs, &Style { width: 110, ..Style::PLAIN }).join("\n"));
    insta::assert_snapshot!("list_narrow", list_text(&runs, &Style { width: 40, ..Style::PLAIN }).join("\n"));
    let json: serde_json::Value = serde_json::from_str(&list_json(&runs)).unwrap();
    assert_eq!(json[0]["state"], "parked");
    assert_eq!(list_text(&[], &Style::PLAIN), ["no runs in this store"]);
}

#[test]
fn an_undo_has_an_end_of_its_own() {
    let undo = |second: Outcome, open: &[&str]| {
        let mut tape = Tape::default();
        let mut started = sample::started(&[]);
        if let Event::RunStarted { undo_of, .. } = &mut started {
            *undo_of = Some("20261121-0100-aaaa".parse().unwrap());
        }
        tape.put(0, None, started);
        for (step, outcome) in [("two/undo", second), ("one/undo", Outcome::Succeeded)] {
            tape.attempt(10, step, "run", "rm it", true);
            tape.attempt_ended(20, step, outcome);
            tape.put(30, Some(step), step_ended(outcome, None, &[], vec![], None));
        }
        let ended = Event::RunEnded {
            result: if open.is_empty() { RunResult::Completed } else { RunResult::Failed },
            ran_to_end: true,
            reasons: vec![],
            holds: 0,
            validations: 0,
            changes: 2,
            open_changes: open.iter().map(|text| (*text).to_owned()).collect(),
            waited_ms: 0,
            cleaned_up: None,
            outputs: IndexMap::new(),
        };
        tape.put(40, None, ended);
        screen(&tape, Style::PLAIN, ScreenOptions::LIVE)
    };
    let whole = undo(Outcome::Succeeded, &[]);
    assert!(whole.contains("takes back the changes of run 20261121-0100-aaaa"), "{whole}");
    assert!(whole.contains("\nUNDONE  in ") && whole.contains("  taken back       2 of 2\n"), "{whole}");
    assert!(!whole.contains("goal met") && !whole.contains("runwright undo"), "{whole}");
    let part = undo(Outcome::Failed, &["two: rm it (not taken back: exit 1)"]);
    assert!(part.contains("\nPARTLY UNDONE  in ") && part.contains("  taken back       1 of 2\n"), "{part}");
    assert!(part.contains("\n    two  rm it (not taken back: exit 1)\n"), "{part}");
    assert!(part.contains("\n  again            runwright undo 20261121-0100-aaaa\n"), "{part}");
}
