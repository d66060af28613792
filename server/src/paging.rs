//! Pages of listings.

use futures_util::TryStreamExt as _;
use http::request::Parts;
use tranship::{ListOptions, Listing};

use crate::query::Query;
use crate::response_error::{ErrorCode, Resource, ResponseError};

/// The page of a listing that a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) count: usize,
    last: Option<String>,
}

impl Page {
    /// # Errors
    /// 400 if the parameter `n` is not a number.
    pub(crate) fn of(request: &Parts, limit: usize) -> Result<Self, ResponseError> {
        let query = Query::of(&request.uri);
        let count = match query.first("n").as_deref() {
            None | Some("") => limit,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().unwrap_or(usize::MAX).min(limit)
            }
            Some(_) => {
                return Err(ResponseError::bad_request(
                    ErrorCode::Unsupported,
                    "the parameter n is not a number",
                ));
            }
        };
        let last = query.first("last").filter(|last| !last.is_empty());
        Ok(Self {
            count,
            last: last.map(Into::into),
        })
    }

    /// Returns whether the page is the first one, and may have items.
    pub(crate) fn is_first(&self) -> bool {
        self.last.is_none() && self.count > 0
    }

    /// Reads the items of the page, and returns them and whether there are further ones.
    pub(crate) async fn fill<'a, T>(
        &self,
        list: impl FnOnce(ListOptions) -> Listing<'a, T>,
    ) -> Result<(Vec<T>, bool), ResponseError> {
        let mut items = Vec::new();
        if self.count == 0 {
            return Ok((items, false));
        }
        let mut options = ListOptions::default().with_page_size(self.count.saturating_add(1));
        options.last.clone_from(&self.last);
        let mut listing = list(options);
        loop {
            match listing.try_next().await {
                Ok(Some(_)) if items.len() == self.count => return Ok((items, true)),
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok((items, false)),
                Err(error) => {
                    return Err(ResponseError::from_backend(&error, Resource::Repository));
                }
            }
        }
    }
}
