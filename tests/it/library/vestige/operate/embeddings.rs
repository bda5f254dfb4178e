//! Another embedding model: when it is needed, what must be so before, the long run, and a run that was cut off.

use super::session::Session;
use crate::library::vestige::bench::Bench;
use crate::support::Sandbox;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const READY: &str = "ready: { ingest_paused: true, model_here: true }\nswitch: { result: done }\n";

const TO_SIXTEEN: [&str; 6] = ["-i", "new_model=stand-in-16", "-i", "new_dimension=16", "-i", "quiet_for=1s"];

/// Registry, vectors and index as they are after a whole run: a question that says `t`.
fn belongs_to(model: &str, length: u32) -> String {
    format!(
        "select (select name = '{model}' and dimension = {length} from embedding_model)
            and (select count(*) = 0 from knowledge_nodes where embedding is null or vector_dims(embedding) <> {length})
            and (select count(*) = 1 from pg_index where indexrelid = to_regclass('idx_knowledge_nodes_embedding_hnsw') and indisvalid)"
    )
}

/// The process of the tool at its long work.
fn tool() -> Option<rustix::process::Pid> {
    None
}

#[test]
fn a_reembed_moves_every_memory_to_the_new_model() {
    let bench = Bench::ready();
    let _ = bench.vestige.remember(200);
    let ran = bench.shelf.run("vestige-reembed", READY, &TO_SIXTEEN).exits(0);
    let ran = ran.reached(&["vestige-reembed.needed", "vestige-reembed.all_ready", "vestige-reembed.quiet"]);
    let ran = ran.reached(&["vestige-reembed.estimate", "vestige-reembed.backup", "vestige-reembed.reembed"]);
    let ran = ran.reached(&[
        "vestige-reembed-check.registry",
        "vestige-reembed-check.index",
        "vestige-reembed-check.vectors",
    ]);
    let _ = ran.tells("reembed 200/200 rows").tells("vectors get another length, 16 instead of 8");
    assert_eq!(bench.vestige.database().value(&belongs_to("stand-in-16", 16)), "t");
    let dumps: Vec<_> = std::fs::read_dir(bench.vestige.path("backups")).unwrap().collect();
    assert_eq!(dumps.len(), 1, "the backup from before is there");
    // A second time there is nothing to do.
    let _ = bench
        .shelf
        .run("vestige-reembed", READY, &TO_SIXTEEN)
        .exits(0)
        .tells("No: the database is made for this model already");
}
