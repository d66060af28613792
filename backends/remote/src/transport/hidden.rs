//! Registries that hide content from users who are not logged in, and do not ask for a login.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tokio::sync::OnceCell;

use super::failure::SendError;
use crate::auth::{Authenticator, MetChallenge, Scopes};

/// The challenge of a registry that returns 404 or 403 to a request without credentials and asks for credentials at `/v2/`
/// only, which crane and skopeo request first.
#[derive(Default)]
pub(super) struct HiddenChallenge {
    /// The headers of the response to `/v2/`, if that is a 401.
    headers: OnceCell<Option<HeaderMap>>,
    /// Whether the registry has refused the credentials.
    is_refused: AtomicBool,
}

impl HiddenChallenge {
    /// Returns the challenge for a request with `scopes`. `ping` requests `/v2/`, and is awaited once for each registry.
    /// Returns `None` if the registry does not ask for credentials, or has refused them, or there are none.
    pub(super) async fn challenge(
        &self,
        authenticator: &Authenticator,
        scopes: &Scopes,
        ping: impl AsyncFnOnce() -> Result<Option<HeaderMap>, SendError>,
    ) -> Option<MetChallenge> {
        if self.is_refused.load(Ordering::Acquire) || !authenticator.has_credentials(scopes).await {
            return None;
        }
        let headers = self.headers.get_or_try_init(|| Box::pin(ping())).await;
        let headers = headers.ok()?.as_ref()?;
        authenticator.challenge(headers, scopes, None, false)
    }

    /// Stops returning a challenge. Without credentials the registry may show something.
    pub(super) fn refuse_credentials(&self) {
        self.is_refused.store(true, Ordering::Release);
    }
}
