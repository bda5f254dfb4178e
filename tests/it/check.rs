//! What `check` says about a file: one file, one case.

use crate::support::{Sandbox, repository};
use runwright::runbook::runbook_schema;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Codes of problems that no file of `tests/inputs/invalid` can show, and where each is tested.
const ELSEWHERE: &[(&str, &str)] = &[
    ("file-too-large", "here: too large for a repository"),
    ("too-many-nodes", "here: too large for a repository"),
    ("environment-value", "nowhere: a value that is written out can be computed"),
    ("missing-program", "tests/it/run.rs"),
    ("program-version", "tests/it/run.rs"),
    ("input-label", "tests/it/run.rs"),
    ("input-missing", "tests/it/run.rs"),
    ("secret-missing", "tests/it/resume.rs"),
    ("input-source", "tests/it/run.rs"),
    ("input-twice", "tests/it/run.rs"),
    ("unknown-input", "tests/it/run.rs"),
];

fn cases(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(repository("tests/inputs").join(folder))
        .expect("cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The code that a case is about: its name up to `--`.
fn code_of(path: &Path) -> String {
    let stem = stem(path);
    stem.split("--").next().unwrap_or(&stem).to_owned()
}

/// What `check` says about one file, named without its folder.
fn said(sandbox: &Sandbox, path: &Path, more: &[&str]) -> (i32, String) {
    let folder = path.parent().expect("a folder");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut command = sandbox.command(["check", &name]);
    let output = command.args(more).current_dir(folder).output().expect("the program starts");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn every_problem_is_told_with_its_place_and_its_mending() {
    let sandbox = Sandbox::new();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"reviewed \d+ days ago", "reviewed [days] days ago");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path(repository("tests/it/snapshots/check"));
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!("../inputs/invalid", "*.yaml", |path| {
            let (code, text) = said(&sandbox, path, &[]);
            let wanted = code_of(path);
            assert!(wanted == "many-problems" || text.contains(&format!("[{wanted}]")), "{}\n{text}", path.display());
            let errors = text.contains("error[");
            assert_eq!(code, if errors { 3 } else { 0 }, "{}\n{text}", path.display());
            insta::assert_snapshot!(text);
        });
    });
}

#[test]
fn a_library_file_has_problems_too() {
    let sandbox = Sandbox::new();
    let folder = repository("tests/inputs/invalid/libraries");
    for entry in std::fs::read_dir(folder).expect("libraries") {
        let path = entry.expect("an entry").path();
        let output = sandbox.command(["check"]).current_dir(&path).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("[{}]", stem(&path))), "{}\n{text}", path.display());
    }
}

#[test]
fn a_warning_counts_when_it_is_asked_to() {
    let sandbox = Sandbox::new();
    let path = repository("tests/inputs/invalid/no-undo.yaml");
    assert_eq!(said(&sandbox, &path, &[]).0, 0);
    assert_eq!(said(&sandbox, &path, &["--strict"]).0, 3);
}

#[test]
fn what_is_too_large_is_refused_and_not_read() {
    let sandbox = Sandbox::new();
    let large = sandbox.write("large.yaml", &format!("runbook: large\n# {}", "x".repeat(17 * 1024 * 1024)));
    let (code, text) = said(&sandbox, &large, &[]);
    assert!(code == 3 && text.contains("[file-too-large]"), "{code} {text}");
    let many = sandbox.write("many.yaml", &format!("runbook: many\ntags: [{}]\n", "a,".repeat(1_100_000)));
    let (code, text) = said(&sandbox, &many, &[]);
    assert!(code == 3 && text.contains("[too-many-nodes]"), "{code} {text}");
}

#[test]
fn what_the_language_has_is_accepted() {
    let sandbox = Sandbox::new();
    let files = cases("valid");
    assert!(files.len() >= 25);
    for path in files {
        let (code, text) = said(&sandbox, &path, &["--strict"]);
        assert!(code == 0 && text.contains("nothing to mend"), "{}\n{text}", path.display());
    }
}

/// A code that can be reported has a file that makes it be.
#[test]
fn every_code_has_a_case() {
    let mut codes = BTreeSet::new();
    for module in ["source", "runbook", "graph", "library", "expr", "plan/input"] {
        codes_below(&repository("src").join(module), &mut codes);
    }
    for file in ["files.rs", "scripts.rs", "programs.rs", "check.rs"] {
        codes_in(&std::fs::read_to_string(repository("src/cli").join(file)).expect("a source file"), &mut codes);
    }
    assert!(codes.len() > 75, "only {} codes were found: the pattern no longer fits the source", codes.len());
    let libraries = std::fs::read_dir(repository("tests/inputs/invalid/libraries")).expect("libraries");
    let mut shown: BTreeSet<String> = cases("invalid").iter().map(|path| code_of(path)).collect();
    shown.extend(libraries.map(|entry| stem(&entry.expect("an entry").path())));
    shown.extend(ELSEWHERE.iter().map(|(code, _)| (*code).to_owned()));
    let missing: Vec<_> = codes.difference(&shown).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

fn codes_below(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            codes_below(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            codes_in(&std::fs::read_to_string(&path).expect("a source file"), codes);
        }
    }
}

/// The text literals that stand where a code stands: first or second argument of a problem, or a field `code`.
fn codes_in(text: &str, codes: &mut BTreeSet<String>) {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let form = regex::Regex::new(
        r#"(?:\b(?:error|error_hint|warning|warn|problem|say)\(\s*(?:(?:&?[a-z_]+(?:\.[a-z_]+(?:\(\))?)*),\s*)?|\bcode: )"([a-z]+(?:-[a-z0-9]+)*)""#,
    )
    .expect("a pattern");
    codes.extend(form.captures_iter(code).map(|found| found[1].to_owned()));
}

/// The schema that editors use, and the reader, are one language.
#[test]
fn the_schema_agrees_with_the_reader() {
    let schema = jsonschema::validator_for(&runbook_schema()).expect("the schema is one");
    let document = |path: &Path| -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(path).ok()?;
        serde_yaml::from_str(text.trim_start_matches('\u{feff}')).ok()
    };
    // An editor merges maps before it asks the schema; the plain reader used here does not.
    let merges = "anchors-and-merges";
    let mut wrong = Vec::new();
    for path in cases("valid").iter().filter(|path| stem(path) != merges) {
        let document = document(path).unwrap_or_else(|| panic!("{} is YAML", path.display()));
        wrong.extend(
            schema
                .iter_errors(&document)
                .map(|error| format!("{}: {}: {error}", path.display(), error.instance_path())),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let structural = ["unknown-key", "not-supported-yet", "unknown-word"];
    let shapes = [
        "missing-key",
        "missing-key--title",
        "run-list",
        "wrong-type--list-for-text",
        "wrong-type--map-for-list",
        "wrong-type--text-for-record",
        "wrong-type--on-failure",
    ];
    let mut refused = 0;
    for path in cases("invalid") {
        let is_structural = structural.contains(&code_of(&path).as_str()) || shapes.contains(&stem(&path).as_str());
        if is_structural {
            let document = document(&path).unwrap_or_else(|| panic!("{} is YAML", path.display()));
            assert!(!schema.is_valid(&document), "the schema takes {}", path.display());
            refused += 1;
        }
    }
    assert!(refused >= 15, "{refused}");
}

#[test]
fn the_schema_is_printed() {
    let sandbox = Sandbox::new();
    let output = sandbox.runwright("schema runbook").exits(0);
    assert_eq!(output.json(), runbook_schema());
    assert_eq!(sandbox.runwright("schema library").exits(0).json(), runwright::library::library_schema());
}

#[test]
fn machines_get_their_own_forms() {
    let sandbox = Sandbox::new();
    let path = repository("tests/inputs/invalid/many-problems.yaml");
    let json = sandbox
        .command(["check", "many-problems.yaml", "--format", "json"])
        .current_dir(path.parent().expect("a folder"))
        .output()
        .expect("the program starts");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    insta::assert_json_snapshot!("many_problems_as_json", json);
    let sarif = sandbox
        .command(["check", "many-problems.yaml", "--format", "sarif"])
        .current_dir(path.parent().expect("a folder"))
        .output()
        .expect("the program starts");
    let sarif: serde_json::Value = serde_json::from_slice(&sarif.stdout).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    insta::assert_json_snapshot!("many_problems_as_sarif", sarif);
    insta::assert_snapshot!("many_problems_for_github", said(&sandbox, &path, &["--format", "github"]).1);
}

#[test]
fn the_order_of_the_steps_is_drawn() {
    let sandbox = Sandbox::new();
    for name in ["decide", "group"] {
        let path = repository("tests/inputs/valid").join(format!("{name}.yaml"));
        for form in ["text", "mermaid", "dot"] {
            let (code, text) = said(&sandbox, &path, &[&format!("--graph={form}")]);
            assert_eq!(code, 0, "{text}");
            insta::assert_snapshot!(format!("graph_of_{name}_as_{form}"), text);
        }
    }
}
