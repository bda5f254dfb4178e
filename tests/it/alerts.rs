//! `alerts export`: the alerts of the library as Prometheus reads them.

use crate::support::{Prometheus, Sandbox, finish, promtool, repository};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const STEPS: &str = "steps: [{ validate: Fine, assert: true }]\n";

/// A library with one runbook that has one alert.
fn one_alert() -> Sandbox {
    let sandbox = Sandbox::library();
    let alert = "alerts: { alert: Down, expr: up == 0, for: 5m, severity: critical, summary: \"{{ $labels.job }}\" }\n";
    _ = sandbox.runbook("down", &format!("{alert}{STEPS}"));
    sandbox
}

#[test]
fn the_rules_of_the_whole_library_are_accepted_and_fire_as_they_say() {
    let sandbox = Sandbox::new();
    let library = repository("runbooks").display().to_string();
    _ = sandbox.call(["alerts", "export", "--library", &library, "--output", "rules.yml"]).exits(0).says("rules.yml: ");
    _ = promtool(&sandbox.folder(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]).exits(0);
    // Full for longer than its `for`, and not full.
    _ = sandbox.write(
        "unit.yml",
        r#"
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'node_filesystem_avail_bytes{mountpoint="/",instance="a"}', values: '5x30' }
      - { series: 'node_filesystem_size_bytes{mountpoint="/",instance="a"}', values: '100x30' }
      - { series: 'node_filesystem_avail_bytes{mountpoint="/",instance="b"}', values: '50x30' }
      - { series: 'node_filesystem_size_bytes{mountpoint="/",instance="b"}', values: '100x30' }
    alert_rule_test:
      - { eval_time: 9m, alertname: HostDiskFilling }
      - eval_time: 11m
        alertname: HostDiskFilling
        exp_alerts:
          - exp_labels: { severity: warning, mountpoint: /, instance: a }
            exp_annotations:
              summary: A filesystem is more than 90 % full
              description: a / is 95 % full
              runbook: disk-filling
"#,
    );
    _ = promtool(&sandbox.folder(), &["test", "rules", "unit.yml"]).exits(0).says("SUCCESS");
}

/// Texts that a writer of YAML could bend: to be read by another reader of YAML than ours.
#[test]
fn every_text_arrives_in_prometheus_byte_for_byte() {
    let texts = [
        "{{ $value | printf \"%.2f\" }} of {{ $labels.job }}",
        "a: b # no comment",
        "- a\n- b",
        "two\n\n  lines, the last with blanks  \n",
        "\n\nbegins late",
        "ends late\n\n\n",
        " a blank at both ends ",
        "\ttabs\there\t",
        "null",
        "~",
        "yes",
        "0o17",
        "1_000",
        "2026-11-26",
        "!!binary aGk=",
        "'single' \"double\" \\n \\u0041",
        "*alias &anchor %directive @at `tick`",
        "{a: [b}",
        "---",
        "...",
        "\u{1}\u{1b}[31m\u{7f}",
        "next\u{85}line, line\u{2028}separator, paragraph\u{2029}separator",
        "\u{feff}mark\u{feff}",
        "turned \u{202e}around",
        "käse 🧀 \u{10fffd}",
        "carriage\rreturn\r\n",
        "",
        "?",
        "<<",
        "=",
    ];
    let sandbox = Sandbox::library();
    let alerts: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            serde_json::json!({
                "alert": format!("A{index}{}", text.replace("{{", "")), "expr": "up == 0\n  or up == 1",
                "labels": { "_text": text }, "summary": text, "description": text,
            })
        })
        .collect();
    let json = serde_json::to_string(&alerts).expect("JSON");
    // JSON escapes what YAML may not hold as it is; what it leaves as it is and our reader refuses is escaped here.
    let json: String = json
        .chars()
        .map(|char| match char {
            ' '..='~' => char.to_string(),
            _ => char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        })
        .collect();
    _ = sandbox.runbook("hostile", &format!("alerts: {json}\n{STEPS}"));
    let exported = sandbox.runwright("alerts export").exits(0).stdout;
    _ = sandbox.write("rules.yml", &exported);
    _ = promtool(&sandbox.folder(), &["check", "rules", "rules.yml"]).exits(0);
    let groups = Prometheus::with_rules(&exported).groups();
    assert_eq!((groups.len(), &groups[0]["name"]), (1, &"hostile".into()));
    let rules = groups[0]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), texts.len());
    for (index, (rule, text)) in rules.iter().zip(texts).enumerate() {
        assert_eq!(rule["name"], format!("A{index}{}", text.replace("{{", "")), "{rule}");
        for (place, name) in [("annotations", "summary"), ("annotations", "description"), ("labels", "_text")] {
            // An empty label is none.
            let found = rule[place][name].as_str().unwrap_or_default();
            assert_eq!(found, text, "{place} {name} of {rule}");
        }
    }
}

#[test]
fn the_same_library_gives_the_same_bytes_and_leaves_its_file_untouched() {
    let sandbox = one_alert();
    _ = sandbox.runbook("also", &format!("alerts: {{ alert: Up, expr: up == 1 }}\n{STEPS}"));
    let first = sandbox.runwright("alerts export").exits(0).stdout;
    _ = sandbox.runwright("alerts export -o rules.yml").exits(0).says("rules.yml: 2 rules in 2 groups");
    let path = sandbox.path("rules.yml");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    let usual = std::fs::metadata(sandbox.path("down.yaml")).unwrap().mode();
    assert_eq!(std::fs::metadata(&path).unwrap().mode(), usual, "Prometheus is another user, and has to read it");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = std::fs::metadata(&path).unwrap();
    _ = sandbox.runwright("alerts export -o rules.yml").exits(0).says("nothing has changed");
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    // Named ones, in whatever order and how often: the order is that of the ids.
    assert_eq!(sandbox.runwright("alerts export down ./also.yaml also down").code, 3, "also is two files then");
    assert_eq!(sandbox.runwright("alerts export down also down").exits(0).stdout, first);
    let one = sandbox.runwright("alerts export down -o rules.yml").exits(0).says("rules.yml: 1 rule in 1 group");
    assert_eq!(one.stdout, "", "what is written is not printed");
    let now = std::fs::metadata(&path).unwrap();
    assert_eq!(now.mode() & 0o777, 0o640, "the mode is kept");
    assert_ne!(now.ino(), after.ino(), "the file is replaced whole");
    assert_eq!(std::fs::read_dir(sandbox.folder()).unwrap().count(), 4, "no draft is left");
}

#[test]
fn what_another_hand_wrote_is_not_written_over() {
    let sandbox = one_alert();
    let ours = "groups:\n- name: by-hand\n";
    let path = sandbox.write("rules/hand.yml", ours);
    let refused = sandbox.runwright("alerts export -o rules/hand.yml");
    _ = refused.exits(2).tells("rules/hand.yml was not written by `alerts export`").says("--force");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), ours);
    // A link is followed: what it leads to is meant.
    std::os::unix::fs::symlink("rules/hand.yml", sandbox.path("link.yml")).unwrap();
    _ = sandbox.runwright("alerts export -o link.yml").exits(2).says("rules/hand.yml");
    _ = sandbox.runwright("alerts export -o link.yml --force").exits(0).says("rules/hand.yml: 1 rule");
    assert!(std::fs::symlink_metadata(sandbox.path("link.yml")).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&path).unwrap().contains("alert: Down"));
    // An empty file is nobody's.
    _ = sandbox.write("empty.yml", "");
    _ = sandbox.runwright("alerts export -o empty.yml").exits(0);
    _ = sandbox.runwright("alerts export -o rules").exits(2).says("is no file");
    _ = sandbox.runwright("alerts export -o /dev/null").exits(2).says("is no file");
    _ = sandbox.runwright("alerts export -o none/rules.yml").exits(2).says("cannot write none/rules.yml");
    _ = sandbox.runwright("alerts export --force").exits(2).says("--output");
}

/// Half of the rules would be silence about the other half.
#[test]
fn nothing_is_written_when_one_runbook_cannot_be_read() {
    let sandbox = one_alert();
    _ = sandbox.runwright("alerts export -o rules.yml").exits(0);
    let before = std::fs::read_to_string(sandbox.path("rules.yml")).unwrap();
    _ = sandbox.runbook("broken", "alerts: { alert: Late, expr: x > 1, for: soon }\nsteps: 5\n");
    let refused = sandbox.runwright("alerts export -o rules.yml").exits(3);
    _ = refused.says("`soon` is not a duration").says("broken.yaml:3:42").says("broken.yaml:4:8");
    assert_eq!(std::fs::read_to_string(sandbox.path("rules.yml")).unwrap(), before);
    _ = sandbox.runwright("alerts export down").exits(0);
    _ = sandbox.runbook("broken", &format!("alerts: {{ alert: Late, expr: \"x > {{{{ most }}}}\" }}\n{STEPS}"));
    _ = sandbox.runwright("alerts export").exits(3).says("[alert-template]").says("broken.yaml:3:30");
    std::fs::remove_file(sandbox.path("broken.yaml")).unwrap();
    _ = sandbox.write("more/down.yaml", &std::fs::read_to_string(sandbox.path("down.yaml")).unwrap());
    _ = sandbox.runwright("alerts export").exits(3).tells("two files are the runbook `down`");
}

#[test]
fn an_alert_without_an_expression_is_left_out_and_told() {
    let sandbox = one_alert();
    _ = sandbox.runbook("other", &format!("alerts: [{{ alert: Down }}, {{ alert: X }}]\n{STEPS}"));
    let told = sandbox.runwright("alerts export").exits(0);
    assert!(told.stderr.contains("left out: `Down` of other has no `expr`\n"), "{told}");
    assert!(!told.stdout.contains("other") && told.stdout.contains("runbook: down"), "{told}");
    let nothing = sandbox.runwright("alerts export other -o rules.yml");
    _ = nothing.exits(2).tells("nothing to write");
    assert!(!sandbox.path("rules.yml").exists());
    _ = sandbox.runwright("alerts export nowhere").exits(2).says("there is no runbook `nowhere`");
    let elsewhere = Sandbox::new();
    _ = elsewhere.runwright("alerts export").exits(2).says("no library was found here");
    // A file needs no library.
    let file = sandbox.path("down.yaml").display().to_string();
    _ = finish(&mut elsewhere.command(["alerts", "export", &file])).exits(0).says("alert: Down");
}
