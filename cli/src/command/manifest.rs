//! `manifest fetch` and `manifest push`.

use std::fmt;

use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tranship::{
    Algorithm, Descriptor, Error, ErrorKind, MAX_MANIFEST_SIZE, ManifestDocument, MediaType,
    Result, Source, Tag, TagOrDigest,
};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::named::Named;
use super::source::open_source;
use super::{open, resolve};
use crate::args::{ManifestFetch, ManifestPush};
use crate::command_error::{At as _, Outcome};
use crate::input::Input;
use crate::json;
use crate::output::{self, Output};
use crate::save::save;

/// A manifest beside its descriptor.
#[derive(Debug, Serialize)]
struct Fetched<'a> {
    reference: String,
    descriptor: &'a Descriptor,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a RawValue>,
}

impl fmt::Display for Fetched<'_> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn fetch(
    args: ManifestFetch,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = resolve::options(args.platform.platform);
    if args.descriptor && args.output.is_none() {
        let descriptor = tranship::resolve(&*repository, &reference, &options)
            .await
            .within(&location)?;
        return output.print_json(&descriptor).await;
    }
    let (descriptor, bytes) = tranship::fetch_bytes(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let content = match args.pretty {
        true => json::indent(&bytes).within(&location)?.into(),
        false => bytes.clone(),
    };
    if let Some(path) = &args.output {
        save(path, stream::iter([Ok(content)])).await?;
        output.note(format_args!("wrote {}", path.display()));
        if args.descriptor {
            return output.print_json(&descriptor).await;
        }
    } else if !output.is_json() {
        return output::write(&content).await;
    }
    let content = match args.output {
        Some(_) => None,
        None => Some(serde_json::from_slice(&bytes).map_err(not_json)?),
    };
    let fetched = Fetched {
        reference: location
            .clone()
            .with_reference(*descriptor.digest())
            .to_string(),
        descriptor: &descriptor,
        content,
    };
    output.print(&fetched).await
}

fn not_json(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidManifest, "the manifest is not JSON").with_source(error)
}

pub(super) async fn push(
    args: ManifestPush,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.location;
    let bytes = args.input.bytes(MAX_MANIFEST_SIZE).await?;
    let media_type = match args.media_type {
        Some(media_type) => media_type,
        None => sniff(&bytes, &args.input)?,
    };
    if !media_type.is_manifest() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{media_type} is not the type of a manifest"),
        )
        .with_hint("`tranship blob push` stores everything else")
        .into());
    }
    let descriptor = describe(&location, media_type, &bytes)?;
    let tags = tags(&location, args.tags);
    let repository = open(&location, location_options).await?;
    repository
        .manifests()
        .push_reference(&descriptor, Source::from(bytes), &tags)
        .await
        .pushed_to(&location)?;
    let named = Named::new(location, descriptor).with_tags(&tags);
    output.print(&named).await
}

fn sniff(bytes: &[u8], input: &Input) -> Result<MediaType> {
    ManifestDocument::sniff(bytes).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidManifest,
            "neither its mediaType nor its fields tell what kind of manifest it is",
        )
        .with_subject(input.name())
        .with_hint("say so with --media-type, or store it with `tranship blob push`")
    })
}

/// The descriptor of `bytes`; it must have the digest of the location, if that has one.
fn describe(location: &Location, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let Some(TagOrDigest::Digest(expected)) = location.reference() else {
        return Ok(Descriptor::of_with(Algorithm::Sha256, media_type, bytes));
    };
    let descriptor = Descriptor::of_with(expected.algorithm(), media_type, bytes);
    if descriptor.digest() == expected {
        return Ok(descriptor);
    }
    Err(Error::new(
        ErrorKind::DigestMismatch,
        format!("the manifest has the digest {}", descriptor.digest()),
    )
    .with_operation("push")
    .with_subject(location))
}

/// The tag of the location and the others, each once.
pub(super) fn tags(location: &Location, others: Vec<Tag>) -> Vec<Tag> {
    let own = location.reference().and_then(TagOrDigest::tag).cloned();
    let mut tags: Vec<Tag> = Vec::new();
    for tag in own.into_iter().chain(others) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}
