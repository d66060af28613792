//! Hosts that the registry refers to: the targets of its redirects, and its token server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::origin::Origin;

/// How many hosts are remembered.
const REMEMBERED: usize = 100;

/// A host that has not responded to any request while a caller waited for so long, and gave up, may be down.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells failures of other hosts from those of the registry, and makes requests to a host that could not be reached fail
/// at once for some time.
pub(crate) struct OtherHosts {
    origin: Origin,
    pause: Duration,
    known: Mutex<HashMap<String, State>>,
}

/// What was found out about a host last, and when.
enum State {
    Responded(Instant),
    Failed(Instant, ErrorKind),
}

impl OtherHosts {
    pub(super) fn new(origin: Origin, pause: Duration) -> Self {
        Self {
            origin,
            pause,
            known: Mutex::default(),
        }
    }

    /// Returns the host of `url`, with its port, unless it is the registry.
    pub(super) fn name(&self, url: &Url) -> Option<String> {
        if self.origin.has(url) {
            return None;
        }
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// Adds the host of `url` to the error of a request to it, unless it is the registry.
    pub(super) fn attribute(&self, error: Error, url: &Url) -> Error {
        match self.name(url) {
            Some(host) => error.with_other_host(host),
            None => error,
        }
    }

    /// # Errors
    /// If the host of `url` could not be reached a moment ago. The error says when to try again.
    pub(super) fn check(&self, url: &Url) -> Result<()> {
        let Some(host) = self.name(url) else {
            return Ok(());
        };
        let (left, kind) = match self.lock().get(&host) {
            Some(State::Failed(at, kind)) => (self.pause.saturating_sub(at.elapsed()), *kind),
            _ => return Ok(()),
        };
        if left.is_zero() {
            return Ok(());
        }
        let message = "the host could not be reached, and is not tried again yet";
        Err(Error::new(kind, message)
            .with_other_host(host)
            .with_retry_after(left))
    }

    /// Remembers the host that the final error of a request is about, if it could not be reached.
    pub(super) fn failed(&self, error: &Error) {
        let is_of_network = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
        // An error with a time is one of `check`.
        let is_new = error.is_retryable() && error.retry_after().is_none();
        let Some(host) = error.other_host().filter(|_| is_of_network && is_new) else {
            return;
        };
        self.note(host.to_owned(), State::Failed(Instant::now(), error.kind()));
    }

    /// Waits for the response to a request to `url`. A host that the caller has waited for in vain is remembered too: a
    /// connection that is not refused takes longer to fail than callers wait.
    pub(super) async fn wait<T, E>(
        &self,
        url: &Url,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut waiting = Waiting {
            hosts: self,
            host: self.name(url),
            begun: Instant::now(),
        };
        let sent = sending.await;
        // A failure that took long is noted like a caller that has given up.
        if sent.is_ok()
            && let Some(host) = waiting.host.take()
        {
            self.note(host, State::Responded(Instant::now()));
        }
        sent
    }

    fn note(&self, host: String, state: State) {
        if self.pause.is_zero() {
            return;
        }
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, (State::Responded(at) | State::Failed(at, _))| {
                at.elapsed() < self.pause
            });
        }
        if known.len() < REMEMBERED {
            known.insert(host, state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has no response yet.
struct Waiting<'a> {
    hosts: &'a OtherHosts,
    /// `None` for the registry, and after the response.
    host: Option<String>,
    begun: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(host) = self.host.take() else { return };
        let has_responded = matches!(
            self.hosts.lock().get(&host), Some(State::Responded(at)) if *at >= self.begun
        );
        if self.begun.elapsed() >= PATIENCE && !has_responded {
            let failed = State::Failed(Instant::now(), ErrorKind::Timeout);
            self.hosts.note(host, failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RemoteOptions;

    const PAUSE: Duration = Duration::from_secs(30);

    fn hosts() -> OtherHosts {
        let registry = "registry.example".parse().expect("a registry");
        let origin = Origin::new(&registry, &RemoteOptions::default());
        OtherHosts::new(origin.expect("an origin"), PAUSE)
    }

    fn url(host: &str) -> Url {
        format!("https://{host}/x").parse().expect("a URL")
    }

    /// Waits for `time` for a response that does not come.
    async fn give_up_after(hosts: &OtherHosts, host: &str, time: Duration) {
        let url = url(host);
        let sending = std::future::pending::<Result<()>>();
        let waiting = hosts.wait(&url, sending);
        tokio::time::timeout(time, waiting).await.expect_err("late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_was_waited_for_in_vain_is_left_alone_for_a_while() {
        let hosts = hosts();
        give_up_after(&hosts, "storage.example", PATIENCE).await;
        let error = hosts.check(&url("storage.example")).expect_err("down");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.retry_after(), Some(PAUSE));
        hosts.check(&url("other.example")).expect("not tried yet");
        tokio::time::advance(PAUSE).await;
        hosts.check(&url("storage.example")).expect("tried again");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_with_little_patience_do_not_say_anything() {
        let hosts = hosts();
        give_up_after(&hosts, "storage.example", PATIENCE / 2).await;
        hosts.check(&url("storage.example")).expect("not known");
        // The registry itself is not left alone here.
        give_up_after(&hosts, "registry.example", PATIENCE).await;
        hosts.check(&url("registry.example")).expect("the registry");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_responds_to_others_is_not_left_alone() {
        let hosts = hosts();
        let responds = async {
            tokio::time::sleep(PATIENCE / 2).await;
            let response = std::future::ready(Ok::<_, Error>(()));
            hosts.wait(&url("storage.example"), response).await
        };
        let gives_up = give_up_after(&hosts, "storage.example", PATIENCE);
        let ((), response) = tokio::join!(gives_up, responds);
        response.expect("responded");
        hosts.check(&url("storage.example")).expect("it responds");
    }
}
