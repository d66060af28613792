//! What went wrong, for programs.

use std::fmt;

/// What went wrong, as something that a program can match on.
///
/// New kinds may be added, so a `match` needs a wildcard arm.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The content, tag, repository or upload does not exist.
    NotFound,
    /// The content does not hash to its digest.
    DigestMismatch,
    /// The content is shorter or longer than its descriptor says.
    SizeMismatch,
    /// A reference, registry, repository or tag breaks the grammar.
    InvalidReference,
    /// A digest breaks the grammar.
    InvalidDigest,
    /// A media type breaks the grammar.
    InvalidMediaType,
    /// A manifest, index or descriptor cannot be decoded.
    InvalidManifest,
    /// An argument or option makes no sense; the message says which.
    InvalidInput,
    /// What is stored is damaged: a torn index, a blob of the wrong size.
    Corrupt,
    /// The backend does not offer the operation, algorithm or form of content.
    Unsupported,
    /// The store was written by an unknown version of its format.
    UnsupportedVersion,
    /// Content is larger than a configured limit, in bytes.
    SizeExceedsLimit,
    /// A byte range, or an upload's offset, does not fit the content.
    RangeInvalid,
    /// A manifest was refused because something that it refers to is missing.
    ManifestBlobUnknown,
    /// Two writers met, and waiting did not help.
    Conflict,
    /// A quota, or the disk, is full.
    StorageFull,
    /// The file system or the store refuses access, or is read-only.
    PermissionDenied,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The credentials are good but do not allow the operation.
    Denied,
    /// The registry asks to slow down.
    RateLimited,
    /// Nothing happened for too long.
    Timeout,
    /// The other side cannot be reached, or failed on its own account.
    Unavailable,
    /// A read or write failed in a way that has no kind of its own.
    Io,
    /// The operation was stopped by a callback of the caller.
    Aborted,
}

impl ErrorKind {
    /// Two or three words for people, such as `not found`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::DigestMismatch => "digest mismatch",
            Self::SizeMismatch => "size mismatch",
            Self::InvalidReference => "invalid reference",
            Self::InvalidDigest => "invalid digest",
            Self::InvalidMediaType => "invalid media type",
            Self::InvalidManifest => "invalid manifest",
            Self::InvalidInput => "invalid input",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::UnsupportedVersion => "unsupported version",
            Self::SizeExceedsLimit => "size exceeds limit",
            Self::RangeInvalid => "range invalid",
            Self::ManifestBlobUnknown => "manifest refers to missing content",
            Self::Conflict => "conflict",
            Self::StorageFull => "storage full",
            Self::PermissionDenied => "permission denied",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::RateLimited => "rate limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Io => "input/output error",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
