//! Inputs of a run that is taken up again: everything is on record but the secrets (ruling 23).

use super::problem::InputProblem;
use super::resolve::{Earlier, Found, ResolvedInput, Search, ask, bad_value, problem, shown};
use super::sources::InputSources;
use super::typed::accept;
use crate::expr::{Value, is_secret};
use crate::runbook::Input;
use crate::source::Sp;
use indexmap::IndexMap;
use std::collections::HashSet;

/// Reads a secret again: given anew on the command line (under `full_name`, which names the called runbook as well, if
/// it is an input of one), else from where it came at the start, else from the person at the terminal. `source` is the
/// source as [`ResolvedInput`] names it.
///
/// # Errors
/// Its source gives nothing any more, or what cannot be used. The message names the input and the source, the hint what
/// to give.
pub fn read_again(
    full_name: &str,
    name: &Sp<String>,
    input: &Input,
    source: &str,
    sources: &mut InputSources<'_>,
) -> Result<ResolvedInput, Box<InputProblem>> {
    let scope = nothing_before(sources);
    let given: Vec<_> = sources.command_line.iter().filter(|(given, _)| given == full_name).cloned().collect();
    let given = given.into_iter().map(|(_, text)| (name.value.clone(), text)).collect();
    let all = std::mem::replace(&mut sources.command_line, given);
    let mut search = Search { name, input, sources, scope: &scope, tried: Vec::new() };
    let found = search.command_line().and_then(|found| match found {
        Some(found) => Ok(Some(found)),
        None => search.from(source),
    });
    let tried = std::mem::take(&mut search.tried);
    sources.command_line = all;
    let resolved = match found? {
        Some(Found { given, source, tainted }) => {
            let text = shown(input, &given);
            let value = accept(&name.value, input, given).map_err(|broken| bad_value(name, &source, &text, broken))?;
            Some(ResolvedInput { name: name.value.clone(), value, source, is_secret: true, tainted })
        }
        None => ask(name, input, sources),
    };
    match resolved {
        Some(resolved) if is_secret(&resolved.value) => Ok(ResolvedInput { name: full_name.to_owned(), ..resolved }),
        _ => Err(missing(full_name, name, source, &tried)),
    }
}

/// Whether a value on the command line is the one that is frozen already: giving it once more changes nothing.
///
/// # Errors
/// It is another value, or cannot be used.
pub fn is_frozen(
    name: &Sp<String>,
    input: &Input,
    frozen: &Value,
    sources: &InputSources<'_>,
) -> Result<bool, Box<InputProblem>> {
    let scope = nothing_before(sources);
    let mut search = Search { name, input, sources, scope: &scope, tried: Vec::new() };
    let Some(found) = search.command_line()? else { return Ok(true) };
    let text = shown(input, &found.given);
    let value =
        accept(&name.value, input, found.given).map_err(|broken| bad_value(name, &found.source, &text, broken))?;
    Ok(crate::expr::to_record(&value) == crate::expr::to_record(frozen))
}

fn nothing_before(sources: &InputSources<'_>) -> Earlier {
    let env = sources.environment.map(crate::library::Environment::env_value);
    Earlier { env, values: IndexMap::new(), now: sources.now, tainted: HashSet::new() }
}

fn missing(full_name: &str, name: &Sp<String>, source: &str, tried: &[String]) -> Box<InputProblem> {
    let came = match source {
        "command line" => "was given on the command line",
        "question" => "was typed at the terminal",
        _ => "",
    };
    let came = if came.is_empty() { format!("came from {source}") } else { came.to_owned() };
    let tried = if tried.is_empty() { String::new() } else { format!(": {}", tried.join(", ")) };
    let mut problem =
        problem(name, "secret-missing", format!("the secret `{full_name}` {came} and is never recorded{tried}"));
    problem.hint = Some(format!("give it again: -i {full_name}=@FILE"));
    problem
}
