//! Redirects of blobs to the object store.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use tranship::{ContentKind, Descriptor, DirectUrl, Repository};

use crate::options::RedirectOptions;
use crate::response::{DOCKER_CONTENT_DIGEST, empty, value};
use crate::response_body::ResponseBody;

/// How long signing a URL may take. Mostly it is a computation, and sometimes credentials have to be fetched first.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long no URL is asked for after a failure.
const PAUSE: Duration = Duration::from_secs(30);

/// Redirects GETs of blobs to URLs of the backend.
#[derive(Debug)]
pub(crate) struct Redirects {
    options: Option<RedirectOptions>,
    failed: Mutex<Option<Instant>>,
}

impl Redirects {
    pub(crate) fn new(options: Option<RedirectOptions>) -> Self {
        Self {
            options,
            failed: Mutex::default(),
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.options.is_some()
    }

    /// Returns the redirect to `blob`, which exists. `None` if the blob is to be sent from here: it is small, the
    /// backend does not have a URL for it, or that failed, since a client is better served slowly than not at all.
    pub(crate) async fn to_blob(
        &self,
        repository: &dyn Repository,
        blob: &Descriptor,
    ) -> Option<Response<ResponseBody>> {
        let options = self.options.as_ref()?;
        if blob.size() < options.min_size || self.is_paused() {
            return None;
        }
        let signing = repository.direct_url(ContentKind::Blob, blob, options.valid_for);
        let url = match tokio::time::timeout(TIMEOUT, signing).await {
            Ok(Ok(url)) => url?,
            Ok(Err(error)) => {
                self.pause();
                tracing::warn!(%error, "blobs are not redirected for a while");
                return None;
            }
            Err(_) => {
                self.pause();
                tracing::warn!(
                    "blobs are not redirected for a while: signing a URL takes too long"
                );
                return None;
            }
        };
        let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
        let headers = response.headers_mut();
        headers.insert(LOCATION, location(&url)?);
        // The next client needs a URL that is valid for longer.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(DOCKER_CONTENT_DIGEST, value(blob.digest().to_string()));
        Some(response)
    }

    fn is_paused(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < PAUSE)
    }

    fn pause(&self) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some(Instant::now());
    }
}

/// Returns the header with a URL, which is secret; `None` if it is not one of HTTP.
fn location(url: &DirectUrl) -> Option<HeaderValue> {
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| url.as_str().starts_with(scheme));
    let mut location = HeaderValue::from_str(url.as_str()).ok()?;
    location.set_sensitive(true);
    is_http.then_some(location)
}
