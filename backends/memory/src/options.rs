//! What can be chosen when a registry is made.

use tranship::MAX_MANIFEST_SIZE;

/// How a [`MemoryRegistry`](crate::MemoryRegistry) behaves.
///
/// ```
/// use tranship_memory::{MemoryOptions, MemoryRegistry};
///
/// let registry = MemoryRegistry::with_options(MemoryOptions::default().with_quota(64 << 20));
/// # assert_eq!(registry.stored_bytes(), 0);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOptions {
    /// How many bytes of content the registry holds at the most; `None`, the default, for as many
    /// as there is memory for.
    ///
    /// Content counts once however many repositories share it, and it counts from the moment that
    /// it arrives: pushes under way and open uploads included. What does not fit is refused with
    /// [`StorageFull`](tranship::ErrorKind::StorageFull) before memory is used for it. Tags,
    /// indexes and other bookkeeping do not count.
    pub quota: Option<u64>,
    /// How large a manifest may be, in bytes; [`MAX_MANIFEST_SIZE`] by default.
    pub max_manifest_size: u64,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            quota: None,
            max_manifest_size: MAX_MANIFEST_SIZE,
        }
    }
}

impl MemoryOptions {
    /// Sets [`quota`](Self::quota), in bytes.
    #[must_use]
    pub fn with_quota(mut self, quota: u64) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, size: u64) -> Self {
        self.max_manifest_size = size;
        self
    }
}
