//! Keeps a reserve of the pulls that a registry allows.
//!
//! Docker Hub states its limit in the responses to `GET` and `HEAD` of a manifest, and counts `GET` only. A repository whose
//! responses do not have the headers is not counted. A client that keeps a reserve counts what it has sent since the last
//! header, and asks with `HEAD` when the reserve is reached.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;
use tranship::{RegistryName, RepositoryName, Result};

use super::pull_limit_headers::status_of;
use crate::options::RateLimitHandler;
use crate::rate_limit::{RateLimitStatus, RateLimitWait};

/// The shortest time between two questions for the rest of the limit. It doubles with each.
const FIRST_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time between two questions.
const LONGEST_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The most repositories that are remembered as not counted.
const MOST_UNCOUNTED: usize = 4096;

/// What a `HEAD` of the manifest to fetch has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The response has been recorded.
    Recorded,
    /// Nothing about the limit, and asking again is not likely to change that.
    Nothing,
}

/// The point in the order of requests and responses at which a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Moment(u64);

pub(super) struct PullLimit {
    registry: RegistryName,
    reserve: Option<u64>,
    handler: Option<Arc<RateLimitHandler>>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    latest: Option<RateLimitStatus>,
    /// The number of requests and responses until now.
    now: Moment,
    /// When `latest` was received, in the order of requests and responses, and by the clock.
    latest_at: Moment,
    latest_seen: Option<Instant>,
    /// How many fetches are waiting for their response.
    in_flight: u64,
    /// How many fetches ended without a response since `latest`. The registry may have counted them.
    lost: u64,
    uncounted: HashSet<RepositoryName>,
    asking: Option<Asking>,
    /// The rest that the handler was last told of in this wait.
    told: Option<u64>,
}

/// When the registry is asked next.
struct Asking {
    next: Instant,
    interval: Duration,
}

/// What a fetch does next.
enum Turn {
    Go,
    Ask,
    SleepUntil(Instant),
    /// Until the response to another fetch arrives.
    WaitForResponse,
}

/// A fetch in progress. Dropping it without [`Pull::finish`] means that it is not known whether the registry counted it.
pub(super) struct Pull<'a> {
    limit: &'a PullLimit,
    is_finished: bool,
}

impl PullLimit {
    pub(super) fn new(
        registry: RegistryName,
        reserve: Option<u64>,
        handler: Option<Arc<RateLimitHandler>>,
    ) -> Self {
        Self {
            registry,
            reserve,
            handler,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(super) fn status(&self) -> Option<RateLimitStatus> {
        self.state().latest.clone()
    }

    /// Returns whether there is a reserve, and no more is left.
    pub(super) fn is_reached(&self) -> bool {
        let latest = self.status().map(|status| status.remaining);
        self.reserve
            .zip(latest)
            .is_some_and(|(reserve, left)| left <= reserve)
    }

    /// Returns the moment at which a request is sent.
    pub(super) fn sent(&self) -> Moment {
        self.state().tick()
    }

    /// Records what the registry states in a response to a `GET` or `HEAD` of a manifest in `repository` that was `sent` at that moment.
    pub(super) fn record(
        &self,
        response: &reqwest::Response,
        repository: Option<RepositoryName>,
        sent: Moment,
    ) {
        let status = status_of(response.headers(), SystemTime::now());
        let is_success = response.status().is_success();
        {
            let mut state = self.state();
            let now = state.tick();
            match status {
                Some(status) => {
                    if let Some(repository) = &repository {
                        state.uncounted.remove(repository);
                    }
                    // Responses may arrive in another order than they were counted in.
                    let is_newer = sent >= state.latest_at;
                    let is_less = |latest: &RateLimitStatus| status.remaining < latest.remaining;
                    if is_newer || state.latest.as_ref().is_none_or(is_less) {
                        state.latest = Some(status);
                        state.latest_at = now;
                        state.latest_seen = Some(Instant::now());
                        state.lost = 0;
                    }
                }
                None => {
                    if let Some(repository) = repository
                        && is_success
                        && state.latest.is_some()
                        && state.uncounted.len() < MOST_UNCOUNTED
                    {
                        state.uncounted.insert(repository);
                    }
                }
            }
        }
        self.changed.notify_waiters();
    }

    /// Waits until a manifest of `repository` may be fetched without touching the reserve. `ask` sends a `HEAD` of the
    /// manifest, and records its response. Cancel safe.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) async fn admit<'a>(
        &self,
        repository: Option<&RepositoryName>,
        ask: impl Fn() -> BoxFuture<'a, Result<Asked>>,
    ) -> Result<Pull<'_>> {
        let mut is_forced = false;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // A change between the look at the state and the wait is not missed.
            changed.as_mut().enable();
            let (turn, wait) = self.turn(repository, is_forced);
            if let Some(wait) = wait {
                tracing::info!("{wait}");
                if let Some(handler) = &self.handler {
                    handler(&wait);
                }
            }
            match turn {
                Turn::Go => {
                    return Ok(Pull {
                        limit: self,
                        is_finished: false,
                    });
                }
                Turn::Ask => is_forced = ask().await? == Asked::Nothing,
                Turn::SleepUntil(next) => {
                    let _ = tokio::time::timeout_at(next, changed).await;
                }
                Turn::WaitForResponse => changed.await,
            }
        }
    }

    /// Decides what a fetch does next, and counts it if it goes. Returns also what to tell the handler.
    fn turn(
        &self,
        repository: Option<&RepositoryName>,
        is_forced: bool,
    ) -> (Turn, Option<RateLimitWait>) {
        let mut state = self.state();
        let is_uncounted = repository.is_some_and(|name| state.uncounted.contains(name));
        let (Some(reserve), Some(latest)) = (self.reserve, state.latest.clone()) else {
            state.in_flight += 1;
            return (Turn::Go, None);
        };
        let left = latest.remaining.saturating_sub(state.lost);
        if left > reserve {
            state.asking = None;
            state.told = None;
        }
        if is_forced || is_uncounted || left.saturating_sub(state.in_flight) > reserve {
            state.in_flight += 1;
            return (Turn::Go, None);
        }
        if left > reserve {
            return (Turn::WaitForResponse, None);
        }
        let now = Instant::now();
        let seen = state.latest_seen.unwrap_or(now);
        let asking = state.asking.get_or_insert_with(|| Asking {
            next: seen + FIRST_INTERVAL,
            interval: FIRST_INTERVAL,
        });
        let turn = if now < asking.next {
            Turn::SleepUntil(asking.next)
        } else {
            asking.interval = (asking.interval * 2).min(LONGEST_INTERVAL);
            asking.next = now + asking.interval;
            Turn::Ask
        };
        let is_told = state.told.replace(latest.remaining) == Some(latest.remaining);
        let wait = (!is_told).then(|| RateLimitWait {
            registry: self.registry.clone(),
            status: latest,
            reserve,
        });
        (turn, wait)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> Moment {
        self.now.0 += 1;
        self.now
    }
}

impl Pull<'_> {
    /// Ends the fetch after its response was recorded.
    pub(super) fn finish(mut self) {
        self.is_finished = true;
    }
}

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.limit.state();
            state.in_flight = state.in_flight.saturating_sub(1);
            if !self.is_finished {
                state.lost = state.lost.saturating_add(1);
            }
        }
        self.limit.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    type Told = Arc<Mutex<Vec<String>>>;

    fn limit(reserve: Option<u64>) -> (PullLimit, Told) {
        let told = Told::default();
        let kept = Arc::clone(&told);
        let handler = move |wait: &RateLimitWait| {
            kept.lock().expect("no panic").push(wait.status.to_string());
        };
        let registry = "docker.io".parse().expect("a name");
        let limit = PullLimit::new(registry, reserve, Some(Arc::new(handler)));
        (limit, told)
    }

    fn name(name: &str) -> RepositoryName {
        name.parse().expect("a name")
    }

    fn response(remaining: Option<u64>) -> reqwest::Response {
        let mut response = http::Response::new("");
        if let Some(remaining) = remaining {
            let remaining = remaining.to_string().parse().expect("a value");
            let headers = response.headers_mut();
            headers.insert("ratelimit-remaining", remaining);
            headers.insert("ratelimit-limit", "100;w=21600".parse().expect("a value"));
        }
        response.into()
    }

    impl PullLimit {
        /// Records a response to a request that was sent just before.
        fn responds(&self, repository: &str, remaining: Option<u64>) {
            let sent = self.sent();
            self.record(&response(remaining), Some(name(repository)), sent);
        }

        /// Admits a fetch that does not have to ask, and `None` if it has to wait.
        fn admit_now(&self, repository: &str) -> Option<Pull<'_>> {
            let name = name(repository);
            let pull = self.admit(Some(&name), || unreachable!("asked"));
            pull.now_or_never()?.ok()
        }
    }

    #[tokio::test]
    async fn without_headers_or_a_reserve_no_fetch_waits() {
        let (with_reserve, _) = limit(Some(10));
        for _ in 0..100 {
            assert!(with_reserve.admit_now("app").is_some());
        }
        let (without, told) = limit(None);
        without.responds("app", Some(0));
        assert!(without.admit_now("app").is_some());
        assert!(told.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn fetches_at_the_same_time_do_not_use_the_reserve() {
        let (limit, told) = limit(Some(10));
        limit.responds("app", Some(13));
        let pulls: Vec<_> = (0..5).filter_map(|_| limit.admit_now("app")).collect();
        assert_eq!(pulls.len(), 3);
        assert!(
            told.lock().expect("no panic").is_empty(),
            "it is not a wait yet"
        );
        for (left, pull) in (10..13).rev().zip(pulls) {
            limit.responds("app", Some(left));
            pull.finish();
        }
        assert!(limit.admit_now("app").is_none());
        assert!(limit.admit_now("app").is_none());
        assert_eq!(*told.lock().expect("no panic"), ["10 of 100 left"]);
    }

    #[tokio::test]
    async fn a_fetch_without_a_response_counts_until_the_next_header() {
        let (limit, _) = limit(Some(10));
        limit.responds("app", Some(11));
        drop(limit.admit_now("app"));
        assert!(limit.admit_now("app").is_none());
        limit.responds("app", Some(11));
        assert!(limit.admit_now("app").is_some());
    }

    #[tokio::test]
    async fn a_late_response_does_not_raise_the_rest() {
        let (limit, _) = limit(Some(10));
        limit.responds("app", Some(50));
        let first = limit.sent();
        limit.responds("app", Some(20));
        limit.record(&response(Some(21)), Some(name("app")), first);
        assert_eq!(limit.status().expect("a limit").remaining, 20);
        limit.record(&response(Some(19)), Some(name("app")), first);
        assert_eq!(limit.status().expect("a limit").remaining, 19);
        limit.responds("app", Some(60));
        assert_eq!(limit.status().expect("a limit").remaining, 60);
    }

    #[tokio::test]
    async fn a_repository_without_headers_is_not_counted() {
        let (limit, _) = limit(Some(10));
        limit.responds("app", Some(1));
        limit.responds("free", None);
        assert!(limit.admit_now("free").is_some());
        assert!(limit.admit_now("app").is_none());
        limit.responds("free", Some(1));
        assert!(limit.admit_now("free").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_registry_is_asked_at_growing_intervals_until_the_rest_grows() {
        let (limit, told) = limit(Some(10));
        limit.responds("app", Some(3));
        let began = Instant::now();
        let asked = Mutex::new(Vec::new());
        let rests = [3, 4, 4, 4, 4, 4, 4, 11];
        let name = name("app");
        let ask = || {
            let limit = &limit;
            let mut asked = asked.lock().expect("no panic");
            limit.responds("app", Some(rests[asked.len()]));
            asked.push(began.elapsed().as_secs() / 60);
            async { Ok(Asked::Recorded) }.boxed()
        };
        let pull = limit.admit(Some(&name), ask).await.expect("admitted");
        assert_eq!(
            *asked.lock().expect("no panic"),
            [1, 3, 7, 15, 30, 45, 60, 75]
        );
        let told = told.lock().expect("no panic");
        assert_eq!(*told, ["3 of 100 left", "4 of 100 left"]);
        pull.finish();
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_many_fetches_asks() {
        let (limit, told) = limit(Some(10));
        limit.responds("app", Some(0));
        let asked = Mutex::new(0);
        let name = name("app");
        let ask = || {
            *asked.lock().expect("no panic") += 1;
            limit.responds("app", Some(100));
            async { Ok(Asked::Recorded) }.boxed()
        };
        let fetches = (0..20).map(|_| limit.admit(Some(&name), ask));
        let pulls = futures_util::future::join_all(fetches).await;
        assert_eq!(pulls.len(), 20);
        assert_eq!(*asked.lock().expect("no panic"), 1);
        assert_eq!(told.lock().expect("no panic").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_goes_if_asking_shows_nothing() {
        let (limit, _) = limit(Some(10));
        limit.responds("app", Some(0));
        let name = name("app");
        let ask = || async { Ok(Asked::Nothing) }.boxed();
        limit
            .admit(Some(&name), ask)
            .await
            .expect("admitted")
            .finish();
    }

    #[tokio::test(start_paused = true)]
    async fn another_fetch_asks_after_the_one_that_would_was_dropped() {
        let (limit, _) = limit(Some(10));
        limit.responds("app", Some(0));
        let name = name("app");
        let never = limit.admit(Some(&name), || std::future::pending().boxed());
        let dropped = tokio::time::timeout(FIRST_INTERVAL * 2, never).await;
        assert!(dropped.is_err());
        let ask = || {
            limit.responds("app", Some(100));
            async { Ok(Asked::Recorded) }.boxed()
        };
        limit
            .admit(Some(&name), ask)
            .await
            .expect("admitted")
            .finish();
    }
}
