//! The wrapper: what a request goes through on its way to the server, and its answer on the way back.

use std::collections::HashSet;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service;

use super::asked::Asked;
use super::body::QuirkyBody;
use super::quirk::Quirk;
use super::tokens::Tokens;
use super::{BoxError, answers, listings, requests};

/// The user that is let in by quirks that ask for credentials.
pub const USER: &str = "quirky";

/// The password of [`USER`].
pub const PASSWORD: &str = "hunter2";

/// A registry that misbehaves: a service around the one of a server that does not.
///
/// It goes wherever the server's own service would. Clones share what quirks remember, such as which
/// tokens were given.
#[derive(Clone)]
pub struct Quirky<S> {
    service: S,
    quirks: Arc<Quirks>,
}

/// The quirks that are switched on, and what they remember.
pub(crate) struct Quirks {
    on: HashSet<Quirk>,
    pub(crate) tokens: Tokens,
    requests: AtomicU64,
    /// Uploads that got a chunk that was too small.
    small_chunks: Mutex<HashSet<String>>,
    /// The paths of tags that were set.
    tags: Mutex<HashSet<String>>,
}

impl Quirks {
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.on.contains(&quirk)
    }

    /// The number of requests so far, this one excluded.
    pub(crate) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that the tag at `path` is set, or that it is not.
    pub(crate) fn note_tag(&self, path: &str, is_set: bool) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match is_set {
            true => tags.insert(path.to_owned()),
            false => tags.remove(path),
        };
    }

    /// Whether the tag at `path` was set.
    pub(crate) fn has_tag(&self, path: &str) -> bool {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.contains(path)
    }

    /// Whether the upload `id` has got a small chunk before; from now on it has, if this one `is_small`.
    pub(crate) fn small_chunk(&self, id: &str, is_small: bool) -> bool {
        let mut ids = self
            .small_chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match is_small {
            true => !ids.insert(id.to_owned()),
            false => ids.contains(id),
        }
    }
}

impl<S> Quirky<S> {
    /// `service` with `quirks`. Some do not go together, such as two about what has no referrers.
    pub fn new(service: S, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        Self {
            service,
            quirks: Arc::new(Quirks {
                on: quirks.into_iter().collect(),
                tokens: Tokens::default(),
                requests: AtomicU64::new(0),
                small_chunks: Mutex::default(),
                tags: Mutex::default(),
            }),
        }
    }
}

impl<S, B, R> Service<Request<B>> for Quirky<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send> + Send + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<QuirkyBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.service.clone();
        // The one that is ready is the one to be called.
        let mut service = std::mem::replace(&mut self.service, next);
        let quirks = Arc::clone(&self.quirks);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let mut asked = Asked::of(&parts);
            if let Some(refusal) = requests::instead(&quirks, &mut asked, &mut parts) {
                drain(body).await;
                return Ok(answers::finish(
                    &quirks,
                    &asked,
                    refusal.map(QuirkyBody::whole),
                ));
            }
            let answer = service.call(Request::from_parts(parts, body)).await?;
            let answer = answer.map(QuirkyBody::streamed);
            let answer = match listings::rewrite(&quirks, &asked, answer).await {
                Ok(answer) => answer,
                Err(_) => broken(),
            };
            Ok(answers::finish(&quirks, &asked, answer))
        })
    }
}

/// Reads what nobody wants, so that a client that sends first and reads then gets to read.
async fn drain<B: Body>(body: B) {
    let mut body = pin!(body);
    while let Some(Ok(_)) = body.frame().await {}
}

fn broken<R>() -> Response<QuirkyBody<R>> {
    let mut answer = Response::new(QuirkyBody::whole(Bytes::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}

impl<S> fmt::Debug for Quirky<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quirks: Vec<_> = self.quirks.on.iter().collect();
        quirks.sort();
        f.debug_struct("Quirky")
            .field("quirks", &quirks)
            .finish_non_exhaustive()
    }
}
