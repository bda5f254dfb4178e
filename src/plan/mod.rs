//! Inputs resolved, acts resolved: what would be done, with holes where a value is not known.
//!
//! Rank 5.

mod act;

pub use act::{
    Act, CommandAct, EditAct, EditFormat, HttpAct, Method, RequestBody, Setting, StatusRule, TargetAct, WriteAct,
};
