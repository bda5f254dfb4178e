//! What the tests of the program stand on: a place of its own for each, what a call said, a system to act on, a
//! terminal to type at.

mod canary;
mod catalog;
mod example;
mod journal;
mod killer;
mod kubernetes;
mod nginx;
mod output;
mod postgres;
mod prometheus;
mod sandbox;
mod server;
mod services;
mod simulator;
pub(crate) mod sshd;
mod terminal;
mod vestige;

pub(crate) use canary::{CANARY, Canary, percent};
pub(crate) use catalog::{CATALOG_PASSWORD, Catalog, CatalogPlan};
pub(crate) use example::example;
pub(crate) use journal::{Entry, Journal};
pub(crate) use killer::killed_at;
pub(crate) use kubernetes::{Kubernetes, minor as kubectl_minor};
pub(crate) use nginx::Nginx;
pub(crate) use output::Output;
pub(crate) use postgres::{Cluster, Database, PASSWORD, Stop, binaries as postgres_programs};
pub(crate) use prometheus::{MetricsPage, Prometheus, free_address, promtool};
pub(crate) use sandbox::{Sandbox, finish};
pub(crate) use server::{Connection, Server, certified, say, say_json};
pub(crate) use services::Services;
pub(crate) use simulator::Simulator;
pub(crate) use sshd::Sshd;
pub(crate) use terminal::Terminal;
pub(crate) use vestige::{ROLE_PASSWORD, Vestige};

use std::path::PathBuf;

/// A file or folder of the repository.
pub(crate) fn repository(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The runbook of this name in the language reference.
pub(crate) fn documented(name: &str) -> String {
    let page = std::fs::read_to_string(repository("docs/language.md")).expect("the page");
    let begin = format!("```yaml runbook\nrunbook: {name}\n");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no runbook {name} in the page"));
    let (body, _) = rest.split_once("\n```").expect("its end");
    format!("runbook: {name}\n{body}\n")
}
