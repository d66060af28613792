//! The uploads that are open, between the requests that belong to them.
//!
//! The backend's object stays here from one request to the next, so that what it knows of the bytes
//! so far, such as their hash, is not found out again. In between it is paused: an open upload costs memory,
//! but no file descriptor. Whatever is not here is resumed from the backend by its id: an upload of an earlier
//! process, or one whose last request broke off.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use tranship::{
    Descriptor, Error, ErrorKind, Repository, RepositoryName, Result, Upload, UploadId,
};

use crate::access::Caller;
use crate::failure::{About, Code, Failure};
use crate::options::ServerOptions;
use crate::record::ClientAddress;
use crate::uploads::token::Token;

/// How long it is at the most between two looks for what is idle.
const PAUSE: Duration = Duration::from_secs(10);

/// How long it is at the most between two looks for what earlier processes left.
const SWEEP_PAUSE: Duration = Duration::from_secs(60 * 60);

pub(super) type Key = (RepositoryName, Token);

/// Whom an upload is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    User(String),
    /// The client address of a caller without a user name.
    Address(IpAddr),
    Unknown,
}

impl Owner {
    pub(super) fn of(caller: &Caller<'_>, request: &Parts) -> Self {
        let address = request.extensions.get::<ClientAddress>();
        match (caller.user(), address) {
            (Some(user), _) => Self::User(user.to_owned()),
            (None, Some(ClientAddress(address))) => Self::Address(address.ip()),
            (None, None) => Self::Unknown,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Sessions {
    open: Mutex<Open>,
    limit: usize,
    limit_per_owner: usize,
    expiry: Duration,
    /// Whether uploads are left to the backend between requests.
    is_shared: bool,
}

#[derive(Debug)]
struct Open {
    slots: HashMap<Key, Slot>,
    /// When it was last looked for what is idle.
    looked: Instant,
    /// When it was last looked for what earlier processes left; `None` if it never was.
    swept: Option<Instant>,
    /// Whether something lies here that nobody can come back to.
    has_abandoned: bool,
}

struct Slot {
    id: UploadId,
    owner: Owner,
    state: State,
    /// How many bytes have arrived, as far as is known here.
    offset: Option<u64>,
    /// When it was last used; `None` if nobody can come back to it.
    touched: Option<Instant>,
}

enum State {
    /// It is paused, and no request uses it.
    Held(Box<dyn Upload>),
    /// The backend has it.
    Left,
    /// A request is at it.
    InUse,
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
            touched: Some(Instant::now()),
        }
    }
}

impl Sessions {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            open: Mutex::new(Open {
                slots: HashMap::new(),
                looked: Instant::now(),
                swept: None,
                has_abandoned: false,
            }),
            limit: options.max_uploads,
            limit_per_owner: options.max_uploads_per_user,
            expiry: options.upload_expiry,
            is_shared: options.shared,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many uploads are open here.
    pub(crate) fn count(&self) -> usize {
        self.lock().slots.len()
    }

    /// Fails if no further upload may be opened for `owner`.
    fn check_room(&self, owner: &Owner) -> Result<(), Failure> {
        let open = self.lock();
        let message = if open.slots.len() >= self.limit {
            "too many uploads are open"
        } else if open
            .slots
            .values()
            .filter(|slot| slot.owner == *owner)
            .count()
            >= self.limit_per_owner
        {
            "too many of your uploads are open; finish or cancel some"
        } else {
            return Ok(());
        };
        let failure = Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::TooManyRequests,
            message,
        );
        Err(failure.with_header(RETRY_AFTER, HeaderValue::from_static("5")))
    }

    /// Starts an upload. Unless its id is told, it is over when the request is.
    pub(super) async fn start(
        self: &Arc<Self>,
        repository: &dyn Repository,
        owner: Owner,
    ) -> Result<Session, Failure> {
        self.check_room(&owner)?;
        let failed = |error: Error| Failure::of(&error, About::Upload);
        let upload = uploader(repository)?.start().await.map_err(failed)?;
        let id = upload.id().clone();
        let key = (repository.name().clone(), Token::of(&id)?);
        let slot = Slot::in_use(id.clone(), owner);
        self.lock().slots.insert(key.clone(), slot);
        let session = Session {
            sessions: Arc::clone(self),
            key,
            id,
            upload: Some(upload),
            is_known: false,
            is_whole: true,
            is_paused: false,
        };
        session.note_offset();
        Ok(session)
    }

    /// Takes an upload in hand, to the exclusion of all other requests.
    pub(super) async fn take(
        self: &Arc<Self>,
        repository: &dyn Repository,
        token: Token,
        owner: Owner,
    ) -> Result<Session, Failure> {
        let key = (repository.name().clone(), token);
        let (id, held) = match self.lock().slots.entry(key.clone()) {
            Entry::Vacant(slot) => {
                let id = key.1.as_id();
                slot.insert(Slot::in_use(id.clone(), owner));
                (id, None)
            }
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                match std::mem::replace(&mut slot.state, State::InUse) {
                    State::Held(upload) => (slot.id.clone(), Some(upload)),
                    State::Left => (slot.id.clone(), None),
                    State::InUse => {
                        let error = Error::new(
                            ErrorKind::Conflict,
                            "another request is writing to the upload",
                        );
                        return Err(Failure::of(&error, About::Upload));
                    }
                }
            }
        };
        let mut session = Session {
            sessions: Arc::clone(self),
            key,
            id,
            upload: held,
            is_known: true,
            is_whole: true,
            is_paused: false,
        };
        if session.upload.is_none() {
            session.resume(repository).await?;
        }
        Ok(session)
    }

    /// Whether a request is at an upload.
    pub(super) fn is_in_use(&self, name: &RepositoryName, token: &Token) -> bool {
        let key = (name.clone(), token.clone());
        let open = self.lock();
        let slot = open.slots.get(&key);
        slot.is_some_and(|slot| matches!(slot.state, State::InUse))
    }

    /// How many bytes of an upload have arrived, if that is known here, whether or not somebody is
    /// at it.
    pub(super) fn offset(&self, name: &RepositoryName, token: &Token) -> Option<u64> {
        let key = (name.clone(), token.clone());
        let open = self.lock();
        let slot = open.slots.get(&key)?;
        match slot.state {
            State::Held(_) | State::InUse => slot.offset,
            // The last request broke off, or another server has gone on.
            State::Left => None,
        }
    }

    /// Whether it is time to look for uploads that earlier processes left. Then it is not again for a while.
    pub(super) fn is_sweep_due(&self) -> bool {
        let now = Instant::now();
        let pause = (self.expiry / 4).min(SWEEP_PAUSE);
        let mut open = self.lock();
        let is_due = open
            .swept
            .is_none_or(|swept| now.saturating_duration_since(swept) >= pause);
        if is_due {
            open.swept = Some(now);
        }
        is_due
    }

    pub(super) fn expiry(&self) -> Duration {
        self.expiry
    }

    /// What has lain idle for too long; nothing if it was looked for a moment ago.
    pub(super) fn idle(&self) -> Vec<Key> {
        let now = Instant::now();
        let mut open = self.lock();
        let pause = (self.expiry / 10).min(PAUSE);
        let is_due = open.has_abandoned
            || open.slots.len() >= self.limit
            || now.saturating_duration_since(open.looked) >= pause;
        if !is_due {
            return Vec::new();
        }
        open.looked = now;
        open.has_abandoned = false;
        let idle = open
            .slots
            .iter()
            .filter(|(_, slot)| self.is_idle(slot, now));
        idle.map(|(key, _)| key.clone()).collect()
    }

    fn is_idle(&self, slot: &Slot, now: Instant) -> bool {
        !matches!(slot.state, State::InUse)
            && slot
                .touched
                .is_none_or(|touched| now.saturating_duration_since(touched) >= self.expiry)
    }

    /// Forgets an upload that has lain idle for too long, and answers it if it is to be cancelled: what
    /// may be in another server's hand is not.
    pub(super) fn take_expired(&self, key: Key) -> Option<Expired> {
        let mut open = self.lock();
        let slot = open.slots.get(&key)?;
        if !self.is_idle(slot, Instant::now()) {
            return None;
        }
        let slot = open.slots.remove(&key)?;
        if self.is_shared && slot.touched.is_some() {
            return None;
        }
        let (name, _) = key;
        let id = slot.id;
        let held = match slot.state {
            State::Held(upload) => Some(upload),
            State::Left | State::InUse => None,
        };
        Some(Expired { name, id, held })
    }
}

/// An upload that lay idle for too long.
pub(super) struct Expired {
    pub(super) name: RepositoryName,
    pub(super) id: UploadId,
    pub(super) held: Option<Box<dyn Upload>>,
}

fn uploader(repository: &dyn Repository) -> Result<Box<dyn tranship::BlobStore + '_>, Failure> {
    match repository.capabilities().uploads.is_possible() {
        true => Ok(repository.blobs()),
        false => Err(Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unsupported,
            "this registry takes no uploads",
        )),
    }
}

/// An upload in the hand of one request. Dropped, it waits for the next one.
pub(super) struct Session {
    sessions: Arc<Sessions>,
    key: Key,
    id: UploadId,
    upload: Option<Box<dyn Upload>>,
    /// Whether the client knows its id, and may come back.
    is_known: bool,
    /// Whether the last write ran to its end, so that the object knows how far it is.
    is_whole: bool,
    /// Whether the object is paused, and so holds nothing of the system.
    is_paused: bool,
}

impl Session {
    async fn resume(&mut self, repository: &dyn Repository) -> Result<(), Failure> {
        let upload = uploader(repository)?
            .resume(&self.id)
            .await
            .map_err(|error| Failure::of(&error, About::Upload))?;
        self.upload = Some(upload);
        self.note_offset();
        Ok(())
    }

    /// What the client is to be told, to come back.
    pub(super) fn tell(&mut self) -> &Token {
        self.is_known = true;
        &self.key.1
    }

    pub(super) fn offset(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.offset())
    }

    /// Appends `piece`.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        let Some(upload) = &mut self.upload else {
            return Err(ended());
        };
        (self.is_whole, self.is_paused) = (false, false);
        upload
            .write(upload.offset(), piece)
            .await
            .map_err(|error| Failure::of(&error, About::Upload))?;
        self.is_whole = true;
        self.note_offset();
        Ok(())
    }

    /// Gives back what the upload holds of the system. An upload that is dropped without it is resumed by its id.
    pub(super) async fn pause(&mut self) {
        if self.sessions.is_shared || !self.is_whole {
            return;
        }
        if let Some(upload) = &mut self.upload {
            match upload.pause().await {
                Ok(()) => self.is_paused = true,
                Err(error) => tracing::debug!(%error, "an upload was not paused"),
            }
        }
    }

    fn note_offset(&self) {
        let offset = self.offset();
        if let Some(slot) = self.sessions.lock().slots.get_mut(&self.key) {
            slot.offset = Some(offset);
        }
    }

    /// Makes what has arrived the blob `expected`. The upload is over then, however it ended.
    pub(super) async fn commit(mut self, expected: &Descriptor) -> Result<(), Failure> {
        self.take()?
            .commit(expected)
            .await
            .map_err(|error| Failure::of(&error, About::Upload))
    }

    /// Ends the upload, and drops what has arrived.
    pub(super) async fn cancel(mut self) -> Result<(), Failure> {
        self.take()?
            .cancel()
            .await
            .map_err(|error| Failure::of(&error, About::Upload))
    }

    fn take(&mut self) -> Result<Box<dyn Upload>, Failure> {
        self.upload.take().ok_or_else(ended)
    }
}

fn ended() -> Failure {
    let error = Error::new(ErrorKind::NotFound, "the upload has ended");
    Failure::of(&error, About::Upload)
}

impl Drop for Session {
    fn drop(&mut self) {
        let upload = self.upload.take();
        let mut open = self.sessions.lock();
        let Some(slot) = open.slots.get_mut(&self.key) else {
            return;
        };
        slot.touched = self.is_known.then(Instant::now);
        let left = match upload {
            Some(upload) if self.is_paused => {
                slot.state = State::Held(upload);
                None
            }
            Some(upload) => {
                slot.state = State::Left;
                Some(upload)
            }
            None => {
                open.slots.remove(&self.key);
                None
            }
        };
        open.has_abandoned |= !self.is_known;
        drop(open);
        drop(left);
    }
}
