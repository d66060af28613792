//! The query parameters of a request.

use std::borrow::Cow;

use tranship::{Digest, MediaType};
use url::form_urlencoded;

use crate::response_error::{ErrorCode, ResponseError};

/// The query parameters of a URI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Returns every value of the parameter `name`.
    pub(crate) fn all(self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        form_urlencoded::parse(self.0.as_bytes())
            .filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// Returns the first value of the parameter `name`.
    pub(crate) fn first(self, name: &'a str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// Parses the parameter `name` as a digest, if it is present.
    pub(crate) fn digest(self, name: &'a str) -> Result<Option<Digest>, ResponseError> {
        self.first(name).map(|text| parse_digest(&text)).transpose()
    }

    /// Returns the parameter `name` as a media type. Some clients do not encode the plus sign, which is decoded as a
    /// space; media types do not contain spaces.
    pub(crate) fn media_type(self, name: &'a str) -> Option<MediaType> {
        let text = self.first(name).filter(|text| !text.is_empty())?;
        Some(MediaType::from_stored(&text.replace(' ', "+")))
    }
}

/// Parses a digest in a path or parameter.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, ResponseError> {
    text.parse().map_err(|error: tranship::Error| {
        ResponseError::bad_request(ErrorCode::DigestInvalid, error.to_string())
    })
}
