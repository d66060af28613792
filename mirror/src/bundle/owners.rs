//! Which image needs a piece of content, for messages.

use super::lock::{Lock, LockedImage};
use super::node::{ContentNode, RepositoryContents};

/// For each piece of content the first image that needs it.
pub(super) struct Owners<'a> {
    lock: &'a Lock,
    owners: Vec<Option<LockedImage<'a>>>,
}

impl<'a> Owners<'a> {
    /// Looks at all content once.
    pub(super) fn of(lock: &'a Lock) -> Self {
        let mut owners = Self {
            lock,
            owners: vec![None; lock.contents().len()],
        };
        for (name, repository) in lock.repositories() {
            for (tag, number) in &repository.tags {
                let image = LockedImage {
                    name,
                    tag: Some(tag),
                    number: *number,
                };
                owners.mark(image, repository);
            }
        }
        // The manifests with the highest numbers are above the others.
        for (name, repository) in lock.repositories() {
            for number in repository.manifests.iter().rev() {
                let image = LockedImage {
                    name,
                    tag: None,
                    number: *number,
                };
                owners.mark(image, repository);
            }
        }
        owners
    }

    fn mark(&mut self, image: LockedImage<'a>, repository: &RepositoryContents) {
        let mut wanted = vec![image.number];
        while let Some(number) = wanted.pop() {
            let position = usize::try_from(number).unwrap_or(usize::MAX);
            let Some(owner) = self.owners.get_mut(position) else {
                continue;
            };
            if owner.is_some() {
                continue;
            }
            *owner = Some(image);
            let children = self.lock.get(number).map_or(&[][..], ContentNode::children);
            let is_here = |child: &&u32| {
                let node = self.lock.get(**child);
                node.is_some_and(|node| !node.is_manifest() || repository.has(**child))
            };
            wanted.extend(children.iter().filter(is_here));
        }
    }

    /// Returns the name of an image that needs a piece of content, such as `docker.io/library/alpine:3.19`.
    pub(super) fn name(&self, number: u32) -> Option<String> {
        let position = usize::try_from(number).ok()?;
        let image = self.owners.get(position).copied().flatten()?;
        match image.tag {
            Some(tag) => Some(image.name.with_tag(tag)),
            None => {
                let root = self.lock.get(image.number)?;
                Some(format!("{}@{}", image.name, root.digest))
            }
        }
    }
}
