//! The actions that an audit log tells apart.

use http::Method;
use serde::{Serialize, Serializer};

use crate::route::{Route, is_read};

macro_rules! audit_operations {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What was done, or tried. Further operations may be added; names do not change.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditOperation {
            $($(#[$doc])* $variant,)*
        }

        impl AuditOperation {
            /// Returns the name, such as `push-manifest`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

audit_operations! {
    /// A manifest was read.
    PullManifest "pull-manifest",
    /// A blob was read, or a client was sent to the storage for it.
    PullBlob "pull-blob",
    /// A manifest was stored, or tags were set.
    PushManifest "push-manifest",
    /// A blob was stored.
    PushBlob "push-blob",
    /// A blob of another repository was made available.
    MountBlob "mount-blob",
    /// A manifest was deleted, with the tags that named it.
    DeleteManifest "delete-manifest",
    /// A tag was removed.
    DeleteTag "delete-tag",
    /// A blob was deleted.
    DeleteBlob "delete-blob",
    /// Tags were listed.
    ListTags "list-tags",
    /// Repositories were listed.
    Catalog "catalog",
    /// Referrers were listed.
    Referrers "referrers",
    /// A token was issued.
    TokenIssue "token-issue",
    /// A user has logged in on a page.
    Login "login",
    /// Credentials were not valid, or too many were wrong.
    LoginFailed "login-failed",
    /// A request that is none of these was refused.
    Other "other",
    /// Records were lost, because they could not be written.
    RecordsLost "records-lost",
}

impl AuditOperation {
    /// Returns what a request does.
    pub(crate) fn of(route: &Route, method: &Method) -> Self {
        let is_delete = method == Method::DELETE;
        match route {
            Route::Manifest(_, reference) if is_delete && !reference.contains(':') => {
                Self::DeleteTag
            }
            Route::Manifest(..) if is_delete => Self::DeleteManifest,
            Route::Manifest(..) if is_read(method) => Self::PullManifest,
            Route::Manifest(..) => Self::PushManifest,
            Route::Blob(..) if is_delete => Self::DeleteBlob,
            Route::Blob(..) => Self::PullBlob,
            Route::Uploads(_) | Route::Upload(..) => Self::PushBlob,
            Route::Tags(_) => Self::ListTags,
            Route::Catalog => Self::Catalog,
            Route::Referrers(..) => Self::Referrers,
            Route::Token => Self::TokenIssue,
            Route::Health | Route::Ready | Route::Metrics | Route::Ping => Self::Other,
        }
    }

    /// Returns whether it changes content or tags.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(
            self,
            Self::PushManifest
                | Self::PushBlob
                | Self::MountBlob
                | Self::DeleteManifest
                | Self::DeleteTag
                | Self::DeleteBlob
        )
    }
}

impl Serialize for AuditOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
