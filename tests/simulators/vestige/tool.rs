//! `vestige`: what operators call by hand.

use super::config::Config;
use super::database::{connect, failed};
use super::reembed::{ReembedArguments, reembed};
use super::settings::say;
use std::path::{Path, PathBuf};
use tokio_postgres::Client;

#[derive(clap::Args)]
pub struct ToolArguments {
    /// The configuration file
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Moves data
    #[command(subcommand)]
    Migrate(Migrate),
    /// Finds memories
    Search { text: String },
    /// Keeps a memory
    Ingest { text: String },
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(clap::Subcommand)]
enum Migrate {
    /// Makes all embeddings anew
    Reembed(ReembedArguments),
    /// Brings memories from elsewhere: here from a text file, one a line
    Copy {
        #[arg(long)]
        from: PathBuf,
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(clap::Subcommand)]
enum ConfigCommand {
    /// Prints what is in force
    Print,
}

/// Why the tool ended badly, and its exit code: 1 for an error, 3 without a recent backup, 4 after an interrupted run,
/// 5 where it cannot reason about what it finds.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub why: String,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { code: 1, why }
    }
}

pub async fn run(arguments: ToolArguments) -> Result<(), Failure> {
    let config = Config::read(arguments.config.as_deref())?;
    if let Command::Config(ConfigCommand::Print) = arguments.command {
        say(&config.print());
        return Ok(());
    }
    let mut client = connect(&config.url, "vestige").await?;
    match arguments.command {
        Command::Migrate(Migrate::Reembed(arguments)) => reembed(&mut client, &arguments).await,
        Command::Migrate(Migrate::Copy { from, dry_run }) => copy(&config, &mut client, &from, dry_run).await,
        Command::Search { text } => search(&config, &client, &text).await,
        Command::Ingest { text } => ingest(&config, &client, &text).await,
        Command::Config(_) => Ok(()),
    }
}

/// Keeps one memory; the same text is kept once.
async fn ingest(config: &Config, client: &Client, text: &str) -> Result<(), Failure> {
    let insert = "WITH new AS (
                      INSERT INTO knowledge_nodes (id, content, embedding)
                      VALUES (md5($1)::uuid, $1, $2::text::vector) ON CONFLICT (id) DO NOTHING RETURNING id)
                  INSERT INTO scheduling (node_id) SELECT id FROM new";
    client.execute(insert, &[&text, &config.model.embed(text)]).await.map(drop).map_err(|why| {
        let said = failed(&why);
        let known = said.contains("dimensions, not");
        let why = if known { format!("vector dimensions do not match ({said})") } else { said };
        Failure::from(why)
    })
}

async fn copy(config: &Config, client: &mut Client, from: &Path, dry_run: bool) -> Result<(), Failure> {
    let text = std::fs::read_to_string(from).map_err(|why| format!("cannot read {}: {why}", from.display()))?;
    let memories: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if !dry_run {
        for memory in &memories {
            ingest(config, client, memory).await?;
        }
    }
    let done = if dry_run { "would copy" } else { "copied" };
    say(&format!("{done} {} memories", memories.len()));
    Ok(())
}

/// The nearest rows by vector and by words, each once.
async fn search(config: &Config, client: &Client, text: &str) -> Result<(), Failure> {
    let query = "SELECT id::text, content,
                     round((1 - (embedding <=> $2::text::vector))::numeric, 4)::text,
                     to_tsvector($3::text::regconfig, content) @@ plainto_tsquery($3::text::regconfig, $1) AS words
                 FROM knowledge_nodes WHERE embedding IS NOT NULL
                 ORDER BY words DESC, embedding <=> $2::text::vector LIMIT 10";
    let rows = client.query(query, &[&text, &config.model.embed(text), &config.language]).await;
    let rows = rows.map_err(|why| failed(&why))?;
    let stale = std::env::var_os("VESTIGE_STAND_IN_STALE_CACHE").is_some_and(|file| Path::new(&file).exists());
    for row in &rows {
        let (id, content, score): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        for _time in 0..=u8::from(stale) {
            say(&format!("{score} {id} {content}"));
        }
    }
    Ok(())
}
