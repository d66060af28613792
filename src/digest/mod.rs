//! Digests: the names of content (image-spec, "Descriptor", Digests).

mod algorithm;
mod digester;
mod name;

pub use algorithm::Algorithm;
pub use digester::Digester;
pub use name::Digest;
