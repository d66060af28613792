//! Adds pushed content to a new archive. Layers are decompressed while they are written, and get their names then.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use tranship::decompress::{Compression, Decompressor};
use tranship::{
    Algorithm, Descriptor, Digest, Digester, Error, ErrorKind, MAX_MANIFEST_SIZE, MediaType,
    Result, Source, blocking,
};
use tranship_tar::BLOCK;

use super::assembly::AssemblyGuard;
use crate::driver::archive::image::is_image_layer;
use crate::driver::archive::receive::{Receiver, receive};
use crate::driver::file::failed;
use crate::driver::position::write_all_at;

/// The role of a blob in an image.
enum Role {
    Manifest,
    Config,
    Layer,
}

fn role(media_type: &MediaType) -> Result<Role> {
    if media_type.is_index() {
        return Err(Error::unsupported(
            "a docker-archive contains single images, and cannot contain an index of several platforms",
        )
        .with_hint("choose one with --platform, or write oci-archive:FILE"));
    }
    if [MediaType::IMAGE_MANIFEST, MediaType::DOCKER_MANIFEST].contains(media_type) {
        return Ok(Role::Manifest);
    }
    if [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG].contains(media_type) {
        return Ok(Role::Config);
    }
    if is_image_layer(media_type) {
        return Ok(Role::Layer);
    }
    Err(Error::unsupported(format!(
        "a docker-archive contains images, and cannot contain the type {media_type}"
    ))
    .with_hint("write oci-archive:FILE"))
}

/// Adds a blob to the new archive.
pub(super) async fn put(
    mut assembly: AssemblyGuard,
    expected: &Descriptor,
    source: Source<'_>,
) -> Result<()> {
    let target = expected.clone();
    match role(expected.media_type()).map_err(|error| error.with_subject(expected.digest()))? {
        Role::Layer => {
            let body = source.open(0).await?;
            let start = move || LayerWriter::start(assembly, &target);
            receive(start, expected, body).await
        }
        Role::Manifest => {
            let content = source.bytes(expected, MAX_MANIFEST_SIZE).await?;
            assembly.add_manifest(target.digest(), content);
            Ok(())
        }
        Role::Config if target.digest().algorithm() != Algorithm::Sha256 => {
            Err(Error::unsupported("Docker names images only by sha256")
                .with_subject(target.digest()))
        }
        Role::Config => {
            let content = source.bytes(expected, MAX_MANIFEST_SIZE).await?;
            blocking::run(move || assembly.add_config(target.digest(), content)).await
        }
    }
}

/// A layer that is being written.
struct LayerWriter {
    assembly: AssemblyGuard,
    digest: Digest,
    size: u64,
    file: Arc<File>,
    decoder: Option<Decompressor<LayerSink>>,
}

impl LayerWriter {
    fn start(mut assembly: AssemblyGuard, expected: &Descriptor) -> Result<Self> {
        let file = assembly.file()?;
        Ok(Self {
            assembly,
            digest: *expected.digest(),
            size: expected.size(),
            file,
            decoder: None,
        })
    }

    fn failed(&self, error: io::Error) -> Error {
        if error.raw_os_error().is_some() {
            return failed("written", self.assembly.path(), error);
        }
        Error::new(ErrorKind::Corrupt, "the layer cannot be decompressed")
            .with_subject(self.digest)
            .with_source(error)
    }

    fn begin(&self, pieces: &[Bytes]) -> Decompressor<LayerSink> {
        let start: Vec<u8> = pieces.iter().flatten().take(4).copied().collect();
        let sink = LayerSink {
            file: Arc::clone(&self.file),
            at: self.assembly.end() + BLOCK,
            digester: Digester::new(Algorithm::Sha256),
        };
        Decompressor::new(Compression::detect(&start), sink)
    }
}

impl Receiver for LayerWriter {
    type Outcome = ();

    fn write(mut self, pieces: &[Bytes]) -> Result<Self> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => self.begin(pieces),
        };
        for piece in pieces {
            decoder
                .write_all(piece)
                .map_err(|error| self.failed(error))?;
        }
        self.decoder = Some(decoder);
        Ok(self)
    }

    fn end(mut self) -> Result<()> {
        let decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => self.begin(&[]),
        };
        let sink = decoder.finish().map_err(|error| self.failed(error))?;
        let (diff_id, end) = (sink.digester.finish(), sink.at);
        self.assembly
            .add_layer(&self.digest, self.size, &diff_id, end)
    }
}

/// Writes and hashes the decompressed content of a layer.
struct LayerSink {
    file: Arc<File>,
    at: u64,
    digester: Digester,
}

impl Write for LayerSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(&self.file, bytes, self.at)?;
        self.digester.update(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
