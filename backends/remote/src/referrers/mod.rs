//! Referrers: by the API, or by the tags that replace it (distribution-spec, "Listing Referrers" and "Referrers Tag
//! Schema").

mod listing;
mod tag_scheme;
mod update;

pub(crate) use listing::list;
pub(crate) use update::{add, remove};
