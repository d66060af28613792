//! The parameters of a request, in its query or in a form.

use std::borrow::Cow;

use tranship::{Digest, MediaType};
use url::form_urlencoded;

use crate::response_error::{ErrorCode, ResponseError};

/// The parameters in the query of a URI, or in a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Reads a form, which has the syntax of a query.
    pub(crate) fn of_form(form: &'a [u8]) -> Result<Self, ResponseError> {
        std::str::from_utf8(form).map(Self).map_err(|_| {
            ResponseError::bad_request(ErrorCode::Unsupported, "the form is not UTF-8")
        })
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
