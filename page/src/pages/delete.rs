//! Deleting manifests and removing tags, each after a page that says what will happen.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Response, StatusCode};
use maud::{Markup, html};
use tokio::time::timeout_at;
use tranship::{Descriptor, ListOptions, Repository, Support, Tag, TagOrDigest};
use tranship_artifact::referrers::{ReferrerTree, TreeOptions, tree};
use tranship_server::{Event, EventAction, Permission};

use super::manifest::{crumbs, title};
use crate::body::PageBody;
use crate::context::Context;
use crate::details;
use crate::failure::Failure;
use crate::form::Form;
use crate::html::frame::frame;
use crate::html::parts;
use crate::html::text::Text;
use crate::links;
use crate::response;

/// How many tags are resolved to find those that name a digest.
const MAX_TAGS: usize = 10_000;

/// How many tags are resolved at the same time.
const CONCURRENCY: usize = 8;

/// How many tags and referrers are listed.
const MAX_LISTED: usize = 50;

/// The tags that name a digest.
struct Named {
    tags: Vec<Tag>,
    /// Whether there are too many tags to look at all of them.
    cut: bool,
}

/// Checks that the viewer may change the repository, and that it allows what is asked for, `support`.
fn check(
    context: &Context<'_>,
    repository: &dyn Repository,
    support: Support,
) -> Result<(), Failure> {
    if !context.viewer.may(repository.name(), Permission::Write) {
        return Err(Failure::forbidden(
            "You may read the repository and not change it.",
        ));
    }
    match support.reason() {
        Some(reason) => Err(Failure::not_possible(format!(
            "The repository does not support this: {reason}."
        ))),
        None => Ok(()),
    }
}

/// Asks whether to delete what `reference` names.
pub(super) async fn confirm(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Response<PageBody>, Failure> {
    check(
        context,
        repository,
        repository.capabilities().delete_manifests,
    )?;
    let target = repository.resolve(reference).await?;
    let tags = tags_of(context, repository, &target).await?;
    let mut immutable = tags.tags.iter();
    if let Some(tag) = immutable.find(|tag| repository.is_immutable(tag)) {
        return Err(Failure::not_possible(format!(
            "The immutable tag {tag} names the manifest, which can therefore not be deleted."
        )));
    }
    let referrers = tree(repository, target.clone(), &TreeOptions::default()).await;
    let referrers = match referrers {
        Ok(referrers) => Some(referrers),
        Err(error) if error.is_unsupported() => None,
        Err(error) => return Err(error.into()),
    };
    let name = repository.name();
    let digest = TagOrDigest::Digest(*target.digest());
    let address = links::below_manifest(name, &digest, "delete");
    let content = html! {
        h1 { "Delete " (title(&digest)) "?" }
        p.lead { "This deletes the manifest " code.whole { (target.digest()) } " from " strong { (name) } ". It cannot be undone." }
        (falling_tags(&tags))
        @if let Some(referrers) = &referrers { (falling_referrers(referrers)) }
        @if target.media_type().is_index() {
            p.note { "The images that the index lists stay stored. Garbage collection deletes them if nothing else needs them." }
        }
        (confirmation(context, &address, "Delete the manifest", &links::manifest(name, &digest)))
    };
    let page = frame(context, "Delete", &crumbs(repository), content);
    Ok(response::html(StatusCode::OK, page))
}

fn confirmation(context: &Context<'_>, address: &str, action: &str, back: &str) -> Markup {
    html! {
        form.row method="post" action=(address) {
            (parts::token_field(context))
            button.danger type="submit" { (action) }
            a.button href=(back) { "Cancel" }
        }
    }
}

fn falling_tags(named: &Named) -> Markup {
    html! {
        @if named.tags.is_empty() {
            p { "No tag names it" @if named.cut { ", among those that were looked at" } "." }
        } @else {
            p { "These tags name it, and are removed with it:" }
            ul { @for tag in named.tags.iter().take(MAX_LISTED) { li { strong { (tag) } } } }
            @if named.tags.len() > MAX_LISTED { p { "and " (named.tags.len() - MAX_LISTED) " more." } }
        }
        @if named.cut { p.note { "There are too many tags to look at all of them. Others may name it, too." } }
    }
}

fn falling_referrers(tree: &ReferrerTree) -> Markup {
    html! {
        @if !tree.is_empty() {
            p { "These refer to it. Without it, garbage collection may delete them:" }
            ul { @for branch in tree.branches().iter().take(MAX_LISTED) {
                @let descriptor = &branch.referrer.descriptor;
                @let kind = descriptor.artifact_type().unwrap_or(descriptor.media_type());
                li { (Text(kind.as_str())) " " (parts::short_digest(descriptor.digest())) }
            } }
            @if tree.len() > MAX_LISTED { p { "and " (tree.len() - MAX_LISTED) " more." } }
        }
    }
}

/// Finds the tags that name `target`, apart from those that attach something to it.
async fn tags_of(
    context: &Context<'_>,
    repository: &dyn Repository,
    target: &Descriptor,
) -> Result<Named, Failure> {
    let deadline = details::deadline(context);
    let listing = repository.tags(ListOptions::default()).take(MAX_TAGS + 1);
    let Ok(tags) = timeout_at(deadline, listing.try_collect::<Vec<Tag>>()).await else {
        return Ok(Named {
            tags: Vec::new(),
            cut: true,
        });
    };
    let tags = tags?;
    let mut named = Named {
        tags: Vec::new(),
        cut: tags.len() > MAX_TAGS,
    };
    let mut resolved = stream::iter(tags.into_iter().take(MAX_TAGS))
        .map(|tag| async move {
            let found = repository.resolve(&TagOrDigest::Tag(tag.clone())).await;
            (tag, found)
        })
        .buffered(CONCURRENCY);
    loop {
        match timeout_at(deadline, resolved.next()).await {
            Ok(Some((tag, Ok(found)))) if found.digest() == target.digest() => named.tags.push(tag),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(named),
            Err(_) => {
                named.cut = true;
                return Ok(named);
            }
        }
    }
}

/// Deletes the manifest that `reference`, a digest, names.
pub(super) async fn delete(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
    form: &Form,
) -> Result<Response<PageBody>, Failure> {
    form.check_token(context)?;
    check(
        context,
        repository,
        repository.capabilities().delete_manifests,
    )?;
    if matches!(reference, TagOrDigest::Tag(_)) {
        // The tag may have moved since the page was shown.
        return Err(Failure::bad_request("A manifest is deleted by its digest."));
    }
    let target = repository.resolve(reference).await?;
    repository.delete(&target).await?;
    let event = Event::new(EventAction::Delete, repository.name().clone()).with_content(&target);
    context.report(event);
    tracing::info!(
        user = context.viewer.user(),
        repository = %repository.name(),
        digest = %target.digest(),
        "a manifest was deleted on a page"
    );
    Ok(response::see_other(&links::repository(repository.name())))
}

/// Asks whether to remove a tag.
pub(super) async fn confirm_untag(
    context: &Context<'_>,
    repository: &dyn Repository,
    tag: &Tag,
) -> Result<Response<PageBody>, Failure> {
    check(context, repository, repository.capabilities().untag)?;
    if repository.is_immutable(tag) {
        return Err(Failure::not_possible(format!(
            "The tag {tag} is immutable, so it cannot be removed."
        )));
    }
    let reference = TagOrDigest::Tag(tag.clone());
    let target = repository.resolve(&reference).await?;
    let named = tags_of(context, repository, &target).await?;
    let others: Vec<&Tag> = named.tags.iter().filter(|it| *it != tag).collect();
    let name = repository.name();
    let content = html! {
        h1 { "Remove the tag " (tag) "?" }
        p.lead { "The tag is removed from " strong { (name) } ". The manifest " code.whole { (target.digest()) } " stays." }
        @if others.is_empty() {
            p.note {
                @if named.cut { "No other tag names the manifest, among those that were looked at." }
                @else { "No other tag names the manifest." }
                " Garbage collection deletes it if nothing else refers to it."
            }
        } @else {
            p { "It has " (parts::counted(others.len(), "other tag")) ", which stay." }
        }
        (confirmation(context, &links::untag(name, tag), "Remove the tag", &links::manifest(name, tag)))
    };
    let page = frame(context, "Remove tag", &crumbs(repository), content);
    Ok(response::html(StatusCode::OK, page))
}

/// Removes a tag.
pub(super) async fn untag(
    context: &Context<'_>,
    repository: &dyn Repository,
    tag: &Tag,
    form: &Form,
) -> Result<Response<PageBody>, Failure> {
    form.check_token(context)?;
    check(context, repository, repository.capabilities().untag)?;
    let reference = TagOrDigest::Tag(tag.clone());
    // As in the API: what is recorded as the digest of before is what the tag has named until now.
    let changing = context
        .service
        .lock_tags(repository.name(), std::slice::from_ref(tag));
    let changing = changing.await;
    let before = repository.resolve(&reference).await?;
    repository.untag(tag).await?;
    drop(changing);
    let event = Event::new(EventAction::Untag, repository.name().clone())
        .with_tag(Some(tag))
        .with_previous(Some(*before.digest()));
    context.report(event);
    tracing::info!(
        user = context.viewer.user(),
        repository = %repository.name(),
        %tag,
        "a tag was removed on a page"
    );
    Ok(response::see_other(&links::repository(repository.name())))
}
