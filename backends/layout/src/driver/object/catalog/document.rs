//! The content of the catalog object.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tranship::encode_json;

/// The names of the repositories of a registry, in ASCII order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CatalogDocument {
    /// Whether every repository with content is in `repositories`.
    complete: bool,
    #[serde(default)]
    repositories: Vec<String>,
    /// The rebuild that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rebuild: Option<RebuildState>,
}

/// A rebuild that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RebuildState {
    /// Identifies it among all rebuilds.
    id: String,
    /// The names of repositories that have got content since it began.
    #[serde(default)]
    repositories: Vec<String>,
}

impl CatalogDocument {
    /// Returns the document in `content`, with names in their order; `None` if it is damaged.
    pub(super) fn decode(content: &[u8]) -> Option<Self> {
        let mut document: Self = serde_json::from_slice(content).ok()?;
        sort(&mut document.repositories);
        if let Some(rebuild) = &mut document.rebuild {
            sort(&mut rebuild.repositories);
        }
        Some(document)
    }

    pub(super) fn encode(&self) -> tranship::Result<Bytes> {
        encode_json(self)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn repositories(&self) -> &[String] {
        &self.repositories
    }

    /// Returns the position of the first name after `last`.
    pub(super) fn position_after(&self, last: Option<&str>) -> usize {
        let is_before = |last: &str| {
            self.repositories
                .partition_point(|name| name.as_str() <= last)
        };
        last.map_or(0, is_before)
    }

    /// Returns whether the catalog has `name`, and will have it after the rebuild that is under way.
    pub(super) fn has(&self, name: &str) -> bool {
        let is_kept = |rebuild: &RebuildState| contains(&rebuild.repositories, name);
        contains(&self.repositories, name) && self.rebuild.as_ref().is_none_or(is_kept)
    }

    /// Adds a name, also to the rebuild that is under way.
    pub(super) fn add(&mut self, name: &str) {
        insert(&mut self.repositories, name);
        if let Some(rebuild) = &mut self.rebuild {
            insert(&mut rebuild.repositories, name);
        }
    }

    /// Removes a name, also from the rebuild that is under way. Returns whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if let Some(rebuild) = &mut self.rebuild {
            remove(&mut rebuild.repositories, name);
        }
        remove(&mut self.repositories, name)
    }

    /// Begins a rebuild, in place of one that is under way.
    pub(super) fn begin_rebuild(&mut self, id: &str) {
        self.rebuild = Some(RebuildState {
            id: id.to_owned(),
            repositories: Vec::new(),
        });
    }

    /// Ends the rebuild `id` with the names that it has found; returns `false` if another rebuild has replaced it.
    pub(super) fn finish_rebuild(&mut self, id: &str, found: &[String]) -> bool {
        let Some(rebuild) = self.rebuild.take_if(|rebuild| rebuild.id == id) else {
            return false;
        };
        self.repositories = rebuild.repositories;
        self.repositories.extend_from_slice(found);
        sort(&mut self.repositories);
        self.complete = true;
        true
    }
}

fn position(names: &[String], name: &str) -> Result<usize, usize> {
    names.binary_search_by(|other| other.as_str().cmp(name))
}

fn contains(names: &[String], name: &str) -> bool {
    position(names, name).is_ok()
}

fn insert(names: &mut Vec<String>, name: &str) {
    if let Err(at) = position(names, name) {
        names.insert(at, name.to_owned());
    }
}

fn remove(names: &mut Vec<String>, name: &str) -> bool {
    position(names, name).map(|at| names.remove(at)).is_ok()
}

fn sort(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(json: &str) -> CatalogDocument {
        CatalogDocument::decode(json.as_bytes()).expect("a catalog")
    }

    #[test]
    fn names_are_put_in_order_when_they_are_read() {
        let document = document(r#"{"complete":true,"repositories":["b","a-b","a","b","a/b"]}"#);
        assert_eq!(document.repositories(), ["a", "a-b", "a/b", "b"]);
        for (last, position) in [(None, 0), (Some("a"), 1), (Some("a."), 2), (Some("c"), 4)] {
            assert_eq!(document.position_after(last), position, "{last:?}");
        }
    }

    #[test]
    fn a_damaged_catalog_is_not_read() {
        for damaged in ["", "{}", "[]", r#"{"complete":"yes"}"#, r#"{"complete":tr"#] {
            assert_eq!(
                CatalogDocument::decode(damaged.as_bytes()),
                None,
                "{damaged}"
            );
        }
    }

    #[test]
    fn a_rebuild_keeps_what_was_added_since_it_began() {
        let mut document = document(r#"{"complete":false,"repositories":["kept","old"]}"#);
        document.begin_rebuild("1");
        assert!(!document.has("kept"), "it must be added again");
        document.add("kept");
        document.add("new");
        assert!(document.has("kept") && document.has("new"));
        assert!(!document.is_complete());
        assert!(!document.finish_rebuild("2", &[]), "another one");
        assert!(document.finish_rebuild("1", &["found".to_owned()]));
        assert_eq!(document.repositories(), ["found", "kept", "new"]);
        assert!(document.is_complete() && document.has("found"));
    }
}
