//! Listing tags, a page at a time.

use http::StatusCode;
use http::header::WARNING;
use http::request::Parts;
use serde::Serialize;
use tranship::{RepositoryName, Tag, may_have_repository};

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
    let warning = state.stale_warning(|mirrors| mirrors.has_stale_tags(name));
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
    if let Some(warning) = warning {
        response.headers_mut().append(WARNING, warning);
    }
    Ok(response)
}

/// Returns whether the repository may exist.
async fn exists(state: &ServerState, name: &RepositoryName) -> Result<bool, ResponseError> {
    let exists = may_have_repository(&*state.registry, name).await;
    exists.map_err(|error| ResponseError::from_backend(&error, Resource::Repository))
}
