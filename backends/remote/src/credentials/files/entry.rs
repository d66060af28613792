//! What one file says about one registry.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tranship::{Error, ErrorKind, RepositoryName, Result};

use crate::credentials::credential::Credential;
use crate::credentials::document::{Document, HelperChoice};
use crate::credentials::helper::Helper;
use crate::credentials::server::Server;

/// Where helpers are looked for, and how long they may take.
pub(super) struct HelperSearch {
    pub(super) path: Option<OsString>,
    pub(super) timeout: Duration,
}

/// What one file says about one registry.
pub(super) struct Entry {
    pub(super) known: bool,
    pub(super) choice: Option<HelperChoice>,
    pub(super) helper: Option<Helper>,
    /// An error matters only to callers that want the credential: a login replaces it.
    pub(super) credential: Result<Option<Credential>>,
}

impl Entry {
    /// Reads the entry in `document`, which is from `origin`. This blocks.
    pub(super) fn of(
        document: &Document,
        server: &Server,
        repository: Option<&RepositoryName>,
        origin: &Path,
        search: &HelperSearch,
    ) -> Result<Self> {
        let choice = document.helper(server)?;
        let helper = match &choice {
            Some(choice) => Helper::find(&choice.name, search.path.as_deref(), search.timeout)?,
            None => None,
        };
        match &choice {
            Some(HelperChoice { name, explicit }) if helper.is_none() => {
                if *explicit {
                    return Err(not_installed(name, origin));
                }
                // A file that came from another machine, such as the host of this container.
                tracing::warn!(path = %origin.display(), helper = name, "the credential helper is not installed");
            }
            _ => {}
        }
        let credential = document.credential(server, repository);
        Ok(Self {
            known: document.knows(server),
            credential: credential.map_err(|error| error.with_subject(origin.display())),
            choice,
            helper,
        })
    }

    /// The credential that the helper has, or else the one in the file itself.
    pub(super) async fn credential(self, server: &Server) -> Result<Option<Credential>> {
        if let Some(helper) = self.helper
            && let Some(credential) = helper.get(server.name()).await?
        {
            return Ok(Some(credential));
        }
        self.credential
    }
}

/// The error for a helper that the file at `path` names.
pub(super) fn not_installed(name: &str, path: &Path) -> Error {
    let message = format!("docker-credential-{name} is not installed");
    Error::new(ErrorKind::Unauthorized, message)
        .with_hint(format!("install it, or take it out of {}", path.display()))
}
