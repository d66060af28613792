//! What the reader of a foreign file should know.

use std::collections::HashSet;

use super::document::{Document, Map};
use super::yaml::Position;

/// So many notes are kept. A file that deserves more was not written for the tool.
const MAX_NOTES: usize = 100;

/// Notes with their places, each text once.
pub(super) struct Notes<'a> {
    document: Document<'a>,
    seen: HashSet<String>,
    notes: Vec<String>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(document: Document<'a>) -> Self {
        Self {
            document,
            seen: HashSet::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a note, with the first place where it applies.
    pub(super) fn add(&mut self, position: Position, message: impl Into<String>) {
        let message = message.into();
        if self.notes.len() < MAX_NOTES && !self.seen.contains(&message) {
            self.notes.push(self.document.note(position, &message));
            self.seen.insert(message);
        }
    }

    /// Adds a note for each key that is not known.
    pub(super) fn add_unknown(&mut self, map: Map<'_>, known: &[&str]) {
        for key in map.unknown(known) {
            let name: String = key.text.chars().take(100).collect();
            let name = name.escape_debug();
            self.add(key.position, format!("unknown field \"{name}\" is ignored"));
        }
    }

    /// Adds a note for each of `keys` that is set.
    pub(super) fn add_ignored(&mut self, map: Map<'_>, keys: &[&str], why: &str) {
        for (key, _) in map.entries.iter().filter(|(_, node)| !node.is_null()) {
            if keys.contains(&key.text.as_str()) {
                self.add(key.position, format!("\"{}\" {why}", key.text));
            }
        }
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.notes
    }
}
