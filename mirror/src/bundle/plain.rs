//! Archives without a `bundle.json`, as other tools write them: what they have is found in their `index.json`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use tranship::{
    Descriptor, Digest, Error, ErrorKind, Index, MAX_MANIFEST_SIZE, ManifestDocument, Result, Tag,
};

use super::contents::BundleContents;
use super::decode::all_blobs;
use super::graph::{self, Key, UnnumberedNode, UnnumberedRepository, key_of};
use super::index::{CONTAINERD_NAME, REF_NAME};
use super::lock::Lock;
use super::members::MemberName;
use super::name::BundleName;
use super::node::too_many_contents;
use super::scan::corrupt;
use super::volume::Volume;

/// The longest `index.json`, in bytes.
const MAX_INDEX: u64 = 64 * 1024 * 1024;

/// How many references between manifests are followed. Only a file that was made for it has more.
const MAX_FOLLOWED: usize = 100_000_000;

/// Returns what an archive has.
///
/// # Errors
/// `Corrupt` if it is not an image layout, and `InvalidManifest` or `DigestMismatch` for a damaged manifest.
pub(super) fn contents(volume: &Volume) -> Result<BundleContents> {
    let path = &volume.path;
    let index = volume.read(&MemberName::Index, MAX_INDEX)?;
    let index = index.ok_or_else(|| {
        corrupt(path, "has neither a bundle.json nor an index.json: it is not a bundle and not an image layout")
            .with_hint("archives of Docker can be copied to a layout first, from docker-archive:FILE")
    })?;
    let index: Index = serde_json::from_slice(&index).map_err(|error| {
        corrupt(path, "has an index.json that cannot be read").with_source(error)
    })?;
    let mut reader = Reader {
        volume,
        sizes: volume.blobs().collect(),
        nodes: HashMap::new(),
        followed: 0,
    };
    let mut repositories: BTreeMap<BundleName, UnnumberedRepository> = BTreeMap::new();
    for entry in &index.manifests {
        if !entry.media_type().is_manifest() {
            continue;
        }
        let (name, tag) = name_of(entry, path)?;
        reader.read_below(entry)?;
        let manifests = reader.manifests_below(key_of(entry))?;
        let repository = repositories.entry(name).or_default();
        repository.manifests.extend(manifests);
        if let Some(tag) = tag {
            // Of several entries with one name, the last one was written last.
            repository.tags.insert(tag, *entry.digest());
        }
    }
    let lock = graph::number(&reader.nodes, &repositories)?;
    let blobs = all_blobs(&lock, &BTreeMap::new());
    BundleContents::new(lock, BTreeMap::new(), vec![blobs], None)
}

struct Reader<'a> {
    volume: &'a Volume,
    sizes: HashMap<Digest, u64>,
    nodes: HashMap<Key, UnnumberedNode>,
    followed: usize,
}

impl Reader<'_> {
    /// Reads a manifest and everything below it.
    fn read_below(&mut self, root: &Descriptor) -> Result<()> {
        let mut wanted = vec![root.clone()];
        while let Some(descriptor) = wanted.pop() {
            let key = key_of(&descriptor);
            let (digest, is_manifest) = key;
            let Some(size) = self.sizes.get(&digest).copied() else {
                if key == key_of(root) {
                    let message = format!("lacks the manifest {digest} that its index.json lists");
                    return Err(corrupt(&self.volume.path, message));
                }
                // An entry of an index that was not copied, or content that a verification reports.
                continue;
            };
            if size != descriptor.size() {
                let expected = descriptor.size();
                let message =
                    format!("has {digest} with {size} bytes, and a manifest says {expected}");
                return Err(corrupt(&self.volume.path, message));
            }
            if self.nodes.contains_key(&key) {
                continue;
            }
            if self.nodes.len() >= Lock::MAX_CONTENTS {
                return Err(too_many_contents());
            }
            let children = match is_manifest {
                true => self.successors(&descriptor)?,
                false => Vec::new(),
            };
            let node = UnnumberedNode {
                size,
                media_type: is_manifest.then(|| descriptor.media_type().clone()),
                children: children.iter().map(key_of).collect(),
            };
            self.nodes.insert(key, node);
            wanted.extend(children);
        }
        Ok(())
    }

    /// Returns the manifests below a manifest that was read, and itself.
    fn manifests_below(&mut self, root: Key) -> Result<Vec<Digest>> {
        let mut seen = HashSet::from([root]);
        let mut wanted = vec![root];
        let mut found = Vec::new();
        while let Some(key) = wanted.pop() {
            let Some(node) = self.nodes.get(&key) else {
                continue;
            };
            found.push(key.0);
            self.followed += node.children.len();
            if self.followed > MAX_FOLLOWED {
                let message = "the images share too much content to look at each of them";
                return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
            }
            let manifests = node.children.iter().filter(|(_, is_manifest)| *is_manifest);
            wanted.extend(manifests.filter(|child| seen.insert(**child)));
        }
        Ok(found)
    }

    fn successors(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        let digest = descriptor.digest();
        let content = self
            .volume
            .read(&MemberName::Blob(*digest), MAX_MANIFEST_SIZE)?;
        let content = content.ok_or_else(|| Error::not_found(digest))?;
        if !digest.matches(&content) {
            let message = "the manifest does not have the content that its digest says";
            return Err(Error::new(ErrorKind::DigestMismatch, message).with_subject(digest));
        }
        let document = ManifestDocument::decode(descriptor.media_type(), &content);
        let document = document.map_err(|error| error.with_subject(digest))?;
        Ok(document.map_or_else(Vec::new, ManifestDocument::into_successors))
    }
}

/// Returns the repository and the tag of an entry of `index.json`. If it does not say the repository, that is named after
/// the file.
fn name_of(entry: &Descriptor, path: &Path) -> Result<(BundleName, Option<Tag>)> {
    let names = [CONTAINERD_NAME, REF_NAME].map(|key| entry.annotation(key));
    for name in names.into_iter().flatten() {
        if let Some((repository, tag)) = name.rsplit_once(':')
            && let (Ok(repository), Ok(tag)) = (repository.parse(), tag.parse())
        {
            return Ok((repository, Some(tag)));
        }
    }
    let tag = names[1].and_then(|name| name.parse().ok());
    Ok((name_of_file(path)?, tag))
}

fn name_of_file(path: &Path) -> Result<BundleName> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let lower = stem.to_lowercase();
    let dashed = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    dashed
        .trim_matches('-')
        .parse()
        .or_else(|_| "images".parse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotations_of_other_tools_name_the_image() {
        for (containerd, reference, name, tag) in [
            (
                Some("docker.io/library/alpine:3.19"),
                Some("3.19"),
                "docker.io/library/alpine",
                Some("3.19"),
            ),
            (
                None,
                Some("localhost:5000/team/app:v1"),
                "localhost:5000/team/app",
                Some("v1"),
            ),
            (None, Some("v1"), "my-images", Some("v1")),
            (None, Some("not a name"), "my-images", None),
            (None, None, "my-images", None),
        ] {
            let mut entry = Descriptor::empty_json();
            for (key, value) in [(CONTAINERD_NAME, containerd), (REF_NAME, reference)] {
                if let Some(value) = value {
                    entry = entry.with_annotation(key, value);
                }
            }
            let found = name_of(&entry, Path::new("/x/My_Images.tar")).expect("a name");
            assert_eq!(found.0.as_str(), name);
            assert_eq!(found.1.as_ref().map(Tag::as_str), tag);
        }
        let unnamed = name_of_file(Path::new("/")).expect("a name");
        assert_eq!(unnamed.as_str(), "images");
    }
}
