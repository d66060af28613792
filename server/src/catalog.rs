//! Listing repositories.

use http::request::Parts;
use serde::Serialize;
use tranship::RepositoryName;

use crate::response::{Answer, json, link_next};
use crate::service::Shared;
use crate::tags::Page;

/// GET of the names of the repositories, as Docker's registry has it.
pub(crate) async fn list(shared: &Shared, request: &Parts) -> Answer {
    #[derive(Serialize)]
    struct List {
        repositories: Vec<RepositoryName>,
    }
    let page = Page::of(request, shared.options.max_page_size)?;
    let (repositories, more) = page
        .fill(|options| shared.registry.repositories(options))
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
