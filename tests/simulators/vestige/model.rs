//! Embedding models: a name, a dimension, and vectors from a hash of the text.

use sha2::{Digest as _, Sha256};
use std::path::Path;

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    pub dimension: u32,
}

impl Model {
    /// A model of this name; `stand-in-N` has the dimension N, and so have `stand-in-Nb` and its like.
    pub fn named(name: &str) -> Result<Self, String> {
        let dimension = match name {
            "nomic-embed-text-v1.5" => Some(768),
            "bge-m3" | "mxbai-embed-large-v1" => Some(1024),
            _ => name
                .strip_prefix("stand-in-")
                .and_then(|rest| rest.trim_end_matches(|letter: char| letter.is_ascii_lowercase()).parse().ok()),
        };
        let dimension = dimension.filter(|dimension| (1..=2000).contains(dimension));
        let dimension = dimension.ok_or_else(|| format!("unknown embedding model {name:?}"))?;
        Ok(Self { name: name.to_owned(), dimension })
    }

    /// Loads it: fails when the folder of models is known, and has no `NAME.onnx`.
    pub fn load(&self) -> Result<(), String> {
        let Some(folder) = std::env::var_os("VESTIGE_MODELS") else { return Ok(()) };
        let file = Path::new(&folder).join(format!("{}.onnx", self.name));
        if file.exists() {
            return Ok(());
        }
        Err(format!("failed to load the embedding model {:?}: {} is not there", self.name, file.display()))
    }

    /// What the registry keeps to tell two models of one dimension apart.
    pub fn hash(&self) -> String {
        Sha256::digest(self.name.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vector of a text in pgvector's form: always the same for the same text and model.
    pub fn embed(&self, text: &str) -> String {
        let mut numbers = Vec::new();
        for block in 0_u32.. {
            let digest = Sha256::digest(format!("{}\n{block}\n{text}", self.name));
            numbers.extend(digest.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0));
            if numbers.len() >= self.dimension as usize {
                break;
            }
        }
        numbers.truncate(self.dimension as usize);
        let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:.4}")).collect();
        format!("[{}]", numbers.join(","))
    }
}
