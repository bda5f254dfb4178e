//! The engine with scripted hands, a scripted person and paused time.

mod fixture;
mod flow;
mod gates;

use fixture::{Script, Scripted};
