//! What is done to one image layout, or to each of a directory of them.

use futures_util::TryStreamExt as _;
use tranship::{Error, ListOptions, Registry as _};
use tranship_backends::OpenOptions;
use tranship_backends::layout::Layout;
use tranship_backends::{Location, RegistryLocation};

use crate::command_error::{At as _, Outcome};
use crate::location::{LayoutLocations, no_reference};

/// The layouts at a location, and their names.
pub(super) enum Layouts {
    One(String, Layout),
    All(RegistryLocation, tranship_backends::layout::LayoutRegistry),
}

impl Layouts {
    pub(super) async fn open(
        location: LayoutLocations,
        location_options: &OpenOptions,
    ) -> Outcome<Self> {
        match location {
            LayoutLocations::One(location) => {
                no_reference(&location)?;
                if let Location::Remote(_) = location {
                    let error = Error::unsupported(
                        "it is in a registry, and only image layouts are checked as a whole",
                    );
                    return Err(error
                        .with_subject(&location)
                        .with_hint(format!(
                            "`tranship verify {location}` reads and hashes what its tags lead to"
                        ))
                        .into());
                }
                let layout = tranship_backends::open_layout(&location, location_options).await;
                Ok(Self::One(location.to_string(), layout.within(&location)?))
            }
            LayoutLocations::All(location) => {
                let registry =
                    tranship_backends::open_layout_registry(&location, location_options).await;
                let registry = registry.at(&location)?;
                Ok(Self::All(location, registry))
            }
        }
    }

    /// Brings the catalog of a registry up to date, by which its layouts are listed.
    pub(super) async fn rebuild_catalog(&self) -> Outcome<()> {
        match self {
            Self::One(..) => Ok(()),
            Self::All(location, registry) => registry.rebuild_catalog().await.at(location),
        }
    }

    /// Their names as locations, and the layouts.
    pub(super) async fn list(self) -> Outcome<Vec<(String, Layout)>> {
        let (location, registry) = match self {
            Self::One(name, layout) => return Ok(vec![(name, layout)]),
            Self::All(location, registry) => (location, registry),
        };
        let names = registry.repositories(ListOptions::default());
        let names: Vec<_> = names.try_collect().await.at(&location)?;
        let mut layouts = Vec::new();
        for name in names {
            let one = format!("{location}//{name}");
            let layout = registry.layout(&name).await.at(&one)?;
            // As it would have been typed.
            let one = one.parse::<Location>().map_or(one, |one| one.to_string());
            layouts.push((one, layout));
        }
        Ok(layouts)
    }
}
