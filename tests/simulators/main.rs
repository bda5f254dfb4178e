//! Stand-ins for the systems that the runbooks are about: one program, a sub-command per system.
//!
//! `cargo run --example simulator -- stemedb --scene flooding` prints one line when it is ready and serves until it is
//! told to end (SIGTERM, Ctrl-C, or its input closing when `--until-stdin-closes` is given).

#![expect(clippy::disallowed_methods, reason = "the simulator is a program of its own")]

mod catalog;
mod journal;
mod kubernetes;
mod stemedb;
mod vestige;

use clap::{Parser, Subcommand};
use kubernetes::seed::Scene;
use kubernetes::server::Cluster;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use stemedb::config::Settings;
use stemedb::scene::Scene as StemedbScene;
use tokio::signal::unix::{SignalKind, signal};

/// Simulated systems for trying runbooks. Loopback only.
#[derive(Parser)]
#[command(name = "simulator")]
struct Arguments {
    #[command(subcommand)]
    system: System,
}

#[derive(Subcommand)]
enum System {
    /// StemeDB's quarantine API.
    Stemedb(StemedbArguments),
    /// Two Kubernetes clusters, for the stock kubectl.
    Kubernetes(KubernetesArguments),
    /// The catalog-server, on a PostgreSQL, and in the pods of a simulated Kubernetes.
    Catalog(catalog::program::CatalogArguments),
    /// A stand-in for `go test ./tests/conformance/... -v`, asking CATALOG_SERVER_URL.
    Conformance {
        /// What `go` was called with
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What the units of `tests/simulators/systemctl` wrote, in the export format of the systemd journal.
    Journal { units: PathBuf },
    /// The service of Vestige, on a real PostgreSQL; also by the name `vestige-mcp`.
    VestigeMcp(vestige::server::ServerArguments),
    /// The tool of Vestige; also by the name `vestige`.
    Vestige(vestige::tool::ToolArguments),
}

#[derive(clap::Args)]
struct StemedbArguments {
    /// flooding, mixed, aggressive, surge, none (an overflow nobody can explain) or quiet
    #[arg(long, default_value = "flooding")]
    scene: StemedbScene,
    /// 0 takes a free port
    #[arg(long, default_value_t = 18180)]
    port: u16,
    /// The service's config.toml; written with the scene's values when it is not there
    #[arg(long)]
    config: Option<PathBuf>,
    /// List and gauge as in the real service: 100 items unless asked for more, under the key `events`
    #[arg(long)]
    list_limit: bool,
    /// What the health page calls this cluster
    #[arg(long, default_value = "sim-1")]
    cluster_id: String,
    /// Freezes the clock at this time; only /_sim/advance moves it then
    #[arg(long)]
    clock: Option<jiff::Timestamp>,
    /// Ends when standard input closes
    #[arg(long)]
    until_stdin_closes: bool,
}

#[derive(clap::Args)]
struct KubernetesArguments {
    /// The port of the cluster `prod`; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Writes a kubeconfig with the contexts prod, drill (another cluster) and viewer (in prod, may only look)
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The uid of the namespace kube-system of prod
    #[arg(long)]
    uid: Option<String>,
    /// The release it says it is. Before 1.21 a CronJob is batch/v1beta1
    #[arg(long, default_value = "1.32.4")]
    release: String,
    /// How long a pod takes to get ready
    #[arg(long, default_value = "200ms", value_parser = duration)]
    ready_after: Duration,
    /// How long a pod takes to go
    #[arg(long, default_value = "100ms", value_parser = duration)]
    gone_after: Duration,
    /// Ends when standard input closes
    #[arg(long)]
    until_stdin_closes: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|why| format!("{why}"))?;
    Duration::try_from(span).map_err(|why| why.to_string())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let served = match Arguments::parse_from(vestige::settings::by_name(std::env::args_os())).system {
        System::Stemedb(arguments) => serve(arguments).await,
        System::Kubernetes(arguments) => serve_kubernetes(arguments).await,
        System::Catalog(arguments) => catalog::program::serve(arguments).await,
        System::Conformance { arguments } => {
            drop(rustls::crypto::ring::default_provider().install_default());
            return catalog::conformance::run(&arguments, &mut |line| say(&mut std::io::stdout(), line)).await;
        }
        System::Journal { units } => journal::export(&units),
        System::VestigeMcp(arguments) => vestige::server::run(arguments).await,
        System::Vestige(arguments) => match vestige::tool::run(arguments).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                say(&mut std::io::stderr(), &format!("Error: {}", failure.why));
                return ExitCode::from(failure.code);
            }
        },
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&mut std::io::stderr(), &why);
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: StemedbArguments) -> Result<(), String> {
    let settings = Settings {
        config: arguments.config,
        list_limit: arguments.list_limit,
        cluster_id: arguments.cluster_id,
        clock: arguments.clock,
        ..Settings::of(arguments.scene)
    }
    .with_env(|name| std::env::var(name).ok())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut running = stemedb::server::start(settings, arguments.port).await.map_err(|why| format!("FATAL {why}"))?;
    let config = running.shared.world().config().clone();
    say(&mut std::io::stderr(), &format!("INFO content_defense: thresholds loaded {:?}", config.thresholds));
    say(&mut std::io::stderr(), &format!("INFO circuit_breaker: settings loaded {:?}", config.breaker));
    say(&mut std::io::stdout(), &format!("listening on {}", running.url));
    tokio::select! {
        why = running.ended() => Err(format!("FATAL {why}")),
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = stdin_closed(), if arguments.until_stdin_closes => Ok(()),
    }
}

async fn serve_kubernetes(arguments: KubernetesArguments) -> Result<(), String> {
    let scene = |cluster: &str| Scene {
        cluster: cluster.to_owned(),
        release: arguments.release.clone(),
        ready_after: arguments.ready_after,
        gone_after: arguments.gone_after,
        ..Scene::default()
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let prod = Cluster::start(scene("prod"), arguments.uid.as_deref(), arguments.port).await?;
    let drill = Cluster::start(scene("drill"), None, 0).await?;
    if let Some(path) = &arguments.kubeconfig {
        let text = kubernetes::kubeconfig::text(&prod.url, &drill.url);
        std::fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    say(&mut std::io::stdout(), &format!("listening on {} (drill: {})", prod.url, drill.url));
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = stdin_closed(), if arguments.until_stdin_closes => Ok(()),
    }
}

/// Writes a line and flushes it. A reader that has gone is no reason to stop serving.
fn say(to: &mut dyn std::io::Write, line: &str) {
    let _reader_may_be_gone = writeln!(to, "{line}").and_then(|()| to.flush());
}

/// Reads standard input to its end, on a thread of its own: nothing else waits for it.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _a_broken_input_is_closed = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _nobody_may_wait = closed.send(());
    });
    let _a_lost_thread_is_a_closed_input = wait.await;
}
