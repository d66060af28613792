//! Random numbers from the system.

use tranship::{Error, ErrorKind, Result};

/// Returns random bytes that cannot be guessed.
///
/// # Errors
/// [`Io`](ErrorKind::Io) if the system has none.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "the system has no random numbers").with_source(error.to_string())
    })?;
    Ok(bytes)
}

/// Returns an id of 32 hexadecimal digits that cannot be guessed.
///
/// # Errors
/// [`Io`](ErrorKind::Io) if the system has no random numbers.
pub(crate) fn random_id() -> Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random_bytes()?)))
}
