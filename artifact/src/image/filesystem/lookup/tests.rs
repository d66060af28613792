//! A search agrees with all layers applied to each other.

use std::sync::Arc;

use super::super::tree::{MAX_LINKS, Tree};
use super::*;

/// Numbers that look random, and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1);
        (self.0 >> 33) % limit
    }

    /// A path of up to three of a few names.
    fn path(&mut self) -> String {
        let parts = 1 + self.below(3);
        let parts: Vec<&str> = (0..parts)
            .map(|_| ["a", "b", "c"][self.below(3) as usize])
            .collect();
        parts.join("/")
    }

    fn kind(&mut self) -> LayerEntryKind {
        let link = |target: String| LayerEntryKind::Symlink {
            target: target.into_bytes().into(),
        };
        match self.below(12) {
            0..=3 => LayerEntryKind::Directory,
            4..=6 => LayerEntryKind::File { size: 1 },
            7 => link(self.path()),
            8 => link(format!("../{}", self.path())),
            9 => link(format!("/{}", self.path())),
            10 => LayerEntryKind::Whiteout,
            _ => LayerEntryKind::Opaque,
        }
    }

    fn entry(&mut self, path: &str, kind: LayerEntryKind) -> LayerEntry {
        LayerEntry {
            path: path.as_bytes().into(),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            nanoseconds: 0,
            xattrs: Box::new([]),
        }
    }

    /// A layer that describes the parents of most names, as real ones do.
    fn layer(&mut self) -> Arc<LayerEntries> {
        let mut entries = Vec::new();
        for _ in 0..1 + self.below(4) {
            let path = self.path();
            if self.below(4) > 0 {
                let parents: Vec<String> = ancestors(path.as_bytes())
                    .map(|parent| String::from_utf8_lossy(parent).into_owned())
                    .collect();
                for parent in parents {
                    let known = |entry: &LayerEntry| *entry.path == *parent.as_bytes();
                    if !entries.iter().any(known) {
                        entries.push(self.entry(&parent, LayerEntryKind::Directory));
                    }
                }
            }
            let kind = self.kind();
            entries.push(self.entry(&path, kind));
            if self.below(5) == 0 {
                let target = path.into_bytes().into();
                let name = self.path();
                entries.push(self.entry(&name, LayerEntryKind::HardLink { target }));
            }
        }
        Arc::new(LayerEntries::new(entries))
    }
}

/// Searches as `Filesystem` does; `None` if the search gives up or leads in a circle, or all layers were searched.
fn search(layers: &[Arc<LayerEntries>], path: &str) -> Option<Option<Place>> {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..MAX_LINKS {
        if path.is_empty() {
            return None;
        }
        let mut search = Search::new(&path);
        let mut looked = layers.iter().enumerate().rev();
        let mut count = 0;
        let verdict = looked.find_map(|(number, layer)| {
            count += 1;
            search.look(number, layer)
        });
        match verdict {
            None => return None,
            Some(Verdict::Absent) => {
                let looked = layers.iter().rev().take(count);
                let mut unclear = looked.filter(|layer| may_make_directories(layer));
                return unclear.next().is_none().then_some(None);
            }
            Some(Verdict::Found(place)) => return Some(Some(place)),
            Some(Verdict::Undecided) => return None,
            Some(Verdict::Link {
                directory,
                target,
                rest,
            }) => path = link_path(&directory, &target, &rest)?,
        }
    }
    None
}

/// The layers, for a message.
fn shown(layers: &[Arc<LayerEntries>]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entry = |entry: &LayerEntry| {
        let kind = match &entry.kind {
            LayerEntryKind::Symlink { target } => format!("-> {}", text(target)),
            LayerEntryKind::HardLink { target } => format!("= {}", text(target)),
            other => format!("{other:?}"),
        };
        format!("{} {kind}", text(&entry.path))
    };
    let layers = layers.iter().map(|layer| {
        let entries: Vec<String> = layer.all.iter().map(entry).collect();
        format!("[{}]", entries.join(", "))
    });
    layers.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_search_finds_what_all_layers_together_have() {
    let mut numbers = Numbers(7);
    let (mut found, mut absent) = (0, 0);
    for round in 0..10_000 {
        let layers: Vec<_> = (0..1 + numbers.below(4)).map(|_| numbers.layer()).collect();
        let Ok(tree) = Tree::of(layers.clone()) else {
            continue;
        };
        for _ in 0..6 {
            let path = numbers.path();
            let Some(decided) = search(&layers, &path) else {
                continue;
            };
            let Ok(resolved) = tree.resolve(path.as_bytes(), true) else {
                continue;
            };
            let expected = resolved.map(|resolved| tree.node(resolved.node).place);
            match decided {
                Some(place) => {
                    assert_eq!(
                        expected,
                        Some(Some(place)),
                        "round {round}: {path}: {}",
                        shown(&layers)
                    );
                    found += 1;
                }
                None => {
                    assert_eq!(expected, None, "round {round}: {path}: {}", shown(&layers));
                    absent += 1;
                }
            }
        }
    }
    assert!(found > 300 && absent > 300, "{found} and {absent}");
}

#[test]
fn the_target_of_a_link_is_resolved_where_it_is_certain() {
    for (directory, target, rest, expected) in [
        ("a/b", "c", "", Some("a/b/c")),
        ("a/b", "../c", "/d", Some("a/c/d")),
        ("a", "../../../c", "", Some("c")),
        ("a", "/c/./d", "", Some("c/d")),
        ("a", "c/../d", "", None),
        ("a", "c", "/..", None),
        ("a", "..", "", Some("")),
    ] {
        let path = link_path(directory.as_bytes(), target.as_bytes(), rest.as_bytes());
        assert_eq!(path.as_deref(), expected.map(str::as_bytes), "{target}");
    }
}
