//! `jq` and `jq_all`: the jq language, built in and bounded.

mod limits;
mod program;
mod values;

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::value::Value;
use program::Program;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("jq", "jq(value, program, **vars)", (2, 2), one)
        .named(&["*"])
        .doc(
            "Runs a jq program on a value; each named argument is `$name` in it. A program that iterates at its top level (`.[]`, `..`, `,`, `range`, `limit` ..) always gives the list of its outputs; any other gives its one output, and is unknown when it gives nothing.",
            "jq(body, '.items[] | select(.age > $days) | .id', days=7)",
        ),
    Entry::own("jq_all", "jq_all(value, program, **vars)", (2, 2), all)
        .kinds(Takes::Anything, Gives::List)
        .named(&["*"])
        .doc("Runs a jq program and always gives the list of its outputs.", "jq_all(body, '.items[]?.id')"),
];

fn run(arguments: &Arguments<'_>) -> Result<(Vec<Value>, bool), Refusal> {
    let text = arguments.text(1)?;
    let names: Vec<_> = arguments.all_named().map(|(name, _)| format!("${name}")).collect();
    let program = Program::compiled(text, &names).map_err(|message| arguments.refuse(message))?;
    let values = arguments.all_named().map(|(_, value)| value.clone()).collect();
    arguments.whole_parts()?;
    let input = arguments.positional().first().cloned().unwrap_or(Value::UNDEFINED);
    let outputs = limits::run(&program, input, values).map_err(|message| arguments.refuse(message))?;
    Ok((outputs, program.iterates()))
}

fn all(arguments: &mut Arguments<'_>) -> Outcome {
    run(arguments).map(|(outputs, _)| Value::from(outputs))
}

fn one(arguments: &mut Arguments<'_>) -> Outcome {
    let (mut outputs, iterates) = run(arguments)?;
    match outputs.len() {
        1 if !iterates => Ok(outputs.remove(0)),
        0 if !iterates => Err(Refusal::missing(format!("jq gave nothing in `{}`", arguments.whole()))),
        _ => Ok(Value::from(outputs)),
    }
}

/// What is wrong with a program, if anything; `names` are its variables, without `$`.
pub(in crate::expr) fn problem<'n>(program: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let names: Vec<_> = names.map(|name| format!("${name}")).collect();
    Program::compiled(program, &names).err()
}

/// Whether a program always gives a list.
pub(in crate::expr) fn gives_list<'n>(program: &str, names: impl Iterator<Item = &'n str>) -> bool {
    let names: Vec<_> = names.map(|name| format!("${name}")).collect();
    Program::compiled(program, &names).is_ok_and(|program| program.iterates())
}
