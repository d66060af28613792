//! The entries of `index.json`, in their order.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tranship::{Descriptor, Result, encode_json};

use super::names::{Name, name_of};

/// How many entries share a chunk.
const CHUNK: usize = 256;

/// One of the manifests that `index.json` lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Manifest(Descriptor, Name),
    /// Named by a digest that we cannot compute: kept unchanged.
    Foreign(serde_json::Value),
}

impl Entry {
    pub(super) fn new(descriptor: Descriptor) -> Self {
        let name = name_of(&descriptor);
        Self::Manifest(descriptor, name)
    }

    pub(super) fn descriptor(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(descriptor, _) => Some(descriptor),
            Self::Foreign(_) => None,
        }
    }
}

impl serde::Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Manifest(descriptor, _) => descriptor.serialize(serializer),
            Self::Foreign(value) => value.serialize(serializer),
        }
    }
}

/// The entries, each at a position that it keeps. A removed entry leaves a gap.
///
/// A clone shares all chunks, and a change copies the chunk that it touches. A chunk also keeps its JSON once it has
/// been encoded. So a change of one of 100,000 entries neither clones nor encodes the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    chunks: Vec<Arc<Chunk>>,
    gaps: usize,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    slots: Vec<Option<Entry>>,
    json: OnceLock<Bytes>,
}

impl Entries {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let mut chunks = Vec::with_capacity(entries.len().div_ceil(CHUNK));
        let mut entries = entries.into_iter().map(Some).peekable();
        while entries.peek().is_some() {
            chunks.push(Arc::new(Chunk {
                slots: entries.by_ref().take(CHUNK).collect(),
                json: OnceLock::new(),
            }));
        }
        Self { chunks, gaps: 0 }
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.next_position() - self.gaps
    }

    /// Returns whether most positions are gaps.
    pub(super) fn is_sparse(&self) -> bool {
        self.gaps > CHUNK && self.gaps > self.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Entry> {
        let chunk = self.chunks.get(position / CHUNK)?;
        chunk.slots.get(position % CHUNK)?.as_ref()
    }

    /// Returns the entries with their positions, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let slots = self.chunks.iter().flat_map(|chunk| &chunk.slots);
        let numbered = slots.enumerate();
        numbered.filter_map(|(position, slot)| Some((position, slot.as_ref()?)))
    }

    /// Adds an entry at the end, and returns its position.
    pub(super) fn append(&mut self, entry: Entry) -> usize {
        let position = self.next_position();
        match self.chunks.last_mut() {
            Some(last) if last.slots.len() < CHUNK => {
                let last = Arc::make_mut(last);
                last.slots.push(Some(entry));
                last.json = OnceLock::new();
            }
            _ => self.chunks.push(Arc::new(Chunk {
                slots: vec![Some(entry)],
                json: OnceLock::new(),
            })),
        }
        position
    }

    /// Sets the entry at a position below the end; `None` leaves a gap.
    pub(super) fn replace(&mut self, position: usize, entry: Option<Entry>) {
        let Some(chunk) = self.chunks.get_mut(position / CHUNK) else {
            return;
        };
        let chunk = Arc::make_mut(chunk);
        chunk.json = OnceLock::new();
        if let Some(slot) = chunk.slots.get_mut(position % CHUNK) {
            self.gaps += usize::from(entry.is_none());
            self.gaps -= usize::from(slot.is_none());
            *slot = entry;
        }
    }

    /// Returns the entries as JSON, in pieces between which a comma is missing.
    pub(super) fn json(&self) -> Result<Vec<Bytes>> {
        let mut pieces = Vec::with_capacity(self.chunks.len());
        for chunk in &self.chunks {
            let json = match chunk.json.get() {
                Some(json) => json.clone(),
                None => {
                    let json = chunk.encode()?;
                    chunk.json.get_or_init(|| json).clone()
                }
            };
            if !json.is_empty() {
                pieces.push(json);
            }
        }
        Ok(pieces)
    }

    fn next_position(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        full + self.chunks.last().map_or(0, |last| last.slots.len())
    }
}

impl Chunk {
    fn encode(&self) -> Result<Bytes> {
        let entries: Vec<&Entry> = self.slots.iter().flatten().collect();
        let list = encode_json(&entries)?;
        // Without the brackets.
        Ok(list.slice(1..list.len() - 1))
    }
}
