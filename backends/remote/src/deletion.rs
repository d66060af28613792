//! What the answer to a deletion means.

use http::StatusCode;
use tranship::{Error, Result};

use crate::handle::Fact;
use crate::transport::Answer;

/// Ends a deletion, and learns whether the registry deletes at all.
pub(crate) async fn settle(answer: Answer, fact: &Fact) -> Result<()> {
    match answer.status() {
        StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => {
            fact.learn(true);
            Ok(())
        }
        // The try before was carried out, and its answer got lost.
        StatusCode::NOT_FOUND if answer.may_be_repeated => Ok(()),
        StatusCode::NOT_FOUND => Err(answer.into_error().await),
        _ => {
            let error = answer.into_error().await;
            if error.is_unsupported() {
                fact.learn(false);
                return Err(unsupported(error));
            }
            Err(error)
        }
    }
}

fn unsupported(error: Error) -> Error {
    error.with_hint("many registries delete only if they are configured to")
}
