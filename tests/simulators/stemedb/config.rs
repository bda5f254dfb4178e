//! The simulator's settings: its `config.toml` and the environment variables the real service reads.

use std::path::{Path, PathBuf};
use toml_edit::DocumentMut;

/// `[content_defense]`: what decides whether an assertion is quarantined.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Items of a lower quality are caught as `LowQuality`.
    pub quality: f64,
    /// Items of a higher confidence are caught as `UntrustedHighConfidence`.
    pub confidence: f64,
    /// The same, for agents that have no history yet.
    pub untrusted_confidence: f64,
    /// How far back a duplicate is looked for.
    pub duplicate_lookback_hours: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { quality: 0.6, confidence: 0.85, untrusted_confidence: 0.95, duplicate_lookback_hours: 48 }
    }
}

/// `[circuit_breaker]`: when the service bans an agent by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Share of an agent's items in quarantine that opens its breaker.
    pub failure_rate_threshold: f64,
    /// How long it stays open.
    pub timeout_seconds: i64,
    /// Requests needed before the share counts.
    pub min_requests: i64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failure_rate_threshold: 0.5, timeout_seconds: 30, min_requests: 5 }
    }
}

/// The two tables of `config.toml` that the service reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[content_defense]`
    pub thresholds: Thresholds,
    /// `[circuit_breaker]`
    pub breaker: BreakerSettings,
}

impl Config {
    /// Reads a file. A key that is absent keeps the value in `base`; a file that is not TOML, or a value of the wrong
    /// type, is an error: the real service does not start then.
    pub fn read(path: &Path, base: &Self) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text, base).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// As [`Config::read`], from text.
    pub fn parse(text: &str, base: &Self) -> Result<Self, String> {
        let document: DocumentMut = text.parse().map_err(|e| format!("invalid TOML: {e}"))?;
        let mut config = base.clone();
        let defence = Table(&document, "content_defense");
        defence.number("quality_threshold", &mut config.thresholds.quality)?;
        defence.number("confidence_threshold", &mut config.thresholds.confidence)?;
        defence.number("untrusted_confidence_threshold", &mut config.thresholds.untrusted_confidence)?;
        defence.integer("duplicate_lookback_hours", &mut config.thresholds.duplicate_lookback_hours)?;
        let breaker = Table(&document, "circuit_breaker");
        breaker.number("failure_rate_threshold", &mut config.breaker.failure_rate_threshold)?;
        breaker.integer("timeout_seconds", &mut config.breaker.timeout_seconds)?;
        breaker.integer("min_requests", &mut config.breaker.min_requests)?;
        Ok(config)
    }

    /// A file with these values, with a comment and a second table, so that careless edits show.
    pub fn to_file_text(&self) -> String {
        let (t, b) = (&self.thresholds, &self.breaker);
        format!(
            "# StemeDB, written by the simulator at its first start.\n\
             [content_defense]\n\
             quality_threshold = {:?}\n\
             confidence_threshold = {:?}\n\
             untrusted_confidence_threshold = {:?}\n\
             duplicate_lookback_hours = {}\n\
             \n\
             # Who is banned without a person.\n\
             [circuit_breaker]\n\
             failure_rate_threshold = {:?}\n\
             timeout_seconds = {}\n\
             min_requests = {}\n",
            t.quality,
            t.confidence,
            t.untrusted_confidence,
            t.duplicate_lookback_hours,
            b.failure_rate_threshold,
            b.timeout_seconds,
            b.min_requests
        )
    }
}

/// One table of a document, by name; absent tables have no keys.
struct Table<'a>(&'a DocumentMut, &'a str);

impl Table<'_> {
    fn number(&self, key: &str, into: &mut f64) -> Result<(), String> {
        let Some(item) = self.0.get(self.1).and_then(|table| table.get(key)) else {
            return Ok(());
        };
        #[expect(clippy::cast_precision_loss, reason = "thresholds are small numbers")]
        let whole = item.as_integer().map(|n| n as f64);
        *into = item.as_float().or(whole).ok_or_else(|| format!("{}.{key} is not a number", self.1))?;
        Ok(())
    }

    fn integer(&self, key: &str, into: &mut i64) -> Result<(), String> {
        let Some(item) = self.0.get(self.1).and_then(|table| table.get(key)) else {
            return Ok(());
        };
        *into = item.as_integer().ok_or_else(|| format!("{}.{key} is not a whole number", self.1))?;
        Ok(())
    }
}

/// Everything the simulator is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the scene to begin with.
    pub scene: super::scene::Scene,
    /// `config.toml`; made with the scene's values when it does not exist.
    pub config: Option<PathBuf>,
    /// Whether the list and the pending gauge behave as the real service's: at most 100 items by default, under
    /// another key, and a gauge that moves only when the health page is read.
    pub list_limit: bool,
    /// What `/v1/health` calls this cluster.
    pub cluster_id: String,
    /// A frozen start of the clock; without it the clock runs with the machine's.
    pub clock: Option<jiff::Timestamp>,
    /// Whether writes need an API key.
    pub auth: bool,
    /// A key that is good from the start.
    pub root_key: Option<String>,
    /// Origins that get CORS headers.
    pub origins: Vec<String>,
    /// Where a segment of accepted assertions is written.
    pub wal_dir: Option<PathBuf>,
    /// Beats `quality_threshold` of the file.
    pub quality: Option<f64>,
}

impl Settings {
    /// The plainest settings: a scene, no files, no login, cluster `sim-1`.
    pub fn of(scene: super::scene::Scene) -> Self {
        Self {
            scene,
            config: None,
            list_limit: false,
            cluster_id: "sim-1".to_owned(),
            clock: None,
            auth: false,
            root_key: None,
            origins: Vec::new(),
            wal_dir: None,
            quality: None,
        }
    }

    /// Takes in the variables that the real service reads. The one that would switch signatures off is fatal there,
    /// so it is here.
    pub fn with_env(mut self, var: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if truthy(var("STEMEDB_UNSAFE_SKIP_SIGNATURES").as_deref()) {
            return Err("FATAL: STEMEDB_UNSAFE_SKIP_SIGNATURES is set; refusing to start".to_owned());
        }
        self.auth = truthy(var("STEMEDB_AUTH_ENABLED").as_deref());
        self.root_key = var("STEMEDB_ROOT_API_KEY").filter(|key| !key.is_empty());
        self.wal_dir = var("STEMEDB_WAL_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        if let Some(text) = var("STEMEDB_QUALITY_THRESHOLD").filter(|text| !text.is_empty()) {
            let number = text.parse().map_err(|_| format!("FATAL: STEMEDB_QUALITY_THRESHOLD: {text} is no number"))?;
            self.quality = Some(number);
        }
        self.origins = var("STEMEDB_ALLOWED_ORIGINS")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty())
            .map(str::to_owned)
            .collect();
        Ok(self)
    }
}

fn truthy(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_table_of_the_same_name_is_refused() {
        let text = "[content_defense]\nquality_threshold = 0.7\n[content_defense]\nquality_threshold = 0.5\n";
        let error = Config::parse(text, &Config::default()).expect_err("declared twice");
        assert!(error.contains("invalid TOML"), "{error}");
    }

    #[test]
    fn absent_keys_keep_their_values_and_the_own_text_reads_back() {
        let base = Config::default();
        let config = Config::parse("[content_defense]\nquality_threshold = 1\n", &base).expect("reads");
        assert!((config.thresholds.quality - 1.0).abs() < f64::EPSILON);
        assert!((config.thresholds.confidence - 0.85).abs() < f64::EPSILON);
        assert_eq!(Config::parse(&config.to_file_text(), &base).expect("reads"), config);
    }

    #[test]
    fn a_wrong_type_names_the_key() {
        let error = Config::parse("[circuit_breaker]\nmin_requests = \"many\"\n", &Config::default());
        assert_eq!(error, Err("circuit_breaker.min_requests is not a whole number".to_owned()));
    }

    #[test]
    fn a_variable_of_the_service_beats_the_file() {
        let with = |text: &'static str| {
            let settings = Settings::of(super::super::scene::Scene::Quiet);
            settings.with_env(move |name| (name == "STEMEDB_QUALITY_THRESHOLD").then(|| text.to_owned()))
        };
        assert_eq!(with("0.5").expect("good").quality, Some(0.5));
        assert!(with("half").expect_err("refused").starts_with("FATAL"));
    }

    #[test]
    fn skipping_signatures_is_fatal() {
        let settings = Settings::of(super::super::scene::Scene::Quiet);
        let with = settings.with_env(|name| (name == "STEMEDB_UNSAFE_SKIP_SIGNATURES").then(|| "1".to_owned()));
        assert!(with.expect_err("refused").starts_with("FATAL"));
    }
}
