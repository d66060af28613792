//! The endpoint of a store.

use tranship::{Error, ErrorKind, Result};

/// Checks that the endpoint uses TLS, unless the setting `name` allows plain HTTP.
pub(super) fn check_endpoint(
    endpoint: Option<String>,
    allowed: Option<String>,
    name: &str,
) -> Result<()> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_plain && allowed.is_none_or(|allowed| allowed != "true") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the endpoint of the store uses plain HTTP, which is not encrypted",
        )
        .with_hint(format!("to allow that, set {name}=true")));
    }
    Ok(())
}
