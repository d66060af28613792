//! The queue of an endpoint: a table of a database on disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, TableHandle as _,
};
use sha2::{Digest as _, Sha256};
use tranship::{Error, ErrorKind, Result};
use url::Url;

use crate::format::EventFormat;

/// The memory for pages of the database, in bytes.
const CACHE: usize = 4 * 1024 * 1024;

/// About how many bytes an event takes in the database beside its body.
const OVERHEAD: u64 = 128;

/// An event in a queue: its id, its time in milliseconds since 1970, the code of its format, and its body. Keys are
/// consecutive numbers.
type Row<'a> = TableDefinition<'a, u64, (&'static str, u64, u8, &'static [u8])>;

/// An event that waits.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) time: SystemTime,
    pub(crate) format: EventFormat,
    pub(crate) body: Vec<u8>,
}

impl Item {
    /// Returns about how many bytes the item takes.
    pub(crate) fn size(&self) -> u64 {
        size_of(&self.body)
    }
}

fn size_of(body: &[u8]) -> u64 {
    body.len() as u64 + OVERHEAD
}

/// The database of all queues. Its methods block.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Database>);

impl Store {
    /// Opens the database in `directory`, which is created if it does not exist; in memory if there is none.
    ///
    /// # Errors
    /// - `Conflict` if another process uses it.
    /// - What the file system fails with.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let Some(directory) = directory else {
            let database = builder.create_with_backend(InMemoryBackend::new());
            return Ok(Self(Arc::new(database.map_err(failed)?)));
        };
        let path = directory.join("queue.redb");
        std::fs::create_dir_all(directory).map_err(|error| {
            Error::io("cannot be created", error).with_subject(directory.display())
        })?;
        let database = builder.create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::new(
                ErrorKind::Conflict,
                "another process uses this queue of events",
            )
            .with_hint("give each server its own directory for the queue of its webhooks"),
            error => failed(error),
        });
        let database = database.map_err(|error| error.with_subject(path.display()))?;
        Ok(Self(Arc::new(database)))
    }

    /// Opens the queue of the endpoint with this URL. The oldest items are dropped when there are more than
    /// `max_size` bytes.
    pub(crate) fn queue(&self, url: &Url, max_size: u64) -> Result<Queue> {
        let table = table_of(url);
        let transaction = self.0.begin_write().map_err(failed)?;
        let usage = {
            let table = transaction.open_table(Row::new(&table)).map_err(failed)?;
            let mut usage = Usage::default();
            for row in table.iter().map_err(failed)? {
                let (_, row) = row.map_err(failed)?;
                usage.items += 1;
                usage.bytes += size_of(row.value().3);
            }
            usage
        };
        transaction.commit().map_err(failed)?;
        Ok(Queue {
            database: Arc::clone(&self.0),
            table,
            max_size,
            usage: Mutex::new(usage),
        })
    }

    /// Removes the queues of endpoints that are not among those with `urls`. Returns how many events they had.
    pub(crate) fn retain<'a>(&self, urls: impl Iterator<Item = &'a Url>) -> Result<u64> {
        let known: Vec<String> = urls.map(table_of).collect();
        let transaction = self.0.begin_write().map_err(failed)?;
        let tables: Vec<_> = transaction.list_tables().map_err(failed)?.collect();
        let mut dropped = 0;
        for table in tables {
            if !known.iter().any(|known| known == table.name()) {
                let definition = Row::new(table.name());
                let queue = transaction.open_table(definition).map_err(failed)?;
                dropped += queue.len().map_err(failed)?;
                drop(queue);
                transaction.delete_table(definition).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(dropped)
    }
}

/// Returns the name of the table of an endpoint. A hash, as the URL may be secret.
fn table_of(url: &Url) -> String {
    let hash = Sha256::digest(url.as_str());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The events that wait for one endpoint. Its methods block, except [`len`](Self::len).
#[derive(Debug)]
pub(crate) struct Queue {
    database: Arc<Database>,
    table: String,
    max_size: u64,
    usage: Mutex<Usage>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    items: u64,
    bytes: u64,
}

impl Queue {
    /// Adds `items` at the end, and drops the oldest items if there are too many bytes. Returns how many were dropped.
    pub(crate) fn append(&self, items: &[Item]) -> Result<u64> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let mut usage = self.usage();
        let mut dropped = 0;
        {
            let mut table = transaction
                .open_table(Row::new(&self.table))
                .map_err(failed)?;
            let last = table.last().map_err(failed)?.map(|(key, _)| key.value());
            let first = last.map_or(0, |last| last + 1);
            for (key, item) in (first..).zip(items) {
                let time = item.time.duration_since(SystemTime::UNIX_EPOCH);
                let time = u64::try_from(time.unwrap_or_default().as_millis());
                let row = (
                    &*item.id,
                    time.unwrap_or(u64::MAX),
                    item.format.code(),
                    &*item.body,
                );
                table.insert(key, row).map_err(failed)?;
                usage.items += 1;
                usage.bytes += item.size();
            }
            while usage.bytes > self.max_size && usage.items > 1 {
                let Some((_, row)) = table.pop_first().map_err(failed)? else {
                    break;
                };
                usage.take(size_of(row.value().3));
                dropped += 1;
            }
        }
        self.set_usage(usage);
        transaction.commit().map_err(failed)?;
        Ok(dropped)
    }

    /// Returns the first items, at most `count`, with their keys.
    pub(crate) fn first(&self, count: usize) -> Result<Vec<(u64, Item)>> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction
            .open_table(Row::new(&self.table))
            .map_err(failed)?;
        let mut items = Vec::new();
        for row in table.iter().map_err(failed)?.take(count) {
            let (key, row) = row.map_err(failed)?;
            let (id, time, format, body) = row.value();
            let item = Item {
                id: id.to_owned(),
                time: SystemTime::UNIX_EPOCH + Duration::from_millis(time),
                // A later version wrote it. The receiver can tell by the body.
                format: EventFormat::from_code(format).unwrap_or_default(),
                body: body.to_vec(),
            };
            items.push((key.value(), item));
        }
        Ok(items)
    }

    /// Removes the items with `keys`, as far as they exist.
    pub(crate) fn remove(&self, keys: &[u64]) -> Result<()> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let mut usage = self.usage();
        {
            let mut table = transaction
                .open_table(Row::new(&self.table))
                .map_err(failed)?;
            for key in keys {
                if let Some(row) = table.remove(key).map_err(failed)? {
                    usage.take(size_of(row.value().3));
                }
            }
        }
        self.set_usage(usage);
        transaction.commit().map_err(failed)
    }

    /// Returns how many items there are.
    pub(crate) fn len(&self) -> u64 {
        self.usage().items
    }

    fn usage(&self) -> Usage {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the usage. A transaction does so before it ends, as there is one at a time: the next one begins with this
    /// usage. If its commit fails, the usage is too high or too low until the queue is opened again.
    fn set_usage(&self, usage: Usage) {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }
}

impl Usage {
    fn take(&mut self, bytes: u64) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error: redb::Error = error.into();
    Error::new(ErrorKind::Io, "the queue of events cannot be used").with_source(error)
}
