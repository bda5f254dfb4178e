//! The pool of connections of the service: opened when they are needed, and never more than it may have.

use super::database::connect;
use super::settings::log;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Client;

pub struct Pool {
    url: String,
    most: Semaphore,
    idle: Mutex<Vec<Client>>,
    patience: Duration,
    /// Whether the database is away.
    lost: AtomicBool,
}

/// A connection that somebody uses. It goes back to the pool unless it is broken.
pub struct Held<'p> {
    pool: &'p Pool,
    client: Option<Client>,
    _slot: SemaphorePermit<'p>,
}

impl Pool {
    pub fn new(url: &str, max_connections: u32, patience: Duration) -> Self {
        let most = Semaphore::new(max_connections as usize);
        Self { url: url.to_owned(), most, idle: Mutex::default(), patience, lost: AtomicBool::new(false) }
    }

    pub async fn acquire(&self) -> Result<Held<'_>, String> {
        let slot = tokio::time::timeout(self.patience, self.most.acquire()).await;
        let slot = slot
            .map_err(|_late| {
                format!(
                    "pool acquire timed out after {:?}: pool timed out while waiting for an open connection",
                    self.patience
                )
            })?
            .map_err(|closed| closed.to_string())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle {
            Some(client) if !client.is_closed() => client,
            Some(_) => self.open("closed by the server").await?,
            None => self.open("").await?,
        };
        Ok(Held { pool: self, client: Some(client), _slot: slot })
    }
}

impl Pool {
    /// Opens one more; `lost` says why the one that was there is of no use. Tells when the database goes and comes.
    async fn open(&self, lost: &str) -> Result<Client, String> {
        let is_lost = |why: &str| {
            if !self.lost.swap(true, Ordering::Relaxed) {
                log("WARN", "vestige_mcp", &format!("the connection to Postgres is lost: {why}"));
            }
        };
        if !lost.is_empty() {
            is_lost(lost);
        }
        let opened = connect(&self.url, "vestige-mcp").await.inspect_err(|why| is_lost(why))?;
        if self.lost.swap(false, Ordering::Relaxed) {
            log("INFO", "vestige_mcp", "the connection to Postgres is back");
        }
        Ok(opened)
    }
}

impl std::ops::Deref for Held<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is held until it is dropped")
    }
}

impl Held<'_> {
    pub fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is held until it is dropped")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}
