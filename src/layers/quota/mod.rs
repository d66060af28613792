//! Counts the bytes that are stored, and refuses those that are too many: for [`Limit`](super::Limit), and by
//! repository.

mod account;
mod layer;
mod meter;
mod repositories;

pub(super) use layer::Metered;
pub(super) use meter::Usage;
pub use repositories::{QuotaUsage, RepositoryQuota, RepositoryQuotas};
