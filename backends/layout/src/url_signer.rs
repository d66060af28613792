//! Signs URLs of the objects of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::signer::{Method, Signer};

/// Signs URLs by which clients read blobs from an object store directly: [`LayoutOptions::signer`] has it.
///
/// [`LayoutOptions::signer`]: crate::LayoutOptions::signer
#[derive(Clone)]
pub struct UrlSigner(Arc<dyn Signer>);

impl UrlSigner {
    /// Returns a signer of the same objects as the store of the layout. It may be for another endpoint, if clients
    /// reach the store by another host name than this process.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>) -> Self {
        Self(signer)
    }

    /// Signs a URL for a GET of the object `key`.
    pub(crate) async fn sign(
        &self,
        key: &Path,
        valid_for: Duration,
    ) -> object_store::Result<String> {
        let url = self.0.signed_url(Method::GET, key, valid_for).await?;
        Ok(url.into())
    }
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The `Debug` text of a store may have its credentials.
        f.write_str("UrlSigner(..)")
    }
}

/// Two signers are equal if they are clones of each other.
impl PartialEq for UrlSigner {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for UrlSigner {}
