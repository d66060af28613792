//! `blob fetch` and `blob push`.

use std::fmt;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tranship::{
    Algorithm, Body, Content, Descriptor, Digest, Error, ErrorKind, MediaType, Result, Source,
    TagOrDigest,
};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::named::Named;
use super::{open, open_existing};
use crate::args::{BlobFetch, BlobPush};
use crate::command_error::{At as _, Outcome};
use crate::input::{Opened, digest_of, spool};
use crate::location::required_digest;
use crate::output::{self, Output};
use crate::progress::{TransferProgress, Watched};
use crate::save::save;

/// What was written to a file.
#[derive(Debug, Serialize)]
struct Saved {
    reference: String,
    descriptor: Descriptor,
    bytes: u64,
}

impl fmt::Display for Saved {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn fetch(
    args: BlobFetch,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.reference;
    let digest = required_digest(&location)?;
    let repository = open_existing(&location, location_options).await?;
    let blobs = repository.blobs();
    let content = match args.range {
        None => blobs.fetch_reference(&digest.into()).await,
        Some(range) => match blobs.resolve(&digest.into()).await {
            Ok(target) => blobs.fetch_range(&target, range.0).await,
            Err(error) => Err(error),
        },
    }
    .within(&location)?;
    let Some(path) = &args.output else {
        return print(content, &location).await;
    };
    let saved = Saved {
        reference: location.to_string(),
        descriptor: content.descriptor().clone(),
        bytes: content.len(),
    };
    let progress = TransferProgress::new(output, &path.display().to_string(), content.len());
    let stream = content
        .into_stream()
        .inspect_ok(|chunk| progress.add(chunk.len() as u64))
        .map(|chunk| chunk.within(&location));
    save(path, stream).await?;
    drop(progress);
    output.note(format_args!("wrote {}", path.display()));
    output.print(&saved).await
}

async fn print(content: Content, location: &Location) -> Outcome {
    let mut stdout = tokio::io::stdout();
    let mut stream = content.into_stream();
    while let Some(chunk) = stream.try_next().await.within(location)? {
        output::write_to(&mut stdout, &chunk).await?;
    }
    Ok(())
}

pub(super) async fn push(
    args: BlobPush,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.location;
    let expected = expected_digest(&location, args.digest)?;
    let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let repository = open(&location, location_options).await?;
    let name = args.input.name();
    let spooled;
    let (source, digest, size) = match args.input.open()? {
        Opened::Stream(stream) => match (expected, args.size) {
            (Some(digest), Some(size)) => (Source::once(Body::from_stream(stream)), digest, size),
            _ => {
                spooled = spool(stream, algorithm).await.at(&name)?;
                let source = Source::file(&*spooled.path);
                (source, spooled.digest, spooled.size)
            }
        },
        Opened::File(path, size) => match expected {
            Some(digest) => (Source::file(path), digest, size),
            None => {
                let (digest, size) = digest_of(&path, algorithm).await?;
                (Source::file(path), digest, size)
            }
        },
    };
    check(&name, (expected, args.size), (digest, size))?;
    let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest, size);
    let progress = TransferProgress::new(output, &name, size);
    let source = Watched {
        source,
        progress: &progress,
    };
    let blobs = repository.blobs();
    blobs
        .push(&descriptor, Source::open_at(&source))
        .await
        .pushed_to(&location)?;
    drop(progress);
    let descriptor = descriptor.with_media_type(args.media_type);
    output.print(&Named::new(location, descriptor)).await
}

/// The digest that the blob must have, which can be given in two places.
fn expected_digest(location: &Location, option: Option<Digest>) -> Result<Option<Digest>> {
    let own = match location.reference() {
        None => None,
        Some(TagOrDigest::Digest(digest)) => Some(*digest),
        Some(TagOrDigest::Tag(_)) => {
            return Err(
                Error::new(ErrorKind::InvalidReference, "a blob cannot have a tag")
                    .with_subject(location)
                    .with_hint("leave the tag out"),
            );
        }
    };
    match (own, option) {
        (Some(own), Some(option)) if own != option => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("--digest says {option}, which is another digest"),
        )
        .with_subject(location)),
        _ => Ok(own.or(option)),
    }
}

/// That what was read is what the user expects, before anything is pushed.
fn check(
    name: &str,
    (digest, size): (Option<Digest>, Option<u64>),
    found: (Digest, u64),
) -> Result<()> {
    let error = if size.is_some_and(|size| size != found.1) {
        Error::new(
            ErrorKind::SizeMismatch,
            format!("has {} bytes, not {}", found.1, size.unwrap_or_default()),
        )
    } else if digest.is_some_and(|digest| digest != found.0) {
        Error::new(
            ErrorKind::DigestMismatch,
            format!("has the digest {}", found.0),
        )
    } else {
        return Ok(());
    };
    Err(error.with_operation("push").with_subject(name))
}
