//! What is frozen into the first event of a run, so that nothing it goes by can change under it.

use super::session::Session;
use crate::event::{FrozenRunbook, FrozenSettings};
use crate::graph::StepGraph;
use crate::library::{FILE_NAME, Library};
use crate::store::Masker;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The `runwright.yaml` of a library as it was read.
pub(super) fn settings(session: &Session, library: &Library) -> Option<FrozenSettings> {
    let text = library.source()?.text();
    let file = session.shown(&library.root().join(FILE_NAME));
    Some(FrozenSettings { file, text: text.to_owned(), digest: sha256(text) })
}

/// A runbook as it was read.
pub(super) fn runbook(graph: &StepGraph) -> FrozenRunbook {
    let runbook = graph.runbook();
    let text = runbook.source().text();
    FrozenRunbook {
        runbook: runbook.id().to_owned(),
        file: runbook.source().name().to_owned(),
        text: text.to_owned(),
        digest: sha256(text),
    }
}

/// The runbooks that are called, each once.
pub(super) fn called(graph: &StepGraph) -> Vec<FrozenRunbook> {
    graph.all_called().values().map(Arc::as_ref).map(runbook).collect()
}

/// What a secret keeps out of the record: a text that holds one is not frozen as it is, so a resume needs the file again.
pub(super) fn not_frozen<'f>(
    masker: &Masker,
    runbooks: impl Iterator<Item = &'f FrozenRunbook>,
    settings: Option<&'f FrozenSettings>,
) -> Vec<String> {
    let files = runbooks.map(|runbook| (&runbook.file, &runbook.text));
    let files = files.chain(settings.map(|settings| (&settings.file, &settings.text)));
    let marred = files.filter(|(_, text)| masker.mask(text) != **text);
    marred
        .map(|(file, _)| format!("{file} holds the text of a secret: to take this run up again, keep it as it is"))
        .collect()
}

/// SHA-256 of a text, in hex.
pub(super) fn sha256(text: &str) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a String cannot fail.
        _ = write!(hex, "{byte:02x}");
    }
    hex
}
