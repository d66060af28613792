//! Manifests and indexes, decoded: a view beside the stored bytes, which stay as they are
//! (image-spec, "Image Manifest" and "Image Index").

mod document;
mod editor;
mod json_text;
mod types;

pub use document::ManifestDocument;
pub use editor::ManifestEditor;
pub use types::{ArtifactManifest, Index, Manifest, encode_json};
