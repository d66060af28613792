//! Which images are mirrored, and where to.

mod destination;
mod docker;
mod images;
mod location;
mod name;
mod rule;
mod source;
mod tags;

pub use destination::Destination;
pub use images::{ImageOptions, Platforms, Referrers};
pub use name::{NamePattern, NameTemplate};
pub use rule::{RegistrySettings, Rule, Rules};
pub(crate) use source::ImageName;
pub use source::SourcePattern;
pub use tags::{TagRule, TagSet};
