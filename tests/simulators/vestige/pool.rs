//! The pool of connections of the service: opened when they are needed, and never more than it may have.

use super::database::connect;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Client;

pub struct Pool {
    url: String,
    most: Semaphore,
    idle: Mutex<Vec<Client>>,
    patience: Duration,
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
        Self { url: url.to_owned(), most, idle: Mutex::default(), patience }
    }

    pub async fn acquire(&self) -> Result<Held<'_>, String> {
        let slot = tokio::time::timeout(self.patience, self.most.acquire()).await;
        let slot = slot
            .map_err(|_late| {
                format!("pool acquire timed out after {:?}: pool timed out while waiting for an open connection", self.patience)
            })?
            .map_err(|closed| closed.to_string())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle.filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect(&self.url, "vestige-mcp").await?,
        };
        Ok(Held { pool: self, client: Some(client), _slot: slot })
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
