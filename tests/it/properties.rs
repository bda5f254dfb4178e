//! What holds for every runbook, not only for those that somebody thought of.

use proptest::prelude::*;
use runwright::graph::{CheckContext, NodeId, StepGraph, check};
use runwright::runbook::parse_runbook;
use runwright::source::{Diagnostics, Source};
use std::collections::HashMap;
use std::sync::Arc;

/// One step of a generated runbook: its kind, the earlier steps it needs, the earlier step whose value it uses.
type Plan = Vec<(u8, Option<Vec<prop::sample::Index>>, Option<prop::sample::Index>)>;

fn plans() -> impl Strategy<Value = Plan> {
    let index = any::<prop::sample::Index>;
    let step = (0..3_u8, prop::option::of(prop::collection::vec(index(), 0..3)), prop::option::of(index()));
    prop::collection::vec(step, 1..25)
}

fn document(plan: &Plan) -> String {
    let mut text = "runbook: generated\ntitle: A case\nsteps:\n".to_owned();
    for (place, (kind, needs, uses)) in plan.iter().enumerate() {
        let kind = ["diagnose", "validate", "remediate"][usize::from(*kind)];
        text += &format!("  - id: s{place}\n    {kind}: Step\n    run: [\"true\"]\n");
        if kind == "remediate" {
            text += "    irreversible: It is nothing.\n";
        }
        let earlier = |index: &prop::sample::Index| index.index(place);
        if let (Some(needs), true) = (needs, place > 0) {
            let ids: Vec<_> = needs.iter().map(|index| format!("s{}", earlier(index))).collect();
            text += &format!("    needs: [{}]\n", ids.join(", "));
        }
        if let (Some(uses), true) = (uses, place > 0) {
            text += &format!("    when: s{}.exit == 0\n", earlier(uses));
        }
    }
    text
}

fn graph(text: &str) -> StepGraph {
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&Source::new("generated.yaml", text), &mut problems).expect("it reads well");
    check(Arc::new(runbook), &CheckContext::default(), &mut problems).expect("it checks well")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_step_comes_after_what_it_waits_for_and_what_it_uses(plan in plans()) {
        let text = document(&plan);
        let graph = graph(&text);
        let places: HashMap<NodeId, usize> =
            graph.topological().iter().enumerate().map(|(place, id)| (*id, place)).collect();
        prop_assert_eq!(places.len(), plan.len());
        for (place, node) in graph.nodes().iter().enumerate() {
            for before in node.after.iter().chain(&node.uses) {
                prop_assert!(places[before] < places[&NodeId(place)], "{}", text);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(source) = Source::from_bytes("bytes.yaml".to_owned(), &bytes) {
            let mut problems = Diagnostics::new();
            let read = parse_runbook(&source, &mut problems);
            prop_assert!(read.is_some() || problems.has_errors());
        }
    }

    #[test]
    fn a_runbook_with_any_change_is_read_or_refused(at in any::<prop::sample::Index>(), with in "[ -~\\n\\t]{0,4}") {
        let text = include_str!("../inputs/valid/decide.yaml");
        let at = at.index(text.len());
        let changed = format!("{}{with}{}", &text[..at], &text[(at + 1).min(text.len())..]);
        let mut problems = Diagnostics::new();
        let read = parse_runbook(&Source::new("changed.yaml", changed), &mut problems);
        prop_assert!(read.is_some() || problems.has_errors());
        if let Some(runbook) = read {
            let graph = check(Arc::new(runbook), &CheckContext::default(), &mut problems);
            prop_assert!(graph.is_some() || problems.has_errors());
        }
    }
}
