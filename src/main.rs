//! The `runwright` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    runwright::cli::main(std::env::args_os())
}
