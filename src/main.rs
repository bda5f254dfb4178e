//! The `runwright` program.

fn main() {}
