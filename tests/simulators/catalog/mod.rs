//! A stand-in for the catalog-server, and for its pods in a simulated Kubernetes.
//!
//! What it knows is in a real PostgreSQL, in the tables of the real server, which it migrates itself. With a cluster it
//! is what runs in the pods of one deployment: each pod reads its own environment, migrates under the advisory lock,
//! listens (behind one address, as a Service), writes its log, stands for leader, and asks the cluster who may do what.
//! Without a cluster it is one process.

pub(crate) mod access;
pub(crate) mod cluster;
pub(crate) mod conformance;
pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod database;
pub(crate) mod gate;
pub(crate) mod handlers;
pub(crate) mod jobs;
pub(crate) mod journal;
pub(crate) mod leader;
pub(crate) mod pod;
pub(crate) mod program;
pub(crate) mod replicas;
pub(crate) mod scene;
pub(crate) mod settings;
pub(crate) mod tables;
