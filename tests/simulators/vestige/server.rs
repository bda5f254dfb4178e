//! `vestige-mcp`: connects, migrates, stamps the model, says that it is ready, and stays.

use super::config::Config;
use super::database::failed;
use super::migrations::migrate;
use super::pool::Pool;
use super::settings::{log, number, say};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args)]
pub struct ServerArguments {
    /// The configuration file
    #[arg(long)]
    config: Option<PathBuf>,
    /// Reads the configuration file, says whether it is good, and ends
    #[arg(long)]
    check_config: bool,
}

pub async fn run(arguments: ServerArguments) -> Result<(), String> {
    let config = Config::read(arguments.config.as_deref()).inspect_err(|why| log("ERROR", "vestige_mcp", why))?;
    if arguments.check_config {
        say(&format!("{}: the configuration is good", config.file.display()));
        return Ok(());
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
    let pool = Pool::new(
        &config.url,
        config.max_connections,
        Duration::from_millis(number("VESTIGE_STAND_IN_POOL_MS", 30_000)),
    );
    start(&config, &pool).await.inspect_err(|why| log("ERROR", "vestige_mcp", why))?;
    log("INFO", "vestige_mcp", &format!("Postgres backend ready (pool of {})", config.max_connections));
    let pool = Arc::new(pool);
    for _client in 0..number("VESTIGE_STAND_IN_CLIENTS", 0) {
        tokio::spawn(ask_for_ever(Arc::clone(&pool)));
    }
    tokio::select! {
        _ = terminate.recv() => log("INFO", "vestige_mcp", "shutting down"),
        () = watch(&pool) => return Err("the database has been gone for too long".to_owned()),
    }
    Ok(())
}

async fn start(config: &Config, pool: &Pool) -> Result<(), String> {
    if std::env::var_os("VESTIGE_STAND_IN_DIE_ONCE").is_some_and(|file| std::fs::remove_file(file).is_ok()) {
        log("ERROR", "vestige_mcp", "killed");
        std::process::abort();
    }
    config.model.load()?;
    let mut held = pool.acquire().await?;
    let die_after = std::env::var("VESTIGE_STAND_IN_DIE_AFTER").ok().and_then(|version| version.parse().ok());
    migrate(held.client(), die_after).await?;
    register(config, held.client()).await?;
    let search = "SELECT to_tsvector($1::text::regconfig, 'ready')::text";
    if let Err(why) = held.query(search, &[&config.language]).await {
        log("ERROR", "vestige_core::search", &failed(&why));
    }
    Ok(())
}

/// Stamps the column and the registry at the first start. Later, tells when another model runs than the one stamped.
async fn register(config: &Config, client: &mut tokio_postgres::Client) -> Result<(), String> {
    let say = |why: tokio_postgres::Error| failed(&why);
    let model = &config.model;
    let row = client.query_opt("SELECT name, dimension FROM embedding_model", &[]).await.map_err(say)?;
    let dimension = i32::try_from(model.dimension).unwrap_or(i32::MAX);
    if let Some(row) = row {
        let (name, stamped): (String, i32) = (row.get(0), row.get(1));
        if stamped != dimension {
            let message = format!(
                "insert refused: vector dimensions do not match: embedding_model says {stamped} ({name}), \
                 the embedder gives {dimension} ({})",
                model.name
            );
            log("ERROR", "vestige_core::storage::postgres", &message);
        }
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(say)?;
    let stamp = format!("ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector({dimension})");
    transaction.batch_execute(&stamp).await.map_err(say)?;
    let insert = "INSERT INTO embedding_model (name, dimension, hash) VALUES ($1, $2, $3)";
    transaction.execute(insert, &[&model.name, &dimension, &model.hash()]).await.map_err(say)?;
    transaction.commit().await.map_err(say)?;
    log("INFO", "vestige_core::storage::postgres", &format!("registered {} with {dimension} dimensions", model.name));
    Ok(())
}

/// One client: asks, waits for the answer, asks again.
async fn ask_for_ever(pool: Arc<Pool>) {
    let query = format!(
        "SELECT pg_sleep({})",
        f64::from(u32::try_from(number("VESTIGE_STAND_IN_QUERY_MS", 10)).unwrap_or(0)) / 1000.0
    );
    loop {
        match pool.acquire().await {
            Ok(held) => {
                if let Err(why) = held.batch_execute(&query).await {
                    log("ERROR", "vestige_core::storage::postgres", &failed(&why));
                }
            }
            Err(why) => log("WARN", "vestige_core::storage::postgres", &why),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keeps a connection open. Ends when the database has been gone for two minutes.
async fn watch(pool: &Pool) {
    let mut gone = 0_u32;
    while gone < 240 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let there = match pool.acquire().await {
            Ok(held) => held.batch_execute("SELECT 1").await.is_ok(),
            Err(why) => why.contains("pool timed out"),
        };
        gone = if there { 0 } else { gone + 1 };
    }
}
