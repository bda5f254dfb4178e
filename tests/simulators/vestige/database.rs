//! Connections, and what the database says when it says no.

use std::error::Error as _;
use tokio_postgres::{Client, NoTls};

/// One connection. `program` is its name in `pg_stat_activity`.
pub async fn connect(url: &str, program: &str) -> Result<Client, String> {
    let mut config: tokio_postgres::Config = url.parse().map_err(|why| format!("invalid database URL: {why}"))?;
    config.application_name(program);
    let (client, connection) = config.connect(NoTls).await.map_err(|why| failed(&why))?;
    tokio::spawn(async move {
        let _its_user_sees_it = connection.await;
    });
    Ok(client)
}

/// An error in the words of whoever made it: the server's, or the system's.
pub fn failed(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{}: {}", said.severity(), said.message());
    }
    let inner = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("error communicating with database: {inner}")
}
