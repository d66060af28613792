//! Opens a repository of a registry, and checks that it exists if the options say so.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tranship::{Error, ErrorKind, ListOptions, Registry, Repository, RepositoryName, Result};

use crate::options::OpenOptions;

/// Opens a repository of a registry.
///
/// # Errors
/// `NotFound` if it must exist and does not.
pub(crate) async fn repository(
    registry: &dyn Registry,
    name: &RepositoryName,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    if options.must_exist && !is_listed(registry, name).await? {
        return Err(Error::new(
            ErrorKind::NotFound,
            "there is no such repository",
        ));
    }
    registry.repository(name).await
}

async fn is_listed(registry: &dyn Registry, name: &RepositoryName) -> Result<bool> {
    let options = ListOptions::default()
        .with_last(just_before(name))
        .with_page_size(1);
    let next = registry.repositories(options).try_next().await?;
    Ok(next.as_ref() == Some(name))
}

/// Returns a text that is before `name` in ASCII order, with no other name in between.
fn just_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    // A name ends with a letter or a digit, and contains no character after `z`.
    if let Some(end) = text.pop() {
        text.push(char::from_u32(u32::from(end) - 1).unwrap_or_default());
        text.push('\u{7f}');
    }
    text
}
