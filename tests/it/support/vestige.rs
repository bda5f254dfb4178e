//! Vestige on a machine of its own: a real PostgreSQL with pgvector that a service manager restarts, the stand-ins
//! `vestige-mcp` and `vestige`, and the files they read.

use super::{Cluster, Database, PASSWORD, Sandbox, Services, Stop, simulator};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// The password of the role `vestige`.
pub(crate) const ROLE_PASSWORD: &str = "tangerine-lamp-42";

/// The model of the service unless a test says otherwise; its vectors have eight numbers.
const MODEL: &str = "stand-in-8";

/// PostgreSQL as the unit `postgresql`, `vestige-mcp` as the unit of that name, and a folder with `vestige.toml`,
/// `vestige.env` (what the service gets: DATABASE_URL), `password`, `backups/` and `models/`.
pub(crate) struct Vestige {
    // Dropped in this order: processes, their server.
    pub(crate) services: Services,
    pub(crate) cluster: Cluster,
    folder: PathBuf,
}

impl Vestige {
    /// A server without a role, database or configuration, and no service running but PostgreSQL.
    pub(crate) fn bare(sandbox: &Sandbox) -> Self {
        let cluster = Cluster::vector();
        let services = Services::with_journal(sandbox);
        let folder = sandbox.path("vestige");
        for name in ["backups", "models"] {
            std::fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        for model in [MODEL, "stand-in-8b", "stand-in-16"] {
            std::fs::write(folder.join("models").join(format!("{model}.onnx")), "weights").expect("a file");
        }
        let new = Self { services, cluster, folder };
        std::fs::write(new.path("stand-in.env"), "").expect("a file");
        _ = new.steer("VESTIGE_MODELS", &new.path("models").display().to_string());
        _ = new.steer("VESTIGE_BACKUPS", &new.path("backups").display().to_string());
        for name in ["vestige-mcp", "vestige"] {
            let script = format!(
                "#!/usr/bin/env bash\nset -a\n. '{}'\nexec '{}' {name} \"$@\"\n",
                new.path("stand-in.env").display(),
                simulator::program().display(),
            );
            _ = sandbox.program(name, &script);
        }
        // Those of the machine may be too old for this server.
        for name in ["psql", "pg_dump", "pg_restore", "pg_config", "createdb", "dropdb", "pg_isready"] {
            let link = sandbox.path("bin").join(name);
            std::os::unix::fs::symlink(new.cluster.binaries().join(name), link).expect("a link");
        }
        let toml = new.path("vestige.toml");
        let unit = format!(
            "ExecStart={} --config {}\nEnvironmentFile={}\n",
            sandbox.path("bin/vestige-mcp").display(),
            toml.display(),
            new.path("vestige.env").display(),
        );
        _ = new.services.unit("vestige-mcp", &unit).unit("postgresql", &new.cluster.unit());
        // From here on the service manager has it.
        new.cluster.stop(Stop::Fast);
        _ = new.services.systemctl("start", "postgresql");
        new.cluster.waits_until_it_answers();
        new
    }

    /// As `vestige-set-up` leaves it, with the service running on an empty database, made by hand.
    pub(crate) fn ready(sandbox: &Sandbox) -> Self {
        let new = Self::bare(sandbox);
        new.cluster
            .named("postgres")
            .execute(&format!("create role vestige with login createdb password '{ROLE_PASSWORD}'"));
        new.cluster.named("postgres").execute("create database vestige owner vestige");
        new.database()
            .execute("create extension vector; create extension pgcrypto; alter schema public owner to vestige");
        _ = new.secret("password", ROLE_PASSWORD).secret("vestige.env", &format!("DATABASE_URL={}\n", new.url()));
        _ = new.secret(
            "vestige.toml",
            &format!(
                "[storage]\nbackend = \"postgres\"\n\n[storage.postgres]\nurl = \"${{DATABASE_URL}}\"\n\
                 max_connections = 10\n\n[embedding]\nmodel = \"{MODEL}\"\n"
            ),
        );
        _ = new.services.systemctl("start", "vestige-mcp");
        new.waits_for("Postgres backend ready");
        new
    }

    /// A file of its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file of its folder that only its owner may read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).expect("a file");
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).expect("its mode");
        self
    }

    /// Sets a variable of the stand-ins (`tests/simulators/vestige/mod.rs` lists them); it holds from their next start.
    pub(crate) fn steer(&self, variable: &str, value: &str) -> &Self {
        let file = self.path("stand-in.env");
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(&file, format!("{text}{variable}='{value}'\n")).expect("a file");
        self
    }

    /// The address that the service uses, with its password.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://vestige:{ROLE_PASSWORD}@127.0.0.1:{}/vestige", self.cluster.port)
    }

    /// The live database, as the superuser.
    pub(crate) fn database(&self) -> Database<'_> {
        self.cluster.named("vestige")
    }

    /// Puts in so many memories with vectors, each with its schedule; every tenth was reviewed once.
    pub(crate) fn remember(&self, rows: u32) -> &Self {
        self.database().execute(&format!(
            "with new as (
                 insert into knowledge_nodes (content, embedding)
                 select 'memory ' || n, (select array_agg(sin(n * k)) from generate_series(1, 8) k)::vector(8)
                 from generate_series(1, {rows}) n returning id, content),
             due as (insert into scheduling (node_id) select id from new)
             insert into review_events (node_id, rating) select id, 3 from new where content like '%0'"
        ));
        self
    }

    /// All that a unit wrote.
    pub(crate) fn log(&self, unit: &str) -> String {
        std::fs::read_to_string(self.folder.with_file_name(format!("units/{unit}.service.d/out"))).unwrap_or_default()
    }

    /// Waits until the service has written this.
    #[track_caller]
    pub(crate) fn waits_for(&self, words: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !self.log("vestige-mcp").contains(words) {
            assert!(std::time::Instant::now() < deadline, "never said {words:?}:\n{}", self.log("vestige-mcp"));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The inputs of the library by name, pointing here.
    pub(crate) fn inputs(&self) -> Vec<(&'static str, serde_yaml::Value)> {
        let path = |name: &str| self.path(name).display().to_string().into();
        vec![
            ("vestige_host", "127.0.0.1".into()),
            ("vestige_port", u64::from(self.cluster.port).into()),
            ("vestige_database", "vestige".into()),
            ("vestige_role", "vestige".into()),
            ("vestige_password", ROLE_PASSWORD.into()),
            ("postgres_role", "postgres".into()),
            ("postgres_password", PASSWORD.into()),
            ("postgres_conf", self.cluster.data().join("postgresql.conf").display().to_string().into()),
            ("postgres_service", "postgresql".into()),
            ("vestige_service", "vestige-mcp".into()),
            ("vestige_toml", path("vestige.toml")),
            ("vestige_env_file", path("vestige.env")),
            ("vestige_password_file", path("password")),
            ("vestige_backups", path("backups")),
            ("vestige_models", path("models")),
            ("vestige_model", MODEL.into()),
        ]
    }
}
