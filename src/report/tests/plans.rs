use super::super::{Style, plan_text};
use crate::event::{InputView, Line, StoredValue};
use crate::plan::{Grade, Plan, PlanArm, PlanRow};
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

fn row(number: usize, kind: &str, id: &str, text: &str) -> PlanRow {
    PlanRow {
        calls: None,
        number,
        depth: 0,
        kind: kind.into(),
        id: id.into(),
        title: format!("The title of {id}"),
        under: None,
        grade: Grade::Exact,
        text: text.into(),
        arms: vec![],
        act: None,
        when: None,
        for_each: None,
        targets: Vec::new(),
        gate: None,
        undo: None,
        verify: None,
        holes: vec![],
        refused: None,
    }
}

fn plan() -> Plan {
    let arm =
        |name: &str, known: &str, when: &str| PlanArm { name: name.into(), known: known.into(), when: when.into() };
    let hole = |label: &str, text: &str| Line { label: label.into(), text: text.into() };
    let mut cause = row(3, "decide", "cause", "3 of 4 arms open");
    cause.grade = Grade::Unknown;
    cause.arms = vec![
        arm("enough", "not known yet", "filesystem.percent < used_limit and inodes.percent | default(0) < inode_limit"),
        arm("inodes_gone", "does not hold", "inodes_known"),
        arm("logs_old", "holds", "old_logs.kib >= 10"),
        arm("other", "a person's choice", ""),
    ];
    cause.holes = vec![
        hole("filesystem.percent", "`filesystem` has not run"),
        hole("inodes.percent", "`inodes` has not run"),
        hole("filesystem.mount", "`filesystem` has not run"),
        hole("token", "program vault is not run in a plan"),
    ];
    let mut choice = row(4, "decide", "choice", "2 of 2 arms open by a person");
    choice.grade = Grade::Unknown;
    let input = |name: &str, value, source: &str| InputView {
        name: name.into(),
        value: StoredValue::Value(value),
        source: source.into(),
    };
    Plan {
        runbook: "disk-filling".into(),
        title: "A disk is filling up".into(),
        runbook_digest: String::new(),
        refuse: None,
        environment: None,
        inputs: vec![input("path", json!("/var"), "default"), input("used_limit", json!(90), "command line")],
        rows: vec![
            row(1, "diagnose", "filesystem", "df -P -k"),
            row(2, "diagnose", "inodes", "df -P -i"),
            cause,
            choice,
        ],
        digest: String::new(),
    }
}

#[test]
fn a_plan_tells_each_option_on_its_own_and_merges_what_is_unknown() {
    insta::assert_snapshot!("plan", plan_text(&plan(), &Style::PLAIN).join("\n"));
    for width in [40, 120] {
        let lines = plan_text(&plan(), &Style { width, ..Style::PLAIN });
        assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
    }
}
