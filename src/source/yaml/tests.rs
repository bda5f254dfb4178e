//! The reader, held to tables of inputs, to an oracle, and to mutated inputs.

mod reading;
mod refusals;
mod robust;
