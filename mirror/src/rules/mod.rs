//! Which images are mirrored, and where to.

mod images;
mod name;
mod rule;
mod tags;

pub use images::{ImageOptions, Platforms, Referrers};
pub use name::{NamePattern, NameTemplate};
pub use rule::{Destination, RegistrySettings, Rule, Rules, SourcePattern};
pub use tags::{TagRule, TagSet};
