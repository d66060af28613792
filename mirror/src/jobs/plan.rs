//! Which images are up to date.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join;
use futures_util::{StreamExt as _, stream};
use tranship::{
    CopySide, Descriptor, Digest, Error, ErrorKind, Existing, Result, ResultExt as _, SubsetForm,
    Tag, TagOrDigest,
};

use super::image::{Image, Place};
use super::options::JobOptions;
use super::outages::Outages;
use crate::rules::{ImageOptions, Platforms};

/// So many images are looked at at the same time.
const CONCURRENCY: usize = 16;

/// What there is to do for some images.
#[derive(Debug)]
pub struct Plan {
    pub(super) images: Vec<PlannedImage>,
}

/// What there is to do for an image.
#[non_exhaustive]
#[derive(Debug)]
pub struct PlannedImage {
    /// The image.
    pub image: Image,
    /// What there is to do.
    pub state: State,
}

/// What there is to do for an image.
#[non_exhaustive]
#[derive(Debug)]
pub enum State {
    /// The destination has it.
    UpToDate {
        /// The manifest at the destination.
        root: Descriptor,
    },
    /// It is copied.
    Copy {
        /// The manifest in the source.
        found: Descriptor,
        /// The manifest at the destination: another one if some platforms are copied.
        root: Descriptor,
        /// What the tag names at the destination now.
        replaced: Option<Digest>,
    },
    /// The destination has its manifest. The content below it, or its referrers, are looked at.
    Check {
        /// The manifest in the source.
        found: Descriptor,
        /// The manifest at the destination.
        root: Descriptor,
    },
    /// It cannot be copied.
    Failed(Arc<Error>),
}

impl Plan {
    /// Finds out what there is to do for `images`. Sends one request for each image to the source and one to the
    /// destination, and reads an index of which some platforms are copied. Changes nothing.
    ///
    /// An image that is listed twice is copied once, with the options of the first. A failure is the
    /// [`State`] of its image.
    ///
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if different images would get the same tag in one repository.
    pub async fn make(images: Vec<Image>, options: &JobOptions) -> Result<Self> {
        let images = distinct(images)?;
        let total = images.len();
        let outages = Outages::default();
        let looked_at = stream::iter(images)
            .map(|image| look_at(image, options, &outages))
            .buffered(CONCURRENCY);
        let mut planned = Vec::with_capacity(total);
        let mut looked_at = std::pin::pin!(looked_at);
        while let Some(image) = looked_at.next().await {
            planned.push(image);
            if let Some(observer) = &options.observer {
                observer.planned(planned.len(), total);
            }
        }
        Ok(Self { images: planned })
    }

    /// Returns the images, in the order in which they were given, each once.
    #[must_use]
    pub fn images(&self) -> &[PlannedImage] {
        &self.images
    }
}

/// Leaves out what is listed twice, and refuses different images with one name at the destination.
fn distinct(images: Vec<Image>) -> Result<Vec<Image>> {
    let mut sources: HashMap<(String, String), (String, TagOrDigest)> = HashMap::new();
    let mut kept = Vec::with_capacity(images.len());
    for image in images {
        let name = match &image.tag {
            Some(tag) => tag.to_string(),
            None => image.reference.to_string(),
        };
        let at = (image.destination.name.clone(), name);
        let from = (image.source.name.clone(), image.reference.clone());
        match sources.get(&at) {
            None => {
                sources.insert(at, from);
                kept.push(image);
            }
            Some(known) if *known == from || image.tag.is_none() => {}
            Some((place, reference)) => {
                let place = Place::new(place.clone(), Arc::clone(&image.source.repository));
                let first = Image::new(place, reference.clone(), image.destination.clone());
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "two images would get this name: {} and {}",
                        first.source_name(),
                        image.source_name()
                    ),
                )
                .with_subject(image.destination_name())
                .with_hint("give them different names, for example by {registry} or {namespace} in the destination; one layout or archive has each tag once, and layouts:DIR has a layout for each repository"));
            }
        }
    }
    Ok(kept)
}

async fn look_at(mut image: Image, options: &JobOptions, outages: &Outages) -> PlannedImage {
    let state = match compare(&mut image, options, outages).await {
        Ok(state) => state,
        Err(error) => State::Failed(Arc::new(error)),
    };
    PlannedImage { image, state }
}

async fn compare(image: &mut Image, options: &JobOptions, outages: &Outages) -> Result<State> {
    let source = Arc::clone(&image.source.repository);
    let source = &*source;
    let destination = Arc::clone(&image.destination.repository);
    let destination = &*destination;
    outages.check(source)?;
    outages.check(destination)?;
    destination.expect_pushes();
    let (found, stored) = join(
        source.resolve(&image.reference),
        stored_tag(image.tag.as_ref(), &image.destination),
    )
    .await;
    outages.note(source, found.as_ref().err());
    outages.note(destination, stored.as_ref().err());
    let found = found.map_err(|error| error.with_copy_side(CopySide::Source));
    let found = found.during("resolve", image.source_name())?;
    let stored = stored.map_err(|error| error.with_copy_side(CopySide::Destination));
    let stored = stored.during("resolve", image.destination_name())?;
    let root = options
        .roots
        .root(source, &found, &image.options.platforms)
        .await
        .during("select platforms of", image.source_name())?;
    let root = match root {
        Some(root) => root,
        None => {
            let mut whole = ImageOptions::clone(&image.options);
            whole.platforms = Platforms::All;
            image.options = Arc::new(whole);
            found.plain()
        }
    };
    let is_stored = match &image.tag {
        Some(_) => stored.as_ref() == Some(root.digest()),
        None => {
            let exists = tranship::ReadOnlyStorage::exists(destination, &root).await;
            exists.during("look for", image.destination_name())?
        }
    };
    if !is_stored {
        return Ok(State::Copy {
            found,
            root,
            replaced: stored,
        });
    }
    let referrers = image.options.referrers.as_ref();
    // A part of an index may be there from an earlier choice of platforms.
    let is_part = matches!(&image.options.platforms, Platforms::Subset(subset) if subset.form == SubsetForm::Sparse);
    let looks_closer = options.existing == Existing::Check
        || is_part
        || referrers.is_some_and(|referrers| !referrers.only_of_changed);
    if looks_closer {
        Ok(State::Check { found, root })
    } else {
        Ok(State::UpToDate { root })
    }
}

/// Returns what `tag` names at the destination.
async fn stored_tag(tag: Option<&Tag>, destination: &Place) -> Result<Option<Digest>> {
    let Some(tag) = tag else {
        return Ok(None);
    };
    match destination.repository.resolve(&tag.clone().into()).await {
        Ok(found) => Ok(Some(*found.digest())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
