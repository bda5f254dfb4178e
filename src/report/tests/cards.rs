use super::super::{CardFrame, StepInfo, Style, card, evidence, prompt, prompt_act};
use super::sample::{self, DIGEST, start, steps, used};
use crate::engine::{Prompt, PromptId, PromptKind};
use crate::event::{CardView, GateRequirement, ItemView, Line, StepPath, StoredValue};
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

fn shown(view: &CardView, style: &Style) -> String {
    let step = StepInfo { kind: "remediate".into(), id: "ban_agent".into(), depth: 1, ..StepInfo::default() };
    let frame =
        CardFrame { step: &step, card: view, digest: DIGEST, good_for_ms: 600_000, may_skip: true, answers: true };
    card(&frame, style).join("\n")
}

fn loud() -> CardView {
    let mut view = sample::card();
    view.moved = vec!["queue.pending was 512, is now 611".into()];
    view.missing = vec!["rates.false_positives: the metrics could not be read".into()];
    view.undo = None;
    view.irreversible = Some("a rejected item is gone for good".into());
    view.warning = Some("tell the agent's owner first".into());
    view.requires = GateRequirement::Confirm;
    view.items = (0..487)
        .map(|number| ItemView {
            item: StoredValue::Value(json!(format!("item-{number}"))),
            text: format!("POST /v1/admin/quarantine/item-{number}/reject"),
        })
        .collect();
    view
}

#[test]
fn a_card_has_the_act_first_and_the_answers_last() {
    insta::assert_snapshot!(shown(&sample::card(), &Style::PLAIN));
}

#[test]
fn a_card_in_ascii() {
    insta::assert_snapshot!(shown(&sample::card(), &Style { unicode: false, ..Style::PLAIN }));
}

#[test]
fn a_card_of_a_list_is_loud_about_what_matters() {
    insta::assert_snapshot!(shown(&loud(), &Style::PLAIN));
}

#[test]
fn items_of_a_card_tell_their_act_only_where_it_differs() {
    let mut view = loud();
    view.act.text = "POST /v1/admin/quarantine/item-0/reject".into();
    let text = shown(&view, &Style::PLAIN);
    assert!(text.contains("items     487: item-0, item-1, item-2,"), "{text}");
    assert!(text.contains("and 477 more, the last is item-486;"), "{text}");
    assert_eq!(text.matches("/reject").count(), 1, "{text}");
    view.items[3].text = "DELETE /v1/admin/quarantine/item-3".into();
    let text = shown(&view, &Style::PLAIN);
    assert!(text.contains("│   4       item-3 DELETE /v1/admin/quarantine/item-3\n"), "{text}");
    assert_eq!(text.matches("/reject").count(), 1, "{text}");
}

#[test]
fn the_evidence_shows_a_list_of_maps_as_a_table_and_cuts_nothing() {
    let mut view = sample::card();
    view.because = vec![used("agents", json!([{"agent": "8f3a", "count": 487}, {"agent": "77aa", "count": 25}]))];
    let text = evidence(&view, &Style::PLAIN).join("\n");
    assert!(text.contains("  │ agent  count\n  │ 8f3a     487\n  │ 77aa      25\n"), "{text}");
    view.because = vec![used("agents", json!([{"agent": "8".repeat(90), "count": 487}]))];
    let text = evidence(&view, &Style::PLAIN).join("").replace("  ┊ ", "");
    assert!(text.contains(&"8".repeat(90)), "{text}");
}

#[test]
fn the_evidence_lists_everything() {
    let text = evidence(&loud(), &Style::PLAIN).join("\n");
    assert!(text.contains("item 487") && text.contains("item-486/reject"), "{text}");
    assert!(text.contains("0.951171875"), "{text}");
}

#[test]
fn an_act_is_never_cut_whatever_its_length() {
    let words: Vec<String> = (0..400).map(|number| format!("--option-{number}=value")).collect();
    let mut view = sample::card();
    view.act.action = "run".into();
    view.act.text = format!("kubectl {}\n{}\nlast line", words.join(" "), "x".repeat(1000));
    view.act.more = vec![Line { label: "stdin".into(), text: "y".repeat(900) }];
    for width in [40, 80, 200] {
        let text = shown(&view, &Style { width, ..Style::PLAIN });
        assert!(text.lines().all(|line| line.width() <= width), "{width}");
        // Without the frame and the breaks, every character is there in order.
        let inside = |line: &str| line.strip_prefix("  │ ").or(line.strip_prefix("  ┊ ")).map(str::to_owned);
        let act: String = text.lines().filter_map(inside).collect::<Vec<_>>().concat().replace(' ', "");
        assert!(act.contains(&view.act.text.replace([' ', '\n'], "")), "{width}");
        assert!(act.contains(&"y".repeat(900)), "{width}");
    }
}

#[test]
fn a_confirm_gate_names_its_key() {
    let mut view = sample::card();
    view.requires = GateRequirement::Confirm;
    assert!(shown(&view, &Style::PLAIN).contains("└ [y]es to go on, or: [n]o [s]kip [e]vidence"));
}

fn asking(kind: PromptKind, step: &str, title: &str) -> Prompt {
    Prompt { id: PromptId(1), step: StepPath(step.into()), title: title.into(), kind }
}

#[test]
fn the_other_prompts() {
    let decide = PromptKind::Decide {
        options: sample::options(),
        shown: vec![used("queue.pending", json!(512))],
        reason: "two options hold".into(),
    };
    let when =
        PromptKind::When { expression: "queue.pending > 10".into(), reason: "the queue could not be read".into() };
    let manual = PromptKind::Manual { text: "Call the owner of the agent.\n\n- say why".into(), may_skip: true };
    let text: Vec<String> = [
        asking(decide, "cause", "Which cause fits the evidence?"),
        asking(when, "under_50", "Fewer than 50 items wait"),
        asking(manual, "reject", "Call the owner"),
    ]
    .iter()
    .flat_map(|asked| prompt(asked, &steps(), &Style::PLAIN, start()))
    .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn the_act_can_be_copied() {
    let mut view = sample::card();
    view.act.text = "#!/bin/sh\n\techo \u{1b}[2J".into();
    let gate = PromptKind::Gate { card: Box::new(view), digest: DIGEST.into(), expires: start(), may_skip: false };
    let lines = prompt_act(&asking(gate, "ban_agent", "x"));
    assert_eq!(lines[1..lines.len() - 1], ["#!/bin/sh", "\techo \\u{1b}[2J"]);
}
