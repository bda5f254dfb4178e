//! The bundled migrations, applied and recorded as sqlx does it.

use super::database::failed;
use super::settings::log;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Client;

/// Version, description, the statements.
const ALL: [(i64, &str, &str); 2] = [
    (1, "init", include_str!("migrations/0001_init.up.sql")),
    (2, "hnsw", include_str!("migrations/0002_hnsw.up.sql")),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version bigint PRIMARY KEY,
    description text NOT NULL,
    installed_on timestamptz NOT NULL DEFAULT now(),
    success boolean NOT NULL,
    checksum bytea,
    execution_time bigint NOT NULL
)";

/// Applies what is missing, each in a transaction. `die_after` ends the process when that version was applied.
pub async fn migrate(client: &mut Client, die_after: Option<i64>) -> Result<(), String> {
    let there = client.query_opt("SELECT 1 FROM pg_tables WHERE tablename = '_sqlx_migrations'", &[]).await;
    if there.map_err(|why| failed(&why))?.is_none() {
        client.batch_execute(TABLE).await.map_err(|why| failed(&why))?;
    }
    let applied = applied(client).await?;
    for (version, description, statements) in ALL {
        if !applied.contains(&version) {
            apply(client, version, description, statements).await?;
            log("INFO", "sqlx::migrate", &format!("applied migration {version} {description}"));
        }
        if die_after == Some(version) {
            log("ERROR", "vestige_mcp", "killed");
            std::process::abort();
        }
    }
    Ok(())
}

/// The versions on record, when the record is in order.
async fn applied(client: &Client) -> Result<Vec<i64>, String> {
    let query = "SELECT version, success, coalesce(encode(checksum, 'hex'), '') FROM _sqlx_migrations ORDER BY version";
    let rows = client.query(query, &[]).await.map_err(|why| failed(&why))?;
    for row in &rows {
        let (version, success, checksum): (i64, bool, String) = (row.get(0), row.get(1), row.get(2));
        let Some((_, _, statements)) = ALL.iter().find(|(known, ..)| *known == version) else {
            return Err(format!(
                "migration {version} was previously applied but is missing in the resolved migrations"
            ));
        };
        if checksum.is_empty() {
            return Err(format!(
                "relation \"_sqlx_migrations\" exists, but migration {version} is in \"applied\" with no checksum \
                 (migration {version} was previously applied but is missing a checksum)"
            ));
        }
        if !success {
            return Err(format!(
                "migration {version} is partially applied; fix and remove row from `_sqlx_migrations` table"
            ));
        }
        if checksum != sum(statements) {
            return Err(format!("migration {version} was previously applied but has been modified"));
        }
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn apply(client: &mut Client, version: i64, description: &str, statements: &str) -> Result<(), String> {
    let say = |why: tokio_postgres::Error| format!("while executing migration {version}: {}", failed(&why));
    let began = std::time::Instant::now();
    let transaction = client.transaction().await.map_err(say)?;
    transaction.batch_execute(statements).await.map_err(say)?;
    let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
    let record = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                  VALUES ($1, $2, true, decode($3, 'hex'), $4)";
    transaction.execute(record, &[&version, &description, &sum(statements), &took]).await.map_err(say)?;
    transaction.commit().await.map_err(say)
}

fn sum(statements: &str) -> String {
    Sha256::digest(statements.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
