//! Running a jq program within bounds of time, stack and memory.
//!
//! A program runs on a thread of its own. The interpreter asks for its table of terms at every step; that is where the
//! bounds are checked, so a runaway program ends by itself and its thread with it.

#![expect(clippy::disallowed_methods, reason = "a deadline of an evaluation, which is no part of its value")]

use super::program::Program;
use super::values::{from_val, sized, to_val};
use crate::expr::kind::{LONGEST_LIST, LONGEST_TEXT};
use crate::expr::value::Value;
use jaq_core::data::HasLut;
use jaq_core::native::{Filter as Row, Fun, bome, run as native, v};
use jaq_core::{Ctx, DataT, Error, Exn, Lut, RunPtr, ValX, Vars};
use jaq_json::{Num, Val};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may run.
const DEADLINE: Duration = Duration::from_secs(5);

/// The stack of the thread; only what is used takes memory.
const STACK: usize = 256 << 20;

/// How much of it a program may use; the rest is for dropping deep values.
const STACK_USED: usize = 64 << 20;

/// How much a program may build in all, counted in bytes of text and 16 bytes for each item.
const BUILT: usize = 256 << 20;

/// How many steps a program may take: whatever it gathers, it gathers at most one item a step.
const MOST_STEPS: u32 = 64_000_000;

/// The steps between two looks at the clock.
const STEPS: u32 = 256;

/// Why a program was ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Late,
    Deep,
    Large,
}

impl Ended {
    fn message(self) -> String {
        match self {
            Self::Late => format!("the jq program did not end within {} s or {MOST_STEPS} steps", DEADLINE.as_secs()),
            Self::Deep => "the jq program calls itself too deep".to_owned(),
            Self::Large => "the jq program builds values that are too large".to_owned(),
        }
    }

    /// Unwinds to [`run`]. Not a panic: no hook runs and nothing is printed.
    fn unwind(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

thread_local! {
    static BUILT_SO_FAR: Cell<usize> = const { Cell::new(0) };
}

/// Counts something that a program builds.
fn charge(bytes: usize) {
    let built = BUILT_SO_FAR.get().saturating_add(bytes);
    BUILT_SO_FAR.set(built);
    if built > BUILT {
        Ended::Large.unwind();
    }
}

/// The kind of data jaq carries along: values, and our guard in the place of the plain table of terms.
pub(super) struct Bounded;

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = Guard<'a>;
}

/// Counts steps and knows when to end.
#[derive(Clone, Copy)]
pub(super) struct Guard<'a> {
    lut: &'a Lut<Bounded>,
    state: &'a State,
}

struct State {
    deadline: Instant,
    base: usize,
    steps: Cell<u32>,
}

/// Where the stack is, near enough.
fn stack_position() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here) as usize
}

impl Guard<'_> {
    fn step(&self) {
        if self.state.base.abs_diff(stack_position()) > STACK_USED {
            Ended::Deep.unwind();
        }
        let steps = self.state.steps.get().wrapping_add(1);
        self.state.steps.set(steps);
        if steps > MOST_STEPS || steps.is_multiple_of(STEPS) && Instant::now() > self.state.deadline {
            Ended::Late.unwind();
        }
    }
}

impl<'a> HasLut<'a, Bounded> for Guard<'a> {
    fn lut(&self) -> &'a Lut<Bounded> {
        self.step();
        self.lut
    }
}

/// Runs a program on a value; the variables are in the order in which the program was compiled with them.
pub(super) fn run(program: &Program, input: Value, variables: Vec<Value>) -> Result<Vec<Value>, String> {
    thread::scope(|scope| {
        let work = move || {
            // A panic inside the interpreter is an error of this expression, not of the run.
            let outcome = catch_unwind(AssertUnwindSafe(|| outputs(program, &input, &variables)));
            outcome.unwrap_or_else(|reason| Err(ended(reason.as_ref())))
        };
        let thread = thread::Builder::new().name("jq".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|reason| Err(ended(reason.as_ref()))),
            Err(error) => Err(format!("no thread for the jq program: {error}")),
        }
    })
}

fn ended(reason: &(dyn Any + Send)) -> String {
    reason
        .downcast_ref::<Ended>()
        .map_or_else(|| "the jq program failed inside the interpreter".to_owned(), |e| e.message())
}

fn outputs(program: &Program, input: &Value, variables: &[Value]) -> Result<Vec<Value>, String> {
    let state = State { deadline: Instant::now() + DEADLINE, base: stack_position(), steps: Cell::new(0) };
    let guard = Guard { lut: &program.filter.lut, state: &state };
    let variables = Vars::new(variables.iter().map(to_val).collect::<Vec<_>>());
    let context = Ctx::<Bounded>::new(guard, variables);
    let mut found = Vec::new();
    let mut room = LONGEST_TEXT;
    for output in program.filter.id.run((context, to_val(input))) {
        let value = output.map_err(refused)?;
        if found.len() >= LONGEST_LIST {
            return Err(Ended::Large.message());
        }
        found.push(from_val(&value, &mut room, 0).ok_or_else(|| Ended::Large.message())?);
    }
    Ok(found)
}

/// An error that the program itself raised, or ran into.
fn refused(exception: Exn<'_, Val>) -> String {
    match exception.get_err() {
        Ok(error) => {
            let said = match error.into_val() {
                Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
                other => other.to_string(),
            };
            format!("the jq program gave up: {}", crate::expr::kind::words(&said, 160))
        }
        Err(_) => "the jq program asked to stop".to_owned(),
    }
}

/// Our own filters, in the place of those that could grow or run without a step.
pub(super) fn bounded_functions() -> impl Iterator<Item = Fun<Bounded>> {
    let rows: [Row<RunPtr<Bounded>>; 6] = [
        ("!kept", v(0), |cv| {
            charge(16);
            bome(Ok(cv.1))
        }),
        ("!add", v(2), |mut cv| {
            let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
            bome(add(left, right))
        }),
        ("!mul", v(2), |mut cv| {
            let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
            bome(multiply(left, right))
        }),
        ("!sized", v(0), |cv| {
            charge(size(&cv.1));
            bome(Ok(cv.1))
        }),
        ("tojson", v(0), |cv| {
            charge(size(&cv.1));
            bome(Ok(Val::utf8_str(cv.1.to_string().into_bytes())))
        }),
        ("range", v(3), |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            let data = *cv.0.data();
            let mut next = Some(Ok(from));
            Box::new(std::iter::from_fn(move || {
                data.step();
                let now = match next.take()? {
                    Ok(now) => now,
                    Err(error) => return Some(Err(error)),
                };
                if !before(&now, &to, &by) {
                    return None;
                }
                charge(16);
                next = Some((now.clone() + by.clone()).map_err(Exn::from));
                Some(Ok(now)) as Option<ValX<'_, Val>>
            }))
        }),
    ];
    rows.into_iter().map(|row| native::<Bounded>(row))
}

fn before(now: &Val, to: &Val, by: &Val) -> bool {
    match by.cmp(&Val::from(0_usize)) {
        std::cmp::Ordering::Greater => now < to,
        std::cmp::Ordering::Less => now > to,
        std::cmp::Ordering::Equal => now != to,
    }
}

/// The size of a value as JSON text, roughly; ends the program when it is more than it may build.
fn size(value: &Val) -> usize {
    let mut room = BUILT;
    sized(value, &mut room);
    BUILT - room
}

/// What copying a value costs at most, without looking inside.
fn shallow_size(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(items) => items.len().saturating_mul(16),
        Val::Obj(entries) => entries.len().saturating_mul(48),
        Val::Num(Num::BigInt(number)) => usize::try_from(number.bits() / 8).unwrap_or(usize::MAX),
        _ => 0,
    }
}

fn add(left: Val, right: Val) -> Result<Val, Error<Val>> {
    charge(shallow_size(&right));
    left + right
}

fn multiply(left: Val, right: Val) -> Result<Val, Error<Val>> {
    match (&left, &right) {
        (Val::TStr(text) | Val::BStr(text), Val::Num(times)) | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
            let times = match times {
                Num::Int(times) => usize::try_from(*times).unwrap_or(0),
                Num::BigInt(_) => usize::MAX,
                _ => 1,
            };
            charge(text.len().saturating_mul(times));
        }
        (Val::Num(Num::BigInt(_)), Val::Num(_)) | (Val::Num(_), Val::Num(Num::BigInt(_))) => {
            // Long numbers take time by the square of their length.
            charge(shallow_size(&left).saturating_mul(shallow_size(&right).max(1)));
        }
        _ => charge(shallow_size(&left).saturating_add(shallow_size(&right))),
    }
    left * right
}
