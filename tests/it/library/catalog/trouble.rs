//! What goes wrong, from the symptom to the cause to the cure.

mod access;
mod backlog;
mod leader;
mod lists;
mod migration;

use super::Bench;
use crate::support::{CATALOG_PASSWORD, Catalog};
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
