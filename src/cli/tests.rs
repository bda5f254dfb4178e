use super::arguments::{Command, SchemaOf};
use super::exit::Exit;
use super::helper::run_program;
use super::new::starter;
use super::overview::{command, parse};
use super::pages::{reference, schema_text};
use super::perform::exit_of;
use super::person::name_of;
use super::prepared::{is_local, policy};
use super::programs::find_required;
use super::scripts::{first_error, place_of_line};
use super::verify::folded;
use crate::action::BaseEnvironment;
use crate::engine::{RunEnd, RunState};
use crate::event::{RunId, RunResult};
use crate::graph::{CheckContext, check};
use crate::plan::GateLevel;
use crate::runbook::parse_runbook;
use crate::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

fn arguments(line: &str) -> Result<super::Arguments, clap::Error> {
    parse(std::iter::once("runwright").chain(line.split_whitespace()).map(OsString::from))
}

fn refused(line: &str) -> String {
    arguments(line).map(|arguments| format!("{arguments:?}")).unwrap_err().to_string()
}

/// Every command below one, and those below them, by their names: `alerts export`.
fn every_command(root: &clap::Command) -> Vec<(String, &clap::Command)> {
    let below = root.get_subcommands().filter(|command| command.get_name() != "help");
    let with_their_own = |command| -> Vec<(String, &clap::Command)> {
        let name: &str = clap::Command::get_name(command);
        let inner = every_command(command).into_iter().map(|(inner, command)| (format!("{name} {inner}"), command));
        std::iter::once((name.to_owned(), command)).chain(inner).collect()
    };
    below.flat_map(with_their_own).collect()
}

/// The help of a command at 80 columns, without colour.
fn help(command: &clap::Command) -> String {
    let mut command = command.clone().term_width(80).color(clap::ColorChoice::Never);
    let text = command.render_long_help().to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_declaration_is_sound() {
    command().debug_assert();
}

#[test]
fn help_of_every_command() {
    let mut root = command();
    root.build();
    insta::assert_snapshot!("runwright", help(&root));
    for (name, command) in every_command(&root) {
        insta::assert_snapshot!(name, help(command));
    }
}

#[test]
fn the_overview_names_every_command_once() {
    let root = command();
    let overview = help(&root);
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        let line = format!("  {:<12} ", command.get_name());
        assert_eq!(overview.matches(&line).count(), 1, "{}", command.get_name());
    }
}

#[test]
fn examples_fit_into_eighty_columns() {
    let root = command();
    for command in std::iter::once(&root).chain(every_command(&root).into_iter().map(|(_, command)| command)) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let long: Vec<&str> = examples.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{}: {long:?}", command.get_name());
    }
}

#[test]
fn exits_are_distinct_numbers_with_their_own_meaning() {
    let codes: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    let meanings: BTreeSet<&str> = Exit::ALL.iter().map(|exit| exit.meaning()).collect();
    assert_eq!(codes.len(), Exit::ALL.len());
    assert_eq!(meanings.len(), Exit::ALL.len());
    let promised = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 129, 130, 143];
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), promised);
}

#[test]
fn every_result_has_the_exit_that_is_promised() {
    let table = [
        (RunResult::Resolved, 0),
        (RunResult::Completed, 0),
        (RunResult::NoAction, 0),
        (RunResult::NotResolved, 1),
        (RunResult::Declined, 4),
        (RunResult::Aborted, 4),
        (RunResult::Undecided, 5),
        (RunResult::Escalated, 6),
        (RunResult::Failed, 7),
        (RunResult::Interrupted, 7),
    ];
    for (result, code) in table {
        assert_eq!(Exit::of_result(result).code(), code, "{result:?}");
    }
}

#[test]
fn the_exit_of_a_run_is_the_first_that_applies() {
    let end = |state: RunState| RunEnd {
        change_failed: false,
        run: "r".parse::<RunId>().unwrap(),
        state,
        refused: false,
        probe_does_not_hold: false,
        head: String::new(),
        signal: None,
    };
    let failed = end(RunState::Ended(RunResult::Failed));
    assert_eq!(exit_of(&failed), Exit::Failed);
    assert_eq!(exit_of(&RunEnd { refused: true, ..failed }), Exit::Refused);
    let completed = end(RunState::Ended(RunResult::Completed));
    assert_eq!(exit_of(&RunEnd { probe_does_not_hold: true, ..completed }), Exit::NotResolved);
    assert_eq!(exit_of(&end(RunState::Parked(Vec::new()))), Exit::Parked);
    let suspended = |signal| exit_of(&RunEnd { signal, ..end(RunState::Suspended(String::new())) }).code();
    assert_eq!([suspended(None), suspended(Some(2)), suspended(Some(15)), suspended(Some(1))], [130, 130, 143, 129]);
    let aborted = end(RunState::Ended(RunResult::Aborted));
    assert_eq!(exit_of(&RunEnd { signal: Some(2), ..aborted }), Exit::Declined);
}

#[test]
fn arguments_are_read_as_documented() {
    let Command::Run(run) =
        arguments("run x -i a=1=2 -i b= --env prod --yes=medium --park-after 1h30m").unwrap().command
    else {
        panic!("another command")
    };
    assert_eq!(run.runbook.inputs, [("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new())]);
    assert_eq!(run.runbook.environment.as_deref(), Some("prod"));
    assert_eq!(run.how.park_after.map(|time| time.as_secs()), Some(5400));
    assert_eq!(run.dry_run, None);
    let dry = |line: &str| match arguments(line).unwrap().command {
        Command::Run(run) => run.dry_run,
        _ => None,
    };
    assert_eq!(dry("run x --dry-run"), Some(super::arguments::DryRun::Plan));
    assert_eq!(dry("run x --dry-run=probe"), Some(super::arguments::DryRun::Probe));
    assert_eq!(dry("run --dry-run x"), Some(super::arguments::DryRun::Plan), "the runbook is not taken for a level");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (line, said) in [
        ("run x -i a", "write it as NAME=VALUE"),
        ("run x --yes", "--yes"),
        ("run x --yes=high", "possible values: low, medium"),
        ("run x --jobs 0", "0 is not in 1..=256"),
        ("run x --park-after 5", "write it like 90s"),
        ("run x --plan p --dry-run", "cannot be used with"),
        ("approve r s --skip", "--reason"),
        ("approve r s --skip --deny --reason x", "cannot be used with"),
        ("approve r s --digest 12345", "6 to 64"),
        ("approve r s --digest xyzxyz", "hex digits"),
        ("answer r s", "required"),
        ("answer r s a=1 --choose b", "cannot be used with"),
        ("verify", "required"),
        ("verify r --all", "cannot be used with"),
        ("verify --all --against ab", "cannot be used with"),
        ("chek", "'check'"),
    ] {
        let message = refused(line);
        assert!(message.contains(said), "{line}: {message}");
    }
}

#[test]
fn the_starter_runbook_passes_its_own_check() {
    let source = Source::new("disk-slow.yaml", starter("disk-slow"));
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&source, &mut problems);
    let graph = runbook.and_then(|runbook| check(Arc::new(runbook), &CheckContext::default(), &mut problems));
    assert!(problems.is_empty(), "{}", render(&problems, DiagnosticFormat::Text, false));
    let graph = graph.unwrap();
    assert_eq!(graph.runbook().id(), "disk-slow");
    assert_eq!(graph.runbook().title.value, "Disk slow");
}

fn parsed(rest: &str) -> crate::runbook::Runbook {
    let text = format!("runbook: r\ntitle: R\n{rest}steps:\n  - validate: Fine\n    assert: true\n");
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&Source::new("r.yaml", text), &mut problems);
    runbook.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)))
}

#[test]
fn no_environment_counts_as_production_except_on_this_machine_alone() {
    let production = |targets: &str| policy(None, &parsed(targets)).production;
    assert!(!production(""));
    assert!(!production("targets: { here: { local: true } }\n"));
    assert!(production("targets: { here: { local: true }, api: { http: \"http://localhost\" } }\n"));
}

#[test]
fn the_gates_of_an_environment_are_taken_over() {
    let text = "library: l\nenvironments:\n  lab: { production: false, gates: { low: pass, high: confirm, irreversible: type } }\n";
    let mut problems = Diagnostics::new();
    let file = crate::library::parse_library(&Source::new("runwright.yaml", text), &mut problems).unwrap();
    let found = policy(Some(&file.environments["lab"]), &parsed(""));
    assert!(!found.production);
    assert_eq!(found.low, Some(GateLevel::Pass));
    assert_eq!(found.medium, None);
    assert_eq!(found.high, Some(GateLevel::Confirm));
    assert_eq!(found.irreversible, Some(GateLevel::Type));
}

#[test]
fn required_programs_are_found_and_asked_for_their_version() {
    let environment = BaseEnvironment::from_vars(std::env::vars_os());
    let find = |requires: &str, ask: bool| {
        let mut problems = Diagnostics::new();
        let runbook = parsed(&format!("requires: [{requires}]\n"));
        let found = find_required(&runbook, &environment, ask, &mut problems);
        let codes: Vec<_> = problems.sorted().iter().map(|problem| problem.code).collect();
        (found, codes)
    };
    let (found, codes) = find("bash, no-such-program-here", true);
    assert_eq!(codes, ["missing-program"]);
    assert!(found[0].path.ends_with("/bash") && found[0].version.is_none(), "{found:?}");
    let (found, codes) = find("{ program: bash, version: 'version [0-9]+' }", true);
    assert!(codes.is_empty() && found[0].version.as_ref().is_some_and(|line| line.contains("bash")), "{found:?}");
    let (found, codes) = find("{ program: bash, version: 'version 0[.]' }", true);
    assert_eq!((found.len(), codes), (0, vec!["program-version"]));
    let (found, codes) = find("{ program: bash, version: 'version 0[.]' }", false);
    assert!(codes.is_empty() && found[0].version.is_none(), "a plan asks nothing of a program");
}

#[test]
fn a_program_that_gives_a_value_is_heard_or_told_of() {
    let environment = BaseEnvironment::from_vars(std::env::vars_os());
    let run = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let program = crate::action::find_program(&argv[0], environment.path()).ok();
        run_program(&environment, &argv, program)
    };
    assert_eq!(run(&["printf", "%s\\n", "a value"]), Ok(("a value\n".to_owned(), String::new())));
    let failed = run(&["bash", "-c", "echo locked >&2; exit 3"]).unwrap_err();
    assert!(failed.contains('3') && failed.ends_with("locked"), "{failed}");
}

#[test]
fn the_words_of_shells_are_understood() {
    let bash = "bash: line 3: syntax error near unexpected token `fi'\nbash: line 3: `fi'\n";
    assert_eq!(first_error(bash), Some((3, "syntax error near unexpected token `fi'")));
    assert_eq!(first_error("sh: 12: Syntax error: \"fi\" unexpected\n"), Some((12, "Syntax error: \"fi\" unexpected")));
    assert_eq!(first_error("bash: warning: setlocale\n"), None);
}

#[test]
fn a_line_of_a_script_is_found_in_the_file() {
    let runbook = |shell: &str| {
        let text = format!("runbook: r\ntitle: R\nsteps:\n  - id: a\n    diagnose: A\n    shell: {shell}\n");
        let source = Source::new("r.yaml", text);
        let mut problems = Diagnostics::new();
        let runbook = parse_runbook(&source, &mut problems);
        runbook.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)))
    };
    let place = |shell: &str, line: usize| {
        let runbook = runbook(shell);
        let Some(crate::runbook::Action::Shell(script)) = runbook.steps[0].action() else { panic!("no script") };
        runbook.source().slice(place_of_line(runbook.source(), &script.script, line)).to_owned()
    };
    let block = "|\n      if true; then\n      echo one\n      done";
    assert_eq!(place(block, 1), "if true; then");
    assert_eq!(place(block, 3), "done");
    assert_eq!(place(block, 4), "done", "an unexpected end is told of the line after the last");
    assert_eq!(place("if true", 1), "if true");
}

#[test]
fn without_an_environment_only_what_happens_here_is_not_production() {
    let local = |targets: &str, action: &str| {
        let text = format!("runbook: x\ntitle: X\n{targets}steps:\n  - {{ diagnose: Look, id: look, {action} }}\n");
        let mut problems = Diagnostics::new();
        let runbook = parse_runbook(&Source::new("x.yaml", text), &mut problems);
        is_local(&runbook.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false))))
    };
    assert!(local("", "run: [df]"));
    assert!(local("targets:\n  here: { local: true }\n", "run: [df]"));
    assert!(!local("targets:\n  api: { http: \"http://127.0.0.1\" }\n", "run: [df]"));
    assert!(!local("", "http: { get: /status }"));
}

#[test]
fn a_user_is_named_by_the_table_of_users() {
    let table = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000:Ana,,,:/home/ana:/bin/bash\n";
    assert_eq!(name_of(1000, table).as_deref(), Some("ana"));
    assert_eq!(name_of(100, table), None);
}

#[test]
fn paragraphs_are_folded_between_words() {
    assert_eq!(folded("one two  three\nfour", 9), ["one two", "three", "four"]);
    assert_eq!(folded("incomprehensible", 4), ["incomprehensible"]);
}

/// Files that are generated from the declarations. `RUNWRIGHT_WRITE_DOCS=1` writes them.
#[test]
fn generated_files_are_current() {
    let files = [
        ("docs/cli.md", reference()),
        ("schemas/runbook.schema.json", schema_text(SchemaOf::Runbook)),
        ("schemas/library.schema.json", schema_text(SchemaOf::Library)),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in files {
        let path = root.join(name);
        if std::env::var_os("RUNWRIGHT_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{name} is not current: RUNWRIGHT_WRITE_DOCS=1 cargo test --lib cli:: writes it");
    }
}
