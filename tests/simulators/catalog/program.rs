//! The sub-command: its arguments, its one line, its end.

use super::cluster::Cluster;
use super::control;
use super::gate::{self, Options};
use super::settings::Environment;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What it is started with.
#[derive(clap::Args)]
pub(crate) struct CatalogArguments {
    /// The database of pods whose environment has no DATABASE_DSN: postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=require
    #[arg(long)]
    database_url: Option<String>,
    /// The address of the cluster whose deployment this is; without it there is one process
    #[arg(long)]
    kubernetes: Option<String>,
    /// The namespace of the deployment
    #[arg(long, default_value = "catalog-system")]
    namespace: String,
    /// The deployment; its pods have the label `app` with this value
    #[arg(long, default_value = "catalog-server")]
    deployment: String,
    /// The port; 0 takes a free one. Nothing listens there until a pod is ready
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// single or namespace, for pods whose environment has no CATALOG_TENANCY_MODE
    #[arg(long)]
    tenancy: Option<String>,
    /// How long an answer of the cluster about a right is kept
    #[arg(long, default_value = "10s", value_parser = crate::duration)]
    sar_cache: Duration,
    /// How often a worker looks for a job, in place of the pods' own setting
    #[arg(long, value_parser = crate::duration)]
    job_poll: Option<Duration>,
    /// The pause between two looks at the lease
    #[arg(long, default_value = "2s", value_parser = crate::duration)]
    lease_retry: Duration,
    /// `seed`: as the document has it, it answers 503 with a pending initial load
    #[arg(long)]
    stuck: Option<String>,
    /// A file for the log, beside stderr and the logs of the pods
    #[arg(long)]
    log: Option<PathBuf>,
    /// Ends when standard input closes
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Serves until it is told to end.
pub(crate) async fn serve(arguments: CatalogArguments) -> Result<(), String> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    // One process has the variables of whoever starts it; in a cluster only the pod's own count.
    let alone = arguments.kubernetes.is_none();
    let mut environment: Environment =
        std::env::vars().filter(|(name, _)| alone && (name.starts_with("CATALOG_") || name == "POD_NAME")).collect();
    environment.extend(arguments.database_url.map(|url| ("DATABASE_DSN".to_owned(), url)));
    environment.extend(arguments.tenancy.map(|mode| ("CATALOG_TENANCY_MODE".to_owned(), mode)));
    let cluster = match &arguments.kubernetes {
        Some(url) => Some(Cluster::new(url, arguments.namespace, arguments.deployment)?),
        None => None,
    };
    let options = Options {
        environment,
        sar_cache: arguments.sar_cache,
        job_poll: arguments.job_poll,
        lease_retry: arguments.lease_retry,
        log: arguments.log,
    };
    let loading = match arguments.stuck.as_deref() {
        None => false,
        Some("seed") => true,
        Some(other) => return Err(format!("--stuck {other}: only `seed` is known")),
    };
    let (shared, address) = gate::start(options, cluster, arguments.port).await?;
    shared.scene().loading = loading;
    let control = control::start(shared).await?;
    crate::say(&mut std::io::stdout(), &format!("listening on http://{address} (control: {control})"));
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = crate::stdin_closed(), if arguments.until_stdin_closes => Ok(()),
    }
}
