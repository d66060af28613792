//! Lists and reads files.

use std::collections::HashMap;

use tranship::{Error, ErrorKind, Printable, Result};

use super::content::FileContent;
use super::entry::{Entry, EntryKind};
use super::layer::LayerEntryKind;
use super::lookup::{Search, Verdict, link_path, may_make_directories};
use super::open::Filesystem;
use super::path;
use super::tree::{MAX_LINKS, NodeId, Place, Tree, too_many_links};

/// A file that was found.
struct Located {
    entry: Entry,
    place: Option<Place>,
    /// The content, if it was met on the way.
    content: Option<FileContent>,
}

impl Filesystem<'_> {
    /// Describes the file or directory at `path`. Symbolic links are followed.
    ///
    /// Reads the newest layer first, and no layers below the one that decides, where the layers allow that.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the image does not have it.
    /// - [`DigestMismatch`](ErrorKind::DigestMismatch), [`SizeMismatch`](ErrorKind::SizeMismatch) or
    ///   [`Corrupt`](ErrorKind::Corrupt) if a layer is damaged.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if the layers are over a limit of the options.
    /// - [`Unsupported`](ErrorKind::Unsupported) if a layer is compressed by something other than gzip or Zstandard, or
    ///   has entries that programs disagree about.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `path` cannot be a path.
    /// - What the repository fails with.
    pub async fn metadata(&mut self, path: &str) -> Result<Entry> {
        Ok(self.locate(path, false).await?.entry)
    }

    /// Reads the file at `path`. Symbolic links are followed.
    ///
    /// Content of more than 1 MiB is kept in a temporary file until the layer is verified.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`InvalidInput`](ErrorKind::InvalidInput) if it is a directory or anything
    /// else that does not have content.
    pub async fn read(&mut self, path: &str) -> Result<(Entry, FileContent)> {
        let located = self.locate(path, true).await?;
        let what = match located.entry.kind {
            EntryKind::File { .. } => {
                let content = match located.content {
                    Some(content) => content,
                    None => self.content_of(located.place).await?,
                };
                return Ok((located.entry, content));
            }
            EntryKind::Directory => "it is a directory",
            _ => "it is not a file",
        };
        let error = Error::new(ErrorKind::InvalidInput, what).with_subject(Printable(path));
        Err(match located.entry.kind {
            EntryKind::Directory => {
                error.with_hint("`tranship fs ls` lists it, and `fs cp` copies it")
            }
            _ => error,
        })
    }

    /// Lists the directory at `path` in the order of the names, or describes the file there. With `recursive`, also
    /// everything below it, each directory before its content.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    pub async fn list(&mut self, path: &str, recursive: bool) -> Result<Vec<Entry>> {
        let located = self.locate(path, false).await?;
        if !located.entry.is_directory() {
            return Ok(vec![located.entry]);
        }
        let tree = self.tree().await?;
        let root = located.entry.path.get(1..).unwrap_or_default().to_vec();
        let Some(resolved) = tree.resolve(&root, true)? else {
            return Err(not_found(path));
        };
        let listed = tree.walk(&root, resolved.node, recursive);
        Ok(listed
            .into_iter()
            .map(|(path, node)| self.describe(&tree, &path, node))
            .collect())
    }

    /// Finds what `path` leads to, and keeps its content if it is met.
    async fn locate(&mut self, path: &str, with_content: bool) -> Result<Located> {
        let requested = path::requested(path)?;
        if let Some(located) = self.search(&requested, path, with_content).await? {
            return Ok(located);
        }
        let tree = self.tree().await?;
        let resolved = tree
            .resolve(&requested, true)
            .map_err(|error| error.with_subject(Printable(path)))?
            .ok_or_else(|| not_found(path))?;
        let entry = self.describe(&tree, &resolved.path, resolved.node);
        let must_be_directory = path.ends_with('/') && !entry.is_directory();
        if must_be_directory {
            return Err(not_found(path));
        }
        Ok(Located {
            entry,
            place: tree.node(resolved.node).place,
            content: None,
        })
    }

    /// Searches the layers from the newest on; `None` if all of them have to be applied.
    async fn search(
        &mut self,
        requested: &[u8],
        shown: &str,
        with_content: bool,
    ) -> Result<Option<Located>> {
        let Some(mut path) = link_path(b"", requested, b"") else {
            return Ok(None);
        };
        if shown.ends_with('/') {
            return Ok(None);
        }
        let mut links = 0;
        'link: while !path.is_empty() {
            let mut search = Search::new(&path);
            for number in (0..self.layers.len()).rev() {
                let captured = with_content.then(|| path.clone());
                let (entries, content) = self.entries_and(number, captured).await?;
                match search.look(number, &entries) {
                    None => {}
                    Some(Verdict::Found(place)) => {
                        let entry = entries.all.get(place.1);
                        let digest = self.layer_digest(number);
                        return Ok(Some(Located {
                            entry: Entry::new(&path, entry, digest),
                            place: Some(place),
                            content: content
                                .filter(|(at, _)| *at == place.1)
                                .map(|(_, content)| content),
                        }));
                    }
                    Some(Verdict::Link {
                        directory,
                        target,
                        rest,
                    }) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(too_many_links().with_subject(Printable(shown)));
                        }
                        let Some(next) = link_path(&directory, &target, &rest) else {
                            return Ok(None);
                        };
                        path = next;
                        continue 'link;
                    }
                    Some(Verdict::Absent) => {
                        let known =
                            (number..self.layers.len()).filter_map(|it| self.known_entries(it));
                        let is_certain = !known.into_iter().any(may_make_directories);
                        return if is_certain {
                            Err(not_found(shown))
                        } else {
                            Ok(None)
                        };
                    }
                    Some(Verdict::Undecided) => return Ok(None),
                }
            }
            // All layers are known now, and applying them costs little.
            return Ok(None);
        }
        Ok(None)
    }

    async fn content_of(&self, place: Option<Place>) -> Result<FileContent> {
        let missing = || Error::new(ErrorKind::Corrupt, "the content is missing from its layer");
        let (number, wanted) = place.ok_or_else(missing)?;
        let size = |entry: &super::layer::LayerEntry| match entry.kind {
            LayerEntryKind::File { size } => size,
            _ => 0,
        };
        let entries = self.known_entries(number);
        let size = entries.and_then(|entries| entries.all.get(wanted).map(size));
        let size = size.unwrap_or_default();
        let content = self
            .contents(number, None, move |found, place, content| {
                if place == wanted {
                    *found = Some(FileContent::read(content, size)?);
                }
                Ok(())
            })
            .await?;
        content.ok_or_else(missing)
    }

    /// Describes a node.
    pub(super) fn describe(&self, tree: &Tree, path: &[u8], node: NodeId) -> Entry {
        let layer = tree.node(node).place;
        let digest = layer.and_then(|(number, _)| self.layer_digest(number));
        Entry::new(path, tree.entry(node), digest)
    }
}

impl Tree {
    /// Lists what is below the directory `node` at `path`, in the order of the names. A directory precedes its content.
    pub(super) fn walk(
        &self,
        path: &[u8],
        node: NodeId,
        recursive: bool,
    ) -> Vec<(Vec<u8>, NodeId)> {
        let mut found = Vec::new();
        let children = |path: &[u8], node: NodeId| -> Vec<(Vec<u8>, NodeId)> {
            let children = self.node(node).children.iter().flatten().rev();
            children
                .map(|(name, node)| (path::join(path, name), *node))
                .collect()
        };
        let mut stack = children(path, node);
        while let Some((path, node)) = stack.pop() {
            if recursive {
                stack.extend(children(&path, node));
            }
            found.push((path, node));
        }
        found
    }

    /// Returns the names of each file that is in one of `listed`, by the number of its layer and its place in it.
    pub(super) fn files<'l>(
        &self,
        listed: &'l [(Vec<u8>, NodeId)],
    ) -> Vec<HashMap<usize, Vec<&'l [u8]>>> {
        let mut files = vec![HashMap::new(); self.layers()];
        for (path, node) in listed {
            if let Some((number, place)) = self.node(*node).place
                && let Some(LayerEntryKind::File { .. }) = self.entry(*node).map(|it| &it.kind)
                && let Some(layer) = files.get_mut(number)
            {
                let names: &mut Vec<&[u8]> = layer.entry(place).or_default();
                names.push(path);
            }
        }
        files
    }
}

pub(super) fn not_found(path: &str) -> Error {
    Error::new(ErrorKind::NotFound, "the image does not have it").with_subject(Printable(path))
}
