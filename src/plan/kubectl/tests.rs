use super::{KubernetesTarget, argv, call_of, job, preview, view};
use crate::expr::{Rendered, Scope, SecretText, Time, UnknownSort, Value, secret, unknown};
use crate::plan::{CommandAct, KubectlAct, KubectlAnswer, Machine};
use crate::source::Span;
use indexmap::IndexMap;

fn target() -> KubernetesTarget {
    KubernetesTarget {
        name: "shop".to_owned(),
        context: Rendered::text("prod eu"),
        namespace: Some(Rendered::text("shop")),
        kubeconfig: None,
        client: "kubectl".to_owned(),
        program: None,
        allow: Vec::new(),
    }
}

fn words(line: &str) -> Vec<Rendered> {
    line.split_whitespace().map(Rendered::text).collect()
}

fn shown(argv: &[Rendered]) -> String {
    let words: Vec<String> = argv.iter().map(ToString::to_string).collect();
    words.join("|")
}

fn act(line: &str, manifest: Vec<Value>) -> KubectlAct {
    let args = words(line);
    let verb = call_of(&args).verb();
    let command = CommandAct {
        argv: argv(&target(), args),
        script: None,
        program: None,
        env: IndexMap::new(),
        pass_env: Vec::new(),
        cwd: None,
        stdin: None,
        ok: vec![0],
        machine: Machine::Here,
    };
    KubectlAct { target: target(), verb, command, manifest, answer: KubectlAnswer::Text }
}

#[test]
fn the_flags_of_the_cluster_stand_before_the_first_two_dashes_else_last() {
    let flags = "--context=prod eu|--namespace=shop";
    let rows = [
        ("get pods", format!("kubectl|get|pods|{flags}")),
        ("exec x -- ls -- -l", format!("kubectl|exec|x|{flags}|--|ls|--|-l")),
        ("my-plugin do it", format!("kubectl|my-plugin|do|it|{flags}")),
    ];
    for (line, wanted) in rows {
        assert_eq!(shown(&argv(&target(), words(line))), wanted);
    }
}

#[test]
fn a_preview_asks_diff_with_what_it_understands() {
    let apply = "apply -f - --server-side --wait --timeout=5s -o yaml --prune -l app=x --dry-run=none --force_conflicts \
                 --grace-period 5 -R";
    let diff = preview(&act(apply, Vec::new())).unwrap();
    let wanted =
        "kubectl|diff|-f|-|--server-side|--prune|-l|app=x|--force_conflicts|-R|--context=prod eu|--namespace=shop";
    assert_eq!(shown(&diff.command.argv), wanted);
    assert_eq!(diff.command.ok, [0, 1]);
    for other in ["get pods", "delete -f x", "apply view-last-applied x", "scale x --replicas=1"] {
        assert!(preview(&act(other, Vec::new())).is_none(), "{other}");
    }
}

struct Run(Value);

impl Scope for Run {
    fn lookup(&self, name: &str) -> Option<Value> {
        (name == "run").then(|| Value::from_pairs([("id", self.0.clone())]))
    }

    fn now(&self) -> jiff::Timestamp {
        Time::parse("2026-01-01T00:00:00Z").unwrap().0
    }
}

#[test]
fn names_of_jobs_are_short_stable_and_each_its_own() {
    let run = Run(Value::from("20260211-1430-k7m2"));
    let name = |line: &str, span: Span| {
        let args = words(line);
        job::unique_name(&call_of(&args), &args, span, &run).map(|name| name.to_string())
    };
    let (here, there) = (Span { start: 1, end: 2 }, Span { start: 3, end: 4 });
    let first = name("create job --from=cronjob/backup", here).unwrap();
    assert!(first.starts_with("backup-20260211-1430-k7m2-"), "{first}");
    assert_eq!(name("create job --from=cronjob/backup", here).unwrap(), first);
    assert_ne!(name("create job --from=cronjob/backup", there).unwrap(), first);
    assert_eq!(name("create job --from cronjob/backup", here).unwrap()[..26], first[..26]);
    let long = name(&format!("create job --from=cronjob/{}", "a.".repeat(30)), here).unwrap();
    assert!(long.len() <= 63 && !long.contains(".-"), "{long}");
    assert_eq!(name("create job mine --from=cronjob/backup", here), None);
    assert_eq!(name("create job --image=x", here), None);
    assert_eq!(name("create cronjob --from=x", here), None);
    // In a plan the run has no id yet.
    let plan = Run(unknown(UnknownSort::NotYet, "there is no run"));
    let args = words("create job --from=cronjob/backup");
    let hole = job::unique_name(&call_of(&args), &args, here, &plan).unwrap();
    assert_eq!(hole.holes(), [("run.id", "there is no run")]);
}

#[test]
fn documents_are_shown_as_yaml_without_their_secrets() {
    let word = secret(SecretText::new("word", "hunter2hunter2"));
    let missing = unknown(UnknownSort::NotYet, "`queue` has not run");
    let data = Value::from_pairs([("word", word), ("count", missing), ("text", Value::from("true"))]);
    let document = Value::from_pairs([("kind", Value::from("Secret")), ("stringData", data)]);
    let view = view(&act("apply -f -", vec![document]));
    let manifest = view.more.iter().find(|line| line.label == "manifest").unwrap();
    let wanted =
        "kind: Secret\nstringData:\n  word: ‹secret word›\n  count: ‹manifest.stringData.count›\n  text: 'true'";
    assert_eq!(manifest.text, wanted);
    assert_eq!(view.holes.len(), 1);
    assert!(!format!("{view:?}").contains("hunter2"));
}
