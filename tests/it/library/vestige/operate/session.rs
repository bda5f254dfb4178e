//! Somebody else at the database: a `psql` that runs statements until it is done, cancelled or dropped.

use crate::library::vestige::bench::Bench;
use crate::support::{Cluster, ROLE_PASSWORD};
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

/// One session as the role `vestige`.
pub(super) struct Session {
    child: Child,
}

impl Session {
    /// Runs statements, all in one transaction where there are several, and waits until the server has them.
    pub(super) fn begins(bench: &Bench, name: &str, statements: &str) -> Self {
        let session = Self::of(&bench.vestige.cluster, name, statements);
        bench.vestige.database().waits_until(&format!(
            "select count(*) > 0 from pg_stat_activity where application_name = '{name}' and state = 'active'"
        ));
        session
    }

    /// The same without waiting.
    fn of(cluster: &Cluster, name: &str, statements: &str) -> Self {
        let mut psql = Command::new(cluster.binaries().join("psql"));
        psql.env_clear().env("PGPASSWORD", ROLE_PASSWORD).env("PGAPPNAME", name).env("LC_ALL", "C");
        psql.args(["-X", "-h", "127.0.0.1", "-p", &cluster.port.to_string(), "-U", "vestige", "-d", "vestige"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-c", statements]);
        let child = psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        Self { child: child.expect("psql starts") }
    }

    /// Waits for its end: whether it succeeded, and what it complained about.
    pub(super) fn ends(mut self) -> (bool, String) {
        let mut said = String::new();
        self.child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
        (self.child.wait().expect("it ends").success(), said)
    }

    /// Runs statements and waits for their end.
    pub(super) fn runs(bench: &Bench, statements: &str) -> (bool, String) {
        Self::of(&bench.vestige.cluster, "once", statements).ends()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
