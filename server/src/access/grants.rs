//! Which callers may do what with which repositories.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, ErrorKind, RepositoryName, Result};

use super::pattern::NamePattern;

/// What a user may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Pull and list.
    Read,
    /// Pull, list, push and delete.
    Write,
}

/// A permission for the repositories of a pattern.
///
/// ```
/// use tranship_server::{Grant, Permission};
///
/// let grant: Grant = "team/**:rw".parse()?;
/// assert_eq!(grant.permission, Permission::Write);
/// assert_eq!(grant.to_string(), "team/**:rw");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The repositories.
    pub names: NamePattern,
    /// What may be done with them.
    pub permission: Permission,
}

impl Grant {
    /// Grants `permission` for the repositories that `names` matches.
    #[must_use]
    pub fn new(names: NamePattern, permission: Permission) -> Self {
        Self { names, permission }
    }

    /// Returns whether the grant includes the permission `wanted` for the repository `name`.
    pub(super) fn allows(&self, name: &RepositoryName, wanted: Permission) -> bool {
        self.permission >= wanted && self.names.matches(name)
    }
}

impl FromStr for Grant {
    type Err = Error;

    /// Parses `PATTERN:r` or `PATTERN:rw`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for any other text.
    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::new(
                ErrorKind::InvalidInput,
                "invalid grant: expected a pattern of repositories, a colon, and r or rw",
            )
            .with_hint("write for example team/**:rw")
        };
        let (names, permission) = text.rsplit_once(':').ok_or_else(malformed)?;
        let permission = match permission {
            "r" => Permission::Read,
            "rw" => Permission::Write,
            _ => return Err(malformed()),
        };
        Ok(Self::new(names.parse()?, permission))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permission = match self.permission {
            Permission::Read => "r",
            Permission::Write => "rw",
        };
        write!(f, "{}:{permission}", self.names)
    }
}

/// The grants of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Grants {
    /// What every caller may read, also without a login.
    anonymous_read: Vec<NamePattern>,
    /// Without any, every user may do everything.
    users: Vec<(String, Grant)>,
}

impl Grants {
    pub(super) fn add_anonymous_read(&mut self, names: NamePattern) {
        self.anonymous_read.push(names);
    }

    pub(super) fn add(&mut self, user: String, grant: Grant) {
        self.users.push((user, grant));
    }

    /// Returns whether callers without a login may read any repository.
    pub(super) fn have_anonymous_read(&self) -> bool {
        !self.anonymous_read.is_empty()
    }

    /// Returns whether callers without a login may read every repository.
    pub(super) fn have_anonymous_read_of_all(&self) -> bool {
        self.anonymous_read.contains(&NamePattern::all())
    }

    /// Returns whether every caller has the permission `wanted` for the repository `name`.
    pub(super) fn allow_anonymous(&self, name: &RepositoryName, wanted: Permission) -> bool {
        wanted == Permission::Read && self.anonymous_read.iter().any(|names| names.matches(name))
    }

    /// Returns whether the grants of `user` include the permission `wanted` for the repository `name`.
    pub(super) fn allow_user(&self, user: &str, name: &RepositoryName, wanted: Permission) -> bool {
        let mut granted = self.users.iter().filter(|(of, _)| of == user);
        self.users.is_empty() || granted.any(|(_, grant)| grant.allows(name, wanted))
    }
}
