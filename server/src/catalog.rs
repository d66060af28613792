//! Listing repositories.

use futures_util::{TryStreamExt as _, future};
use http::request::Parts;
use serde::Serialize;
use tranship::RepositoryName;

use crate::access::Caller;
use crate::paging::Page;
use crate::response::{HandlerResult, json, link_next};
use crate::state::ServerState;

/// GET of the names of the repositories, an endpoint of Docker's registry.
pub(crate) async fn list(
    state: &ServerState,
    request: &Parts,
    caller: &Caller<'_>,
) -> HandlerResult {
    #[derive(Serialize)]
    struct List {
        repositories: Vec<RepositoryName>,
    }
    let page = Page::of(request, state.options.max_page_size)?;
    let (repositories, more) = page
        .fill(|options| {
            let names = state.registry.repositories(options);
            Box::pin(names.try_filter(|name| future::ready(caller.may_see(name))))
        })
        .await?;
    let last = repositories.last().filter(|_| more).cloned();
    let mut response = json(&List { repositories })?;
    if let Some(last) = last {
        let n = page.count.to_string();
        link_next(
            &mut response,
            "/v2/_catalog",
            last.as_str(),
            Some(("n", &n)),
        );
    }
    Ok(response)
}
