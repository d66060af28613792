//! Which callers may do what with which repositories.

use tranship::RepositoryName;

use super::pattern::NamePattern;

/// What a user may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Pull and list.
    Read,
    /// Pull, list, push and delete.
    Write,
}

/// The grants of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Grants {
    /// What every caller may read, also without a login.
    anonymous_read: Vec<NamePattern>,
    /// Without any, every user may do everything.
    users: Vec<Grant>,
}

#[derive(Debug, Clone)]
struct Grant {
    user: String,
    names: NamePattern,
    permission: Permission,
}

impl Grants {
    pub(super) fn add_anonymous_read(&mut self, names: NamePattern) {
        self.anonymous_read.push(names);
    }

    pub(super) fn add(&mut self, user: String, names: NamePattern, permission: Permission) {
        self.users.push(Grant {
            user,
            names,
            permission,
        });
    }

    /// Returns whether callers without a login may read any repository.
    pub(super) fn have_anonymous_read(&self) -> bool {
        !self.anonymous_read.is_empty()
    }

    /// Returns whether every caller has the permission `wanted` for the repository `name`.
    pub(super) fn allow_anonymous(&self, name: &RepositoryName, wanted: Permission) -> bool {
        wanted == Permission::Read && self.anonymous_read.iter().any(|names| names.matches(name))
    }

    /// Returns whether the grants of `user` include the permission `wanted` for the repository `name`.
    pub(super) fn allow_user(&self, user: &str, name: &RepositoryName, wanted: Permission) -> bool {
        self.users.is_empty()
            || self.users.iter().any(|grant| {
                grant.user == user && grant.permission >= wanted && grant.names.matches(name)
            })
    }
}
