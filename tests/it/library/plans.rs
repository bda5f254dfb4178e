//! Every runbook of the library can be planned, in practice and in production, with no system there at all.

use super::files;
use super::shelf::Shelf;
use crate::support::repository;

/// What no environment and no default gives.
const GIVEN: [(&str, &str); 33] = [
    ("agent", "8f3a2b1c"),
    ("catalog_backups", "/tmp"),
    ("catalog_dump", "/tmp/catalog-20260217T030000Z.dump"),
    ("catalog_urgency", "emergency"),
    ("catalog_db_host", "127.0.0.1"),
    ("catalog_db_password", "a-long-password"),
    ("catalog_kube_context", "prod"),
    ("catalog_kubeconfig", "/tmp/kubeconfig"),
    ("catalog_namespace", "team-a"),
    ("catalog_proxy_group", "ops"),
    ("catalog_proxy_login", "a-login"),
    ("catalog_proxy_url", "http://127.0.0.1:1"),
    ("catalog_proxy_user", "ana"),
    ("catalog_teams", "team-a"),
    ("catalog_url", "http://127.0.0.1:1"),
    ("file", "/tmp/vestige-20260301T030000Z.dump"),
    ("migrations", "/tmp"),
    ("new_dimension", "16"),
    ("new_major", "18"),
    ("new_model", "stand-in-16"),
    ("postgres_password", "a-long-password"),
    ("namespace", "team-a"),
    ("repository", "/tmp"),
    ("stemedb_cluster_id", "sim-1"),
    ("stemedb_prometheus_url", "http://127.0.0.1:1"),
    ("stemedb_public_url", "http://127.0.0.1:1"),
    ("stemedb_url", "http://127.0.0.1:1"),
    ("user", "ana"),
    ("vestige_model", "stand-in-8"),
    ("vestige_password", "a-long-password"),
    ("value", "5"),
    ("knob", "concurrency"),
    ("job", "job-1"),
];

#[test]
fn every_runbook_is_planned_with_nothing_there() {
    let shelf = Shelf::new();
    let mut paths = Vec::new();
    files(&repository("runbooks"), "yaml", &mut paths);
    assert!(paths.len() > 30, "{paths:?}");
    let mut faults = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        // From `inputs:` to the next line that is not indented.
        let declared = text.split_once("\ninputs:\n").map_or("", |(_, rest)| rest);
        let end = declared.match_indices('\n').find(|(at, _)| declared[at + 1..].starts_with(char::is_alphabetic));
        let declared = format!("\n{}", &declared[..end.map_or(declared.len(), |(at, _)| at)]);
        for environment in ["simulator", "drill", "prod"] {
            let mut command = shelf.command(["plan", &name, "--env", environment]);
            command.env("POSTGRES_PASSWORD", "a-long-password");
            for (input, value) in GIVEN.iter().filter(|(input, _)| declared.contains(&format!("\n  {input}:"))) {
                command.args(["-i", &format!("{input}={value}")]);
            }
            let output = crate::support::finish(&mut command);
            if output.code != 0 {
                faults.push(format!("{name} in {environment}: {output}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(shelf.sandbox.runs().is_empty(), "a plan is no run");
}
