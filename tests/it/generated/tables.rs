//! The generated blocks of the pages.

use super::{examples, read};
use runwright::cli::Exit;
use runwright::expr::{Shape, function_table};
use runwright::graph::step_shape;
use runwright::library::library_grammar;
use runwright::runbook::{Action, Decode, Grammar, RecordDoc, Runbook, action_names, key_tables};
use std::ops::Deref;

/// The text of the block of this name.
pub(super) fn block(name: &str) -> String {
    match name {
        "runbook keys" => records(&runbook_tables()),
        "library keys" => records(&library_tables()),
        "actions" => actions(),
        "functions" => functions(false),
        "tests" => functions(true),
        "exit codes" => exit_codes(),
        "events" => events(),
        "error classes" => classes(),
        other => panic!("there is no generated block `{other}`"),
    }
}

/// One line of text that can stand in a cell.
fn cell(text: &str) -> String {
    let line: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    line.join(" ").replace('|', "\\|")
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

fn runbook_tables() -> Vec<RecordDoc> {
    key_tables(&<Runbook as Deref>::Target::grammar())
}

/// What the library file has beside the records that runbooks have too.
fn library_tables() -> Vec<RecordDoc> {
    let of_runbooks = runbook_tables();
    let mut tables = key_tables(&library_grammar());
    tables.retain(|table| of_runbooks.iter().all(|other| other.name != table.name));
    tables
}

fn records(tables: &[RecordDoc]) -> String {
    tables.iter().map(record).collect::<Vec<_>>().join("\n")
}

fn record(doc: &RecordDoc) -> String {
    let rows = doc.keys.iter().map(|key| {
        let must = if key.required { " **required**" } else { "" };
        [format!("`{}`{must}", key.key), form(&key.grammar), cell(key.doc)]
    });
    let mut text =
        format!("### Keys: {}\n\n{}\n\n{}", doc.name, cell(doc.doc), table(["key", "form", "meaning"], rows));
    if !doc.later.is_empty() {
        let later: Vec<_> = doc.later.iter().map(|key| format!("`{key}`")).collect();
        text += &format!("\nNot supported yet (an error that says so): {}.\n", later.join(", "));
    }
    text
}

fn form(grammar: &Grammar) -> String {
    match grammar {
        Grammar::Template => "text with `{{ }}`".to_owned(),
        Grammar::Text => "text".to_owned(),
        Grammar::Expression => "expression".to_owned(),
        Grammar::Boolean => "`true` or `false`".to_owned(),
        Grammar::Integer => "whole number".to_owned(),
        Grammar::Number => "number".to_owned(),
        Grammar::Duration => "duration".to_owned(),
        Grammar::Date => "date".to_owned(),
        Grammar::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Grammar::List(inner) => format!("list of: {}", form(inner)),
        Grammar::Many(inner) => format!("{}, or a list of them", form(inner)),
        Grammar::Table(inner) => format!("names, each with: {}", form(inner)),
        Grammar::Record(doc) => {
            let name = doc().name;
            format!("[{name}](#keys-{})", name.replace(' ', "-"))
        }
        Grammar::AnyOf(forms) => forms.iter().map(form).collect::<Vec<_>>().join("; or "),
        Grammar::Data => "any value; texts may hold `{{ }}`".to_owned(),
    }
}

/// Result fields by action. The fields of `ask` and `set` have names of the author's choice.
fn actions() -> String {
    let page = "docs/language.md";
    let examples = examples::blocks(page, &read(page), "```yaml runbook");
    let all: Vec<Action> = examples.iter().flat_map(examples::actions_of).collect();
    let rows = action_names().iter().map(|name| {
        let action = all.iter().find(|action| action.name() == *name);
        let action = action.unwrap_or_else(|| panic!("`{name}` has no example in {page}"));
        [format!("[`{name}`](#{name})"), fields(action), if action.is_ordered() { "yes" } else { "" }.to_owned()]
    });
    table(["action", "result fields", "keeps the written order, also as a read"], rows)
}

fn fields(action: &Action) -> String {
    let own = match action {
        Action::Ask(_) => "the name of each question (`answer` in the short form), ",
        Action::Set(_) => return "each name".to_owned(),
        _ => "",
    };
    let asked: Vec<&str> = match action {
        Action::Ask(ask) => ask.questions.keys().map(|name| name.value.as_str()).collect(),
        _ => Vec::new(),
    };
    let listed: Vec<String> = step_shape(action)
        .iter()
        .filter(|(name, _)| !asked.contains(&name.as_str()))
        .map(|(name, shape)| format!("`{name}` {}", shape_word(shape)))
        .collect();
    if listed.is_empty() { "none".to_owned() } else { format!("{own}{}", listed.join(", ")) }
}

fn shape_word(shape: &Shape) -> String {
    match shape {
        Shape::List(inner) => format!("list of {}s", inner.word()),
        Shape::Any => "(any)".to_owned(),
        other => other.word().to_owned(),
    }
}

fn functions(tests: bool) -> String {
    let rows = function_table().iter().filter(|doc| doc.is_test == tests).map(|doc| {
        let example = format!("`{}`", doc.example.replace('|', "\\|"));
        [format!("`{}`", doc.signature.replace('|', "\\|")), cell(doc.about), example]
    });
    table([if tests { "test" } else { "function or filter" }, "what it does", "example"], rows)
}

fn exit_codes() -> String {
    table(["code", "meaning"], Exit::ALL.iter().map(|exit| [exit.code().to_string(), exit.meaning().to_owned()]))
}

/// The variants of an enum as they stand in a source file: name, documentation, fields.
fn variants(file: &str, name: &str) -> Vec<(String, String, Vec<String>)> {
    let text = read(file);
    let (_, after) = text.split_once(&format!("pub enum {name} {{\n")).expect("the enum is in this file");
    let (body, _) = after.split_once("\n}\n").expect("it ends");
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut doc = String::new();
    for line in body.lines() {
        let inner = line.trim();
        if let Some(comment) = inner.strip_prefix("///") {
            doc.push_str(comment);
        } else if line.starts_with("    ") && !line.starts_with("     ") && inner.starts_with(char::is_uppercase) {
            let word: String = inner.chars().take_while(|c| c.is_alphanumeric()).collect();
            found.push((snake(&word), std::mem::take(&mut doc).trim().to_owned(), Vec::new()));
        } else if let (Some((field, _)), Some(variant)) = (inner.split_once(": "), found.last_mut())
            && !inner.starts_with('#')
        {
            variant.2.push(field.to_owned());
            doc.clear();
        }
    }
    found
}

fn snake(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn events() -> String {
    let rows = variants("src/event/kind.rs", "Event").into_iter().map(|(name, doc, fields)| {
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        [format!("`{name}`"), plain(&doc), fields.join(", ")]
    });
    table(["kind", "what happened", "fields"], rows)
}

/// A comment without links into the code.
fn plain(doc: &str) -> String {
    cell(doc).replace("[`", "`").replace("`]", "`")
}

fn classes() -> String {
    let rows = variants("src/event/outcome.rs", "ErrorClass").into_iter().map(|(name, doc, _)| {
        let number = matches!(name.as_str(), "exit" | "signal" | "status");
        [if number { format!("`{name}_N`") } else { format!("`{name}`") }, plain(&doc)]
    });
    table(["class", "when"], rows)
}
