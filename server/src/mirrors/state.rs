//! The state of a mirror, for operators of the server.

use tranship::RepositoryName;
use tranship::layers::Calls;

/// A mirror, and how it was used since it was made.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorState {
    /// The name by which clients know the registry, such as `docker.io`.
    pub host: String,
    /// Which registry is read.
    pub upstream: String,
    /// How many reads the store answered.
    pub hits: u64,
    /// How many reads needed content of the registry.
    pub misses: u64,
    /// The calls of the registry.
    pub calls: Calls,
    pub(super) prefix: RepositoryName,
}

/// How many repositories of a mirror are stored.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredRepositories {
    /// All of them, up to a limit.
    pub all: usize,
    /// Those whose content is never deleted to make room.
    pub pinned: usize,
    /// Whether there are more.
    pub cut: bool,
}
