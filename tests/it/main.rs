//! One binary for the tests of the program as a whole.

mod architecture;
mod check;
mod generated;
mod support;
mod traced;
