//! The members of an archive by their names, with the links between them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use tranship::{Error, ErrorKind, Result};

use crate::driver::archive::opened::Opened;
use crate::driver::archive::path::{join, plain};
use crate::driver::archive::scan::{Kind, Member, corrupt, scan, show};

/// How many members an archive may have, and how many bytes all their names: they stay in memory.
const MAX_MEMBERS: usize = 100_000;
const MAX_NAMES: usize = 16 * 1024 * 1024;

/// How many links may lead to each other.
const MAX_LINKS: usize = 8;

#[derive(Debug)]
enum Found {
    File(Range<u64>),
    /// To a name from the root of the archive.
    Link(String),
    /// What is neither, such as a sparse file.
    Other,
}

/// All members that have a name inside the archive.
pub(super) struct Members<'a> {
    opened: &'a Opened,
    found: HashMap<String, Found>,
    names: usize,
}

impl<'a> Members<'a> {
    pub(super) fn read(opened: &'a Opened) -> Result<Self> {
        let mut members = Self {
            opened,
            found: HashMap::new(),
            names: 0,
        };
        scan(&opened.file, &opened.path, |member| members.take(member))?;
        Ok(members)
    }

    fn take(&mut self, member: &Member<'_>) -> Result<()> {
        let Some(name) = inside(member.name) else {
            return Ok(());
        };
        let found = match &member.kind {
            Kind::Directory => return Ok(()),
            Kind::File => Found::File(member.data.clone()),
            Kind::Link { target, symbolic } => match link(&name, target, *symbolic) {
                Some(target) => Found::Link(target),
                None => Found::Other,
            },
            Kind::Sparse | Kind::Other => Found::Other,
        };
        self.names += name.len();
        if self.found.len() >= MAX_MEMBERS || self.names > MAX_NAMES {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("holds more than {MAX_MEMBERS} members, or names of {MAX_NAMES} bytes"),
            )
            .with_subject(self.opened.path.display()));
        }
        match self.found.entry(name) {
            Entry::Vacant(place) => {
                place.insert(found);
                Ok(())
            }
            Entry::Occupied(first) => {
                let is_same = match (first.get(), &found) {
                    (Found::File(one), Found::File(other)) => self.opened.are_equal(one, other)?,
                    (Found::Link(one), Found::Link(other)) => one == other,
                    _ => false,
                };
                if is_same {
                    return Ok(());
                }
                let what = format!(
                    "its member {} is there twice, with different content",
                    show(member.name)
                );
                Err(corrupt(&self.opened.path, what))
            }
        }
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// Where the content of the file `name` lies, whatever links lead there.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn file(&self, name: &str) -> Result<Range<u64>> {
        let refused = |what: &str| {
            let what = format!("its member {} {what}", show(name.as_bytes()));
            Err(corrupt(&self.opened.path, what))
        };
        let Some(mut at) = inside(name.as_bytes()) else {
            return refused("is named outside the archive");
        };
        for _ in 0..MAX_LINKS {
            match self.found.get(&at) {
                Some(Found::File(data)) => return Ok(data.clone()),
                Some(Found::Link(target)) => at.clone_from(target),
                Some(Found::Other) => return refused("is, or leads to, no regular file"),
                None => return refused("is missing, or is a link to one that is"),
            }
        }
        refused("is a link that leads nowhere")
    }
}

/// The name of what lies inside the archive for everybody who unpacks it.
fn inside(name: &[u8]) -> Option<String> {
    let name = plain(name)?;
    let is_plain = !name.starts_with('/')
        && !name.contains(['\\', '\0'])
        && !name.split('/').any(|step| step == "..");
    is_plain.then(|| join(&[], name).join("/"))
}

/// What a link at `name` leads to; `None` if that is outside.
fn link(name: &str, target: &[u8], symbolic: bool) -> Option<String> {
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
    Some(join(&from, target).join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_archive_only() {
        let symbolic = |name, target: &str| link(name, target.as_bytes(), true);
        assert_eq!(
            symbolic("a/layer.tar", "../b.tar").as_deref(),
            Some("b.tar")
        );
        assert_eq!(symbolic("a/layer.tar", "./x/../c").as_deref(), Some("a/c"));
        assert_eq!(symbolic("a/layer.tar", "../../b.tar"), None);
        assert_eq!(symbolic("layer.tar", "/etc/passwd"), None);
        assert_eq!(symbolic("layer.tar", "a\\b"), None);
        assert_eq!(link("a/b", b"c/d", false).as_deref(), Some("c/d"));
    }

    #[test]
    fn names_that_lead_outside_are_none() {
        for name in ["/x", "../x", "a/../b", "a\\b", "a\0b"] {
            assert_eq!(inside(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(inside(b"./a//b").as_deref(), Some("a/b"));
    }
}
