//! Copies what a bundle has to a registry.

mod base;
mod hooks;
mod image;
mod options;
mod repository;
mod saved;
mod source;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;
use tranship::{Error, ErrorKind, Registry, RepositoryName, Result, ResultExt as _, blocking};

pub use options::{AppliedImage, ApplyOptions, ApplyReport, PendingImage};

use super::name::BundleName;
use super::open::Bundle;
use super::opened::OpenBundle;
use image::ImageCopy;
use repository::RepositoryCopy;
use source::Shared;

impl Bundle {
    /// Copies all images of the bundle to `destination`, as far as the open volumes have their content, and sets their tags.
    ///
    /// First the content is looked for that the bundle expects at the destination. If any is missing, nothing is written.
    /// Then blobs are copied or, if another repository of the destination has them, mounted; then manifests, and a tag
    /// moves when everything below its manifest is stored. Images that need other volumes are reported as pending: what is
    /// open of them is copied, so that a later application of the other volumes completes them.
    ///
    /// What the destination has is not copied again, so an application that failed, or whose future was dropped, continues.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the destination lacks content that the bundle expects there, such as after an
    ///   increment that was skipped.
    /// - [`DigestMismatch`](ErrorKind::DigestMismatch) if the bundle is damaged.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if two repositories of the bundle get the same name.
    /// - What the destination fails with.
    pub async fn apply(
        &self,
        destination: &dyn Registry,
        options: &ApplyOptions,
    ) -> Result<ApplyReport> {
        let repositories = self.names(options)?;
        let bundle = self.with_saved_parts(options).await?;
        let shared = Shared {
            contents: Arc::clone(&bundle.contents),
            destination,
            options,
            blobs: Arc::default(),
            next_copy: AtomicUsize::default(),
            completed: Mutex::default(),
        };
        base::check(&shared, &repositories)
            .await
            .during("apply", "the bundle")?;
        let mut copies = Vec::with_capacity(repositories.len());
        for (name, repository) in repositories {
            let copy = RepositoryCopy::new(&shared, &bundle, name, repository).await;
            copies.extend(copy.during("apply", name)?);
        }
        let images = copies.iter().flat_map(|of| {
            let roots = of.roots().into_iter();
            roots.map(move |(number, tags)| ImageCopy { of, number, tags })
        });
        let applied = stream::iter(images)
            .map(ImageCopy::run)
            .buffered(options.concurrency.get());
        let report = applied
            .try_fold(ApplyReport::default(), |mut report, image| async {
                report.add(image);
                Ok(report)
            })
            .await?;
        shared.remove_saved_parts().await?;
        Ok(report)
    }

    /// Returns the names of all repositories at the destination.
    fn names(&self, options: &ApplyOptions) -> Result<BTreeMap<&BundleName, RepositoryName>> {
        let mut names = BTreeMap::new();
        let mut used: HashMap<RepositoryName, &BundleName> = HashMap::new();
        for name in self.inner.contents.lock.repositories().keys() {
            let renamed = options.rename(name).during("name", name)?;
            if let Some(other) = used.insert(renamed.clone(), name) {
                let message = format!("{other} and {name} would both become {renamed}");
                return Err(Error::new(ErrorKind::InvalidInput, message)
                    .with_hint("give names in which the registry is a part"));
            }
            names.insert(name, renamed);
        }
        Ok(names)
    }

    async fn with_saved_parts(&self, options: &ApplyOptions) -> Result<Arc<OpenBundle>> {
        let Some(directory) = options.parts.clone() else {
            return Ok(Arc::clone(&self.inner));
        };
        let contents = Arc::clone(&self.inner.contents);
        let saved = blocking::run(move || saved::find(&directory, &contents)).await?;
        Ok(Arc::new(OpenBundle {
            contents: Arc::clone(&self.inner.contents),
            volumes: Arc::clone(&self.inner.volumes),
            saved,
            identity: self.inner.identity.clone(),
            referrers: OnceCell::new(),
        }))
    }
}
