//! What a backend can do, so that who uses it chooses a way instead of trying and failing.

use std::fmt;

/// Whether something can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Support {
    /// It works.
    Yes,
    /// It does not work, for the reason given.
    No(&'static str),
    /// Nobody has asked yet; ordinary requests will tell.
    #[default]
    Unknown,
}

impl Support {
    /// Whether it is known to work.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Whether it is worth trying: it works, or nobody knows.
    #[must_use]
    pub const fn is_possible(self) -> bool {
        !matches!(self, Self::No(_))
    }

    /// Why it does not work.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::No(reason) => Some(reason),
            Self::Yes | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No(reason) => write!(f, "no: {reason}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What a registry or repository can do. Copying chooses its path by it, a server its answers, and
/// the conformance suite its scenarios: a backend that claims something must pass what tests it.
///
/// ```
/// use tranship::{Capabilities, Support};
///
/// let archive = Capabilities::all()
///     .with_push(Support::No("an archive is read-only"))
///     .with_uploads(Support::No("an archive is read-only"));
/// assert!(archive.range.is_yes());
/// assert_eq!(archive.push.reason(), Some("an archive is read-only"));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    /// Content can be pushed, and tags set.
    pub push: Support,
    /// Ranges of blobs are read without reading what is before them.
    pub range: Support,
    /// Blobs are mounted from other repositories of the registry.
    pub mount: Support,
    /// Uploads can be interrupted and resumed by their id.
    pub uploads: Support,
    /// Referrers are listed.
    pub referrers: Support,
    /// Blobs can be deleted.
    pub delete_blobs: Support,
    /// Manifests can be deleted.
    pub delete_manifests: Support,
    /// Tags can be removed without deleting what they point at.
    pub untag: Support,
    /// The registry lists its repositories.
    pub catalog: Support,
    /// Content can be named by sha384 digests.
    pub sha384: Support,
    /// Content can be named by sha512 digests.
    pub sha512: Support,
}

macro_rules! setters {
    ($($setter:ident $field:ident),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub const fn $setter(mut self, support: Support) -> Self {
                self.$field = support;
                self
            }
        )*
    };
}

impl Capabilities {
    /// A backend that can do everything.
    #[must_use]
    pub const fn all() -> Self {
        Self::every(Support::Yes)
    }

    /// A backend of which nothing is known yet.
    #[must_use]
    pub const fn unknown() -> Self {
        Self::every(Support::Unknown)
    }

    const fn every(support: Support) -> Self {
        Self {
            push: support,
            range: support,
            mount: support,
            uploads: support,
            referrers: support,
            delete_blobs: support,
            delete_manifests: support,
            untag: support,
            catalog: support,
            sha384: support,
            sha512: support,
        }
    }

    /// Returns what both can do, and both cannot. Where they differ, it is not known.
    #[must_use]
    pub fn common_with(self, other: Self) -> Self {
        let common = |one: Support, other: Support| match one == other {
            true => one,
            false => Support::Unknown,
        };
        Self {
            push: common(self.push, other.push),
            range: common(self.range, other.range),
            mount: common(self.mount, other.mount),
            uploads: common(self.uploads, other.uploads),
            referrers: common(self.referrers, other.referrers),
            delete_blobs: common(self.delete_blobs, other.delete_blobs),
            delete_manifests: common(self.delete_manifests, other.delete_manifests),
            untag: common(self.untag, other.untag),
            catalog: common(self.catalog, other.catalog),
            sha384: common(self.sha384, other.sha384),
            sha512: common(self.sha512, other.sha512),
        }
    }

    setters! {
        with_push push,
        with_range range,
        with_mount mount,
        with_uploads uploads,
        with_referrers referrers,
        with_delete_blobs delete_blobs,
        with_delete_manifests delete_manifests,
        with_untag untag,
        with_catalog catalog,
        with_sha384 sha384,
        with_sha512 sha512,
    }
}
