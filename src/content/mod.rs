//! Content between two stores: what a fetch returns, what a push takes, and the checks between.

mod body;
mod fetched;
mod fetcher;
mod hash_file;
mod hashing;
mod local_file;
mod part;
mod range;
mod save;
mod source;
mod verify;

pub use body::{Body, ByteStream};
pub(crate) use fetched::check_limit;
pub use fetched::{Content, MAX_MANIFEST_SIZE};
pub use fetcher::Fetcher;
pub use hashing::{Hasher, HashingSink, UploadHash};
pub use local_file::LocalFile;
pub use range::ByteRange;
pub use source::{OpenAt, Source};
pub use verify::{VerifiedStream, Verifier};
