//! The engine with scripted hands, a scripted person and paused time.

mod approvals;
mod background;
mod calls;
mod crash;
mod fixture;
mod flow;
mod gates;
mod hold;
mod kept;
mod laws;
mod limits;
mod locks;
mod loops;
mod ports;
mod questions;
mod races;
mod room;
mod stopping;
mod temporary;
mod undo_parts;
mod words;

use fixture::{Script, Scripted};
