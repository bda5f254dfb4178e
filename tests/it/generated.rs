//! What is generated stands as the program would write it, and what the documentation shows is true.
//!
//! `RUNWRIGHT_UPDATE=1 cargo test --test it generated` writes the files anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

mod examples;
mod picture;
mod tables;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} cannot be read: {error}"))
}

/// Holds a file to what it should be, or writes it when asked to.
fn hold(name: &str, wanted: &str) {
    let path = root().join(name);
    if std::fs::read_to_string(&path).is_ok_and(|found| found == wanted) {
        return;
    }
    assert!(is_update(), "{name} is out of date: RUNWRIGHT_UPDATE=1 cargo test --test it generated");
    std::fs::write(&path, wanted).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test is asked by the person who runs it")]
fn is_update() -> bool {
    std::env::var_os("RUNWRIGHT_UPDATE").is_some()
}

/// A page with the text of each generated block replaced; everything else stays.
fn with_blocks(page: &str, block: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<!-- generated: ") {
        let (name, after) = after.split_once(" -->").expect("a block's name ends with -->");
        let (_, after) = after.split_once("<!-- end -->").unwrap_or_else(|| panic!("block `{name}` has no end"));
        text.push_str(before);
        text.push_str(&format!("<!-- generated: {name} -->\n{}\n<!-- end -->", block(name).trim_end()));
        rest = after;
    }
    text + rest
}

/// Every Markdown page of the repository that people read.
fn pages() -> Vec<String> {
    let mut names = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "docs/design"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                names.push(format!("{folder}/{name}"));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn the_schemas_are_those_of_the_declarations() {
    hold("schemas/runbook.schema.json", &format!("{:#}\n", runwright::runbook::runbook_schema()));
    hold("schemas/library.schema.json", &format!("{:#}\n", runwright::library::library_schema()));
}

#[test]
fn the_command_line_is_as_declared() {
    hold("docs/cli.md", &runwright::cli::reference());
}

#[test]
fn the_tables_of_the_pages_are_those_of_the_declarations() {
    for page in ["docs/language.md", "docs/exit-codes.md", "docs/transcript.md"] {
        let text = read(page);
        assert!(text.contains("<!-- generated: "), "{page} has no generated block");
        hold(page, &with_blocks(&text, &tables::block));
    }
}

#[test]
fn the_picture_is_that_of_the_text() {
    hold("docs/run.svg", &picture::svg(&read("docs/run.txt")));
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    for page in pages() {
        let text = read(&page);
        for target in examples::links(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let folder = Path::new(&page).parent().unwrap_or(Path::new("")).to_owned();
            let path = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
            assert!(root().join(&path).exists(), "{page} links to {target}, which is not there");
            if !anchor.is_empty() {
                let there = read(&path.to_string_lossy());
                assert!(examples::anchors(&there).any(|found| found == anchor), "{page}: {target} has no such heading");
            }
        }
    }
}
