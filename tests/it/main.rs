//! One binary for the tests of the program as a whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests start programs, wait for them and look at the machine")]

mod alerts;
mod architecture;
mod canary;
mod check;
mod disk;
mod gates;
mod generated;
mod handover;
mod hostile;
mod http;
mod interactive;
mod killed;
mod kubectl;
mod kubernetes_api;
mod kubernetes_life;
mod kubernetes_streams;
mod library;
mod log;
mod lookup;
mod mechanisms;
mod nested;
mod planned;
mod prometheus;
mod properties;
mod resume;
mod run;
mod scenes;
mod service;
mod sql;
mod ssh;
mod stopping;
mod support;
mod surroundings;
mod tampered;
mod together;
mod traced;
mod undo;
mod words;
