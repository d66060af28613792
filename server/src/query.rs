//! The parameters of a request.

use std::borrow::Cow;

use tranship::{Digest, MediaType};
use url::form_urlencoded;

use crate::failure::{Code, Failure};

/// The parameters behind the question mark, decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Every value of the parameter `name`.
    pub(crate) fn all(self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        form_urlencoded::parse(self.0.as_bytes())
            .filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// The first value of the parameter `name`.
    pub(crate) fn first(self, name: &'a str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// The parameter `name` as a digest, if it is there.
    pub(crate) fn digest(self, name: &'a str) -> Result<Option<Digest>, Failure> {
        self.first(name).map(|text| parse_digest(&text)).transpose()
    }

    /// The parameter `name` as a media type. Some clients leave the plus sign as it is, which then
    /// reads as a blank; media types have none.
    pub(crate) fn media_type(self, name: &'a str) -> Option<MediaType> {
        let text = self.first(name).filter(|text| !text.is_empty())?;
        Some(MediaType::from_stored(&text.replace(' ', "+")))
    }
}

/// A digest in a path or parameter.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: tranship::Error| {
        Failure::bad_request(Code::DigestInvalid, error.to_string())
    })
}
