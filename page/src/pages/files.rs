//! The files of an image.

use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::{Descriptor, Error, ErrorKind, HumanSize, Repository, TagOrDigest};
use tranship_artifact::image::{Entry, EntryKind, Filesystem, FilesystemOptions};

use super::manifest::{crumbs, title};
use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::{Text, shortened};
use crate::html::time;
use crate::links;
use crate::response;

/// How many files are on a page.
pub(super) const PAGE: usize = 500;

/// The longest target of a link that is shown, in characters.
pub(super) const MAX_TARGET: usize = 200;

/// Opens the files of an image, if its layers are within the limits of a page.
///
/// # Errors
/// 422 if the reference does not name an image, or if the layers are too large.
pub(super) async fn open<'r>(
    context: &Context<'_>,
    repository: &'r dyn Repository,
    reference: &TagOrDigest,
) -> Result<Filesystem<'r>, Failure> {
    let limits = &context.state.options;
    let limit = limits.max_layers_size;
    let options = FilesystemOptions::default()
        .with_max_entries(500_000)
        .with_max_metadata_size(128 * 1024 * 1024)
        .with_max_unpacked_size(limits.max_unpacked_size)
        .with_max_work_time(limits.max_layers_time);
    let files = Filesystem::open(repository, reference, options).await?;
    let size = files.layers().map(Descriptor::size);
    let size: u64 = size.fold(0, u64::saturating_add);
    if size > limit {
        return Err(Failure::not_possible(format!(
            "The layers of the image have {}, and files are listed here up to {}. Use `tranship fs ls`.",
            HumanSize(size),
            HumanSize(limit)
        )));
    }
    Ok(files)
}

/// Converts the error of reading layers.
pub(super) fn unreadable(error: Error) -> Failure {
    let is_over_limit = error.kind() == ErrorKind::SizeExceedsLimit;
    let mut failure = Failure::from(error);
    if is_over_limit {
        failure.hint = Some("Use `tranship fs ls`, which has larger limits.".to_owned());
    }
    failure
}

pub(super) async fn show(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    let path = context.parameter("path");
    let path = if path.is_empty() { "/" } else { &*path };
    let reader = context.layer_reader().await?;
    let mut files = open(context, repository, reference).await?;
    let entry = files.metadata(path).await.map_err(unreadable)?;
    let entries = match entry.is_directory() {
        true => files.list(path, false).await.map_err(unreadable)?,
        false => vec![entry.clone()],
    };
    drop(reader);
    let image = files.manifest().digest();
    let page: usize = context.parameter("page").parse().unwrap_or(0);
    let shown = entries.iter().skip(page.saturating_mul(PAGE)).take(PAGE);
    let address = |page: usize| {
        let here = links::below_manifest(repository.name(), reference, "files");
        links::with_query(&here, &[("path", path), ("page", &page.to_string())])
    };
    let next =
        ((page.saturating_add(1)).saturating_mul(PAGE) < entries.len()).then(|| address(page + 1));
    let previous = page.checked_sub(1).map(address);
    let content = html! {
        h1 { "Files" }
        (path_links(repository, image, &entry.path_text()))
        @if entries.is_empty() {
            p.quiet { "The directory is empty." }
        } @else {
            (table(repository, image, shown))
        }
        (parts::pager(None, previous.as_deref(), next.as_deref()))
    };
    let [repositories, tags] = crumbs(repository);
    let above = Crumb::new(
        title(reference),
        links::manifest(repository.name(), reference),
    );
    let page = frame(context, "Files", &[repositories, tags, above], content);
    Ok(response::html(StatusCode::OK, page))
}

/// Shows the directories that lead to `path`.
fn path_links(repository: &dyn Repository, image: &tranship::Digest, path: &str) -> Markup {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    html! {
        p.path {
            a href=(links::files(repository.name(), image, "/")) { "/" }
            @for (position, part) in parts.iter().enumerate() {
                @let above = format!("/{}", parts[..=position].join("/"));
                a href=(links::files(repository.name(), image, &above)) { (Text(part)) }
                @if position + 1 < parts.len() { "/" }
            }
        }
    }
}

fn table<'a>(
    repository: &dyn Repository,
    image: &tranship::Digest,
    entries: impl Iterator<Item = &'a Entry>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Files" { table.files {
            caption.hidden { "Files" }
            thead { tr {
                th scope="col" { "Name" }
                th.number scope="col" { "Size" }
                th scope="col" { "Mode" }
                th scope="col" { "Owner" }
                th scope="col" { "Changed" }
                th scope="col" { "Layer" }
            } }
            tbody {
                @for entry in entries {
                    tr {
                        th scope="row" { (name(repository, image, entry)) }
                        td.number { @if let EntryKind::File { size } = entry.kind { (parts::size(size)) } }
                        td { code { (entry.permissions()) } }
                        td.numeric { (entry.uid) ":" (entry.gid) }
                        td { (time::date(entry.mtime)) }
                        td { @if let Some(layer) = &entry.layer {
                            (parts::digest_link(layer, &links::layer(repository.name(), image, layer)))
                        } }
                    }
                }
            }
        } }
    }
}

fn name(repository: &dyn Repository, image: &tranship::Digest, entry: &Entry) -> Markup {
    let path = entry.path_text();
    let name = path.rsplit('/').next().unwrap_or_default();
    // A name that is not UTF-8 cannot be asked for.
    let is_text = std::str::from_utf8(&entry.path).is_ok();
    html! {
        @match &entry.kind {
            EntryKind::Directory if is_text => {
                a href=(links::files(repository.name(), image, &path)) { (Text(name)) "/" }
            }
            EntryKind::File { .. } if is_text => {
                a href=(links::file_content(repository.name(), image, &path)) download { (Text(name)) }
            }
            EntryKind::Symlink { target } => {
                (Text(name)) span.quiet { " → " (Text(&shortened(&String::from_utf8_lossy(target), MAX_TARGET))) }
            }
            _ => (Text(name)),
        }
    }
}
