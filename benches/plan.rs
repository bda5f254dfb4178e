//! From text to plan, beside reading the same text as plain YAML.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends by panicking and tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts programs")]

mod support;

use criterion::Criterion;
use indexmap::IndexMap;
use runwright::expr::UnknownSort;
use runwright::graph::{CheckContext, check};
use runwright::plan::{GatePolicy, Plan, PlanContext, Resolver, Values};
use runwright::runbook::parse_runbook;
use runwright::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use support::{beside, folder, megabytes, peak, runwright, tell};

const STEPS: usize = 10_000;

/// Blocks of ten steps: eight reads, of which the later ones use what the first captured, a change and its proof.
fn runbook(steps: usize) -> String {
    let mut text = String::from("runbook: many-steps\ntitle: Many steps\nsteps:\n");
    for block in 0..steps / 10 {
        for read in 0..8 {
            write!(
                text,
                "  - id: read_{block}_{read}\n    diagnose: How full is volume {read} of shelf {block}?\n    \
                 why: The fuller it is, the sooner it has to grow.\n    \
                 run: [df, --output=pcent, --, \"/srv/shelf-{block}/volume-{read}\"]\n    timeout: 30s\n    \
                 capture:\n      rows: lines | length\n      last: lines[-1]\n    expect: rows > 1\n"
            )
            .unwrap();
            if read > 0 {
                writeln!(text, "    needs: [read_{block}_0]\n    when: read_{block}_0.rows > 1").unwrap();
            }
        }
        write!(
            text,
            "  - id: grow_{block}\n    remediate: Grow shelf {block}\n    risk: low\n    \
             when: read_{block}_0.rows > 1 and read_{block}_7.last is not none\n    \
             run: [grow, --shelf, \"{block}\", --was, \"{{{{ read_{block}_0.rows }}}}\"]\n    \
             undo: {{ run: [shrink, --shelf, \"{block}\"] }}\n  \
             - id: grown_{block}\n    validate: Shelf {block} has grown\n    \
             run: [grown, --shelf, \"{block}\"]\n    expect: exit == 0\n"
        )
        .unwrap();
    }
    text
}

fn plan(text: &str) -> Plan {
    let source = Source::new("many-steps.yaml", text.to_owned());
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&source, &mut problems);
    let graph = runbook.and_then(|runbook| check(Arc::new(runbook), &CheckContext::default(), &mut problems));
    let graph = graph.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)));
    let ids = graph.nodes().iter().map(|node| node.id.to_string());
    let context = PlanContext {
        values: &Values::new(IndexMap::new(), ids, UnknownSort::NotYet),
        resolver: &Resolver::new(Arc::clone(graph.runbook()), HashMap::new(), Arc::new(|_| None)),
        called: &HashMap::new(),
        policy: GatePolicy::default(),
        environment: None,
        inputs: Vec::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    Plan::new(&graph, &context)
}

fn main() {
    let text = runbook(STEPS);
    let mut criterion = Criterion::default().configure_from_args();
    let ratio = beside(
        &mut criterion,
        "plan of 10,000 steps",
        ("read, check, plan", || drop(black_box(plan(&text)))),
        ("plain YAML", || drop(black_box(serde_yaml::from_str::<serde_yaml::Value>(&text).unwrap()))),
    );
    criterion.final_summary();
    let folder = folder();
    std::fs::write(folder.path().join("many-steps.yaml"), &text).unwrap();
    let bytes = peak(runwright(&folder, &["plan", "many-steps.yaml"]));
    let size = megabytes(text.len() as u64);
    tell(&[ratio, format!("runwright plan of the same ({size} of text): at most {} of memory", megabytes(bytes))]);
}
