//! `lookup`: the runbook for what a person sees.

use super::arguments::LookupArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::list::ended;
use super::session::Session;
use crate::library::{Entry, Finder, Found, Library, Lines, built_in};
use crate::report::sanitize::visible;
use crate::report::{found_json, found_text};
use std::io::{self, IsTerminal as _, Read};

/// How many are told when nothing else is asked for.
const BEST: usize = 5;

/// Searches the library and the runbooks inside the program. It reads the library, and nothing else.
pub(super) fn lookup(session: &Session, arguments: &LookupArguments) -> Result<Exit, CommandError> {
    let is_stdin = arguments.words.iter().any(|word| word == "-");
    if is_stdin && arguments.words.len() > 1 {
        return Err(CommandError::usage("`-` is stdin, and words stand beside it", "give words, or `-`"));
    }
    let library = session.library()?;
    if library.is_none() {
        session.console.say("no library was found here: only the runbooks inside the program are searched\n");
    }
    let finder = Finder::new(entries(session, library.as_ref()));
    let broken: Vec<&str> = finder.broken().collect();
    for file in &broken {
        session.console.say(&format!("{} cannot be read: runwright check\n", visible(file)));
    }
    let (found, unknown) = if is_stdin {
        if io::stdin().is_terminal() {
            session.console.say("lines to look up, and Ctrl-D at their end:\n");
        }
        (search(&finder, io::stdin().lock(), false)?, Vec::new())
    } else {
        let words: Vec<_> = arguments.words.iter().map(|word| word.to_string_lossy()).collect();
        let words = words.join(" ");
        (search(&finder, words.as_bytes(), true)?, finder.unknown_words(&words))
    };
    if arguments.json {
        session.console.data(&ended(found_json(&found, &unknown, &broken, &session.commands())))?;
    } else {
        tell(session, arguments.all, is_stdin, &found)?;
        tell_unknown(session, &unknown);
    }
    if found.is_empty() && !arguments.json {
        let count = finder.len();
        session.console.say(&format!("no runbook fits; searched: {count}; their names: runwright list --runbooks\n"));
    }
    Ok(match (found.is_empty(), broken.is_empty()) {
        (false, _) => Exit::Done,
        (true, true) => Exit::NotResolved,
        (true, false) => Exit::Invalid,
    })
}

/// Every runbook of the library, and those inside the program that it does not replace.
fn entries(session: &Session, library: Option<&Library>) -> Vec<Entry> {
    let files = library.map(Library::runbooks).unwrap_or_default();
    let mut entries: Vec<Entry> = files.iter().map(|file| Entry::of_file(file, &session.shown(&file.path))).collect();
    for runbook in built_in() {
        if entries.iter().all(|entry| entry.id != runbook.id) {
            entries.push(Entry::of_built_in(runbook));
        }
    }
    entries
}

/// Looks at every line. Only what a person typed is worth a guess at a name.
fn search(finder: &Finder, input: impl Read, is_typed: bool) -> Result<Vec<Found<'_>>, CommandError> {
    let (mut lines, mut search) = (Lines::new(input), finder.search());
    let failed = |source| CommandError::Read { path: "stdin".into(), source };
    while let Some((number, line)) = lines.next_piece().map_err(failed)? {
        search.line(number, &line);
        if is_typed {
            search.near_names(number, &line);
        }
    }
    Ok(search.finish())
}

fn tell(session: &Session, all: bool, in_lines: bool, found: &[Found<'_>]) -> Result<(), CommandError> {
    let told = if all { found } else { &found[..found.len().min(BEST)] };
    let lines = found_text(told, in_lines, &session.commands(), &session.console.out_style());
    session.console.data_lines(&lines)?;
    let equals = found.iter().filter(|found| found.place == 1).count();
    if equals > 1 {
        session.console.say(&format!("a tie: the first {equals} fit equally well\n"));
    }
    if told.len() < found.len() {
        session.console.say(&format!("not shown: {} more; to see them, too: --all\n", found.len() - told.len()));
    }
    Ok(())
}

fn tell_unknown(session: &Session, unknown: &[(String, Option<String>)]) {
    for (word, like) in unknown {
        let like = like.as_ref().map_or_else(String::new, |like| format!("; `{like}` does"));
        session.console.say(&format!("{}\n", visible(&format!("`{word}` stands in no runbook{like}"))));
    }
}
