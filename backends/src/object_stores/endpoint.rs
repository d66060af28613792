//! The endpoint of a store.

use tranship::{Error, ErrorKind, Result};

/// Refuses an endpoint that is reached in plain text, unless that is allowed.
pub(super) fn check_endpoint(
    endpoint: Option<String>,
    allowed: Option<String>,
    name: &str,
) -> Result<()> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_plain && allowed.is_none_or(|allowed| allowed != "true") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the endpoint of the store is plain HTTP, which anybody can read on the way",
        )
        .with_hint(format!("if that is meant, set {name}=true")));
    }
    Ok(())
}
