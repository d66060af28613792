//! The facts of a request that quirks depend on.

use http::Method;
use http::request::Parts;

/// The part of the API that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Catalog,
    Tags,
    Referrers,
    /// A manifest by its digest.
    Manifest,
    /// A manifest by a tag.
    TaggedManifest,
    Blob,
    /// Where uploads begin.
    Uploads,
    Upload,
    Other,
}

impl Endpoint {
    /// By the end of the path: a repository may be called like any part of it.
    fn of(path: &str) -> Self {
        if path == "/v2/_catalog" {
            return Self::Catalog;
        }
        let mut segments = path.rsplit('/');
        let (last, before) = (
            segments.next().unwrap_or_default(),
            segments.next().unwrap_or_default(),
        );
        let further = segments.next().unwrap_or_default();
        match (further, before, last) {
            ("blobs", "uploads", "") => Self::Uploads,
            ("blobs", "uploads", _) => Self::Upload,
            (_, "tags", "list") => Self::Tags,
            (_, "referrers", digest) if digest.contains(':') => Self::Referrers,
            (_, "manifests", digest) if digest.contains(':') => Self::Manifest,
            (_, "manifests", _) => Self::TaggedManifest,
            (_, "blobs", digest) if digest.contains(':') => Self::Blob,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_manifest(self) -> bool {
        matches!(self, Self::Manifest | Self::TaggedManifest)
    }

    pub(crate) fn is_listing(self) -> bool {
        matches!(self, Self::Catalog | Self::Tags)
    }
}

/// The facts of a request, before a quirk changes it.
#[derive(Debug, Clone)]
pub(crate) struct RequestInfo {
    pub(crate) method: Method,
    pub(crate) endpoint: Endpoint,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// The host as the client knows it, with the port.
    pub(crate) host: String,
    /// The length of the body, where it is known.
    pub(crate) length: Option<u64>,
    /// Whether it comes from where a blob's request was redirected to.
    pub(crate) is_redirected: bool,
}

impl RequestInfo {
    pub(crate) fn of(parts: &Parts) -> Self {
        let header = |name| {
            let value = parts.headers.get(name)?;
            value.to_str().ok()
        };
        let host = header(http::header::HOST).or(parts.uri.host());
        let path = parts.uri.path();
        Self {
            method: parts.method.clone(),
            endpoint: Endpoint::of(path),
            path: path.to_owned(),
            query: parts.uri.query().map(str::to_owned),
            host: host.unwrap_or("localhost").to_owned(),
            length: header(http::header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            is_redirected: false,
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The last segment of the path.
    pub(crate) fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The first value of a parameter, percent-encoded as in the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).next()
    }

    /// The values of a parameter, percent-encoded as in the query.
    pub(crate) fn parameters(&self, name: &str) -> impl Iterator<Item = &str> {
        parameters(self.query.as_deref())
            .filter_map(move |(found, value)| (found == name).then_some(value))
    }

    /// The repository, if the path is below one.
    pub(crate) fn repository(&self) -> Option<&str> {
        let path = self.path.strip_prefix("/v2/")?;
        let parts = match self.endpoint {
            Endpoint::Uploads | Endpoint::Upload => 3,
            Endpoint::Catalog | Endpoint::Other => return None,
            _ => 2,
        };
        let (end, _) = path.rmatch_indices('/').nth(parts - 1)?;
        Some(&path[..end])
    }
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The query without the parameters `names`.
pub(crate) fn without(query: Option<&str>, names: &[&str]) -> Option<String> {
    let kept = parameters(query).filter(|(name, _)| !names.contains(name));
    let kept: Vec<String> = kept
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Sends a request elsewhere.
pub(crate) fn redirect(parts: &mut Parts, path: &str, query: Option<&str>) {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // It is made of what was a URI before.
    if let Ok(uri) = target.parse() {
        parts.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_says_what_it_is_about() {
        for (path, endpoint) in [
            ("/v2/", Endpoint::Other),
            ("/v2/_catalog", Endpoint::Catalog),
            ("/v2/a/tags/list", Endpoint::Tags),
            ("/v2/tags/list/tags/list", Endpoint::Tags),
            ("/v2/a/b/blobs/uploads/", Endpoint::Uploads),
            ("/v2/a/blobs/uploads/1", Endpoint::Upload),
            ("/v2/a/blobs/sha256:0", Endpoint::Blob),
            ("/v2/a/manifests/sha256:0", Endpoint::Manifest),
            ("/v2/blobs/uploads/manifests/v1", Endpoint::TaggedManifest),
            ("/v2/a/referrers/sha256:0", Endpoint::Referrers),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }

    #[test]
    fn the_front_of_a_path_names_the_repository() {
        for (path, repository) in [
            ("/v2/", None),
            ("/v2/_catalog", None),
            ("/v2/a/b/tags/list", Some("a/b")),
            ("/v2/a/b/blobs/uploads/", Some("a/b")),
            ("/v2/a/blobs/uploads/1", Some("a")),
            ("/v2/a/manifests/v1", Some("a")),
        ] {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            parts.uri = path.parse().expect("a path");
            assert_eq!(RequestInfo::of(&parts).repository(), repository, "{path}");
        }
    }

    #[test]
    fn a_query_loses_what_is_named() {
        let query = Some("n=5&last=a%2Fb&x");
        assert_eq!(without(query, &["n", "x"]).as_deref(), Some("last=a%2Fb"));
        assert_eq!(without(Some("n=5"), &["n"]), None);
        assert_eq!(without(None, &["n"]), None);
    }
}
