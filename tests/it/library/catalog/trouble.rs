//! What goes wrong, from the symptom to the cause to the cure.

mod access;
mod backlog;
mod leader;
mod lists;
mod migration;

use super::Bench;
use crate::support::{CATALOG_PASSWORD, Catalog, finish};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// What curl says inside every pod of the server: the status of /readyz.
fn inside(catalog: &Catalog, status: &str) {
    let curl = json!({ "pod": "catalog-server-*", "command": ["curl"], "stdout": status });
    catalog.kubernetes.control(&json!({ "exec": curl }));
}

/// One object of the cluster.
fn object(catalog: &Catalog, line: &str) -> Value {
    let output = catalog.kubernetes.kubectl(&format!("{line} -o json")).exits(0);
    serde_json::from_str(&output.stdout).expect("an object")
}

/// The changes that were made to the cluster; a program that is started in a pod is none.
fn changes(catalog: &Catalog) -> Vec<String> {
    catalog.writes().into_iter().filter(|write| !write.ends_with("/exec")).collect()
}

/// A psql that stays open, as the role of the server, under a name of its own. It ends when this is dropped.
struct Session(Child);

impl Session {
    /// Sends statements, and does not wait for them.
    fn of(catalog: &Catalog, application: &str, sql: &str) -> Self {
        let database = &catalog.database;
        let port = database.cluster.port.to_string();
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", &catalog.role, "-d", &database.name, "-qAtX"]);
        psql.env("PGPASSWORD", CATALOG_PASSWORD).env("PGAPPNAME", application);
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = psql.spawn().expect("psql starts: install the Debian package postgresql-client");
        let mut input = child.stdin.take().expect("its input");
        writeln!(input, "{sql}").expect("it reads");
        child.stdin = Some(input);
        Self(child)
    }

    /// Takes the lock of the migration, and keeps it.
    fn with_the_lock(catalog: &Catalog, application: &str, rest: &str) -> Self {
        let session = Self::of(catalog, application, &format!("select pg_advisory_lock(86669445); {rest}"));
        catalog.database.waits_until(&format!(
            "select count(*) = 1 from pg_locks join pg_stat_activity using (pid)
             where locktype = 'advisory' and granted and application_name = '{application}'"
        ));
        session
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn what_one_sees_of_a_trouble_leads_to_its_runbook() {
    let shelf = crate::library::shelf::Shelf::new();
    let first = |found: &crate::support::Output, runbook: &str| {
        assert!(found.stdout.starts_with(&format!("1  {runbook}: ")), "{runbook} is not first\n{found}");
    };
    for (question, runbook) in [
        ("users report forbidden errors", "catalog-access-denied"),
        ("403 spike", "catalog-access-denied"),
        ("lists respond slowly", "catalog-slow-lists"),
        ("many queued refresh jobs", "catalog-refresh-backlog"),
        ("the server does not become ready", "catalog-migration-stuck"),
        ("initial_load pending", "catalog-migration-stuck"),
        ("audit retention is not running", "catalog-leader-election"),
    ] {
        first(&finish(shelf.command(["lookup"]).args(question.split(' '))), runbook);
    }
    for (line, runbook) in [
        (
            r#"{"error":"forbidden","message":"insufficient permissions for assets/list in namespace team-a"}"#,
            "catalog-access-denied",
        ),
        (r#"level=ERROR msg="SAR check failed: subjectaccessreviews is forbidden""#, "catalog-access-denied"),
        (r#"level=ERROR msg="job failed" jobID=1 error="429 Too Many Requests""#, "catalog-refresh-backlog"),
        (r#"level=INFO msg="running migrations with lock""#, "catalog-migration-stuck"),
        (
            "E1126 leaderelection.go:436] error retrieving resource lock a/b: leases is forbidden",
            "catalog-leader-election",
        ),
    ] {
        let file = shelf.sandbox.write("tail.log", &format!("{line}\n"));
        let input = std::fs::File::open(file).expect("the file");
        first(&finish(shelf.command(["lookup", "-"]).stdin(input)), runbook);
    }
}
