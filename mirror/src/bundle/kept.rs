//! Keeps the manifests of a bundle that is planned: in memory, and from some size on in a temporary file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tranship::{Digest, Error, ErrorKind, LocalFile, Result, blocking};

/// How many bytes are kept in memory.
const IN_MEMORY: u64 = 32 * 1024 * 1024;

/// The content of manifests, by digest. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct KeptManifests {
    state: Arc<Mutex<State>>,
    /// The most bytes of all manifests.
    limit: u64,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Digest, Kept>,
    bytes: u64,
    spill: Option<Arc<File>>,
    /// The length of the temporary file.
    spilled: u64,
}

#[derive(Debug, Clone)]
enum Kept {
    Memory(Bytes),
    File(LocalFile),
}

impl KeptManifests {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            state: Arc::default(),
            limit,
        }
    }

    /// Keeps the content of a manifest.
    ///
    /// # Errors
    /// `SizeExceedsLimit` if all manifests together have too many bytes, and what the temporary file fails with.
    pub(super) async fn put(&self, digest: Digest, content: Bytes) -> Result<()> {
        let spills = {
            let mut state = lock(&self.state);
            if state.kept.contains_key(&digest) {
                return Ok(());
            }
            let length = content.len() as u64;
            if state.bytes + length > self.limit {
                let message = format!("the manifests have more than {} bytes", self.limit);
                return Err(Error::new(ErrorKind::SizeExceedsLimit, message)
                    .with_hint("make several bundles of fewer images"));
            }
            state.bytes += length;
            let spills = state.bytes > IN_MEMORY;
            if !spills {
                state.kept.insert(digest, Kept::Memory(content.clone()));
            }
            spills
        };
        if spills {
            let state = Arc::clone(&self.state);
            blocking::run(move || spill(&state, digest, &content)).await?;
        }
        Ok(())
    }

    /// Returns the content of a manifest; `None` if it is not kept.
    pub(super) async fn get(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let kept = lock(&self.state).kept.get(digest).cloned();
        match kept {
            None => Ok(None),
            Some(Kept::Memory(content)) => Ok(Some(content)),
            Some(Kept::File(file)) => blocking::run(move || read(&file)).await.map(Some),
        }
    }
}

fn spill(state: &Mutex<State>, digest: Digest, content: &[u8]) -> Result<()> {
    let failed = |error| Error::io("cannot keep a manifest in a temporary file", error);
    // The lock orders the writes: each is small.
    let mut state = lock(state);
    let file = match &state.spill {
        Some(file) => Arc::clone(file),
        None => Arc::new(tempfile::tempfile().map_err(failed)?),
    };
    (&*file).write_all(content).map_err(failed)?;
    let range = state.spilled..state.spilled + content.len() as u64;
    state.spilled = range.end;
    let kept = Kept::File(LocalFile::new(Arc::clone(&file), range));
    state.kept.insert(digest, kept);
    state.spill = Some(file);
    Ok(())
}

/// Reads a small file.
pub(super) fn read(file: &LocalFile) -> Result<Bytes> {
    let failed = |error| Error::io("cannot be read", error);
    let length = file.size().map_err(failed)?;
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut filled = 0;
    while filled < content.len() {
        let count = file
            .read_at(&mut content[filled..], filled as u64)
            .map_err(failed)?;
        if count == 0 {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "was cut short while it was read",
            ));
        }
        filled += count;
    }
    Ok(content.into())
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_manifests_go_to_a_file_and_come_back() {
        let kept = KeptManifests::new(64 * 1024 * 1024);
        let content = |number: u8| Bytes::from(vec![number; 4 * 1024 * 1024]);
        for number in 0..12 {
            kept.put(Digest::of(&content(number)), content(number))
                .await
                .expect("kept");
        }
        for number in 0..12 {
            let found = kept
                .get(&Digest::of(&content(number)))
                .await
                .expect("readable");
            assert!(found.expect("kept") == content(number));
        }
        assert!(lock(&kept.state).spill.is_some());
    }

    #[tokio::test]
    async fn too_many_bytes_are_an_error() {
        let kept = KeptManifests::new(10);
        let put = |text: &'static str| kept.put(Digest::of(text.as_bytes()), text.into());
        put("123456").await.expect("kept");
        put("123456").await.expect("kept before");
        let error = put("7890ab").await.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    }
}
