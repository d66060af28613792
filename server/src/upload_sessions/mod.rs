//! Open uploads, between the requests that belong to them.
//!
//! The upload object of the backend stays here from one request to the next, so that what it knows of the bytes so far,
//! such as their hash, is not computed again. Between requests it is paused: an open upload costs memory, but no file
//! descriptor. An upload that is not here is resumed from the backend by its id: one of an earlier process, or one
//! whose last request broke off.

mod session;
mod table;
mod token;

pub(crate) use session::UploadSession;
pub(crate) use table::{ExpiredUpload, Owner, UploadSessions};
pub(crate) use token::Token;
