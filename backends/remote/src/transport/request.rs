//! One request, which may be sent several times.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tranship::Source;
use url::Url;

use super::counts::RequestKind;
use super::limit::RequestClass;
use crate::auth::Scopes;

/// Whether a request may be sent again if it is not known whether the registry has handled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Sending it twice has the same effect as sending it once.
    Safe,
    /// It may be sent again only if it certainly did not reach the registry. Otherwise the caller decides.
    IfUnsent,
}

/// The body of a request.
#[derive(Clone)]
pub(crate) enum Payload<'a> {
    Empty,
    Bytes(Bytes),
    /// A part of a source that has `total` bytes in all.
    Source {
        source: &'a Source<'a>,
        range: Range<u64>,
        total: u64,
    },
}

impl Payload<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source { range, .. } => range.end - range.start,
        }
    }

    pub(crate) fn is_replayable(&self) -> bool {
        match self {
            Self::Empty | Self::Bytes(_) => true,
            Self::Source { source, .. } => source.is_reopenable(),
        }
    }
}

pub(crate) struct Request<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    pub(crate) scopes: Scopes,
    pub(crate) class: RequestClass,
    pub(crate) repeat: Repeat,
    /// Whether the body of the request or the response may be large. HTTP/1.1 is faster for those.
    pub(crate) is_bulk: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn new(kind: RequestKind, method: Method, url: Url, scopes: Scopes) -> Self {
        Self {
            kind,
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes,
            class: RequestClass::Other,
            repeat: Repeat::Safe,
            is_bulk: false,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload<'a>) -> Self {
        self.is_bulk = matches!(payload, Payload::Source { .. });
        self.payload = payload;
        self
    }

    pub(crate) fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Marks the request as a download of the bytes of a blob.
    pub(crate) fn download(mut self) -> Self {
        self.class = RequestClass::Download;
        self.is_bulk = true;
        self
    }
}
