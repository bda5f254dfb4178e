//! The tables of `docs/library/`: every row of the source documents has a runbook, a step, and a test that runs it.

use super::files;
use crate::support::repository;
use runwright::runbook::{Runbook, Step, parse_runbook};
use runwright::source::{Diagnostics, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// One line of a table: what it is about, `RUNBOOK.STEP` names, names of tests.
struct Row {
    id: String,
    places: Vec<String>,
    tests: Vec<String>,
}

/// The rows of the documents, and the faults in them that concern these systems (the other faults are of other
/// documents).
fn expected(rows: &[(char, usize, usize)]) -> BTreeSet<String> {
    rows.iter()
        .flat_map(|&(letter, first, last)| (first..=last).map(move |number| format!("{letter}{number}")))
        .collect()
}

fn pages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("docs/library")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

/// The rows whose first cell is such a name: `| V11 | what | `vestige-backup.dump` | `test_name` |`.
fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in text.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let id = cells[0];
            let is_row = id.chars().next().is_some_and(char::is_uppercase) && id[1..].parse::<usize>().is_ok();
            if is_row && !id[1..].is_empty() {
                let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
                let from_end = |back: usize| cells.len().checked_sub(back).map_or("", |at| cells[at]);
                let (places, tests) = (names(from_end(2)), names(from_end(1)));
                rows.push(Row { id: id.to_owned(), places, tests });
            }
        }
    }
    rows
}

/// The runbooks of the library by name.
fn library() -> BTreeMap<String, Runbook> {
    let mut paths = Vec::new();
    files(&repository("runbooks"), "yaml", &mut paths);
    let runbooks = paths.into_iter().map(|path| {
        let source = Source::new(path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        parse_runbook(&source, &mut Diagnostics::new()).unwrap_or_else(|| panic!("{} does not parse", path.display()))
    });
    runbooks.map(|runbook| (runbook.id().to_owned(), runbook)).collect()
}

/// The ids of steps and of those inside them.
fn ids(steps: &[Arc<Step>], found: &mut Vec<String>) {
    for step in steps {
        found.push(step.id.value.clone());
        let failing = step.on_failure.iter().flat_map(|failure| &failure.steps);
        let inner: Vec<Arc<Step>> = step.children().into_iter().chain(failing).cloned().collect();
        ids(&inner, found);
    }
}

/// All places that a row may name: `RUNBOOK`, `RUNBOOK.STEP`, `RUNBOOK.alerts.NAME`.
fn places() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (name, runbook) in library() {
        let mut found = Vec::new();
        ids(&runbook.steps, &mut found);
        ids(runbook.finally.as_deref().unwrap_or_default(), &mut found);
        found.extend(runbook.alerts.0.iter().map(|alert| format!("alerts.{}", alert.alert.value)));
        all.extend(found.into_iter().map(|step| format!("{name}.{step}")));
        all.insert(name);
    }
    all
}

/// The tests of the repository by name, each with its text.
fn tests() -> BTreeMap<String, String> {
    let mut paths = Vec::new();
    files(&repository("tests"), "rs", &mut paths);
    let mut found = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        for part in text.split("#[test]\n").skip(1) {
            let Some((name, rest)) = part.trim_start().strip_prefix("fn ").and_then(|part| part.split_once('(')) else {
                continue;
            };
            // Nothing but the test itself: its end is the first brace at the begin of a line.
            let body = rest.split("\n}").next().unwrap_or(rest);
            found.insert(name.to_owned(), body.to_owned());
        }
    }
    found
}

#[test]
fn every_row_has_a_runbook_a_step_and_a_test_that_runs_it() {
    let (rows, places, tests) = (table(), places(), tests());
    let mut faults = Vec::new();
    let wanted = expected(&[('Q', 1, 30), ('V', 1, 44), ('C', 1, 36), ('F', 1, 17), ('F', 29, 38)]);
    let there: BTreeSet<String> = rows.iter().map(|row| row.id.clone()).collect();
    faults.extend(wanted.difference(&there).map(|row| format!("{row} is in no table of docs/library")));
    for row in &rows {
        let id = &row.id;
        if !rows.iter().filter(|other| other.id == *id).count().eq(&1) {
            faults.push(format!("{id} is there twice"));
        }
        if row.places.is_empty() || row.tests.is_empty() {
            faults.push(format!("{id} names no step or no test"));
        }
        faults.extend(
            row.tests.iter().filter(|test| !tests.contains_key(*test)).map(|test| format!("{id}: no test {test}")),
        );
        for place in &row.places {
            if !places.contains(place) {
                faults.push(format!("{id}: there is no `{place}`"));
            }
            // The test says the step's name where it looks at what became of it.
            let quoted = format!("\"{place}\"");
            if !row.tests.iter().any(|test| tests.get(test).is_some_and(|body| body.contains(&quoted))) {
                faults.push(format!("{id}: none of {:?} asks what became of {quoted}", row.tests));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
