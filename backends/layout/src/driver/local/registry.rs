//! A directory of layouts on a local disk.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{
    Body, Capabilities, Descriptor, Error, ErrorKind, ListOptions, Listing, RepositoryName, Result,
    ResultExt as _, blocking,
};

use super::link::{Trust, take_over};
use super::maintenance_lock::LocalContender;
use super::walk::Walk;
use super::{Local, write};
use crate::driver::file::is_directory;
use crate::driver::repository_path::directories_of;
use crate::driver::{Contender, Driver, RegistryDriver, own};
use crate::options::Durability;

/// How many names are looked for at a time, unless the caller says otherwise.
const PAGE: usize = 256;

/// The layouts below one directory.
#[derive(Debug)]
pub(crate) struct LocalRegistry {
    root: PathBuf,
    durability: Durability,
}

impl LocalRegistry {
    /// The layouts below `root`, an absolute path.
    pub(crate) fn new(root: PathBuf, durability: Durability) -> Self {
        Self { root, durability }
    }

    async fn local(&self, name: &RepositoryName) -> Result<Local> {
        let root = self.root.clone();
        let mut path = root.clone();
        for directory in directories_of(name) {
            path.push(&*directory);
        }
        let layout = Local::new(path.clone(), self.durability);
        blocking::run(move || {
            // The longest path that a layout holds shows whether the file system takes the name.
            let longest = path.join("blobs/sha512").join("0".repeat(128));
            match std::fs::symlink_metadata(longest) {
                Err(error) if error.kind() == std::io::ErrorKind::InvalidFilename => {
                    return Err(Error::new(
                        ErrorKind::InvalidReference,
                        "the name is too long for the file system",
                    )
                    .with_source(error));
                }
                _ => {}
            }
            let mut directory = root.clone();
            for component in path.strip_prefix(&root).into_iter().flatten() {
                directory.push(component);
                if !is_directory(&directory)? {
                    break;
                }
            }
            Ok(layout)
        })
        .await
        .during("open", name)
    }
}

fn pages_of(walk: Walk, page: usize) -> Listing<'static, RepositoryName> {
    let pages = stream::try_unfold(Some(walk), move |walk| async move {
        let Some(mut walk) = walk else {
            return Ok(None);
        };
        blocking::run(move || {
            let names = walk.next(page)?;
            let rest = (names.len() == page).then_some(walk);
            Ok(Some((stream::iter(names).map(Ok), rest)))
        })
        .await
        .map_err(|error: Error| error.with_operation("list repositories"))
    });
    Box::pin(pages.try_flatten())
}

#[async_trait]
impl RegistryDriver for LocalRegistry {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn layout(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>> {
        Ok(Arc::new(self.local(name).await?))
    }

    fn names(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let page = options.page_size.filter(|size| *size > 0).unwrap_or(PAGE);
        pages_of(Walk::new(&self.root, options.last), page)
    }

    fn with_uploads(&self) -> Listing<'_, RepositoryName> {
        pages_of(Walk::for_uploads(&self.root), PAGE)
    }

    async fn mount(&self, target: &Descriptor, from: &dyn Driver, to: &dyn Driver) -> Result<bool> {
        let (Some(from), Some(to)) = (own::<Local>(from), own::<Local>(to)) else {
            return Ok(false);
        };
        let Some(file) = from.blob_file(target).await? else {
            return Ok(false);
        };
        if take_over(&to.directory, target, &file, Trust::Verified).await? {
            return Ok(true);
        }
        let body = Body::from_local_file(file);
        write::write(&to.directory, target, body)
            .await
            .map(|()| true)
    }

    fn contender(&self) -> Box<dyn Contender> {
        Box::new(LocalContender::new(self.root.clone()))
    }
}
