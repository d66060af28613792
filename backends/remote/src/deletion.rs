//! The responses to deletions.

use http::StatusCode;
use tranship::{Error, Result};

use crate::capabilities::LearnedCapability;
use crate::transport::Response;

/// Returns the outcome of a deletion, and learns whether the registry allows deletions.
pub(crate) async fn finish(response: Response, capability: &LearnedCapability) -> Result<()> {
    match response.status() {
        StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => {
            capability.learn(true);
            Ok(())
        }
        // The previous attempt was carried out, and its response was lost.
        StatusCode::NOT_FOUND if response.may_be_repeated => Ok(()),
        StatusCode::NOT_FOUND => Err(response.into_error().await),
        _ => {
            let error = response.into_error().await;
            if error.is_unsupported() {
                capability.learn(false);
                return Err(unsupported(error));
            }
            Err(error)
        }
    }
}

fn unsupported(error: Error) -> Error {
    error.with_hint("many registries delete only if they are configured to")
}
