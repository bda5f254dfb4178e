//! A stand-in for `go test ./tests/conformance/... -v -count=1`: the same form of output and the same exit codes, with a
//! few questions that are really asked.
//!
//! As in the suite of the real server, a test without `CATALOG_SERVER_URL` is skipped, and skipping is a success.

use reqwest::Client;
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a test came to.
enum Verdict {
    Passed,
    Skipped(&'static str),
    Failed(String),
}

/// The server and how it is asked.
struct Suite {
    client: Client,
    url: String,
    namespace: String,
}

const TESTS: [&str; 8] = [
    "TestHealthEndpoints",
    "TestPluginDiscovery",
    "TestListEndpoints",
    "TestFilters",
    "TestTenancyIsolation",
    "TestAuditTrail",
    "TestJobStates",
    "TestJobNotFound",
];

/// Runs the suite against the server that the environment names; its output goes to `say`.
pub(crate) async fn run(arguments: &[String], say: &mut dyn FnMut(&str)) -> ExitCode {
    let (rest, verbose) = (arguments, arguments.iter().any(|word| word == "-v"));
    if rest.first().map(String::as_str) != Some("test") || !rest.iter().any(|word| word.contains("tests/conformance")) {
        say("go: only `go test ./tests/conformance/...` is known here");
        return ExitCode::from(2);
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
    let Ok(client) = client else {
        say("go: no client");
        return ExitCode::from(2);
    };
    let namespace = match variable("CATALOG_NAMESPACE") {
        name if name.is_empty() => "default".to_owned(),
        name => name,
    };
    let suite = Suite { client, url: variable("CATALOG_SERVER_URL").trim_end_matches('/').to_owned(), namespace };
    let begin = Instant::now();
    let mut failures = 0;
    for test in TESTS {
        if verbose {
            say(&format!("=== RUN   {test}"));
        }
        let begin = Instant::now();
        let verdict = suite.perform(test).await;
        let took = format!("{:.2}s", begin.elapsed().as_secs_f64());
        match verdict {
            Verdict::Passed if verbose => say(&format!("--- PASS: {test} ({took})")),
            Verdict::Skipped(why) if verbose => {
                say(&format!("    conformance_test.go:41: {why}"));
                say(&format!("--- SKIP: {test} ({took})"));
            }
            Verdict::Failed(why) => {
                failures += 1;
                say(&format!("    conformance_test.go:88: {why}"));
                say(&format!("--- FAIL: {test} ({took})"));
            }
            _ => {}
        }
    }
    let (package, took) = ("github.com/kubeflow/model-registry/tests/conformance", begin.elapsed().as_secs_f64());
    if failures > 0 {
        say("FAIL");
        say(&format!("FAIL\t{package}\t{took:.3}s"));
        say("FAIL");
        return ExitCode::FAILURE;
    }
    if verbose {
        say("PASS");
    }
    say(&format!("ok  \t{package}\t{took:.3}s"));
    ExitCode::SUCCESS
}

impl Suite {
    async fn perform(&self, test: &str) -> Verdict {
        if self.url.is_empty() {
            return Verdict::Skipped("requires running catalog-server (set CATALOG_SERVER_URL)");
        }
        let asked = match test {
            "TestHealthEndpoints" => self.health().await,
            "TestPluginDiscovery" => self.plugins().await,
            "TestListEndpoints" => self.expect("/api/mcp_catalog/v1alpha1/mcpservers", "", 200, "items").await,
            "TestFilters" => {
                let filter = "&filterQuery=name%3D%27filesystem%27";
                self.expect("/api/mcp_catalog/v1alpha1/mcpservers", filter, 200, "items").await
            }
            "TestTenancyIsolation" => self.isolation().await,
            "TestAuditTrail" => self.expect("/api/audit/v1alpha1/events", "", 200, "events").await,
            "TestJobStates" => self.expect("/api/jobs/v1alpha1/refresh", "", 200, "jobs").await,
            _ => self.expect("/api/jobs/v1alpha1/refresh/00000000-0000-0000-0000-000000000000", "", 404, "error").await,
        };
        asked.err().map_or(Verdict::Passed, Verdict::Failed)
    }

    async fn get(&self, path: &str, more: &str) -> Result<(u16, Value), String> {
        let address = format!("{}{path}?namespace={}{more}", self.url, self.namespace);
        let request = self.client.get(address).header("x-remote-user", "conformance");
        let response = request.send().await.map_err(|why| format!("GET {path}: {why}"))?;
        let status = response.status().as_u16();
        Ok((status, response.json().await.unwrap_or(Value::Null)))
    }

    async fn expect(&self, path: &str, more: &str, status: u16, key: &str) -> Result<(), String> {
        let (came, body) = self.get(path, more).await?;
        if came != status {
            return Err(format!("GET {path}: expected {status}, got {came}: {body}"));
        }
        if body.get(key).is_none() { Err(format!("GET {path}: no {key:?} in {body}")) } else { Ok(()) }
    }

    async fn health(&self) -> Result<(), String> {
        self.expect("/livez", "", 200, "status").await?;
        self.expect("/readyz", "", 200, "components").await
    }

    async fn plugins(&self) -> Result<(), String> {
        let (status, body) = self.get("/api/plugins", "").await?;
        let all = body["plugins"].as_array().cloned().unwrap_or_default();
        match all.iter().find(|plugin| plugin["healthy"] != true) {
            Some(sick) => Err(format!("plugin {} is not healthy", sick["name"])),
            None if status == 200 && !all.is_empty() => Ok(()),
            None => Err(format!("GET /api/plugins: {status} with {} plugins", all.len())),
        }
    }

    /// What a list gives belongs to the namespace that was asked for.
    async fn isolation(&self) -> Result<(), String> {
        let (status, body) = self.get("/api/mcp_catalog/v1alpha1/mcpservers", "").await?;
        let items = body["items"].as_array().cloned().unwrap_or_default();
        let own = |item: &&Value| item["customProperties"]["namespace"] != *self.namespace;
        match items.iter().find(own) {
            Some(other) => Err(format!("{} of another namespace is in the list of {}", other["name"], self.namespace)),
            None if status == 200 => Ok(()),
            None => Err(format!("expected 200, got {status}")),
        }
    }
}
