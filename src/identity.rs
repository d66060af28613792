//! Which registry a repository belongs to.

use std::fmt;
use std::sync::Arc;

/// Which registry a repository belongs to: equal for repositories between which blobs can be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryIdentity(Arc<str>);

impl RegistryIdentity {
    /// An identity that a backend derives from where the registry is, such as
    /// `https://registry.example` or the path of a directory.
    #[must_use]
    pub fn new(identity: impl Into<Arc<str>>) -> Self {
        Self(identity.into())
    }
}

impl fmt::Display for RegistryIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
