//! `vestige.toml`.

use super::model::Model;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item};

/// What the file says, with `${VAR}` replaced by the environment.
pub struct Config {
    pub file: PathBuf,
    /// `postgresql://role:password@host:port/database`
    pub url: String,
    pub max_connections: u32,
    /// The text search configuration.
    pub language: String,
    pub model: Model,
}

impl Config {
    /// Reads the file named, or the one that `VESTIGE_CONFIG` names, or `vestige.toml`.
    pub fn read(file: Option<&Path>) -> Result<Self, String> {
        let named = file.map(Path::to_path_buf).or_else(|| std::env::var_os("VESTIGE_CONFIG").map(PathBuf::from));
        let file = named.unwrap_or_else(|| PathBuf::from("vestige.toml"));
        let text = std::fs::read_to_string(&file).map_err(|why| format!("cannot read {}: {why}", file.display()))?;
        Self::parse(file, &text, |name| std::env::var(name).ok())
    }

    pub fn parse(file: PathBuf, text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let shown = file.display().to_string();
        let document: DocumentMut = text.parse().map_err(|why| format!("{shown} is not valid TOML: {why}"))?;
        let word = |path: &[&str]| -> Result<Option<String>, String> {
            let Some(item) = find(&document, path) else { return Ok(None) };
            let text = item.as_str().ok_or_else(|| format!("{shown}: {} must be a text", path.join(".")))?;
            expand(text, &env).map(Some).map_err(|why| format!("{shown}: {}: {why}", path.join(".")))
        };
        let backend = word(&["storage", "backend"])?.unwrap_or_else(|| "sqlite".to_owned());
        if backend != "postgres" {
            return Err(format!("{shown}: storage.backend is {backend:?}: this build has only \"postgres\""));
        }
        let url = word(&["storage", "postgres", "url"])?;
        let url = url.ok_or_else(|| format!("{shown}: storage.postgres.url is missing"))?;
        let most = find(&document, &["storage", "postgres", "max_connections"]);
        let max_connections = match most {
            None => 10,
            Some(item) => item
                .as_integer()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("{shown}: storage.postgres.max_connections must be a number from 1"))?,
        };
        let language = word(&["storage", "postgres", "fts", "language"])?.unwrap_or_else(|| "english".to_owned());
        let name = word(&["embedding", "model"])?.unwrap_or_else(|| "nomic-embed-text-v1.5".to_owned());
        Ok(Self { file, url, max_connections, language, model: Model::named(&name)? })
    }

    /// The effective configuration as TOML, without the password.
    pub fn print(&self) -> String {
        let mut url = url::Url::parse(&self.url).ok();
        if let Some(url) = &mut url
            && url.password().is_some()
        {
            let _cannot_be_a_base = url.set_password(Some("***"));
        }
        let url = url.map_or_else(|| "***".to_owned(), |url| url.to_string());
        format!(
            "[storage]\nbackend = \"postgres\"\n\n[storage.postgres]\nurl = \"{url}\"\nmax_connections = {}\n\n\
             [storage.postgres.fts]\nlanguage = \"{}\"\n\n[embedding]\nmodel = \"{}\"",
            self.max_connections, self.language, self.model.name
        )
    }
}

fn find<'d>(document: &'d DocumentMut, path: &[&str]) -> Option<&'d Item> {
    path.iter().try_fold(document.as_item(), |item, part| item.get(part))
}

/// Replaces `${NAME}` by the variable.
fn expand(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("a `${` has no `}`")?;
        out.push_str(before);
        out.push_str(&env(name).ok_or_else(|| format!("environment variable {name} is not set"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
