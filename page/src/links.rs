//! The addresses of the pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tranship::{Digest, RepositoryName, Tag};

/// The path below which all pages are.
pub(crate) const ROOT: &str = "/ui/";

pub(crate) const MIRRORS: &str = "/ui/mirrors";
pub(crate) const LOGIN: &str = "/ui/login";
pub(crate) const LOGOUT: &str = "/ui/logout";

const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

pub(crate) fn repository(name: &RepositoryName) -> String {
    format!("/ui/repositories/{name}")
}

/// Returns the address of the manifest that `reference`, a tag or a digest, names.
pub(crate) fn manifest(name: &RepositoryName, reference: impl std::fmt::Display) -> String {
    format!("/ui/repositories/{name}/-/manifests/{reference}")
}

/// Returns the address of a page below that of a manifest.
pub(crate) fn below_manifest(
    name: &RepositoryName,
    reference: impl std::fmt::Display,
    page: &str,
) -> String {
    format!("{}/{page}", manifest(name, reference))
}

/// Returns the address of the page that shows a blob of a manifest.
pub(crate) fn blob(name: &RepositoryName, manifest: &Digest, blob: &Digest) -> String {
    below_manifest(name, manifest, &format!("blobs/{blob}"))
}

/// Returns the address of the bytes of a blob of a manifest.
pub(crate) fn blob_content(name: &RepositoryName, manifest: &Digest, blob: &Digest) -> String {
    below_manifest(name, manifest, &format!("blobs/{blob}/content"))
}

/// Returns the address of what a layer of an image changes.
pub(crate) fn layer(name: &RepositoryName, manifest: &Digest, layer: &Digest) -> String {
    below_manifest(name, manifest, &format!("layers/{layer}"))
}

/// Returns the address of the directory `path` of an image.
pub(crate) fn files(name: &RepositoryName, manifest: &Digest, path: &str) -> String {
    with_query(&below_manifest(name, manifest, "files"), &[("path", path)])
}

/// Returns the address of the content of the file `path` of an image.
pub(crate) fn file_content(name: &RepositoryName, manifest: &Digest, path: &str) -> String {
    with_query(
        &below_manifest(name, manifest, "files/content"),
        &[("path", path)],
    )
}

pub(crate) fn untag(name: &RepositoryName, tag: &Tag) -> String {
    format!("/ui/repositories/{name}/-/tags/{tag}/untag")
}

pub(crate) fn compare(name: &RepositoryName) -> String {
    format!("/ui/repositories/{name}/-/compare")
}

/// Returns `path` with `parameters`, without the empty ones.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let present = parameters.iter().filter(|(_, value)| !value.is_empty());
    for (position, (key, value)) in present.enumerate() {
        address.push(if position == 0 { '?' } else { '&' });
        address.push_str(key);
        address.push('=');
        address.extend(utf8_percent_encode(value, IN_QUERY));
    }
    address
}
