//! The lock of the process that does the maintenance of a directory of layouts.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use async_trait::async_trait;
use tranship::{Error, Result, blocking};

use super::lock::not_locked;
use crate::driver::file::{failed, open_no_follow};
use crate::driver::{Contender, PRIVATE, Tenure};

/// A process that does not have the lock yet.
#[derive(Debug)]
pub(super) struct LocalContender {
    directory: PathBuf,
}

impl LocalContender {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            directory: root.join(PRIVATE),
        }
    }
}

#[async_trait]
impl Contender for LocalContender {
    async fn acquire(&self) -> Result<Option<Box<dyn Tenure>>> {
        let directory = self.directory.clone();
        blocking::run(move || {
            fs::create_dir_all(&directory).map_err(|error| failed("created", &directory, error))?;
            let path = directory.join("lock-upkeep");
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let file = open_no_follow(&mut options, &path)?
                .ok_or_else(|| Error::not_found(path.display()))?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Box::new(MaintenanceLock(file)) as Box<dyn Tenure>)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(not_locked(&path, error)),
            }
        })
        .await
    }
}

/// The lock, until it is dropped. The system takes it back from a process that dies.
#[derive(Debug)]
struct MaintenanceLock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

#[async_trait]
impl Tenure for MaintenanceLock {}
