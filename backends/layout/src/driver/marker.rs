//! `oci-layout` (image-spec, "oci-layout file"): which version of the format a layout has.

use serde::Deserialize;
use tranship::{Error, ErrorKind, Result};

/// What we write.
pub(super) const CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// More than any such file holds, in bytes.
pub(super) const MAX_SIZE: u64 = 64 * 1024;

/// The version that `content` says.
///
/// # Errors
/// `Corrupt` if it says none.
pub(super) fn version(content: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let marker: Marker = serde_json::from_slice(content).map_err(|error| {
        Error::new(
            ErrorKind::Corrupt,
            "does not say which version of the image layout this is",
        )
        .with_source(error)
    })?;
    Ok(marker.image_layout_version)
}
