//! The state that all requests share.

use std::sync::Arc;

use tranship::{Registry, Repository, RepositoryName};

use crate::options::ServerOptions;
use crate::response_error::{Resource, ResponseError};
use crate::tag_locks::TagLocks;
use crate::upload_sessions::UploadSessions;

/// The state that all requests share.
pub(crate) struct ServerState {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) options: ServerOptions,
    pub(crate) sessions: Arc<UploadSessions>,
    pub(crate) tag_locks: TagLocks,
}

impl ServerState {
    pub(crate) fn new(registry: Arc<dyn Registry>, options: ServerOptions) -> Self {
        let sessions = Arc::new(UploadSessions::new(&options));
        Self {
            registry,
            options,
            sessions,
            tag_locks: TagLocks::default(),
        }
    }

    /// Opens the repository `name`.
    pub(crate) async fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>, ResponseError> {
        self.registry
            .repository(name)
            .await
            .map_err(|error| ResponseError::from_backend(&error, Resource::Repository))
    }
}
