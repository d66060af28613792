//! The members of an archive by their names, with the links between them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use tranship::{Error, ErrorKind, Result};
use tranship_tar::{Member, MemberKind, quoted};

use crate::driver::archive::member_name::{join_path, plain_path};
use crate::driver::archive::opened::OpenedArchive;
use crate::driver::archive::scan::{corrupt, scan};

/// How many members an archive may have, and how many bytes all their names, which are kept in memory.
const MAX_MEMBERS: usize = 100_000;
const MAX_NAMES: usize = 16 * 1024 * 1024;

/// How many links are followed.
const MAX_LINKS: usize = 8;

#[derive(Debug)]
enum MemberTarget {
    File(Range<u64>),
    /// A link to a name relative to the root of the archive.
    Link(String),
    /// Neither of them, such as a sparse file.
    Other,
}

/// All members whose names are inside the archive.
pub(super) struct Members<'a> {
    opened: &'a OpenedArchive,
    found: HashMap<String, MemberTarget>,
    names: usize,
}

impl<'a> Members<'a> {
    pub(super) fn read(opened: &'a OpenedArchive) -> Result<Self> {
        let mut members = Self {
            opened,
            found: HashMap::new(),
            names: 0,
        };
        scan(&opened.file, &opened.path, |member| members.add(member))?;
        Ok(members)
    }

    fn add(&mut self, member: &Member<'_>) -> Result<()> {
        let Some(name) = path_inside(member.name) else {
            return Ok(());
        };
        let found = match &member.kind {
            MemberKind::Directory => return Ok(()),
            MemberKind::File => MemberTarget::File(member.data.clone()),
            MemberKind::Link { target, symbolic } => match link_target(&name, target, *symbolic) {
                Some(target) => MemberTarget::Link(target),
                None => MemberTarget::Other,
            },
            MemberKind::Sparse | MemberKind::Other => MemberTarget::Other,
        };
        self.names += name.len();
        if self.found.len() >= MAX_MEMBERS || self.names > MAX_NAMES {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("has more than {MAX_MEMBERS} members, or names of {MAX_NAMES} bytes"),
            )
            .with_subject(self.opened.path.display()));
        }
        match self.found.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(found);
                Ok(())
            }
            Entry::Occupied(first) => {
                let is_same = match (first.get(), &found) {
                    (MemberTarget::File(one), MemberTarget::File(other)) => {
                        self.opened.are_equal(one, other)?
                    }
                    (MemberTarget::Link(one), MemberTarget::Link(other)) => one == other,
                    _ => false,
                };
                if is_same {
                    return Ok(());
                }
                let what = format!(
                    "its member {} occurs twice, with different content",
                    quoted(member.name)
                );
                Err(corrupt(&self.opened.path, what))
            }
        }
    }

    /// Returns whether there is a member with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// Returns the position of the content of the file `name`. Links are followed.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn file(&self, name: &str) -> Result<Range<u64>> {
        let refused = |what: &str| {
            let what = format!("its member {} {what}", quoted(name.as_bytes()));
            Err(corrupt(&self.opened.path, what))
        };
        let Some(mut at) = path_inside(name.as_bytes()) else {
            return refused("has a name outside the archive");
        };
        for _ in 0..MAX_LINKS {
            match self.found.get(&at) {
                Some(MemberTarget::File(data)) => return Ok(data.clone()),
                Some(MemberTarget::Link(target)) => at.clone_from(target),
                Some(MemberTarget::Other) => {
                    return refused("is not a regular file, nor a link to one");
                }
                None => return refused("is missing, or is a link to one that is"),
            }
        }
        refused("is a link that leads to too many other links")
    }
}

/// Returns the normalized name of a member; `None` if a program might unpack it outside its directory.
fn path_inside(name: &[u8]) -> Option<String> {
    let name = plain_path(name)?;
    let is_plain = !name.starts_with('/')
        && !name.contains(['\\', '\0'])
        && !name.split('/').any(|step| step == "..");
    is_plain.then(|| join_path(&[], name).join("/"))
}

/// Returns the target of a link at `name`; `None` if it is outside the archive.
fn link_target(name: &str, target: &[u8], symbolic: bool) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    if target.starts_with('/') || target.contains(['\\', '\0']) {
        return None;
    }
    let mut from: Vec<&str> = Vec::new();
    if symbolic {
        from = name.split('/').collect();
        from.pop();
    }
    let mut depth = from.len();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => depth = depth.checked_sub(1)?,
            _ => depth += 1,
        }
    }
    Some(join_path(&from, target).join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_archive_only() {
        let symbolic = |name, target: &str| link_target(name, target.as_bytes(), true);
        assert_eq!(
            symbolic("a/layer.tar", "../b.tar").as_deref(),
            Some("b.tar")
        );
        assert_eq!(symbolic("a/layer.tar", "./x/../c").as_deref(), Some("a/c"));
        assert_eq!(symbolic("a/layer.tar", "../../b.tar"), None);
        assert_eq!(symbolic("layer.tar", "/etc/passwd"), None);
        assert_eq!(symbolic("layer.tar", "a\\b"), None);
        assert_eq!(link_target("a/b", b"c/d", false).as_deref(), Some("c/d"));
    }

    #[test]
    fn names_outside_the_archive_are_refused() {
        for name in ["/x", "../x", "a/../b", "a\\b", "a\0b"] {
            assert_eq!(path_inside(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(path_inside(b"./a//b").as_deref(), Some("a/b"));
    }
}
