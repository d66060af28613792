//! What a layer is told about a call.

use std::fmt;

use crate::{ContentKind, Digest, RepositoryName, Tag};

/// A call of a method of a [`Backend`](crate::Backend), a [`Registry`](crate::Registry), an
/// [`Upload`](crate::Upload) or a [`Batch`](crate::Batch), as [`Inject`](super::Inject) describes it to its rules.
///
/// ```
/// use tranship::ContentKind;
/// use tranship::layers::{Operation, OperationName};
///
/// fn reads_a_manifest(operation: &Operation) -> bool {
///     operation.kind == Some(ContentKind::Manifest) && operation.name == OperationName::Read
/// }
/// # let _ = reads_a_manifest;
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The method.
    pub name: OperationName,
    /// The repository; `None` if the call is one of the registry.
    pub repository: Option<RepositoryName>,
    /// The kind of the content, if the call is about content.
    pub kind: Option<ContentKind>,
    /// The digest of the content, if the caller named it by digest.
    pub digest: Option<Digest>,
    /// The tag that is read, set or removed: the first one, if a manifest is written with several.
    pub tag: Option<Tag>,
}

impl Operation {
    pub(super) fn new(name: OperationName) -> Self {
        Self {
            name,
            repository: None,
            kind: None,
            digest: None,
            tag: None,
        }
    }
}

macro_rules! operation_names {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// The method that an [`Operation`] calls.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OperationName {
            $($(#[$doc])* $variant,)*
        }

        impl OperationName {
            /// Returns the name in snake case, such as `read_range`, for metrics and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

operation_names! {
    /// [`Backend::read`](crate::Backend::read)
    Read "read",
    /// [`Backend::read_range`](crate::Backend::read_range)
    ReadRange "read_range",
    /// [`Backend::read_reference`](crate::Backend::read_reference)
    ReadReference "read_reference",
    /// [`Backend::stat`](crate::Backend::stat)
    Stat "stat",
    /// [`Backend::direct_url`](crate::Backend::direct_url)
    DirectUrl "direct_url",
    /// [`Backend::find`](crate::Backend::find)
    Find "find",
    /// [`Backend::list_tags`](crate::Backend::list_tags)
    ListTags "list_tags",
    /// [`Backend::list_referrers`](crate::Backend::list_referrers)
    ListReferrers "list_referrers",
    /// [`Backend::list_predecessors`](crate::Backend::list_predecessors)
    ListPredecessors "list_predecessors",
    /// [`Registry::repositories`](crate::Registry::repositories)
    ListRepositories "list_repositories",
    /// [`Backend::write`](crate::Backend::write)
    Write "write",
    /// [`Backend::mount_blob`](crate::Backend::mount_blob)
    MountBlob "mount_blob",
    /// [`Backend::remove`](crate::Backend::remove)
    Remove "remove",
    /// [`Backend::set_tag`](crate::Backend::set_tag)
    SetTag "set_tag",
    /// [`Backend::remove_tag`](crate::Backend::remove_tag)
    RemoveTag "remove_tag",
    /// [`Backend::start_upload`](crate::Backend::start_upload)
    StartUpload "start_upload",
    /// [`Backend::resume_upload`](crate::Backend::resume_upload)
    ResumeUpload "resume_upload",
    /// [`Upload::write`](crate::Upload::write)
    WriteUpload "write_upload",
    /// [`Upload::pause`](crate::Upload::pause)
    PauseUpload "pause_upload",
    /// [`Upload::commit`](crate::Upload::commit)
    CommitUpload "commit_upload",
    /// [`Upload::cancel`](crate::Upload::cancel)
    CancelUpload "cancel_upload",
    /// [`Batch::commit`](crate::Batch::commit)
    CommitBatch "commit_batch",
    /// [`Registry::expire_uploads`](crate::Registry::expire_uploads)
    ExpireUploads "expire_uploads",
}

impl OperationName {
    /// Returns whether the operation only reads: it opens, finds or lists something.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::ReadRange
                | Self::ReadReference
                | Self::DirectUrl
                | Self::Stat
                | Self::Find
                | Self::ListTags
                | Self::ListReferrers
                | Self::ListPredecessors
                | Self::ListRepositories
        )
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
