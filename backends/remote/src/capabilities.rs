//! Which capabilities a registry has, as learned from its responses.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tranship::{Capabilities, Support};

use crate::options::{ReferrersMode, RemoteOptions};

/// The capabilities of a registry, as learned from its responses to ordinary requests.
#[derive(Debug, Default)]
pub(crate) struct LearnedCapabilities {
    /// Whether the registry allows `HEAD` of blobs.
    pub(crate) blob_head: LearnedCapability,
    pub(crate) range: LearnedCapability,
    pub(crate) mount: LearnedCapability,
    pub(crate) anonymous_mount: LearnedCapability,
    pub(crate) referrers: LearnedCapability,
    pub(crate) delete_blobs: LearnedCapability,
    pub(crate) delete_manifests: LearnedCapability,
    pub(crate) untag: LearnedCapability,
    pub(crate) catalog: LearnedCapability,
    /// Whether one `PUT` of a manifest sets several tags.
    pub(crate) tag_parameters: LearnedCapability,
    /// How large the body of a request may be.
    pub(crate) body_limit: BodyLimit,
}

impl LearnedCapabilities {
    /// Returns the capabilities that the options determine. All others are unknown.
    pub(crate) fn new(options: &RemoteOptions) -> Self {
        Self {
            referrers: match options.referrers {
                ReferrersMode::Detect => LearnedCapability::default(),
                ReferrersMode::Api => LearnedCapability::fixed(true),
                ReferrersMode::TagScheme => LearnedCapability::fixed(false),
            },
            ..Self::default()
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let refused = |what| move |yes| if yes { Support::Yes } else { Support::No(what) };
        let support = |capability: &LearnedCapability, what| {
            capability.get().map_or(Support::Unknown, refused(what))
        };
        Capabilities::unknown()
            .with_push(Support::Yes)
            .with_uploads(Support::Yes)
            // Without the API, we read and maintain the tags that replace it.
            .with_referrers(Support::Yes)
            .with_range(support(&self.range, "the registry returns the whole blob"))
            .with_mount(support(&self.mount, "the registry does not mount"))
            .with_delete_blobs(support(
                &self.delete_blobs,
                "the registry does not delete blobs",
            ))
            .with_delete_manifests(support(
                &self.delete_manifests,
                "the registry does not delete manifests",
            ))
            .with_untag(support(&self.untag, "the registry does not remove tags"))
            .with_catalog(support(&self.catalog, "the registry has no catalog"))
    }
}

/// The largest request body that the registry accepts. It is lowered when the registry refuses a larger one.
#[derive(Debug)]
pub(crate) struct BodyLimit(AtomicU64);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl BodyLimit {
    /// Returns the limit in bytes, and `u64::MAX` if there is none.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn lower_to(&self, bytes: u64) {
        self.0.fetch_min(bytes, Ordering::AcqRel);
    }
}

/// A capability of the registry: yes, no, or not known yet. A later yes overrides a no, and a yes stays.
#[derive(Debug, Default)]
pub(crate) struct LearnedCapability {
    state: AtomicU8,
    is_fixed: bool,
}

impl LearnedCapability {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;

    /// Returns a capability that an option determines, which no response changes.
    pub(crate) fn fixed(yes: bool) -> Self {
        Self {
            state: AtomicU8::new(if yes { Self::YES } else { Self::NO }),
            is_fixed: true,
        }
    }

    /// Returns whether an option determines the capability.
    pub(crate) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    pub(crate) fn get(&self) -> Option<bool> {
        match self.state.load(Ordering::Acquire) {
            Self::UNKNOWN => None,
            known => Some(known == Self::YES),
        }
    }

    /// Records whether a request that needs the capability succeeded. A failure does not override a success, because it
    /// may have had another cause.
    pub(crate) fn learn(&self, yes: bool) {
        if self.is_fixed {
            return;
        }
        if yes {
            self.state.store(Self::YES, Ordering::Release);
        } else {
            let unknown = Self::UNKNOWN;
            let _ =
                self.state
                    .compare_exchange(unknown, Self::NO, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn is_no(&self) -> bool {
        self.get() == Some(false)
    }

    pub(crate) fn is_yes(&self) -> bool {
        self.get() == Some(true)
    }
}
