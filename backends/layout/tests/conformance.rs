//! The conformance kit on single layouts and on directories of layouts, with a second handle that
//! shares nothing with the first but the disk.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tranship_conformance::{Fixture, Suite};
use tranship_layout::{Durability, Layout, LayoutOptions, LayoutRegistry};

fn main() -> ExitCode {
    tranship_conformance::main([
        layout("layout", Durability::Full),
        layout("layout-relaxed", Durability::Relaxed),
        registry(),
    ])
}

fn layout(name: &'static str, durability: Durability) -> Suite {
    Suite::new(name, move || async move {
        let directory = directory();
        let path = directory.path().join("layout");
        let options = LayoutOptions::default().with_durability(durability);
        let open = || Layout::create_with(&path, options.clone());
        let fixture = Fixture::repository(Arc::new(open().await?))
            .with_peer_repository(Arc::new(open().await?))
            .with_inspection(inspection(&path));
        Ok(fixture.with_guard(directory))
    })
}

fn registry() -> Suite {
    Suite::new("layouts", || async {
        let directory = directory();
        let root = directory.path().join("layouts");
        let open = || LayoutRegistry::create(&root);
        let fixture = Fixture::registry(Arc::new(open().await?))
            .with_peer_registry(Arc::new(open().await?))
            .with_inspection(inspection(&root));
        Ok(fixture.with_guard(directory))
    })
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Nothing temporary may be left. A thread that was writing when its push was dropped may take a
/// moment to remove its file.
fn inspection(root: &Path) -> impl FnOnce() -> Result<(), String> + 'static {
    let root = root.to_owned();
    move || {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let left = temporary_files(&root);
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > patience {
                return Err(format!("left behind: {left:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn temporary_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.append(&mut temporary_files(&path));
        } else if path
            .parent()
            .is_some_and(|parent| parent.ends_with(".tranship/tmp"))
        {
            found.push(path);
        }
    }
    found
}
