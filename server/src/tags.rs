//! Listing tags, a page at a time.

use futures_util::TryStreamExt as _;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use tranship::{ListOptions, Listing, RepositoryName, Tag};

use crate::failure::{About, Code, Failure};
use crate::query::Query;
use crate::response::{Answer, json, link_next};
use crate::state::ServerState;

/// GET of the tags of a repository.
pub(crate) async fn list(state: &ServerState, name: &RepositoryName, request: &Parts) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        name: &'a str,
        tags: Vec<Tag>,
    }
    let page = Page::of(request, state.options.max_page_size)?;
    let repository = state.repository(name).await?;
    let (tags, more) = page.fill(|options| repository.tags(options)).await?;
    if tags.is_empty() && page.begins_at_the_start() && !exists(state, name).await? {
        return Err(Failure::new(
            StatusCode::NOT_FOUND,
            Code::NameUnknown,
            "there is no such repository",
        ));
    }
    let last = tags.last().filter(|_| more).cloned();
    let mut response = json(&List {
        name: name.as_str(),
        tags,
    })?;
    if let Some(last) = last {
        let path = format!("/v2/{name}/tags/list");
        let n = page.count.to_string();
        link_next(&mut response, &path, last.as_str(), Some(("n", &n)));
    }
    Ok(response)
}

/// Whether the registry lists the repository; if it lists none, every repository may exist.
async fn exists(state: &ServerState, name: &RepositoryName) -> Result<bool, Failure> {
    if !state.registry.capabilities().catalog.is_yes() {
        return Ok(true);
    }
    let options = ListOptions::default()
        .with_last(right_before(name))
        .with_page_size(1);
    let mut names = state.registry.repositories(options);
    match names.try_next().await {
        Ok(first) => Ok(first.as_ref() == Some(name)),
        Err(error) if error.is_unsupported() => Ok(true),
        Err(error) => Err(Failure::of(&error, About::Repository)),
    }
}

/// A text that in ASCII order stands before `name` and behind every name that does so, as no name has
/// a tilde.
fn right_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    if let Some(last) = text.pop().and_then(|last| u8::try_from(last).ok()) {
        text.push(char::from(last.saturating_sub(1)));
        text.push('~');
    }
    text
}

/// A page of a listing, as a request asks for it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) count: usize,
    last: Option<String>,
}

impl Page {
    /// # Errors
    /// A failure if the parameter `n` is no number.
    pub(crate) fn of(request: &Parts, limit: usize) -> Result<Self, Failure> {
        let query = Query::of(&request.uri);
        let count = match query.first("n").as_deref() {
            None | Some("") => limit,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().unwrap_or(usize::MAX).min(limit)
            }
            Some(_) => {
                return Err(Failure::bad_request(
                    Code::Unsupported,
                    "the parameter n is no number",
                ));
            }
        };
        let last = query.first("last").filter(|last| !last.is_empty());
        Ok(Self {
            count,
            last: last.map(Into::into),
        })
    }

    fn begins_at_the_start(&self) -> bool {
        self.last.is_none() && self.count > 0
    }

    /// The items of the page, and whether there are more behind it.
    pub(crate) async fn fill<'a, T>(
        &self,
        list: impl FnOnce(ListOptions) -> Listing<'a, T>,
    ) -> Result<(Vec<T>, bool), Failure> {
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
                Err(error) => return Err(Failure::of(&error, About::Repository)),
            }
        }
    }
}
