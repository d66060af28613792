//! Parts of blobs that wait for their other parts, in a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tranship::{Digest, Digester, Error, LocalFile, Result};

use super::super::contents::{BlobPart, BundleContents};
use super::super::members::{MemberName, SUM_SIZE, sum_content};
use super::super::node::ContentNode;
use super::super::opened::OpenBundle;
use super::super::stored_part::{StoredFile, StoredPart};

/// Returns the path of a saved part. It names the bundle, since other bundles split the same blob elsewhere.
fn path_of(
    directory: &Path,
    contents: &BundleContents,
    node: &ContentNode,
    part: &BlobPart,
) -> PathBuf {
    let (set, algorithm, hex) = (
        contents.set.hex(),
        node.digest.algorithm(),
        node.digest.hex(),
    );
    directory.join(format!(
        "{}-{algorithm}-{hex}-{}.part",
        &set[..16],
        part.offset
    ))
}

/// Returns the parts of the bundle that were saved. Blocks.
pub(super) fn find(
    directory: &Path,
    contents: &BundleContents,
) -> Result<BTreeMap<(Digest, u64), StoredPart>> {
    let mut found = BTreeMap::new();
    for (node, part) in split_parts(contents) {
        let path = path_of(directory, contents, node, &part);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() == part.length => {}
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path, error)),
        }
        let file = StoredFile::open(&path)?;
        file.close();
        let saved = StoredPart::new(Arc::new(file), 0..part.length);
        found.insert((node.digest, part.offset), saved);
    }
    Ok(found)
}

/// Saves the parts of a blob that are in the open volumes. Blocks.
pub(super) fn save(directory: &Path, bundle: &OpenBundle, number: u32) -> Result<()> {
    let node = bundle.contents.node(number)?;
    for part in bundle.contents.parts_of(number) {
        let Some(volume) = bundle.volumes.get(&part.volume) else {
            continue;
        };
        let path = path_of(directory, &bundle.contents, node, part);
        if bundle.saved.contains_key(&(node.digest, part.offset)) {
            continue;
        }
        let Some(source) = volume.member(&MemberName::Part(node.digest, part.offset)) else {
            continue;
        };
        let sum = volume.read(&MemberName::Sum(node.digest, part.offset), SUM_SIZE)?;
        create(directory).map_err(|error| failed(directory, error))?;
        let mut file =
            tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(directory, error))?;
        let copied =
            copy(&source.open()?, file.as_file_mut()).map_err(|error| failed(&path, error))?;
        if sum.is_none_or(|sum| sum != sum_content(&copied)) {
            let message = format!("has a damaged part of {}", bundle.contents.describe(number));
            return Err(Error::new(tranship::ErrorKind::DigestMismatch, message)
                .with_subject(volume.path.display())
                .with_hint("get the volume again"));
        }
        file.as_file()
            .sync_all()
            .map_err(|error| failed(&path, error))?;
        file.persist(&path)
            .map_err(|error| failed(&path, error.error))?;
    }
    Ok(())
}

/// Removes the saved parts of a blob. Blocks.
pub(super) fn remove(directory: &Path, contents: &BundleContents, number: u32) -> Result<()> {
    let node = contents.node(number)?;
    for part in contents.parts_of(number) {
        let path = path_of(directory, contents, node, part);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn split_parts(contents: &BundleContents) -> impl Iterator<Item = (&ContentNode, BlobPart)> {
    let nodes = (0_u32..).zip(contents.lock.contents());
    nodes.flat_map(|(number, node)| {
        let parts = contents.parts_of(number);
        let parts = parts.iter().filter(|_| parts.len() > 1);
        parts.map(move |part| (node, *part))
    })
}

fn copy(source: &LocalFile, file: &mut File) -> io::Result<Digest> {
    const CHUNK: usize = 256 * 1024;
    let mut digester = Digester::new(tranship::Algorithm::Sha256);
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let read = source.read_at(&mut buffer, offset)?;
        if read == 0 {
            return Ok(digester.finish());
        }
        digester.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        offset += read as u64;
    }
}

/// Creates the directory, which other users cannot read, as images may be private.
fn create(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::io("a saved part cannot be used", error).with_subject(path.display())
}
