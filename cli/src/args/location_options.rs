//! Options for opening locations.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tranship::{RegistryName, Result};
use tranship_backends::remote::Credential;
use tranship_backends::{Durability, Location, OpenOptions, RegistryLocation};

use crate::location::StoreOption;
use crate::registries::{End, Registries};

/// How locations are opened.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options for locations")]
pub(crate) struct LocationOptions {
    /// What survives a power cut, of what is written to a local disk
    #[arg(long, global = true, value_enum, default_value_t = DurabilityArg::Full)]
    pub(crate) durability: DurabilityArg,
    /// A setting of an object store, such as region=eu-central-1, named as the crate object_store does; may be
    /// repeated. The environment is the better place for secrets, since others may see a command line
    #[arg(long = "store-option", global = true, value_name = "KEY=VALUE")]
    pub(crate) store_options: Vec<StoreOption>,
    /// Write also to an object store without conditional PUT. Of two who write there at once, one loses tags:
    /// only for a single writer
    #[arg(long, global = true)]
    pub(crate) unconditional_put: bool,
    /// In an image layout that is read (oci:PATH), follow symbolic links to files below DIR. Build tools such as Bazel
    /// make layouts of links
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) follow_links: Option<PathBuf>,
    /// How large a compressed archive may be when it is decompressed [default: 64 GiB]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) max_unpacked_size: Option<u64>,
    #[command(flatten)]
    pub(crate) registries: Registries,
}

impl LocationOptions {
    /// Returns how the location at one end of a copy is opened.
    ///
    /// # Errors
    /// [`InvalidInput`](tranship::ErrorKind::InvalidInput) if an option does not fit the location, or is malformed.
    pub(crate) fn for_end(
        &self,
        end: &End,
        location: &Location,
        credential: Option<Credential>,
    ) -> Result<OpenOptions> {
        let registry = end.registry(location)?;
        self.for_end_of(end, registry, credential)
    }

    /// Returns how the registry at one end of a copy is opened, by its location.
    ///
    /// # Errors
    /// As [`for_end`](Self::for_end).
    pub(crate) fn for_registry(&self, end: &End, location: &str) -> Result<OpenOptions> {
        match location.parse()? {
            RegistryLocation::Remote(registry) => self.for_end_of(end, Some(&registry), None),
            other => {
                end.expect_no_registry(&other)?;
                self.for_end_of(end, None, None)
            }
        }
    }

    fn for_end_of(
        &self,
        end: &End,
        registry: Option<&RegistryName>,
        credential: Option<Credential>,
    ) -> Result<OpenOptions> {
        let mut options = self.clone();
        if let Some(registry) = registry {
            options.registries = options.registries.for_end(end, registry, credential);
        }
        options
            .store_options
            .extend(end.store_options.iter().cloned());
        options.open_options()
    }

    pub(crate) fn open_options(self) -> Result<OpenOptions> {
        let options = OpenOptions::default()
            .with_durability(self.durability.into())
            .with_unconditional_put(self.unconditional_put)
            .with_follow_links(self.follow_links)
            .with_max_unpacked_size(self.max_unpacked_size);
        let options = self.registries.add_to(options)?;
        let settings = self.store_options.into_iter();
        Ok(settings.fold(options, |options, setting| {
            options.with_store_option(setting.key, setting.value)
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    /// All that a finished command has stored: it is synced first
    Full,
    /// Not always what was stored in the last seconds, and it may be damaged; much faster for small files. The death
    /// of the program alone does no harm
    Relaxed,
}

impl From<DurabilityArg> for Durability {
    fn from(durability: DurabilityArg) -> Self {
        match durability {
            DurabilityArg::Full => Self::Full,
            DurabilityArg::Relaxed => Self::Relaxed,
        }
    }
}
