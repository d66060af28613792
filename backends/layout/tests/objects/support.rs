//! What these tests have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tranship::{
    Body, Descriptor, Error, Manifest, MediaType, OpenAt, Pusher, ReferencePusher, Result, Tag,
};
use tranship_layout::{Layout, LayoutOptions};

use crate::faulty::Faulty;

pub(crate) const MIB: usize = 1024 * 1024;

pub(crate) async fn layout(store: &Arc<Faulty>) -> Layout {
    opened(store).await.expect("a layout")
}

pub(crate) async fn opened(store: &Arc<Faulty>) -> Result<Layout> {
    let store: Arc<Faulty> = Arc::clone(store);
    Layout::create_in(store, "app", LayoutOptions::default()).await
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().expect("a tag")
}

pub(crate) fn described(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, content)
}

/// Pushes an empty image that `name` tells from others, and tags it so.
pub(crate) async fn push_image(layout: &Layout, name: &str) -> Result<Descriptor> {
    let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
    layout
        .push(&config, Bytes::from_static(b"{}").into())
        .await?;
    let mut manifest = Manifest::new(config, vec![]);
    manifest.annotations.insert("name".into(), name.into());
    let content = tranship::encode_json(&manifest)?;
    let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &content);
    layout
        .push_reference(&root, content.into(), &[tag(name)])
        .await?;
    Ok(root)
}

/// The manifest of an image with this config.
pub(crate) fn image_of(config: &Descriptor) -> (Descriptor, Bytes) {
    let content = tranship::encode_json(&Manifest::new(config.clone(), vec![])).expect("JSON");
    (Descriptor::of(MediaType::IMAGE_MANIFEST, &content), content)
}

/// Everything that an error and its causes print.
pub(crate) fn printed(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.hint());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    text
}

/// Bytes that are made as they are read.
pub(crate) struct Noise {
    pub(crate) length: usize,
    pub(crate) seed: u8,
    /// After so many bytes nothing comes any more, for ever.
    pub(crate) hangs_at: Option<usize>,
    pub(crate) made: Arc<AtomicUsize>,
}

impl Noise {
    pub(crate) fn new(length: usize, seed: u8) -> Self {
        Self {
            length,
            seed,
            hangs_at: None,
            made: Arc::default(),
        }
    }

    fn piece(seed: u8, at: usize, length: usize) -> Bytes {
        let byte = |at: usize| seed.wrapping_add((at / 1024) as u8);
        (at..at + length).map(byte).collect::<Vec<_>>().into()
    }

    pub(crate) fn described(&self) -> Descriptor {
        let mut digester = tranship::Digester::new(tranship::Algorithm::Sha256);
        let mut at = 0;
        while at < self.length {
            let length = PIECE.min(self.length - at);
            digester.update(&Self::piece(self.seed, at, length));
            at += length;
        }
        let size = self.length as u64;
        Descriptor::new(MediaType::OCTET_STREAM, digester.finish(), size)
    }
}

const PIECE: usize = 64 * 1024;

#[async_trait]
impl OpenAt for Noise {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let offset = usize::try_from(offset).expect("small");
        let (length, seed, hangs_at) = (self.length, self.seed, self.hangs_at);
        let made = Arc::clone(&self.made);
        let pieces = stream::unfold(offset, move |at| {
            let made = Arc::clone(&made);
            async move {
                if at == length {
                    return None;
                }
                if hangs_at.is_some_and(|hangs_at| at >= hangs_at) {
                    std::future::pending::<()>().await;
                }
                let piece = Self::piece(seed, at, PIECE.min(length - at));
                made.fetch_add(piece.len(), Ordering::SeqCst);
                let next = at + piece.len();
                Some((Ok(piece), next))
            }
        });
        Ok(Body::from_stream(pieces))
    }
}
