//! Fetches one file, or one archive, into the staging directory, and verifies it.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use futures_util::StreamExt as _;
use tranship::blocking::{self, CancelFlag, CancelOnDrop, Sequence};
use tranship::{
    Content, CopyAction, CopyEvent, Descriptor, Digest, Error, ErrorKind, LocalFile, Repository,
    Result, VerifiedStream,
};

use super::archive::{self, Hashed, Limits};
use super::merge::failed;
use super::pull_options::PullOptions;
use super::select::{ArchiveOf, Wanted};
use super::staging::Inner;
use super::title::SafePath;

/// The least limit of what an archive has before compression, in bytes.
const MIN_UNPACKED: u64 = 1024 * 1024 * 1024;
/// How many times as much as after compression an archive may have before it.
const MAX_RATIO: u64 = 200;

/// Fetches `wanted` from `repository` into `staging`, at its path.
pub(super) async fn stage(
    repository: &dyn Repository,
    wanted: &Wanted,
    staging: Arc<Inner>,
    options: &PullOptions,
) -> Result<()> {
    let descriptor = wanted.descriptor.plain();
    let content = repository.fetch(&descriptor).await?;
    let mut body = content.into_body();
    if let Some(hooks) = &options.hooks {
        hooks.on_event(CopyEvent::Started(&descriptor));
        let (hooks, read) = (Arc::clone(hooks), descriptor.clone());
        body = body.inspect(move |bytes| hooks.on_event(CopyEvent::Bytes(&read, bytes)));
    }
    let local = body.local_file().cloned();
    let stream = Content::new(descriptor.clone(), body).into_stream();
    match (&wanted.archive, local) {
        (Some(archive), local) => {
            let tar = match local {
                Some(file) => Tar::Unverified(file, descriptor.clone()),
                None => Tar::Verified(keep(stream, &staging).await?),
            };
            unpack(tar, wanted, archive, staging, options).await?;
        }
        (None, Some(file)) => {
            if !clone(file, wanted, &staging).await? {
                save(stream, wanted, &staging).await?;
            }
        }
        (None, None) => save(stream, wanted, &staging).await?,
    }
    if let Some(hooks) = &options.hooks {
        hooks.on_event(CopyEvent::Done(&descriptor, CopyAction::Copied));
    }
    Ok(())
}

/// An archive, and whether its bytes were compared with its digest.
enum Tar {
    Verified(File),
    Unverified(LocalFile, Descriptor),
}

async fn unpack(
    tar: Tar,
    wanted: &Wanted,
    archive: &ArchiveOf,
    staging: Arc<Inner>,
    options: &PullOptions,
) -> Result<()> {
    let waiting = CancelOnDrop::default();
    let cancelled = waiting.flag();
    let size = wanted.descriptor.size();
    let limits = Limits {
        entries: options.max_entries,
        bytes: options
            .max_unpacked_size
            .unwrap_or_else(|| size.saturating_mul(MAX_RATIO).max(MIN_UNPACKED)),
    };
    let (path, archive) = (wanted.path.clone(), archive.clone());
    let unpacked = blocking::run(move || {
        let found = match tar {
            Tar::Verified(file) => {
                unpack_from(file, &path, &archive, &staging, limits, &cancelled)?
            }
            Tar::Unverified(file, expected) => {
                let reader = LocalReader { file, offset: 0 };
                let mut hashed =
                    Hashed::new(reader, expected.digest().algorithm(), cancelled.clone());
                let found =
                    unpack_from(&mut hashed, &path, &archive, &staging, limits, &cancelled)?;
                let (_, digest, size) = hashed.finish();
                expect(&expected, digest, size)?;
                found
            }
        };
        match archive.digest {
            Some(expected) if expected != found => Err(Error::new(
                ErrorKind::DigestMismatch,
                format!(
                    "the unpacked archive has the digest {found}, and its annotation says {expected}"
                ),
            )),
            _ => Ok(()),
        }
    });
    let unpacked = unpacked.await;
    drop(waiting);
    unpacked.map_err(|error| error.with_subject(&wanted.path))
}

fn unpack_from(
    input: impl Read,
    path: &SafePath,
    archive: &ArchiveOf,
    staging: &Inner,
    limits: Limits,
    cancelled: &CancelFlag,
) -> Result<Digest> {
    let algorithm = archive
        .digest
        .map(|digest| digest.algorithm())
        .unwrap_or_default();
    let (name, parents) = match path.split_last() {
        Some((name, parents)) => (Some(name), parents),
        None => (None, &[][..]),
    };
    let parent = staging
        .tree
        .descend_or_make(parents)
        .map_err(|error| failed(error, path))?;
    archive::unpack(
        input,
        algorithm,
        &archive.prefix,
        &parent,
        name,
        limits,
        cancelled,
    )
}

/// Writes an archive to a file without a name.
async fn keep(stream: VerifiedStream, staging: &Arc<Inner>) -> Result<File> {
    let lease = Arc::clone(staging);
    let write = |error| Error::io("cannot be written", error);
    let file = blocking::run(move || lease.create_archive().map_err(write)).await?;
    let mut file = write_all(stream, file, staging).await?;
    blocking::run(move || {
        file.seek(SeekFrom::Start(0)).map_err(write)?;
        Ok(file)
    })
    .await
}

/// Writes a file.
async fn save(stream: VerifiedStream, wanted: &Wanted, staging: &Arc<Inner>) -> Result<()> {
    let file = create(wanted, staging).await?;
    let written = write_all(stream, file, staging).await;
    written.map_err(|error| error.with_subject(&wanted.path))?;
    Ok(())
}

async fn create(wanted: &Wanted, staging: &Arc<Inner>) -> Result<File> {
    let (lease, path) = (Arc::clone(staging), wanted.path.clone());
    blocking::run(move || {
        let (name, parents) = path.split_last().unwrap_or_default();
        let parent = lease.tree.descend_or_make(parents);
        let created = parent.and_then(|parent| parent.create_file(name, 0o666));
        created.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Error::unsupported("two files have this name, on a file system that ignores the case of names or in an archive")
                    .with_subject(&path)
            }
            _ => failed(error, &path),
        })
    })
    .await
}

/// Writes all bytes of a stream, which checks them, and returns the file.
async fn write_all(mut stream: VerifiedStream, file: File, staging: &Arc<Inner>) -> Result<File> {
    // The lease keeps the directory until the last piece is written, if this is dropped before.
    let mut writing = Sequence::new((file, Arc::clone(staging)));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let write = move |(mut file, lease): (File, Arc<Inner>)| {
            let written = file.write_all(&chunk);
            written.map_err(|error| Error::io("cannot be written", error))?;
            Ok((file, lease))
        };
        writing.then(write).await?;
    }
    let (file, _) = writing.finish().await?;
    Ok(file)
}

/// Makes the file by sharing the blocks of `local` with it, if the file system can, and verifies it. The blocks are copied
/// when one of the two is written, so that the store's file is safe; with a hard link it would not be.
#[cfg(target_os = "linux")]
async fn clone(local: LocalFile, wanted: &Wanted, staging: &Arc<Inner>) -> Result<bool> {
    if local.range().start != 0 || wanted.descriptor.size() < MIN_CLONE {
        return Ok(false);
    }
    let file = create(wanted, staging).await?;
    let (lease, path) = (Arc::clone(staging), wanted.path.clone());
    let expected = wanted.descriptor.clone();
    let waiting = CancelOnDrop::default();
    let cancelled = waiting.flag();
    let cloned = blocking::run(move || {
        let is_whole = local
            .file()
            .metadata()
            .is_ok_and(|metadata| metadata.len() == expected.size());
        if !is_whole || rustix::fs::ioctl_ficlone(&file, local.file()).is_err() {
            let (name, parents) = path.split_last().unwrap_or_default();
            let removed = lease
                .tree
                .descend(parents)
                .and_then(|parent| parent.remove_file(name));
            removed.map_err(|error| failed(error, &path))?;
            return Ok(false);
        }
        let mut hashed = Hashed::new(file, expected.digest().algorithm(), cancelled);
        let read = io::copy(&mut hashed, &mut io::sink());
        read.map_err(|error| Error::io("cannot be read", error).with_subject(&path))?;
        let (_, digest, size) = hashed.finish();
        expect(&expected, digest, size)?;
        local.observe(size);
        Ok(true)
    });
    let cloned = cloned.await;
    drop(waiting);
    cloned
}

/// Smaller files are copied faster than they are cloned, in bytes.
#[cfg(target_os = "linux")]
const MIN_CLONE: u64 = 1024 * 1024;

#[cfg(not(target_os = "linux"))]
async fn clone(_local: LocalFile, _wanted: &Wanted, _staging: &Arc<Inner>) -> Result<bool> {
    Ok(false)
}

/// Fails unless the content that was read has the digest and size of `expected`.
fn expect(expected: &Descriptor, digest: Digest, size: u64) -> Result<()> {
    if size != expected.size() {
        return Err(Error::new(
            ErrorKind::SizeMismatch,
            format!(
                "the content has {size} bytes, {} were expected",
                expected.size()
            ),
        )
        .with_subject(expected.digest()));
    }
    if digest != *expected.digest() {
        return Err(Error::new(
            ErrorKind::DigestMismatch,
            format!("the content hashes to {digest}"),
        )
        .with_subject(expected.digest()));
    }
    Ok(())
}

/// Reads a local file, and reports that to its observers.
struct LocalReader {
    file: LocalFile,
    offset: u64,
}

impl Read for LocalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        self.file.observe(read as u64);
        Ok(read)
    }
}
