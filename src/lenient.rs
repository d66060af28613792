//! JSON that other programs write: read by what it means, where it is not what the spec says.

use serde::{Deserialize, Deserializer};

/// `null` as an empty list or map: what Go writes for an empty slice.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
