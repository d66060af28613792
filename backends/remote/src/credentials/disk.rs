//! Reading and changing a file of credentials. All of this blocks.

use std::path::Path;

use tranship::{Result, private_file};

use super::document::Document;

/// Returns the content of the file at `path`, and `None` if it does not exist.
///
/// # Errors
/// If it cannot be read or decoded.
pub(crate) fn read(path: &Path) -> Result<Option<Document>> {
    let bytes = private_file::read(path)?;
    bytes.map(|bytes| Document::parse(&bytes)).transpose()
}

/// Changes the file at `path`, see [`private_file::change`]. It is not written if `change` returns `false`.
///
/// # Errors
/// If it cannot be read, decoded or written. It is not changed in that case.
pub(crate) fn change(
    path: &Path,
    change: impl FnOnce(&mut Document) -> Result<bool>,
) -> Result<bool> {
    private_file::change(path, |bytes| {
        let mut document = match bytes {
            Some(bytes) => Document::parse(&bytes)?,
            None => Document::default(),
        };
        if change(&mut document)? {
            document.encode().map(Some)
        } else {
            Ok(None)
        }
    })
}
