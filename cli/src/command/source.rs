//! Which manifest of a repository is meant, where the location need not say.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use tranship::{Digest, Error, ErrorKind, Repository, Tag, TagOrDigest};
use tranship_backends::Location;
use tranship_backends::OpenOptions;
use tranship_backends::layout::{IndexEntry, Layout};

use super::open_existing;
use crate::command_error::{At as _, Outcome};
use crate::location::{is_stream, quoted, required_reference};
use crate::output::Output;

/// How many manifests a hint names.
const NAMED: usize = 8;

/// Opens the repository, which must exist, and returns the tag or digest of `location`.
///
/// If there is none, and the location is an image layout or an archive that holds a single image, that is meant. If a
/// tag has entries of several manifests, the user is told which one is taken.
pub(super) async fn open_source(
    location: &Location,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome<(Arc<dyn Repository>, TagOrDigest)> {
    open_source_as(location, location, location_options, output).await
}

/// Does as [`open_source`], with what the user calls `location` where its content is at `opened`.
pub(super) async fn open_source_as(
    location: &Location,
    opened: &Location,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome<(Arc<dyn Repository>, TagOrDigest)> {
    let Some((layout, entries)) = open_entries(opened, location_options).await? else {
        let reference = required_reference(location)?.clone();
        return Ok((open_existing(location, location_options).await?, reference));
    };
    let reference = match location.reference() {
        Some(reference) => {
            tell_of_others(location, reference, &entries, output)?;
            reference.clone()
        }
        None => the_only(location, &entries, output)?,
    };
    Ok((Arc::new(layout), reference))
}

/// Opens an image layout or an archive, which must exist, and lists it; `None` if the location is something else.
pub(super) async fn open_entries(
    location: &Location,
    location_options: &OpenOptions,
) -> Outcome<Option<(Layout, Vec<IndexEntry>)>> {
    if let Location::Remote(_) = location {
        return Ok(None);
    }
    let location_options = location_options.clone().with_must_exist(true);
    let layout = tranship_backends::open_layout(location, &location_options)
        .await
        .within(location)?;
    let entries = layout.entries().await.within(location)?;
    Ok(Some((layout, entries)))
}

/// The only tag. Beside it a layout or an archive lists what refers to the tagged manifest.
fn the_only_tag(entries: &[IndexEntry]) -> Option<&Tag> {
    let mut tags = entries
        .iter()
        .filter(|entry| entry.is_current)
        .filter_map(|entry| entry.tag.as_ref());
    let first = tags.next()?;
    tags.all(|tag| tag == first).then_some(first)
}

/// The only manifest that is listed, or the only one with a tag.
fn the_only(
    location: &Location,
    entries: &[IndexEntry],
    output: Output,
) -> Result<TagOrDigest, Error> {
    let digests: HashSet<&Digest> = entries
        .iter()
        .map(|entry| entry.descriptor.digest())
        .collect();
    if let Some(tag) = the_only_tag(entries)
        && digests.len() > 1
    {
        output.note(format_args!("taking {tag}, the only tag in {location}"));
        return Ok(TagOrDigest::Tag(tag.clone()));
    }
    let error = match (entries.first(), digests.len()) {
        (Some(entry), 1) => {
            let named = entries.iter().find(|entry| entry.is_current);
            let reference = match named.and_then(|entry| entry.tag.clone()) {
                Some(tag) => TagOrDigest::Tag(tag),
                None => TagOrDigest::Digest(*entry.descriptor.digest()),
            };
            output.note(format_args!(
                "taking {reference}, the only manifest in {location}"
            ));
            return Ok(reference);
        }
        (None, _) => Error::new(ErrorKind::NotFound, "holds no manifest"),
        (Some(_), count) => Error::new(
            ErrorKind::InvalidReference,
            format!("a tag or a digest is missing, and there are {count} manifests"),
        )
        .with_hint(format!(
            "add one of these to it: {}{}",
            choices(entries),
            listing(location, entries)
        )),
    };
    Err(error.with_subject(location))
}

/// How to list more than a hint does. Standard input is only read once.
fn listing(location: &Location, entries: &[IndexEntry]) -> String {
    if is_stream(location) {
        return String::new();
    }
    let location = quoted(location);
    if entries
        .iter()
        .any(|entry| entry.is_current && entry.tag.is_some())
    {
        format!("; `tranship repo tags {location}` lists the tags")
    } else {
        format!("; `tranship repo tags --untagged {location}` lists the digests")
    }
}

/// Tells of manifests that have the same tag, of which one is taken.
fn tell_of_others(
    location: &Location,
    reference: &TagOrDigest,
    entries: &[IndexEntry],
    output: Output,
) -> Result<(), Error> {
    let Some(tag) = reference.tag() else {
        return Ok(());
    };
    let named = entries
        .iter()
        .filter(|entry| entry.tag.as_ref() == Some(tag));
    let (taken, others): (Vec<_>, Vec<_>) = named.cloned().partition(|entry| entry.is_current);
    match (taken.first(), others.is_empty()) {
        (_, true) => Ok(()),
        (Some(taken), false) => {
            output.note(format_args!(
                "warning: several manifests have the tag {tag} in {location}: taking {}, and not {}",
                taken.descriptor.digest(),
                choices(&others)
            ));
            Ok(())
        }
        (None, false) => Err(Error::not_found(tag)
            .with_operation("resolve")
            .with_subject(location)
            .with_hint(format!(
                "several manifests have names that end in {tag}; write one of these instead: {}",
                choices(&others)
            ))),
    }
}

/// Lists what can be added to a location to name one of the manifests.
fn choices(entries: &[IndexEntry]) -> String {
    let mut text = String::new();
    for entry in entries.iter().take(NAMED) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = match (&entry.tag, entry.is_current) {
            (Some(tag), true) => write!(text, ":{tag}"),
            _ => write!(text, "@{}", entry.descriptor.digest()),
        };
        let name = entry.name().filter(|_| !entry.is_current);
        if let Some(name) = name {
            let _ = write!(text, " ({})", tranship::escape_controls(name));
        }
        if let Some(platform) = entry.descriptor.platform() {
            let _ = write!(text, " [{platform}]");
        }
    }
    if entries.len() > NAMED {
        let _ = write!(text, ", and {} more", entries.len() - NAMED);
    }
    text
}

/// The entries without a tag that names them, each manifest once.
pub(super) fn untagged(entries: Vec<IndexEntry>) -> Vec<IndexEntry> {
    let mut seen: HashSet<Digest> = entries
        .iter()
        .filter(|entry| entry.is_current)
        .map(|entry| *entry.descriptor.digest())
        .collect();
    let is_new = |entry: &IndexEntry| seen.insert(*entry.descriptor.digest());
    entries.into_iter().filter(is_new).collect()
}

/// Tells of manifests that a list of tags does not show.
pub(super) fn tell_of_untagged(location: &Location, untagged: &[IndexEntry], output: Output) {
    let what = match untagged.len() {
        0 => return,
        1 => "1 manifest does not have a tag that names it alone".to_owned(),
        count => format!("{count} manifests do not have a tag that names them alone"),
    };
    output.note(format_args!(
        "{what}: `tranship repo tags --untagged {}` lists digests",
        quoted(location)
    ));
}
