//! Parses the path of a request.

use tranship::{Digest, RepositoryName, Tag, TagOrDigest};

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Repositories,
    Mirrors,
    Login,
    Logout,
    Asset(String),
    Repository(RepositoryName, RepositoryRoute),
}

/// A page about one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryRoute {
    Tags,
    Compare,
    Untag(Tag),
    Manifest(TagOrDigest),
    RawManifest(TagOrDigest),
    Delete(TagOrDigest),
    Referrers(TagOrDigest),
    Files(TagOrDigest),
    FileContent(TagOrDigest),
    Layer(TagOrDigest, Digest),
    Blob(TagOrDigest, Digest),
    BlobContent(TagOrDigest, Digest),
}

impl Route {
    /// Parses `path`, which begins with `/ui/`; `None` if it is not the path of a page.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix(crate::links::ROOT)?;
        match path {
            "" => return Some(Self::Repositories),
            "mirrors" => return Some(Self::Mirrors),
            "login" => return Some(Self::Login),
            "logout" => return Some(Self::Logout),
            _ => {}
        }
        if let Some(name) = path.strip_prefix("assets/") {
            return Some(Self::Asset(name.to_owned()));
        }
        let path = path.strip_prefix("repositories/")?;
        // No component of a name is a dash, as components begin with a letter or a digit.
        let (name, rest) = match path.split_once("/-/") {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let name = name.parse().ok()?;
        let page = match rest {
            None => RepositoryRoute::Tags,
            Some(rest) => RepositoryRoute::parse(rest)?,
        };
        Some(Self::Repository(name, page))
    }
}

impl Route {
    /// Returns the path with the kinds of names in braces.
    pub(crate) const fn template(&self) -> &'static str {
        use RepositoryRoute::*;
        match self {
            Self::Repositories => crate::links::ROOT,
            Self::Mirrors => crate::links::MIRRORS,
            Self::Login => crate::links::LOGIN,
            Self::Logout => crate::links::LOGOUT,
            Self::Asset(_) => "/ui/assets/{file}",
            Self::Repository(_, page) => match page {
                Tags => "/ui/repositories/{name}",
                Compare => "/ui/repositories/{name}/-/compare",
                Untag(_) => "/ui/repositories/{name}/-/tags/{tag}/untag",
                Manifest(_) => "/ui/repositories/{name}/-/manifests/{reference}",
                RawManifest(_) => "/ui/repositories/{name}/-/manifests/{reference}/raw",
                Delete(_) => "/ui/repositories/{name}/-/manifests/{reference}/delete",
                Referrers(_) => "/ui/repositories/{name}/-/manifests/{reference}/referrers",
                Files(_) => "/ui/repositories/{name}/-/manifests/{reference}/files",
                FileContent(_) => "/ui/repositories/{name}/-/manifests/{reference}/files/content",
                Layer(..) => "/ui/repositories/{name}/-/manifests/{reference}/layers/{layer}",
                Blob(..) => "/ui/repositories/{name}/-/manifests/{reference}/blobs/{blob}",
                BlobContent(..) => {
                    "/ui/repositories/{name}/-/manifests/{reference}/blobs/{blob}/content"
                }
            },
        }
    }
}

impl RepositoryRoute {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        Some(match parts[..] {
            ["compare"] => Self::Compare,
            ["tags", tag, "untag"] => Self::Untag(tag.parse().ok()?),
            ["manifests", reference] => Self::Manifest(parse_reference(reference)?),
            ["manifests", reference, "raw"] => Self::RawManifest(parse_reference(reference)?),
            ["manifests", reference, "delete"] => Self::Delete(parse_reference(reference)?),
            ["manifests", reference, "referrers"] => Self::Referrers(parse_reference(reference)?),
            ["manifests", reference, "files"] => Self::Files(parse_reference(reference)?),
            ["manifests", reference, "files", "content"] => {
                Self::FileContent(parse_reference(reference)?)
            }
            ["manifests", reference, "layers", layer] => {
                Self::Layer(parse_reference(reference)?, layer.parse().ok()?)
            }
            ["manifests", reference, "blobs", blob] => {
                Self::Blob(parse_reference(reference)?, blob.parse().ok()?)
            }
            ["manifests", reference, "blobs", blob, "content"] => {
                Self::BlobContent(parse_reference(reference)?, blob.parse().ok()?)
            }
            _ => return None,
        })
    }
}

fn parse_reference(text: &str) -> Option<TagOrDigest> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slashes_end_at_the_dash() {
        let Some(Route::Repository(name, page)) =
            Route::parse("/ui/repositories/a/b-c/-/manifests/v1")
        else {
            panic!("a repository");
        };
        assert_eq!(name.as_str(), "a/b-c");
        assert_eq!(
            page,
            RepositoryRoute::Manifest("v1".parse().expect("a tag"))
        );
    }

    #[test]
    fn other_paths_are_no_pages() {
        for path in [
            "/ui",
            "/ui/other",
            "/ui/repositories/",
            "/ui/repositories/UPPER",
            "/ui/repositories/a/../b",
            "/ui/repositories/a/-/",
            "/ui/repositories/a/-/manifests/",
            "/ui/repositories/a/-/manifests/-x",
            "/ui/repositories/a/-/manifests/v1/other",
            "/ui/repositories/a/-/manifests/v1/blobs/x",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
