//! Files that the browser saves.

use http::Response;
use tranship::{Digest, Repository, TagOrDigest};

use super::files::{open, unreadable};
use super::manifest::title;
use super::view::find;
use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::response;

/// Sends a manifest.
pub(super) async fn manifest(
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    let content = repository.fetch_reference(reference).await?;
    let name = format!("{}.json", title(reference).replace(':', "-"));
    let length = content.len();
    let stream = Box::pin(content.into_stream());
    Ok(response::download(stream, length, &name))
}

/// Sends a blob of a manifest.
pub(super) async fn blob(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    blob: &Digest,
) -> Result<Response<PageBody>, Failure> {
    let (_, file) = find(repository, reference, blob).await?;
    let content = repository.fetch(&file).await?;
    let name = match file.annotation("org.opencontainers.image.title") {
        Some(title) => file_name(title).to_owned(),
        None => blob.to_string().replace(':', "-"),
    };
    let length = content.len();
    let stream = Box::pin(content.into_stream());
    Ok(response::download(stream, length, &name))
}

/// Sends a file of an image.
pub(super) async fn file(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    let path = context.parameter("path");
    let reader = context.layer_reader().await?;
    let mut files = open(context, repository, reference).await?;
    let (_, content) = files.read(&path).await.map_err(unreadable)?;
    drop(reader);
    let length = content.size();
    let stream = content.into_body()?.into_stream();
    Ok(response::download(stream, length, file_name(&path)))
}

fn file_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { "file" } else { name }
}
