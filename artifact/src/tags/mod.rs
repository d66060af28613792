//! Chooses tags by pattern, by version and by what they name, and sorts them.
//!
//! ```
//! use tranship::Tag;
//! use tranship_artifact::tags::{TagFilter, TagVersion};
//!
//! # fn main() -> tranship::Result<()> {
//! let filter = TagFilter::default()
//!     .with_glob("!*-debug")
//!     .with_versions(">=1.9 <2".parse()?);
//! let tags = ["v1.9.2", "v1.10.0", "v1.10.0-debug", "v2.0.0", "latest"];
//! let tags: Result<Vec<Tag>, _> = tags.into_iter().map(str::parse).collect();
//! let mut chosen: Vec<Tag> = tags?.into_iter().filter(|tag| filter.matches(tag)).collect();
//! chosen.sort_by(TagVersion::compare);
//! let names: Vec<&str> = chosen.iter().map(Tag::as_str).collect();
//! assert_eq!(names, ["v1.9.2", "v1.10.0"]);
//! # Ok(())
//! # }
//! ```

mod created;
mod filter;
mod range;
mod version;

pub use created::created;
pub use filter::TagFilter;
pub(crate) use filter::is_digest_tag;
pub use range::VersionRange;
pub use version::TagVersion;
