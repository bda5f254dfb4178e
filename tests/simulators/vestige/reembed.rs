//! `vestige migrate reembed`: every embedding made anew. It can be killed at any row, and `--resume` finishes it.

use super::database::failed;
use super::model::Model;
use super::settings::{number, say};
use super::tool::Failure;
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Client;

const INDEX: &str = "idx_knowledge_nodes_embedding_hnsw";

/// Rows between two lines of progress.
const BATCH: usize = 50;

#[derive(clap::Args)]
pub struct ReembedArguments {
    /// The new model
    #[arg(long)]
    model: String,
    /// Goes on without a recent backup
    #[arg(long)]
    yes: bool,
    /// Finishes an interrupted run
    #[arg(long)]
    resume: bool,
    /// Keeps the index during the run
    #[arg(long)]
    concurrent_index: bool,
}

/// What the database holds before the run.
struct State {
    /// Of the registry.
    name: String,
    dimension: i32,
    /// Whether the column takes vectors of one dimension only.
    typed: bool,
    /// Whether a run with `--concurrent-index` was interrupted.
    beside: bool,
    /// The dimensions of the rows; 0 stands for none.
    dimensions: Vec<i32>,
    rows: i64,
    index: bool,
}

pub async fn reembed(client: &mut Client, arguments: &ReembedArguments) -> Result<(), Failure> {
    let model = Model::named(&arguments.model)?;
    model.load()?;
    if !arguments.yes && !recent_backup() {
        return Err(Failure { code: 3, why: "no recent backup was found: take one, or give --yes".to_owned() });
    }
    let state = State::read(client).await?;
    let target = i32::try_from(model.dimension).unwrap_or(i32::MAX);
    state.judge(&model, target, arguments.resume)?;
    say(&format!("{} rows, from {} ({}) to {} ({target})", state.rows, state.name, state.dimension, model.name));
    let done = state.name == model.name && state.is_whole() && arguments.resume;
    if done && state.index {
        say("nothing is left to do");
        return Ok(());
    }
    if !done {
        if arguments.concurrent_index || state.beside {
            beside(client, &model).await?;
        } else {
            in_place(client, &model, &state, arguments.resume).await?;
        }
    }
    say("building the index");
    let how = if arguments.concurrent_index { "CONCURRENTLY " } else { "" };
    execute(client, &format!("DROP INDEX IF EXISTS {INDEX}")).await?;
    let create = format!("CREATE INDEX {how}{INDEX} ON knowledge_nodes USING hnsw (embedding vector_cosine_ops)");
    execute(client, &create).await?;
    say("reembed complete");
    Ok(())
}

impl State {
    async fn read(client: &Client) -> Result<Self, Failure> {
        let ask = |query: &'static str| async move {
            client.query(query, &[]).await.map_err(|why| Failure::from(failed(&why)))
        };
        let registry = ask("SELECT name, dimension FROM embedding_model").await?;
        let [row] = &registry[..] else { return Err(unreasonable("embedding_model does not hold exactly one row")) };
        let column = "SELECT coalesce(bool_or(attname = 'embedding' AND atttypmod > 0), false),
                             coalesce(bool_or(attname = 'embedding_new'), false)
                      FROM pg_attribute WHERE attrelid = 'knowledge_nodes'::regclass AND NOT attisdropped";
        let columns = ask(column).await?;
        let counts = "SELECT coalesce(vector_dims(embedding), 0), count(*) FROM knowledge_nodes GROUP BY 1";
        let counts = ask(counts).await?;
        let index = ask("SELECT 1 FROM pg_indexes WHERE indexname = 'idx_knowledge_nodes_embedding_hnsw'").await?;
        Ok(Self {
            name: row.get(0),
            dimension: row.get(1),
            typed: columns[0].get(0),
            beside: columns[0].get(1),
            dimensions: counts.iter().map(|row| row.get(0)).collect(),
            rows: counts.iter().map(|row| row.get::<_, i64>(1)).sum(),
            index: !index.is_empty(),
        })
    }

    fn is_whole(&self) -> bool {
        self.typed && !self.beside && self.dimensions.iter().all(|dimension| *dimension == self.dimension)
    }

    fn judge(&self, model: &Model, target: i32, resume: bool) -> Result<(), Failure> {
        let known = |dimension: &i32| [0, self.dimension, target].contains(dimension);
        if !self.dimensions.iter().all(known) {
            let other: Vec<String> = self.dimensions.iter().map(ToString::to_string).collect();
            return Err(unreasonable(&format!(
                "rows of the dimensions {} are neither of {} nor of {}",
                other.join(", "),
                self.name,
                model.name
            )));
        }
        if !resume && (!self.is_whole() || !self.index && self.rows > 0) {
            let why = "an interrupted run was found: finish it with --yes --resume".to_owned();
            return Err(Failure { code: 4, why });
        }
        Ok(())
    }
}

fn unreasonable(why: &str) -> Failure {
    Failure { code: 5, why: format!("cannot reason about this database: {why}; restore it from a backup") }
}

/// The index goes first; the column takes any dimension until all rows are done.
async fn in_place(client: &mut Client, model: &Model, state: &State, resume: bool) -> Result<(), Failure> {
    execute(client, &format!("DROP INDEX IF EXISTS {INDEX}")).await?;
    say("the index is dropped");
    execute(client, "ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector").await?;
    // Rows of one dimension by two models cannot be told apart: all are done again then.
    let differs = i64::from(state.dimension) != i64::from(model.dimension) || state.name == model.name;
    let left = if resume && differs {
        format!("WHERE coalesce(vector_dims(embedding), 0) <> {}", model.dimension)
    } else {
        String::new()
    };
    rows(client, model, &left, "embedding").await?;
    execute(client, &format!("ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector({})", model.dimension))
        .await?;
    execute(client, &stamp(model)).await
}

/// A second column is filled while the index serves the first; then it takes its place.
async fn beside(client: &mut Client, model: &Model) -> Result<(), Failure> {
    let add = format!("ALTER TABLE knowledge_nodes ADD COLUMN IF NOT EXISTS embedding_new vector({})", model.dimension);
    execute(client, &add).await?;
    rows(client, model, "WHERE embedding_new IS NULL", "embedding_new").await?;
    let swap = format!(
        "BEGIN; ALTER TABLE knowledge_nodes DROP COLUMN embedding;
         ALTER TABLE knowledge_nodes RENAME COLUMN embedding_new TO embedding; {}; COMMIT",
        stamp(model)
    );
    execute(client, &swap).await
}

fn stamp(model: &Model) -> String {
    format!(
        "UPDATE embedding_model SET name = '{}', dimension = {}, hash = '{}'",
        model.name.replace('\'', "''"),
        model.dimension,
        model.hash()
    )
}

async fn rows(client: &mut Client, model: &Model, left: &str, column: &str) -> Result<(), Failure> {
    let all = client.query(&format!("SELECT id::text, content FROM knowledge_nodes {left} ORDER BY id"), &[]).await;
    let all = all.map_err(|why| failed(&why))?;
    let slowly = Duration::from_millis(number("VESTIGE_STAND_IN_ROW_MS", 0));
    let update =
        format!("UPDATE knowledge_nodes SET {column} = $2::text::vector, updated_at = now() WHERE id = $1::text::uuid");
    let began = Instant::now();
    for (done, row) in all.iter().enumerate() {
        let (id, content): (String, String) = (row.get(0), row.get(1));
        tokio::time::sleep(slowly).await;
        client.execute(&update, &[&id, &model.embed(&content)]).await.map_err(|why| failed(&why))?;
        let done = done + 1;
        if done % BATCH == 0 || done == all.len() {
            let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64().max(0.001);
            say(&format!("reembed {done}/{} rows ({rate:.0} rows/s)", all.len()));
        }
    }
    Ok(())
}

async fn execute(client: &Client, statements: &str) -> Result<(), Failure> {
    client.batch_execute(statements).await.map_err(|why| Failure::from(failed(&why)))
}

/// A `*.dump` of the last day in the folder of backups.
fn recent_backup() -> bool {
    let Some(folder) = std::env::var_os("VESTIGE_BACKUPS") else { return false };
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let day = Duration::from_hours(24);
    entries.flatten().any(|entry| {
        let is_dump = entry.path().extension().is_some_and(|extension| extension == "dump");
        let changed = entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        is_dump && changed.elapsed().is_ok_and(|age| age < day)
    })
}
