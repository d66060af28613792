//! The tags by which manifests are attached to others, on their way to the destination.

use std::collections::BTreeMap;

use super::nodes::{Id, Nodes};
use super::progress::CopyAction;
use crate::descriptor::Descriptor;
use crate::reference::Tag;

/// The tags of nodes that were found by them. Most are set when the node is pushed; those of nodes that the
/// destination has, or that were found by other ways first, are left for the end.
#[derive(Default)]
pub(super) struct Attached {
    waiting: BTreeMap<Id, Vec<Tag>>,
    pushed: BTreeMap<Id, Vec<Tag>>,
}

impl Attached {
    pub(super) fn add(&mut self, id: Id, tag: Tag) {
        self.waiting.entry(id).or_default().push(tag);
    }

    /// Returns the tags to push a node with.
    pub(super) fn push(&mut self, id: Id) -> Vec<Tag> {
        if let Some(mut tags) = self.waiting.remove(&id) {
            self.pushed.entry(id).or_default().append(&mut tags);
        }
        self.pushed.get(&id).cloned().unwrap_or_default()
    }

    /// Returns the tags that are still to be set, and all digest tags that the destination will have, in ASCII
    /// order.
    pub(super) fn finish(self, nodes: &Nodes) -> (Vec<(Descriptor, Tag)>, Vec<Tag>) {
        let is_there = |id: &Id| nodes[*id].action != Some(CopyAction::LeftOut);
        let waiting = self.waiting.into_iter().filter(|(id, _)| is_there(id));
        let late: Vec<_> = waiting
            .flat_map(|(id, tags)| {
                let node = nodes[id].descriptor.plain();
                tags.into_iter().map(move |tag| (node.clone(), tag))
            })
            .collect();
        let pushed = self.pushed.into_iter().filter(|(id, _)| is_there(id));
        let late_tags = late.iter().map(|(_, tag)| tag.clone());
        let mut all: Vec<_> = pushed.flat_map(|(_, tags)| tags).chain(late_tags).collect();
        all.sort_unstable();
        (late, all)
    }
}
