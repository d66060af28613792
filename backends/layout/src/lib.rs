//! OCI image layouts as a tranship backend.
mod blobs;
mod blocking;
mod driver;
mod graph;
mod index;
mod layout;
mod manifests;
mod options;
mod registry;
mod store;

pub use layout::Layout;
pub use options::{Durability, LayoutOptions};
pub use registry::LayoutRegistry;
