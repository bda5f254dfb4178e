//! The engine with scripted hands, a scripted person and paused time.

mod calls;
mod fixture;
mod flow;
mod gates;
mod laws;
mod loops;

use fixture::{Script, Scripted};
