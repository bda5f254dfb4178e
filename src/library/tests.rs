use super::*;
use crate::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const MINIMAL: &str = "library: ours\n";

fn read(text: &str) -> Result<LibraryFile, String> {
    let mut problems = Diagnostics::new();
    let file = parse_library(&Source::new("runwright.yaml", text), &mut problems);
    match file {
        Some(file) if problems.is_empty() => Ok(file),
        _ => Err(render(&problems, DiagnosticFormat::Text, false)),
    }
}

fn put(root: &Path, name: &str, text: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn runbook(id: &str, title: &str) -> String {
    format!("runbook: {id}\ntitle: {title}\nsteps:\n  - validate: Fine\n    assert: true\n")
}

#[test]
fn an_environment_is_production_unless_it_says_otherwise() {
    let file = read(
        "library: ours\ndefault_environment: drill\nenvironments:\n  prod: {}\n  drill:\n    production: false\n    \
         gates: { low: pass, medium: pass, high: confirm }\n    values: { size: 5, name: db }\n    \
         inputs: { url: \"http://localhost\" }\n    targets: { api: { http: \"http://localhost:1\" } }\n",
    )
    .unwrap();
    assert!(file.environments["prod"].production);
    let drill = &file.environments["drill"];
    assert!(!drill.production);
    assert_eq!(drill.gates.medium, Some(GateRule::Pass));
    assert_eq!(drill.gates.irreversible, None);
    assert_eq!(drill.env_value().get_attr("size").unwrap().as_i64(), Some(5));
    assert_eq!(drill.inputs["url"].as_str(), Some("http://localhost"));
    assert!(drill.targets.contains_key("api"));
    assert_eq!(file.default_environment.as_deref(), Some("drill"));
}

#[test]
fn production_may_let_only_low_risk_pass() {
    assert!(read("library: a\nenvironments:\n  prod: { gates: { low: pass, medium: confirm, high: type } }\n").is_ok());
    for risk in ["medium", "high", "irreversible"] {
        let text = format!("library: a\nenvironments:\n  prod: {{ gates: {{ {risk}: pass }} }}\n");
        let problem = read(&text).unwrap_err();
        assert!(problem.contains("production-gate") && problem.contains(&format!("`{risk}: pass`")), "{problem}");
    }
}

#[test]
fn every_problem_of_the_file_is_told_at_once() {
    let problem =
        read("library: a\ndefault_environment: prdo\nenvironments:\n  Prod: {}\n  prod: { gates: { high: maybe } }\n")
            .unwrap_err();
    assert!(problem.contains("`maybe` is not a gate rule"), "{problem}");
    let problem = read("library: a\ndefault_environment: prdo\nenvironments:\n  Prod: {}\n  prod: {}\n").unwrap_err();
    assert!(problem.contains("environment-name") && problem.contains("`Prod`"), "{problem}");
    assert!(problem.contains("unknown-environment") && problem.contains("did you mean `prod`?"), "{problem}");
    let problem = read("library: a\nenviroments: {}\n").unwrap_err();
    assert!(problem.contains("did you mean `environments`?"), "{problem}");
    let problem = read("environments: {}\n").unwrap_err();
    assert!(problem.contains("this library has no `library`"), "{problem}");
}

#[test]
fn the_schema_names_what_the_reader_takes() {
    let schema = library_schema();
    assert_eq!(schema["title"], "Runwright library");
    let library = &schema["definitions"]["library"];
    assert_eq!(library["required"], serde_json::json!(["library"]));
    assert!(schema["definitions"]["environment"]["properties"]["gates"].is_object());
    assert_eq!(
        schema["definitions"]["gates"]["properties"]["high"]["enum"],
        serde_json::json!(["pass", "confirm", "type"])
    );
}

#[test]
fn a_library_is_found_upward_and_not_above_home() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().canonicalize().unwrap();
    put(&root, FILE_NAME, MINIMAL);
    let below = root.join("home/ana/work");
    fs::create_dir_all(&below).unwrap();
    let found = Library::find(&below, None).unwrap().unwrap();
    assert_eq!(found.root(), root);
    assert_eq!(found.file().unwrap().name, "ours");
    assert!(Library::find(&below, Some(&root.join("home/ana"))).unwrap().is_none());
    assert!(Library::find(&root, Some(&root)).unwrap().is_some(), "home itself is looked at");
}

#[test]
fn a_library_that_others_may_write_is_refused_when_found_and_taken_when_named() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().canonicalize().unwrap();
    let file = put(&root, FILE_NAME, MINIMAL);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = Library::find(&root, None).unwrap_err();
    assert!(matches!(refused, LibraryError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("every user of this machine may write to it"), "{refused}");
    assert!(Library::open(&root).is_ok());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Library::find(&root, None).unwrap().is_some());
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Library::find(&root, None), Err(LibraryError::Refused { .. })));
    fs::set_permissions(&root, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(Library::find(&root, None).unwrap().is_some(), "a sticky folder keeps others from replacing it");
}

#[test]
fn a_folder_without_the_file_is_not_a_library() {
    let top = tempfile::tempdir().unwrap();
    assert!(matches!(Library::open(top.path()), Err(LibraryError::NotALibrary(_))));
    assert!(matches!(Library::open(&top.path().join("none")), Err(LibraryError::Io { .. })));
}

#[test]
fn a_broken_file_leaves_its_problems_and_its_runbooks() {
    let top = tempfile::tempdir().unwrap();
    put(top.path(), FILE_NAME, "librarry: x\n");
    put(top.path(), "a.yaml", &runbook("a", "A"));
    let library = Library::open(top.path()).unwrap();
    assert!(library.file().is_none());
    assert!(library.problems().has_errors());
    assert_eq!(library.runbooks().len(), 1);
    assert!(matches!(library.environment(Some("prod")), Err(EnvironmentError::Broken)));
}

#[test]
fn runbooks_are_listed_by_path_without_what_is_hidden_or_outside() {
    let top = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let root = top.path();
    put(root, FILE_NAME, MINIMAL);
    put(root, "z.yaml", &runbook("z", "Last"));
    put(root, "host/a.yaml", &runbook("a", "First"));
    put(root, "host/broken.yaml", "runbook: broken\ntitle: Still readable\nsteps: 5\n");
    put(root, "host/worse.yaml", "a: [\n");
    put(root, ".git/c.yaml", &runbook("c", "Hidden"));
    put(root, "notes.txt", "not one");
    put(outside.path(), "far.yaml", &runbook("far", "Far"));
    symlink(outside.path().join("far.yaml"), root.join("far.yaml")).unwrap();
    symlink(outside.path(), root.join("folder")).unwrap();
    symlink(root, root.join("host/ring")).unwrap();
    symlink(root.join("z.yaml"), root.join("alias.yaml")).unwrap();
    let library = Library::open(root).unwrap();
    let list: Vec<_> =
        library.list().into_iter().map(|line| (line.file.relative, line.title, line.is_broken)).collect();
    let line = |path: &str, title: Option<&str>, broken| (PathBuf::from(path), title.map(str::to_owned), broken);
    assert_eq!(
        list,
        [
            line("alias.yaml", Some("Last"), false),
            line("host/a.yaml", Some("First"), false),
            line("host/broken.yaml", Some("Still readable"), true),
            line("host/worse.yaml", None, true),
            line("z.yaml", Some("Last"), false),
        ]
    );
}

#[test]
fn an_id_finds_one_file_and_tells_of_two() {
    let top = tempfile::tempdir().unwrap();
    put(top.path(), FILE_NAME, MINIMAL);
    let one = put(top.path(), "quarantine-overflow.yaml", &runbook("quarantine-overflow", "A"));
    put(top.path(), "a/twice.yaml", &runbook("twice", "B"));
    put(top.path(), "b/twice.yaml", &runbook("twice", "C"));
    let library = Library::open(top.path()).unwrap();
    assert_eq!(library.path_of("quarantine-overflow").unwrap(), one.canonicalize().unwrap());
    let twice = library.path_of("twice").unwrap_err().to_string();
    assert_eq!(twice, "two files are the runbook `twice`: a/twice.yaml and b/twice.yaml");
    assert_eq!(library.duplicates().len(), 1);
    let LookupError::Unknown(unknown) = library.path_of("quarantine-overflo").unwrap_err() else { panic!("found") };
    assert_eq!(unknown.near, ["quarantine-overflow"]);
    let LookupError::Unknown(unknown) = library.path_of("overflow").unwrap_err() else { panic!("found") };
    assert_eq!(unknown.near, ["quarantine-overflow"], "a part of the name is enough");
}

#[test]
fn a_name_is_an_id_and_a_path_is_a_file() {
    for (text, file) in [("a/b", true), ("b.yaml", true), ("./b", true), ("b.yml", true), ("b", false), ("b.y", false)]
    {
        assert_eq!(is_file_name(text), file, "{text}");
    }
    assert_eq!(resolve_runbook("x.yaml", None), Ok(RunbookPlace::File("x.yaml".into())));
}

#[test]
fn the_program_brings_a_runbook_that_a_library_may_replace() {
    let RunbookPlace::BuiltIn(found) = resolve_runbook("disk-filling", None).unwrap() else { panic!("a file") };
    assert_eq!(found.name, "built-in:host/disk-filling.yaml");
    let top = tempfile::tempdir().unwrap();
    put(top.path(), FILE_NAME, MINIMAL);
    let empty = Library::open(top.path()).unwrap();
    assert!(matches!(resolve_runbook("disk-filling", Some(&empty)), Ok(RunbookPlace::BuiltIn(_))));
    put(top.path(), "disk-filling.yaml", &runbook("disk-filling", "Ours"));
    let ours = Library::open(top.path()).unwrap();
    assert!(matches!(resolve_runbook("disk-filling", Some(&ours)), Ok(RunbookPlace::File(_))));
    let unknown = resolve_runbook("disk-filing", None).unwrap_err();
    assert!(unknown.to_string().contains("no library was found here"), "{unknown}");
}

#[test]
fn every_runbook_in_the_program_can_be_read_and_is_named_as_its_file() {
    for runbook in built_in() {
        let mut problems = Diagnostics::new();
        let parsed = crate::runbook::parse_runbook(&runbook.source(), &mut problems);
        let shown = render(&problems, DiagnosticFormat::Text, false);
        assert_eq!(parsed.expect(&shown).id(), runbook.id);
        assert!(runbook.name.ends_with(&format!("/{}.yaml", runbook.id)), "{}", runbook.name);
    }
}

#[test]
fn an_environment_is_chosen_by_name_or_by_default() {
    let top = tempfile::tempdir().unwrap();
    put(top.path(), FILE_NAME, "library: a\ndefault_environment: prod\nenvironments: { prod: {}, drill: {} }\n");
    let library = Library::open(top.path()).unwrap();
    assert_eq!(library.environment(None).unwrap().unwrap().name, "prod");
    assert_eq!(library.environment(Some("drill")).unwrap().unwrap().name, "drill");
    let unknown = library.environment(Some("dril")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no environment `dril` in this library");
}
