//! Identified callers.

use std::sync::Arc;

use super::stamp::CredentialStamp;

/// A caller, as [`Access`](crate::Access) has identified it: a user, or an anonymous caller.
///
/// Cheap to clone. An identity says who the caller is, and not what the caller may do:
/// [`Access::allows`](crate::Access::allows) decides that at the time of each use.
#[derive(Debug, Clone, Default)]
pub struct Identity(Option<User>);

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: Arc<str>,
    /// The stamp of the credential that the user has logged in with.
    pub(super) stamp: CredentialStamp,
}

impl Identity {
    /// Returns the identity of a caller without a login.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    pub(super) fn new(name: &str, stamp: CredentialStamp) -> Self {
        Self(Some(User {
            name: name.into(),
            stamp,
        }))
    }

    /// Returns the name of the user, or `None` for an anonymous caller.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.as_ref().map(|user| &*user.name)
    }

    pub(super) fn as_user(&self) -> Option<&User> {
        self.0.as_ref()
    }
}
