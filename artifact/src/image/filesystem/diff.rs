//! Compares the files of two images.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use serde::Serialize;
use tranship::{Algorithm, Digest, Digester, Result};

use super::entry::{Entry, EntryKind};
use super::open::Filesystem;
use super::tar_reader::unreadable;
use super::tree::{NodeId, Place, Tree};

/// How two images differ, in the order of the paths.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// What is different.
    pub changes: Vec<Change>,
}

/// A path at which two images differ.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// What is different; empty unless both images have the path.
    pub fields: Vec<Changed>,
    /// The file in the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Entry>,
    /// The file in the second image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Entry>,
}

/// What happened at a path from the first image to the second.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Both have it, and it is different.
    Changed,
}

/// What is different in a file that both images have.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Changed {
    /// It is something else, such as a directory and not a file. Nothing else is compared then.
    Type,
    /// The permissions, or the set-uid, set-gid or sticky bit.
    Mode,
    /// The owner or the group.
    Owner,
    /// The size and the content.
    Size,
    /// The content, of the same size.
    Content,
    /// Where a symbolic link leads.
    Target,
    /// The numbers of a device.
    Device,
    /// Extended attributes.
    Xattrs,
}

/// Compares the files of two images by type, permissions, owner, content, link target and extended attributes. Times are
/// not compared: every build changes them.
///
/// Reads the headers of all layers, and the content of files only where it is not known to be the same.
///
/// ```
/// use tranship::{Repository, Result};
/// use tranship_artifact::image::{Filesystem, FilesystemOptions, diff};
///
/// async fn count_changes(repository: &dyn Repository) -> Result<usize> {
///     let options = FilesystemOptions::default();
///     let mut before = Filesystem::open(repository, &"v1".parse()?, options.clone()).await?;
///     let mut after = Filesystem::open(repository, &"v2".parse()?, options).await?;
///     Ok(diff(&mut before, &mut after).await?.changes.len())
/// }
/// ```
///
/// # Errors
/// As [`Filesystem::metadata`].
pub async fn diff(before: &mut Filesystem<'_>, after: &mut Filesystem<'_>) -> Result<Diff> {
    before.keep_layers();
    after.keep_layers();
    let (first, second) = (before.tree().await?, after.tree().await?);
    let pairs = pairs(&first, &second);
    // Files of the same size whose content may differ.
    let mut doubtful = Vec::new();
    for (_, a, b) in &pairs {
        if let (Some(a), Some(b)) = (a, b)
            && let (Some(x), Some(y)) = (first.node(*a).place, second.node(*b).place)
            && is_doubtful(&first, &second, *a, *b)
            && (before.layer_digest(x.0), x.1) != (after.layer_digest(y.0), y.1)
        {
            doubtful.push((x, y));
        }
    }
    let left = digests(before, doubtful.iter().map(|(place, _)| *place)).await?;
    let right = digests(after, doubtful.iter().map(|(_, place)| *place)).await?;
    let mut found = Diff::default();
    for (path, a, b) in pairs {
        let before = a.map(|node| before.describe(&first, &path, node));
        let after = b.map(|node| after.describe(&second, &path, node));
        let content = match (a, b) {
            (Some(a), Some(b)) => {
                let digest = |digests: &HashMap<Place, Digest>, place: Option<Place>| {
                    place.and_then(|place| digests.get(&place).copied())
                };
                digest(&left, first.node(a).place) == digest(&right, second.node(b).place)
            }
            _ => true,
        };
        let (kind, fields) = match (&before, &after) {
            (None, _) => (ChangeKind::Added, Vec::new()),
            (_, None) => (ChangeKind::Removed, Vec::new()),
            (Some(before), Some(after)) => (ChangeKind::Changed, compare(before, after, content)),
        };
        if kind != ChangeKind::Changed || !fields.is_empty() {
            found.changes.push(Change {
                kind,
                fields,
                before,
                after,
            });
        }
    }
    Ok(found)
}

type Pair = (Vec<u8>, Option<NodeId>, Option<NodeId>);

/// Returns each path of either image, with its files.
fn pairs(first: &Arc<Tree>, second: &Arc<Tree>) -> Vec<Pair> {
    let all = |tree: &Tree| {
        let root = vec![(Vec::new(), tree.root())];
        let mut all = [root, tree.walk(b"", tree.root(), true)].concat();
        // The order of the names is that of the parts of a path, and here that of the whole is needed.
        all.sort();
        all
    };
    let (mut left, mut right) = (
        all(first).into_iter().peekable(),
        all(second).into_iter().peekable(),
    );
    let mut pairs = Vec::new();
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return pairs,
        };
        let a = if order.is_le() { left.next() } else { None };
        let b = if order.is_ge() { right.next() } else { None };
        let nodes = (a.as_ref().map(|it| it.1), b.as_ref().map(|it| it.1));
        if let Some((path, _)) = a.or(b) {
            pairs.push((path, nodes.0, nodes.1));
        }
    }
}

fn is_doubtful(first: &Tree, second: &Tree, a: NodeId, b: NodeId) -> bool {
    use super::layer::LayerEntryKind::File;

    let (a, b) = (first.entry(a), second.entry(b));
    match (a.map(|it| &it.kind), b.map(|it| &it.kind)) {
        (Some(File { size: a }), Some(File { size: b })) => a == b && *a > 0,
        _ => false,
    }
}

/// Hashes files.
async fn digests(
    files: &Filesystem<'_>,
    places: impl Iterator<Item = Place>,
) -> Result<HashMap<Place, Digest>> {
    let mut wanted: HashMap<usize, HashSet<usize>> = HashMap::new();
    for (number, place) in places {
        wanted.entry(number).or_default().insert(place);
    }
    let mut digests = HashMap::new();
    for (number, places) in wanted {
        let hash = move |found: &mut Vec<(Place, Digest)>, place, content: &mut dyn Read| {
            if !places.contains(&place) {
                return Ok(());
            }
            let mut digester = Digester::new(Algorithm::Sha256);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match content.read(&mut buffer).map_err(unreadable)? {
                    0 => break,
                    length => digester.update(&buffer[..length]),
                }
            }
            found.push(((number, place), digester.finish()));
            Ok(())
        };
        digests.extend(files.contents(number, Vec::new(), hash).await?);
    }
    Ok(digests)
}

fn compare(before: &Entry, after: &Entry, same_content: bool) -> Vec<Changed> {
    let mut fields = Vec::new();
    let mut add = |is_different: bool, field| {
        if is_different {
            fields.push(field);
        }
    };
    if std::mem::discriminant(&before.kind) != std::mem::discriminant(&after.kind) {
        return vec![Changed::Type];
    }
    // The permissions of a symbolic link mean nothing.
    let is_link = matches!(before.kind, EntryKind::Symlink { .. });
    add(before.mode != after.mode && !is_link, Changed::Mode);
    let owner = |entry: &Entry| (entry.uid, entry.gid);
    add(owner(before) != owner(after), Changed::Owner);
    if before.kind != after.kind {
        let field = match before.kind {
            EntryKind::File { .. } => Changed::Size,
            EntryKind::Symlink { .. } => Changed::Target,
            _ => Changed::Device,
        };
        add(true, field);
    } else {
        add(!same_content, Changed::Content);
    }
    add(before.xattrs != after.xattrs, Changed::Xattrs);
    fields
}
