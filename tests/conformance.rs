//! Every scenario of the conformance kit, on every backend of this workspace.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::{FutureExt as _, TryStreamExt as _};
use object_store::ObjectStore as _;
use object_store::memory::InMemory;
use tranship::Registry;
use tranship_conformance::{Fixture, Gap, Suite};
use tranship_layout::{Durability, Layout, LayoutOptions, LayoutRegistry};
use tranship_memory::MemoryRegistry;
use tranship_remote::RemoteRegistry;
use tranship_server::{ServerOptions, TestServer, router};

fn main() -> ExitCode {
    tranship_conformance::main([
        memory(),
        layout("layout", Durability::Full),
        layout("layout-relaxed", Durability::Relaxed),
        layouts(),
        layout_in_a_store(),
        layouts_in_a_store(),
        archive(),
        remote(),
        remote_over_layouts(),
        remote_through_a_proxy(),
    ])
}

fn memory() -> Suite {
    Suite::new("memory", || async {
        let registry = MemoryRegistry::new();
        let peer = registry.clone();
        Ok(Fixture::registry(Arc::new(registry)).with_peer_registry(Arc::new(peer)))
    })
}

/// A single layout, opened twice: the two share nothing but the disk.
fn layout(name: &'static str, durability: Durability) -> Suite {
    Suite::new(name, move || async move {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("layout");
        let options = LayoutOptions::default().with_durability(durability);
        let open = || Layout::create_with(&path, options.clone());
        let (one, other) = (open().await?, open().await?);
        Ok(Fixture::repository(Arc::new(one))
            .with_peer_repository(Arc::new(other))
            .with_inspection(move || nothing_is_left(&path))
            .with_guard(directory))
    })
}

/// A directory of layouts, opened twice.
fn layouts() -> Suite {
    Suite::new("layouts", || async {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("layouts");
        let (one, other) = (
            LayoutRegistry::create(&root).await?,
            LayoutRegistry::create(&root).await?,
        );
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_inspection(move || nothing_is_left(&root))
            .with_guard(directory))
    })
}

/// A layout in an object store, opened twice: the two share nothing but the objects.
fn layout_in_a_store() -> Suite {
    Suite::new("layout-in-store", || async {
        let store = Arc::new(InMemory::new());
        let open = || Layout::create_in(store.clone(), "some/layout", LayoutOptions::default());
        let (one, other) = (open().await?, open().await?);
        Ok(Fixture::repository(Arc::new(one))
            .with_peer_repository(Arc::new(other))
            .with_inspection(move || nothing_is_left_in(&store)))
    })
    .with_gap(in_memory())
}

/// Many layouts in an object store, opened twice.
fn layouts_in_a_store() -> Suite {
    Suite::new("layouts-in-store", || async {
        let store = Arc::new(InMemory::new());
        let open = || LayoutRegistry::create_in(store.clone(), "layouts", LayoutOptions::default());
        let (one, other) = (open().await?, open().await?);
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_inspection(move || nothing_is_left_in(&store)))
    })
    .with_gap(in_memory())
}

fn in_memory() -> Gap {
    Gap::new(
        "blobs::a_large_blob_is_not_gathered_in_memory",
        "memory is where this store keeps its objects",
    )
}

/// Whether all objects are those of layouts, or the catalog of a registry.
fn nothing_is_left_in(store: &InMemory) -> Result<(), String> {
    let listed = store.list(None).try_collect::<Vec<_>>().now_or_never();
    // A store in memory is never waited for.
    let objects = listed.ok_or("the listing waits")?;
    let objects = objects.map_err(|error| error.to_string())?;
    let keys = objects.into_iter().map(|object| object.location);
    let mut keys: Vec<_> = keys.map(|key| PathBuf::from(key.as_ref())).collect();
    keys.retain(|key| !belongs_to_a_layout(key) && !key.ends_with(".tranship/catalog.json"));
    if keys.is_empty() {
        return Ok(());
    }
    Err(format!("{keys:?}"))
}

/// A layout in an archive, opened twice. Each change outside a batch is a batch of its own.
fn archive() -> Suite {
    Suite::new("oci-archive", || async {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("layout.tar");
        let options = LayoutOptions::default().with_durability(Durability::Relaxed);
        let open = || Layout::create_archive(&path, options.clone());
        let (one, other) = (open().await?, open().await?);
        let root = directory.path().to_owned();
        Ok(Fixture::repository(Arc::new(one))
            .with_peer_repository(Arc::new(other))
            .with_inspection(move || only_the_archive_is_left(&root))
            .with_guard(directory))
    })
}

/// A registry over HTTP, reached by two clients.
fn remote() -> Suite {
    Suite::new("remote", || async {
        let server = serve(Arc::new(MemoryRegistry::new())).await?;
        let (one, other) = (connect(&server)?, connect(&server)?);
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_guard(server))
    })
    .with_gap(mounted_unseen())
}

/// A registry over HTTP that keeps its content in a directory.
fn remote_over_layouts() -> Suite {
    Suite::new("remote-over-layouts", || async {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("layouts");
        let server = serve(Arc::new(LayoutRegistry::create(&root).await?)).await?;
        let (one, other) = (connect(&server)?, connect(&server)?);
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_guard((server, directory)))
    })
    .with_gap(mounted_unseen())
}

/// A registry over HTTP whose server asks another one for everything.
fn remote_through_a_proxy() -> Suite {
    Suite::new("remote-through-a-proxy", || async {
        let behind = serve(Arc::new(MemoryRegistry::new())).await?;
        let server = serve(Arc::new(connect(&behind)?)).await?;
        let (one, other) = (connect(&server)?, connect(&server)?);
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_guard((server, behind)))
    })
    .with_gap(mounted_unseen())
}

fn mounted_unseen() -> Gap {
    Gap::new(
        "mounts::a_blob_of_another_size_is_not_mounted",
        "a registry mounts by the digest alone, and to ask for the size would be a request for every blob",
    )
}

/// Serves `registry`, and takes what the backends take: manifests of absent content too.
async fn serve(registry: Arc<dyn Registry>) -> tranship::Result<TestServer> {
    let options = ServerOptions::default().with_complete_manifests(false);
    TestServer::serve(router(registry, options)).await
}

fn connect(server: &TestServer) -> tranship::Result<RemoteRegistry> {
    RemoteRegistry::new(&server.host().parse()?)
}

/// Whether no temporary file is left beside the archive.
fn only_the_archive_is_left(directory: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    collect_files(directory, &mut files).map_err(|error| error.to_string())?;
    files.retain(|file| !file.ends_with("layout.tar"));
    if files.is_empty() {
        return Ok(());
    }
    Err(format!("{files:?}"))
}

/// Whether all files are those of layouts: no temporary file, and no upload that nobody ended.
fn nothing_is_left(root: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    // A layout comes to be with the first push.
    if !root.exists() {
        return Ok(());
    }
    collect_files(root, &mut files).map_err(|error| error.to_string())?;
    files.retain(|file| !belongs_to_a_layout(file));
    if files.is_empty() {
        return Ok(());
    }
    Err(format!("{files:?}"))
}

fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn belongs_to_a_layout(file: &Path) -> bool {
    let names: Vec<_> = file.iter().rev().filter_map(|name| name.to_str()).collect();
    match names[..] {
        ["index.json" | "oci-layout" | "lock" | "reserve", ..] => true,
        [hex, "sha256", "blobs", ..] => hex.len() == 64,
        [hex, "sha384", "blobs", ..] => hex.len() == 96,
        [hex, "sha512", "blobs", ..] => hex.len() == 128,
        _ => false,
    }
}
