//! Listing tags, a page at a time.

use futures_util::TryStreamExt as _;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use tranship::{ListOptions, RepositoryName, Tag};

use crate::paging::Page;
use crate::response::{HandlerResult, json, link_next};
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;

/// GET of the tags of a repository.
pub(crate) async fn list(
    state: &ServerState,
    name: &RepositoryName,
    request: &Parts,
) -> HandlerResult {
    #[derive(Serialize)]
    struct List<'a> {
        name: &'a str,
        tags: Vec<Tag>,
    }
    let page = Page::of(request, state.options.max_page_size)?;
    let repository = state.repository(name).await?;
    let (tags, more) = page.fill(|options| repository.tags(options)).await?;
    if tags.is_empty() && page.is_first() && !exists(state, name).await? {
        return Err(ResponseError::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NameUnknown,
            "the repository does not exist",
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

/// Returns whether the registry lists the repository. If the registry does not have a catalog, every repository may
/// exist.
async fn exists(state: &ServerState, name: &RepositoryName) -> Result<bool, ResponseError> {
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
        Err(error) => Err(ResponseError::from_backend(&error, Resource::Repository)),
    }
}

/// Returns a text that in ASCII order is between `name` and all names before it, since names do not contain a tilde.
fn right_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    if let Some(last) = text.pop().and_then(|last| u8::try_from(last).ok()) {
        text.push(char::from(last.saturating_sub(1)));
        text.push('~');
    }
    text
}
