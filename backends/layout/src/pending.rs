//! What a batch has gathered and not written yet.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use tranship::{Descriptor, Digest};

use crate::index::{Draft, Edit, Holders, Snapshot};
use crate::sizes::Sizes;

/// The changes of a batch, and the blobs that they build on.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The index as the batch first looked at it, when all indexes that it lists were known.
    pub(crate) base: OnceCell<Arc<Snapshot>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    // A copy of very many manifests frees small pieces of memory all the time, which these fit into.
    #[expect(
        clippy::vec_box,
        reason = "a growing vector of the changes needs new memory instead"
    )]
    edits: Vec<Box<Edit>>,
    /// The manifests that the changes list.
    listed: Sizes,
    /// What else must be there: what the batch has stored, or what the index vouches for.
    relied: Sizes,
    /// What else must be there, and may be not durable yet: what the batch has found.
    found: Sizes,
    view: Option<View>,
}

/// What a batch has come to.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) edits: Vec<Edit>,
    /// What must be there when the changes are made.
    pub(crate) required: Vec<Arc<Sizes>>,
    /// That part of it which others stored.
    pub(crate) found: Arc<Sizes>,
}

impl State {
    fn knows(&self, digest: &Digest) -> bool {
        self.listed.contains(digest) || self.relied.contains(digest) || self.found.contains(digest)
    }

    /// Drops the last changes, as far as they list nothing but children of what comes next: those
    /// would be listed and dropped again. Children are pushed right before their parent.
    fn drop_covered(&mut self, children: &[Descriptor]) {
        if children.is_empty() {
            return;
        }
        let children: HashSet<&Digest> = children.iter().map(Descriptor::digest).collect();
        let is_covered = |edit: &mut Box<Edit>| match &**edit {
            Edit::List { entry, tags, .. } => tags.is_empty() && children.contains(entry.digest()),
            Edit::Untag(_) | Edit::Delete { .. } => false,
        };
        while self.edits.pop_if(is_covered).is_some() {}
        self.edits.shrink_to(2 * self.edits.len());
    }
}

/// The index with the changes made, and without.
#[derive(Debug)]
struct View {
    base: Arc<Snapshot>,
    snapshot: Arc<Snapshot>,
}

impl Pending {
    /// Adds a change, which must be one that cannot fail: of those that add. The batch goes on what it
    /// lists being there. What changes nothing on top of the others is left out, as a batch can be very
    /// long.
    pub(crate) fn add(&self, edit: Edit) {
        let mut state = self.lock();
        if let Edit::List {
            entry,
            tags,
            children,
        } = &edit
        {
            // Once listed it is listed, or a child of what is.
            if state.listed.insert(entry.digest(), entry.size()) && tags.is_empty() {
                return;
            }
            state.drop_covered(children);
        }
        state.view = None;
        state.edits.push(Box::new(edit));
    }

    /// Returns those of `all` that the batch has neither stored nor found.
    pub(crate) fn unknown<'a>(&self, all: impl Iterator<Item = &'a Descriptor>) -> Vec<Descriptor> {
        let state = self.lock();
        all.filter(|content| !state.knows(content.digest()))
            .cloned()
            .collect()
    }

    /// Whether one of the changes lists the manifest `digest`.
    pub(crate) fn lists(&self, digest: &Digest) -> bool {
        self.lock().listed.contains(digest)
    }

    /// Remembers that the batch needs the blob of `digest`, of `size` bytes, which it has stored, or which
    /// is durable for another reason.
    pub(crate) fn rely_on(&self, digest: &Digest, size: u64) {
        self.lock().relied.insert(digest, size);
    }

    /// Remembers that the batch needs the blob of `digest`, of `size` bytes, which it has found.
    pub(crate) fn rely_on_found(&self, digest: &Digest, size: u64) {
        let mut state = self.lock();
        if !state.relied.contains(digest) {
            state.found.insert(digest, size);
        }
    }

    /// `base` with the changes made.
    pub(crate) fn over(&self, base: Arc<Snapshot>, holders: &dyn Holders) -> Arc<Snapshot> {
        let mut state = self.lock();
        if state.edits.is_empty() {
            return base;
        }
        if let Some(view) = &state.view
            && Arc::ptr_eq(&view.base, &base)
        {
            return Arc::clone(&view.snapshot);
        }
        let mut draft = Draft::new(&base, holders);
        for edit in &state.edits {
            // Adding does not fail.
            let _ = draft.apply(edit);
        }
        let snapshot = draft.finish().0.map_or_else(|| Arc::clone(&base), Arc::new);
        state.view = Some(View {
            base,
            snapshot: Arc::clone(&snapshot),
        });
        snapshot
    }

    /// Takes the changes out, and what must be there for them.
    pub(crate) fn take(&self) -> Taken {
        let State {
            edits,
            listed,
            relied,
            found,
            ..
        } = std::mem::take(&mut *self.lock());
        let found = Arc::new(found);
        Taken {
            edits: edits.into_iter().map(|edit| *edit).collect(),
            required: vec![Arc::new(listed), Arc::new(relied), Arc::clone(&found)],
            found,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
