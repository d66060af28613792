//! Reads [rules](crate::rules) from files: the native format, those of skopeo and regsync, and plain lists of images.
//!
//! `docs/mirror.md` describes the formats, and where the meaning of a foreign file differs from that of its own tool.
//!
//! ```
//! use tranship_mirror::file::{FileFormat, read};
//!
//! let content = "
//! defaults: {to: registry.internal/mirror}
//! images:
//!   - from: docker.io/library/alpine
//!     semver: '>=3.18 <4'
//!     latest: 5
//!   - quay.io/prometheus/node-exporter:v1.8.2
//! ";
//! assert_eq!(FileFormat::detect("mirror.yaml", content), FileFormat::Native);
//! let rules = read(content, "mirror.yaml", None, None)?;
//! assert_eq!(rules.rules.len(), 2);
//!
//! let error = read("images: [{from: alpine, tagz: x}]", "mirror.yaml", None, None).unwrap_err();
//! assert!(error.to_string().starts_with("mirror.yaml:1:25: unknown field \"tagz\""));
//! # Ok::<(), tranship::Error>(())
//! ```

mod constraint;
mod document;
mod format;
mod list;
mod native;
mod notes;
mod regex;
mod regsync;
mod skopeo;
mod yaml;

#[cfg(test)]
mod tests;

use tranship::{Error, ErrorKind, Result};

use crate::rules::{Destination, Rules};
use document::Document;

pub use format::FileFormat;

/// The largest file that is read, in bytes. A list of 20,000 images is about 2 MiB.
pub const MAX_FILE_SIZE: usize = 4 * 1024 * 1024;

/// The JSON schema of the native format, for editors.
pub const SCHEMA: &str = include_str!("../../schema/mirror.schema.json");

/// Reads rules from the content of a file.
///
/// `name` is the name of the file, for errors and notes. Without a `format`, it is [detected](FileFormat::detect).
///
/// `destination` is where images are copied to if the file does not say that: every image of a skopeo file or a list, and
/// the images of a native file for which neither the entry nor `defaults` has `to`. A regsync file always says it. Without
/// either, a rule does not have a destination, as for a bundle.
///
/// Settings that have no effect, keys of foreign formats that are not known, and credentials, which are never read from a
/// file, become [notes](Rules::notes).
///
/// # Errors
/// - [`ErrorKind::SizeExceedsLimit`] if `content` is larger than [`MAX_FILE_SIZE`].
/// - [`ErrorKind::InvalidInput`] if the file is malformed, or has a setting that cannot be followed. The subject is the name
///   of the file, with the line and the column, both counted from 1.
pub fn read(
    content: &str,
    name: &str,
    format: Option<FileFormat>,
    destination: Option<&Destination>,
) -> Result<Rules> {
    if content.len() > MAX_FILE_SIZE {
        let error = Error::new(ErrorKind::SizeExceedsLimit, "the file is larger than 4 MiB");
        return Err(error.with_subject(name));
    }
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let document = Document { name };
    match format.unwrap_or_else(|| FileFormat::detect(name, content)) {
        FileFormat::Native => native::read(document, content, destination),
        FileFormat::SkopeoSync => skopeo::read(document, content, destination),
        FileFormat::Regsync => regsync::read(document, content),
        FileFormat::List => list::read(document, content, destination),
    }
}
