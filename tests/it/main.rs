//! One binary for the tests of the program as a whole.

mod architecture;
mod generated;
mod traced;
