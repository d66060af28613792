//! The endpoints as labels of metrics.

/// A kind of endpoint, by which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Ping,
    Catalog,
    Tags,
    Manifest,
    Blob,
    Upload,
    Referrers,
    Token,
    /// A page on the same server.
    Page,
    /// Not a part of the API.
    Other,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 10] = [
        Self::Ping,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::Blob,
        Self::Upload,
        Self::Referrers,
        Self::Token,
        Self::Page,
        Self::Other,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Upload => "upload",
            Self::Referrers => "referrers",
            Self::Token => "token",
            Self::Page => "page",
            Self::Other => "other",
        }
    }
}
