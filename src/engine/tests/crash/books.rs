//! Runbooks of every kind of step, for the worlds of this module.

use super::super::fixture::graph;
use super::life::truthful;
use super::world::World;
use crate::engine::{Answer, Prompt};
use crate::graph::StepGraph;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A runbook, and those that it calls.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) name: String,
    text: String,
    pub(super) graph: Arc<StepGraph>,
}

impl Book {
    pub(super) fn new(name: &str, steps: &str) -> Self {
        let text = format!("runbook: test\ntitle: Test\n{steps}");
        let graph = graph(&[INNER.to_owned(), text.clone()]);
        Self { name: name.to_owned(), text, graph }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whoever is at the terminal.
    #[expect(clippy::unused_self, reason = "a book may come to bring a person of its own")]
    pub(super) fn person(
        &self,
        world: &Arc<World>,
        attempted: BTreeMap<String, u32>,
    ) -> impl FnMut(&Prompt) -> Option<Answer> + Send + 'static {
        let world = world.clone();
        move |prompt| truthful(&world, &attempted, prompt)
    }
}

/// What is called: a read, a decision, a temporary change, a change with a verify, a proof, a `finally`.
pub(super) const INNER: &str = "
runbook: inner
title: Inner
inputs: { who: { type: string } }
outputs: { code: look.exit }
steps:
  - { id: look, diagnose: Look, run: [look, '{{ who }}'] }
  - id: which
    decide: Which?
    options:
      one: { when: look.exit == 0 }
      two: { when: look.exit == 7, end: no_action }
  - { id: ban, remediate: Ban, run: [do, 'ban {{ who }}'], risk: low, temporary: true, undo: { run: [back, 'ban {{ who }}'] } }
  - id: act
    remediate: Act
    run: [do, 'inner {{ who }}']
    undo: { run: [back, 'inner {{ who }}'] }
    verify: { run: [is, 'inner {{ who }}'], expect: exit == 0 }
  - { id: proof, validate: Proof, run: [is, 'inner {{ who }}'], expect: exit == 0 }
finally:
  - { id: tidy, remediate: Tidy, risk: low, run: [do, 'tidy {{ who }}'] }
";

/// The runbooks that are stopped everywhere.
pub(super) fn books() -> Vec<Book> {
    BOOKS.iter().map(|(name, steps)| Book::new(name, steps)).collect()
}

pub(super) fn book(name: &str) -> Book {
    let (name, steps) = BOOKS.iter().find(|book| book.0 == name).unwrap_or_else(|| panic!("no book {name}"));
    Book::new(name, steps)
}

const BOOKS: &[(&str, &str)] = &[
    (
        "plain",
        "
steps:
  - { id: before, diagnose: Before, run: [look, before], capture: { code: exit } }
  - { id: one, remediate: One, run: [do, one], undo: { run: [back, one] } }
  - id: two
    remediate: Two
    run: [do, two]
    irreversible: It is nothing.
    verify: { run: [is, two], expect: exit == 0 }
  - { id: proof, validate: Proof, run: [is, two], expect: exit == 0 }
  - { id: sum, diagnose: Sum, set: { total: before.code + 1 } }
finally:
  - { id: tidy, remediate: Tidy, run: [do, tidy], risk: low }
",
    ),
    (
        "unknown",
        "
steps:
  - { id: lost, remediate: Lost, run: [lost, a], irreversible: it is, risk: low, on_failure: continue }
  - { id: lostv, remediate: Lost and found, run: [lost, b], risk: low, verify: { run: [is, b], expect: exit == 0 }, on_failure: continue }
  - { id: flaky, remediate: Flaky, run: [flaky, c], risk: low, retry: { attempts: 3, every: 1s } }
  - { id: fails, remediate: Fails, run: [fail, d], risk: low, on_failure: continue }
  - { id: proof, validate: Proof, run: [is, b], expect: exit == 0 }
",
    ),
    (
        "times",
        "
steps:
  - { id: soon, diagnose: Soon, run: [late, '25'], expect: exit == 0, until: { expect: exit == 0, every: 5s, within: 60s } }
  - { id: pause, diagnose: Pause, wait: 30s }
  - { id: watch, diagnose: Watch, run: [look, rate], hold: { for: 30s, every: 10s, while: exit == 0 } }
  - { id: act, remediate: Act, run: [do, act], risk: low, verify: { run: [late, '130', act], expect: exit == 0, within: 60s, every: 5s } }
  - { id: proof, validate: Proof, run: [late, '150'], until: { expect: exit == 0, every: 5s, within: 2m } }
",
    ),
    (
        "people",
        "
steps:
  - { id: who, diagnose: Who?, ask: Who? }
  - id: count
    diagnose: How many?
    ask: { questions: { n: { question: How many?, type: integer } } }
  - { id: hand, remediate: By hand, manual: Pull the plug, risk: low, irreversible: it is }
  - { id: note, diagnose: Note, run: [look, '{{ count.n }}'] }
  - id: which
    decide: Which?
    options:
      one: { steps: [ { id: inside, remediate: In, run: [do, inside], risk: low } ] }
      two: { steps: [ { id: other, remediate: Out, run: [do, out], risk: low } ] }
  - { id: proof, validate: Proof, run: [look, proof], expect: exit == 0 }
",
    ),
    (
        "decisions",
        "
steps:
  - { id: look, diagnose: Look, run: [look, x] }
  - { id: no, remediate: No, run: [do, no], risk: low, when: look.exit == 1 }
  - { id: yes, remediate: Yes, run: [do, yes], risk: low, when: look.exit == 0 }
  - id: which
    decide: Which?
    options:
      one:
        when: look.exit == 0
        set: { word: 1 + 1 }
        steps:
          - { id: inside, remediate: In, run: [do, inside], risk: low }
          - id: deeper
            decide: Deeper?
            options:
              left: { when: look.exit == 1, steps: [ { id: left, remediate: Left, run: [do, left], risk: low } ] }
              right: { when: look.exit == 0, steps: [ { id: right, remediate: Right, run: [do, right], risk: low } ] }
      two: { when: look.exit == 1, end: no_action }
  - { id: after, diagnose: After, run: [look, '{{ which.word }}'] }
  - { id: proof, validate: Proof, run: [is, right], expect: exit == 0 }
",
    ),
    (
        "groups",
        "
steps:
  - id: side
    group: Side by side
    parallel: true
    steps:
      - { id: q, diagnose: Q, run: [look, q] }
      - { id: r, group: R, steps: [ { id: t, remediate: T, run: [do, t], risk: low }, { id: t2, validate: T2, run: [is, t], expect: exit == 0 } ] }
      - { id: s, group: S, steps: [ { id: u, diagnose: U, run: [look, u] }, { id: v, remediate: V, run: [do, v], risk: low } ] }
  - id: plain
    group: Plain
    when: q.exit == 0
    steps:
      - { id: w, remediate: W, run: [do, w], risk: low }
      - { id: x, validate: X, run: [is, w], expect: exit == 0 }
",
    ),
    (
        "lists",
        "
steps:
  - { id: reads, diagnose: Reads, for_each: \"['a', 'b', 'c']\", run: [look, '{{ item }}'] }
  - id: list
    remediate: List
    for_each: \"['d', 'e', 'f']\"
    run: [do, '{{ item }}']
    risk: low
    irreversible: it is
  - id: wide
    remediate: Wide
    for_each: \"['g', 'h', 'i', 'j']\"
    at_once: 2
    run: [do, '{{ item }}']
    risk: low
    verify: { run: [is, '{{ item }}'], expect: exit == 0 }
    undo: { run: [back, '{{ item }}'] }
  - { id: some, remediate: Some, for_each: \"['k', 'l']\", on_item_failure: continue, run: [flaky, '{{ item }}'], risk: low, retry: { attempts: 2, every: 1s } }
  - { id: proof, validate: Proof, for_each: \"['d', 'j']\", run: [is, '{{ item }}'], expect: exit == 0 }
",
    ),
    (
        "loops",
        "
steps:
  - id: store
    group: Each store
    for_each: \"['a', 'b', 'c']\"
    at_once: 2
    pause: 1s
    steps:
      - { id: look, diagnose: Look, run: [look, '{{ item }}'] }
      - { id: mint, remediate: Mint, run: [do, 'mint {{ item }}'], risk: low, verify: { run: [is, 'mint {{ item }}'], expect: exit == 0 } }
      - id: inner
        group: Inner
        for_each: \"[1, 2]\"
        as: n
        steps:
          - { id: sub, remediate: Sub, run: [do, 'sub {{ item }} {{ n }}'], risk: low, irreversible: it is }
      - { id: check, validate: Check, run: [is, 'mint {{ item }}'], expect: exit == 0 }
  - { id: sum, diagnose: Sum, run: [look, '{{ store.results | length }}'] }
",
    ),
    (
        "calls",
        "
steps:
  - { id: one, remediate: One, runbook: { name: inner, inputs: { who: one } } }
  - { id: after, diagnose: After, run: [look, '{{ one.result }} {{ one.code }}'] }
  - id: many
    group: Many
    for_each: \"['x', 'y']\"
    steps:
      - { id: call, remediate: Call, runbook: { name: inner, inputs: { who: '{{ item }}' } } }
  - { id: proof, validate: Proof, run: [is, 'inner y'], expect: exit == 0 }
",
    ),
    (
        "temporary",
        "
steps:
  - { id: one, remediate: One, run: [do, one], risk: low, temporary: true, undo: { run: [back, one] } }
  - id: list
    remediate: Items
    for_each: \"['a', 'b']\"
    run: [do, '{{ item }}']
    risk: low
    temporary: true
    verify: { run: [is, '{{ item }}'], expect: exit == 0 }
    undo: { run: [back, '{{ item }}'], verify: { run: [is, '{{ item }}'], expect: exit == 1 } }
  - { id: work, remediate: Work, run: [do, work], risk: low, irreversible: It is nothing. }
  - { id: proof, validate: Proof, run: [is, a], expect: exit == 0 }
finally:
  - { id: gone, validate: Gone, run: [is, a], expect: exit == 1 }
  - { id: tidy, remediate: Tidy, run: [do, tidy], risk: low }
",
    ),
    (
        "failures",
        "
steps:
  - id: again
    remediate: Again
    run: [trips, again]
    risk: low
    on_failure:
      steps: [ { id: fix, remediate: Fix, risk: low, run: [do, fix] } ]
      then: again
  - id: handled
    remediate: Handled
    run: [fail, handled]
    risk: low
    on_failure:
      steps: [ { id: mend, remediate: Mend, risk: low, run: [do, mend] }, { id: mended, validate: Mended, run: [is, mend], expect: exit == 0 } ]
      then: continue
  - id: group
    group: Group
    on_failure: continue
    steps:
      - { id: g, remediate: G, run: [do, g], risk: low }
      - { id: h, validate: H, run: [bad, h] }
  - { id: late, remediate: Late, run: [do, late], risk: low, needs: [] }
  - { id: stops, remediate: Stops, run: [fail, stops], risk: low }
  - { id: never, remediate: Never, run: [do, never], risk: low }
finally:
  - { id: tidy, remediate: Tidy, run: [do, tidy], risk: low }
",
    ),
    (
        "background",
        "
steps:
  - id: tunnel
    diagnose: Tunnel
    run: [serve]
    background: true
    ready: { run: [look, ready], expect: exit == 0 }
  - { id: look, validate: Look, run: [look, through], expect: exit == 0 }
  - { id: act, remediate: Act, run: [do, act], risk: low, temporary: true, undo: { run: [back, act] } }
  - { id: proof, validate: Proof, run: [is, act], expect: exit == 0 }
finally:
  - { id: tidy, remediate: Tidy, run: [do, tidy], risk: low }
",
    ),
    (
        "refusals",
        "
steps:
  - { id: skip_it, remediate: Skip, run: [do, skipped], risk: low }
  - { id: skip_by_hand, diagnose: By hand, manual: Look at the lamp }
  - { id: some, remediate: Some, run: [do, some], risk: low }
  - { id: skip_list, remediate: List, for_each: \"['a', 'b']\", run: [do, '{{ item }}'], risk: low }
  - id: skip_loop
    group: Loop
    for_each: \"['c', 'd']\"
    steps:
      - { id: looked, diagnose: Looked, run: [look, '{{ item }}'] }
      - { id: made, remediate: Made, run: [do, '{{ item }}'], risk: low }
  - { id: no_never, remediate: No, run: [do, no], risk: low, on_failure: continue }
  - { id: after, remediate: After, run: [do, after], risk: low }
  - { id: proof, validate: Proof, run: [is, some], expect: exit == 0 }
finally:
  - { id: tidy, remediate: Tidy, run: [do, tidy], risk: low }
",
    ),
    (
        "limits",
        "
limits: { changes: 4, pause: 2s }
steps:
  - { id: one, remediate: One, run: [do, one], risk: low }
  - { id: list, remediate: Items, for_each: \"['a', 'b']\", run: [do, '{{ item }}'], risk: low }
  - { id: four, remediate: Four, run: [do, four], risk: low }
  - { id: five, remediate: Five, run: [do, five], risk: low }
finally:
  - { id: last, remediate: Tidy, run: [do, last], risk: low }
",
    ),
];
