//! The table of open uploads.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use tranship::{Error, ErrorKind, RepositoryName, Upload, UploadId};

use super::token::Token;
use crate::access::Caller;
use crate::options::ServerOptions;
use crate::peer::Peer;
use crate::rate_limit::network;
use crate::response_error::{ErrorCode, Resource, ResponseError};

/// The longest time between two searches for idle uploads.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The longest time between two searches for uploads of earlier processes.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

pub(super) type Key = (RepositoryName, Token);

/// The caller to whose limit an upload or a request counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    User(String),
    /// The client address of a caller without a user name, or its network.
    Address(IpAddr),
    Unknown,
}

impl Owner {
    pub(crate) fn of(caller: &Caller<'_>, request: &Parts) -> Self {
        Self::new(caller.user(), request)
    }

    /// Returns the owner of what a request of `user` starts; without a user it is the address.
    pub(crate) fn new(user: Option<&str>, request: &Parts) -> Self {
        match (user, Peer::of(&request.extensions).address) {
            (Some(user), _) => Self::User(user.to_owned()),
            (None, Some(address)) => Self::Address(network(address.ip())),
            (None, None) => Self::Unknown,
        }
    }
}

/// All open uploads of a server.
#[derive(Debug)]
pub(crate) struct UploadSessions {
    table: Mutex<Table>,
    limit: usize,
    limit_per_owner: usize,
    expiry: Duration,
    /// Whether uploads are left to the backend between requests.
    is_shared: bool,
}

#[derive(Debug)]
struct Table {
    slots: HashMap<Key, Slot>,
    /// The time of the last search for idle uploads.
    last_idle_check: Instant,
    /// The time of the last search for uploads of earlier processes; `None` before the first one.
    last_sweep: Option<Instant>,
    /// Whether a client was never sent the token of one of the uploads.
    has_unreachable: bool,
}

struct Slot {
    id: UploadId,
    owner: Owner,
    state: State,
    /// How many bytes have arrived, if that is known.
    offset: Option<u64>,
    /// When it was last used; `None` if the client does not have its token.
    last_used: Option<Instant>,
}

enum State {
    /// No request uses it. The object is paused.
    Paused(Box<dyn Upload>),
    /// No request uses it. It has to be resumed from the backend.
    InBackend,
    /// A request uses it.
    InUse,
}

/// The state in which a request leaves an upload.
pub(super) enum Released {
    Paused(Box<dyn Upload>),
    InBackend,
    /// It was stored or cancelled, or it could not be resumed.
    Ended,
}

/// An upload that was idle for too long.
pub(crate) struct ExpiredUpload {
    pub(crate) name: RepositoryName,
    pub(crate) id: UploadId,
    /// The paused object; `None` if it has to be resumed.
    pub(crate) paused: Option<Box<dyn Upload>>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn in_use(id: UploadId, owner: Owner) -> Self {
        Self {
            id,
            owner,
            state: State::InUse,
            offset: None,
            last_used: Some(Instant::now()),
        }
    }
}

impl UploadSessions {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            table: Mutex::new(Table {
                slots: HashMap::new(),
                last_idle_check: Instant::now(),
                last_sweep: None,
                has_unreachable: false,
            }),
            limit: options.max_uploads,
            limit_per_owner: options.max_uploads_per_user,
            expiry: options.upload_expiry,
            is_shared: options.shared,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of open uploads.
    pub(crate) fn count(&self) -> usize {
        self.lock().slots.len()
    }

    /// # Errors
    /// 429 if no further upload may be opened for `owner`.
    pub(super) fn check_limits(&self, owner: &Owner) -> Result<(), ResponseError> {
        let table = self.lock();
        let of_owner = |slot: &&Slot| slot.owner == *owner;
        let message = if table.slots.len() >= self.limit {
            "too many uploads are open"
        } else if table.slots.values().filter(of_owner).count() >= self.limit_per_owner {
            "too many of your uploads are open; finish or cancel some"
        } else {
            return Ok(());
        };
        let failure = ResponseError::new(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TooManyRequests,
            message,
        );
        Err(failure.with_header(RETRY_AFTER, HeaderValue::from_static("5")))
    }

    /// Adds an upload that a request uses.
    pub(super) fn insert(&self, key: Key, id: UploadId, owner: Owner) {
        self.lock().slots.insert(key, Slot::in_use(id, owner));
    }

    /// Marks an upload as in use, and returns its id and the paused object, if there is one.
    ///
    /// # Errors
    /// 409 if another request uses it.
    pub(super) fn acquire(
        &self,
        key: &Key,
        owner: Owner,
    ) -> Result<(UploadId, Option<Box<dyn Upload>>), ResponseError> {
        match self.lock().slots.entry(key.clone()) {
            Entry::Vacant(slot) => {
                let id = key.1.as_id();
                slot.insert(Slot::in_use(id.clone(), owner));
                Ok((id, None))
            }
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                match std::mem::replace(&mut slot.state, State::InUse) {
                    State::Paused(upload) => Ok((slot.id.clone(), Some(upload))),
                    State::InBackend => Ok((slot.id.clone(), None)),
                    State::InUse => {
                        let error = Error::new(
                            ErrorKind::Conflict,
                            "another request is writing to the upload",
                        );
                        Err(ResponseError::from_backend(&error, Resource::Upload))
                    }
                }
            }
        }
    }

    pub(super) fn set_offset(&self, key: &Key, offset: u64) {
        if let Some(slot) = self.lock().slots.get_mut(key) {
            slot.offset = Some(offset);
        }
    }

    /// Ends the use of an upload.
    pub(super) fn release(&self, key: &Key, released: Released, is_token_sent: bool) {
        let mut table = self.lock();
        let Some(slot) = table.slots.get_mut(key) else {
            return;
        };
        slot.last_used = is_token_sent.then(Instant::now);
        match released {
            Released::Paused(upload) => slot.state = State::Paused(upload),
            Released::InBackend => slot.state = State::InBackend,
            Released::Ended => {
                table.slots.remove(key);
            }
        }
        table.has_unreachable |= !is_token_sent;
    }

    /// Returns whether a request uses an upload.
    pub(crate) fn is_in_use(&self, name: &RepositoryName, token: &Token) -> bool {
        let key = (name.clone(), token.clone());
        let table = self.lock();
        let slot = table.slots.get(&key);
        slot.is_some_and(|slot| matches!(slot.state, State::InUse))
    }

    /// Returns how many bytes of an upload have arrived, if that is known, also while a request uses it.
    pub(crate) fn offset(&self, name: &RepositoryName, token: &Token) -> Option<u64> {
        let key = (name.clone(), token.clone());
        let table = self.lock();
        let slot = table.slots.get(&key)?;
        match slot.state {
            State::Paused(_) | State::InUse => slot.offset,
            // The last request broke off, or another server may have continued.
            State::InBackend => None,
        }
    }

    /// Returns whether uploads of earlier processes should be searched for, which it is not again for a while.
    pub(crate) fn is_sweep_due(&self) -> bool {
        let now = Instant::now();
        let interval = (self.expiry / 4).min(SWEEP_INTERVAL);
        let mut table = self.lock();
        let is_due = table
            .last_sweep
            .is_none_or(|last| now.saturating_duration_since(last) >= interval);
        if is_due {
            table.last_sweep = Some(now);
        }
        is_due
    }

    pub(crate) fn expiry(&self) -> Duration {
        self.expiry
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns the uploads that are idle for too long; none if the last search was a moment ago.
    pub(crate) fn idle(&self) -> Vec<Key> {
        let now = Instant::now();
        let mut table = self.lock();
        let interval = (self.expiry / 10).min(IDLE_CHECK_INTERVAL);
        let is_due = table.has_unreachable
            || table.slots.len() >= self.limit
            || now.saturating_duration_since(table.last_idle_check) >= interval;
        if !is_due {
            return Vec::new();
        }
        table.last_idle_check = now;
        table.has_unreachable = false;
        let idle = table
            .slots
            .iter()
            .filter(|(_, slot)| self.is_idle(slot, now));
        idle.map(|(key, _)| key.clone()).collect()
    }

    fn is_idle(&self, slot: &Slot, now: Instant) -> bool {
        !matches!(slot.state, State::InUse)
            && slot
                .last_used
                .is_none_or(|last| now.saturating_duration_since(last) >= self.expiry)
    }

    /// Removes an upload that is idle for too long, and returns it if it has to be cancelled: an upload that another
    /// server may use must not be.
    pub(crate) fn take_expired(&self, key: Key) -> Option<ExpiredUpload> {
        let mut table = self.lock();
        let slot = table.slots.get(&key)?;
        if !self.is_idle(slot, Instant::now()) {
            return None;
        }
        let slot = table.slots.remove(&key)?;
        if self.is_shared && slot.last_used.is_some() {
            return None;
        }
        let (name, _) = key;
        let id = slot.id;
        let paused = match slot.state {
            State::Paused(upload) => Some(upload),
            State::InBackend | State::InUse => None,
        };
        Some(ExpiredUpload { name, id, paused })
    }
}
