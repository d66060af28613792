//! A store that is open, and what signs its URLs.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::signer::Signer;
use tranship::Result;

use super::endpoint::check_endpoint;

/// A store, and what signs the URLs of its objects, if it can.
#[derive(Debug)]
pub(crate) struct BuiltStore {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
}

/// How the URLs of a store are signed.
pub(super) struct Signing<'a> {
    /// The endpoint by which clients reach the store; `None` if it is that of the store.
    pub(super) endpoint: Option<&'a str>,
    /// The value of the setting `skip_signature`. A store that skips signatures has no credentials to sign with.
    pub(super) skipped: Option<String>,
    /// The name and the value of the setting that allows plain HTTP.
    pub(super) allow_http: (&'static str, Option<String>),
}

impl BuiltStore {
    /// Builds the store. For another endpoint, `with_endpoint` returns the builder of a second one, which only signs.
    pub(super) fn build<B: Clone, S: ObjectStore + Signer>(
        builder: B,
        signing: Signing<'_>,
        with_endpoint: impl FnOnce(B, &str) -> B,
        build: impl Fn(B) -> Result<S>,
    ) -> Result<Self> {
        let public = match signing.endpoint {
            Some(endpoint) => {
                let (name, allowed) = signing.allow_http;
                check_endpoint(Some(endpoint.to_owned()), allowed, name)?;
                Some(build(with_endpoint(builder.clone(), endpoint))?)
            }
            None => None,
        };
        let store = Arc::new(build(builder)?);
        let signer: Option<Arc<dyn Signer>> = match public {
            _ if signing.skipped.is_some_and(|skipped| skipped == "true") => None,
            Some(public) => Some(Arc::new(public)),
            None => Some(Arc::clone(&store) as Arc<dyn Signer>),
        };
        Ok(Self { store, signer })
    }
}
