//! Whether a store has conditional PUT, on which it depends that writers lose nothing.

use object_store::path::Path;
use object_store::{PutMode, PutOptions, UpdateVersion};
use tranship::{Error, Result};

use super::bucket::Bucket;
use super::failure::{is_not_offered, names_missing_bucket, not_written};

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    Kept,
    Missing,
}

pub(super) const REFUSED: &str = "the store has no conditional PUT";

impl Bucket {
    /// Asks the store once whether it keeps conditions: it must refuse to replace an object, `probe`,
    /// that is not there. A store that does so anyway, and so ignores the condition, is found out.
    pub(super) async fn conditions(&self, probe: &Path) -> Result<Conditions> {
        let found = self.conditions.get_or_try_init(|| self.probe(probe)).await;
        found.copied()
    }

    async fn probe(&self, key: &Path) -> Result<Conditions> {
        use object_store::Error as E;

        let version = UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: Some("1".to_owned()),
        };
        let mode = PutOptions::from(PutMode::Update(version));
        match self.store().put_opts(key, "".into(), mode).await {
            Ok(_) => {
                self.delete(key).await?;
                Ok(Conditions::Missing)
            }
            Err(error) if is_not_offered(&error) => Ok(Conditions::Missing),
            Err(error) if names_missing_bucket(&error) => Err(not_written(self, key, error)),
            Err(
                E::Precondition { .. }
                | E::AlreadyExists { .. }
                | E::NotModified { .. }
                | E::NotFound { .. },
            ) => Ok(Conditions::Kept),
            Err(error) => Err(not_written(self, key, error)),
        }
    }

    /// Whether writes go on conditions.
    ///
    /// # Errors
    /// `Unsupported` if the store has none and the user did not ask for it anyway.
    pub(super) async fn must_keep_conditions(&self, probe: &Path) -> Result<bool> {
        match self.conditions(probe).await? {
            Conditions::Kept => Ok(true),
            Conditions::Missing if self.may_go_without_conditions => Ok(false),
            Conditions::Missing => Err(Error::unsupported(
                "the store has no conditional PUT, so writers could undo each other's changes",
            )
            .with_subject(self.url())
            .with_hint(
                "if nobody else writes there, ask for it with LayoutOptions::with_unconditional_put",
            )),
        }
    }
}
