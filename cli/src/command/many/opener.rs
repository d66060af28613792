//! Opens the locations that rules name.

use std::sync::Arc;

use async_trait::async_trait;
use tranship::{Registry, Repository, Result};
use tranship_backends::{Location, OpenOptions, RegistryLocation};
use tranship_mirror::select::{End, Opener};

/// Opens locations as the options of the command line say.
#[derive(Debug, Clone)]
pub(in crate::command) struct Locations {
    from: OpenOptions,
    to: OpenOptions,
}

impl Locations {
    /// Opens both ends alike.
    pub(in crate::command) fn new(options: &OpenOptions) -> Self {
        Self::of_ends(options, options)
    }

    pub(in crate::command) fn of_ends(from: &OpenOptions, to: &OpenOptions) -> Self {
        Self {
            from: from.clone().with_must_exist(true),
            // Where links are followed nothing is written.
            to: to.clone().with_follow_links(None),
        }
    }

    fn options(&self, end: End) -> &OpenOptions {
        match end {
            End::Source => &self.from,
            End::Destination => &self.to,
        }
    }
}

#[async_trait]
impl Opener for Locations {
    async fn registry(&self, location: &str, end: End) -> Result<Arc<dyn Registry>> {
        let location: RegistryLocation = location.parse()?;
        tranship_backends::open_registry_with(&location, self.options(end)).await
    }

    async fn repository(&self, location: &str, end: End) -> Result<Arc<dyn Repository>> {
        let location: Location = location.parse()?;
        tranship_backends::open_with(&location, self.options(end)).await
    }
}
