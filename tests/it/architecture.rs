//! The layering of the crate, read off its source: a module may use only what stands below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every module and its rank (`docs/architecture.md`).
const RANKS: &[(&str, u32)] = &[
    ("source", 0),
    ("signature", 5),
    ("expr", 10),
    ("runbook", 20),
    ("library", 30),
    ("graph", 40),
    ("event", 45),
    ("plan", 50),
    ("engine", 70),
    ("action", 80),
    ("store", 80),
    ("report", 80),
    ("terminal", 80),
    ("cli", 100),
];

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("src is there").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let text = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a source file");
        (path.strip_prefix(&root).expect("below src").to_owned(), text)
    };
    files.into_iter().map(text).collect()
}

/// The first folder or the stem: the module a file belongs to.
fn module_of(path: &Path) -> String {
    let first = path.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").map_or(first.clone(), str::to_owned)
}

/// Code without line comments: documentation may name what it likes.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_has_a_rank() {
    let found: BTreeSet<String> = all().iter().map(|(path, _)| module_of(path)).collect();
    let known: BTreeSet<String> =
        RANKS.iter().map(|(name, _)| (*name).to_owned()).chain(["lib".into(), "main".into()]).collect();
    assert_eq!(found, known);
}

#[test]
fn a_module_uses_only_lower_ranks() {
    let rank: BTreeMap<&str, u32> = RANKS.iter().copied().collect();
    let name = regex::Regex::new(r"\bcrate::(\{[^}]*\}|[a-z_]+)").expect("a pattern");
    let word = regex::Regex::new(r"[a-z_]+").expect("a pattern");
    let mut wrong = Vec::new();
    let mut edges = 0;
    for (path, text) in all() {
        let module = module_of(&path);
        let Some(own) = rank.get(module.as_str()) else { continue };
        for found in name.captures_iter(&code(&text)) {
            for used in word.find_iter(&found[1]) {
                let Some(other) = rank.get(used.as_str()) else { continue };
                edges += 1;
                if used.as_str() != module && other >= own {
                    wrong.push(format!("{}: {module} uses {}", path.display(), used.as_str()));
                }
            }
        }
    }
    assert!(edges > 300, "only {edges} uses were found: the pattern no longer fits the source");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_named_for_what_they_are() {
    let vague = ["utils", "util", "helpers", "common", "imp", "misc"];
    for (path, _) in all() {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        assert!(!vague.contains(&stem.as_str()), "{}", path.display());
        assert!(!folder.is_some_and(|name| vague.contains(&name.as_str())), "{}", path.display());
    }
}

#[test]
fn a_mod_file_holds_docs_modules_and_re_exports() {
    for (path, text) in all().into_iter().filter(|(path, _)| path.file_name().is_some_and(|name| name == "mod.rs")) {
        // The entry of the command line and the folders of single mechanisms may hold their entry function.
        let depth = path.components().count();
        if depth > 2 || path.starts_with("cli") {
            continue;
        }
        let code = code(&text);
        for forbidden in ["\nfn ", "\npub fn ", "\nimpl ", "\nstruct ", "\npub struct ", "\nenum ", "\npub enum "] {
            assert!(!code.contains(forbidden), "{} holds `{}`", path.display(), forbidden.trim());
        }
    }
}

#[test]
fn nothing_is_left_undone() {
    let words = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!("), concat!("FIX", "ME")];
    for (path, text) in all() {
        for word in words {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_file_of_this_folder_is_a_module() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).expect("main.rs");
    for entry in std::fs::read_dir(&folder).expect("tests/it") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_module = path.extension().is_some_and(|extension| extension == "rs") && stem != "main";
        assert!(!is_module || main.contains(&format!("mod {stem};")), "tests/it/main.rs forgets `mod {stem};`");
    }
}
