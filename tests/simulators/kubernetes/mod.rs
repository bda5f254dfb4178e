//! A small Kubernetes API that the stock `kubectl` accepts, and a tiny controller behind it.
//!
//! It serves discovery, objects with versions and watches, the four kinds of patch, role-based access, logs of pods,
//! and makes pods for workloads. State lives in memory; names and identifiers come from counters, so the same requests
//! give the same names. Times are real. Nothing runs in a pod: what a pod says and whether it gets ready is set by the
//! control endpoint.

#![expect(unreachable_pub, reason = "a module tree that a program and tests include, each at its own place")]

pub mod admission;
pub mod control;
pub mod controller;
pub mod defaults;
pub mod deletion;
pub mod deployments;
pub mod discovery;
pub mod fields;
pub mod jobs;
pub mod kind;
pub mod kubeconfig;
pub mod logs;
pub mod object;
pub mod openapi;
pub mod patch;
pub mod pods;
pub mod rbac;
pub mod request;
pub mod seed;
pub mod selector;
pub mod server;
pub mod sets;
pub mod spdy;
pub mod status;
pub mod store;
pub mod streams;
pub mod table;
pub mod verbs;
pub mod watch;
pub mod wire;
pub mod workloads;

#[cfg(test)]
mod tests;
