//! From the path of a request to an endpoint.

use http::Method;
use percent_encoding::percent_decode_str;
use tranship::{Error, RepositoryName};

use crate::access::TOKEN_PATH;
use crate::endpoint::Endpoint;
use crate::response_error::{ErrorCode, ResponseError};

/// The longest repository name that is accepted, in bytes: the limit of many clients, and of names in many file
/// systems.
const MAX_NAME_LENGTH: usize = 255;

/// An endpoint of the distribution spec, with the names in its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    Ready,
    Metrics,
    Ping,
    Token,
    Catalog,
    Tags(RepositoryName),
    Manifest(RepositoryName, String),
    Blob(RepositoryName, String),
    Uploads(RepositoryName),
    Upload(RepositoryName, String),
    Referrers(RepositoryName, String),
}

impl Route {
    /// Parses `path`. Names of repositories contain slashes, so the path is read
    /// from its right end.
    pub(crate) fn parse(path: &str) -> Result<Self, ResponseError> {
        match path {
            "/healthz" => return Ok(Self::Health),
            "/readyz" => return Ok(Self::Ready),
            "/metrics" => return Ok(Self::Metrics),
            TOKEN_PATH => return Ok(Self::Token),
            _ => {}
        }
        let Some(rest) = path
            .strip_prefix("/v2")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Err(unknown_endpoint());
        };
        match rest {
            "" | "/" => return Ok(Self::Ping),
            "/_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let segments: Vec<&str> = rest[1..].split('/').collect();
        match segments.as_slice() {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(repository(name)?, segment(id)?))
            }
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "manifests", reference] => {
                Ok(Self::Manifest(repository(name)?, segment(reference)?))
            }
            [name @ .., "blobs", digest] => Ok(Self::Blob(repository(name)?, segment(digest)?)),
            [name @ .., "referrers", digest] => {
                Ok(Self::Referrers(repository(name)?, segment(digest)?))
            }
            _ => Err(unknown_endpoint()),
        }
    }
}

impl Route {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Health | Self::Ready | Self::Metrics => Endpoint::Other,
            Self::Ping => Endpoint::Ping,
            Self::Token => Endpoint::Token,
            Self::Catalog => Endpoint::Catalog,
            Self::Tags(_) => Endpoint::Tags,
            Self::Manifest(..) => Endpoint::Manifest,
            Self::Blob(..) => Endpoint::Blob,
            Self::Uploads(_) | Self::Upload(..) => Endpoint::Upload,
            Self::Referrers(..) => Endpoint::Referrers,
        }
    }

    /// Returns the path with the kinds of names in braces.
    pub(crate) const fn template(&self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Ping => "/v2/",
            Self::Token => TOKEN_PATH,
            Self::Catalog => "/v2/_catalog",
            Self::Tags(_) => "/v2/{name}/tags/list",
            Self::Manifest(..) => "/v2/{name}/manifests/{reference}",
            Self::Blob(..) => "/v2/{name}/blobs/{digest}",
            Self::Uploads(_) => "/v2/{name}/blobs/uploads/",
            Self::Upload(..) => "/v2/{name}/blobs/uploads/{id}",
            Self::Referrers(..) => "/v2/{name}/referrers/{digest}",
        }
    }

    /// Returns the route with the name of the repository that `rename` returns.
    ///
    /// # Errors
    /// That of `rename`.
    pub(crate) fn renamed(
        self,
        rename: impl FnOnce(&RepositoryName) -> Result<RepositoryName, ResponseError>,
    ) -> Result<Self, ResponseError> {
        Ok(match self {
            Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::Ping
            | Self::Token
            | Self::Catalog => self,
            Self::Tags(name) => Self::Tags(rename(&name)?),
            Self::Manifest(name, reference) => Self::Manifest(rename(&name)?, reference),
            Self::Blob(name, digest) => Self::Blob(rename(&name)?, digest),
            Self::Uploads(name) => Self::Uploads(rename(&name)?),
            Self::Upload(name, id) => Self::Upload(rename(&name)?, id),
            Self::Referrers(name, digest) => Self::Referrers(rename(&name)?, digest),
        })
    }

    /// Returns the repository of the endpoint.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::Ping
            | Self::Token
            | Self::Catalog => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

fn repository(segments: &[&str]) -> Result<RepositoryName, ResponseError> {
    let invalid =
        |error: Error| ResponseError::bad_request(ErrorCode::NameInvalid, error.to_string());
    let mut name = String::new();
    for encoded in segments {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(&segment(encoded)?);
        if name.len() > MAX_NAME_LENGTH {
            return Err(ResponseError::bad_request(
                ErrorCode::NameInvalid,
                format!("the repository name has more than {MAX_NAME_LENGTH} bytes"),
            ));
        }
    }
    if segments.first() == Some(&"") {
        return Err(ResponseError::bad_request(
            ErrorCode::NameInvalid,
            "the repository name begins with a slash",
        ));
    }
    name.parse().map_err(invalid)
}

/// Decodes a path segment. An encoded slash is refused, since other software may treat it as a separator.
fn segment(encoded: &str) -> Result<String, ResponseError> {
    match percent_decode_str(encoded).decode_utf8() {
        Ok(decoded) if !decoded.contains('/') => Ok(decoded.into_owned()),
        Ok(_) => Err(ResponseError::bad_request(
            ErrorCode::NameInvalid,
            "the path has an encoded slash",
        )),
        Err(_) => Err(ResponseError::bad_request(
            ErrorCode::NameInvalid,
            "the path is not UTF-8",
        )),
    }
}

/// Returns whether requests with this method only read.
pub(crate) fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

pub(crate) fn unknown_endpoint() -> ResponseError {
    ResponseError::new(
        http::StatusCode::NOT_FOUND,
        ErrorCode::Unsupported,
        "the distribution spec does not define this endpoint",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().expect("a name")
    }

    fn refused(path: &str) -> ErrorCode {
        Route::parse(path).expect_err(path).code()
    }

    #[test]
    fn the_root_may_lack_its_slash() {
        assert_eq!(Route::parse("/v2/").expect("root"), Route::Ping);
        assert_eq!(Route::parse("/v2").expect("root"), Route::Ping);
    }

    #[test]
    fn names_may_contain_slashes_and_words_of_the_api() {
        assert_eq!(
            Route::parse("/v2/a/b/tags/list").expect("tags"),
            Route::Tags(name("a/b"))
        );
        assert_eq!(
            Route::parse("/v2/manifests/blobs/uploads/manifests/v1").expect("manifest"),
            Route::Manifest(name("manifests/blobs/uploads"), "v1".into())
        );
        assert_eq!(
            Route::parse("/v2/blobs/uploads/blobs/uploads/").expect("uploads"),
            Route::Uploads(name("blobs/uploads"))
        );
        assert_eq!(
            Route::parse("/v2/a/blobs/uploads/id").expect("upload"),
            Route::Upload(name("a"), "id".into())
        );
    }

    #[test]
    fn an_encoded_colon_is_a_colon() {
        assert_eq!(
            Route::parse("/v2/a/blobs/sha256%3Aabc").expect("blob"),
            Route::Blob(name("a"), "sha256:abc".into())
        );
    }

    #[test]
    fn a_name_cannot_leave_the_registry() {
        for path in [
            "/v2/../etc/manifests/v1",
            "/v2/a/%2e%2e/manifests/v1",
            "/v2/a%2fb/manifests/v1",
            "/v2/a/../../manifests/v1",
            "/v2//a/manifests/v1",
            "/v2/a//b/manifests/v1",
            "/v2/A/manifests/v1",
            "/v2/a\\b/manifests/v1",
            "/v2/a/manifests/%2e%2e%2fv1",
            "/v2/%ff/manifests/v1",
            "/v2/a%00/manifests/v1",
        ] {
            assert_eq!(refused(path), ErrorCode::NameInvalid, "{path}");
        }
    }

    #[test]
    fn an_overlong_name_is_refused_by_its_length() {
        let path = format!("/v2/{}/tags/list", "a/".repeat(5000) + "a");
        assert_eq!(refused(&path), ErrorCode::NameInvalid);
    }

    proptest! {
        #[test]
        fn no_path_has_a_name_that_leaves_the_registry(path in "(/v2)?(/[a-z.%2/]{0,4}){0,6}(/manifests/v1)?") {
            if let Ok(route) = Route::parse(&path)
                && let Some(name) = route.repository()
            {
                let is_inside = |part: &str| !part.is_empty() && !part.starts_with('.');
                prop_assert!(name.as_str().split('/').all(is_inside), "{name}");
            }
        }

        #[test]
        fn any_text_is_an_endpoint_or_refused(path in any::<String>()) {
            let _ = Route::parse(&path);
        }
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in [
            "/",
            "/v1/",
            "/v2x/",
            "/v2/a",
            "/v2/a/b/c",
            "/v2//",
            "/v2//_catalog",
            "/v2/tags",
            "/v2/a/tags/all",
        ] {
            assert_eq!(refused(path), ErrorCode::Unsupported, "{path}");
        }
    }
}
