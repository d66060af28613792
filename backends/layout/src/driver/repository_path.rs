//! How the name of a repository becomes a path, and back.
//!
//! A component of a name is a directory of the same name, except that `_` is put in front of those
//! that mean something else inside of a layout, or to an operating system. No component starts with
//! `_` by itself.

use std::borrow::Cow;

use tranship::RepositoryName;

/// What tools keep beside a layout's blobs, and what a directory of layouts may hold itself.
const TAKEN: [&str; 8] = [
    "blobs",
    "index.json",
    "ingest",
    "manifest.json",
    "oci-layout",
    "repositories",
    "tmp",
    "version",
];

/// Names that Windows keeps for devices, whatever stands behind a dot.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component);
    let numbered = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest: &str| matches!(rest.as_bytes(), [b'1'..=b'9']))
    };
    matches!(stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

fn is_escaped(component: &str) -> bool {
    TAKEN.contains(&component) || is_device(component)
}

/// The directories, each in the one before, that the layout of `name` lies in.
pub(super) fn directories_of(name: &RepositoryName) -> impl Iterator<Item = Cow<'_, str>> {
    name.as_str().split('/').map(|component| {
        if is_escaped(component) {
            Cow::Owned(format!("_{component}"))
        } else {
            Cow::Borrowed(component)
        }
    })
}

/// The component of a name that a directory stands for; `None` if it stands for none.
pub(super) fn component_of(directory: &str) -> Option<&str> {
    let component = match directory.strip_prefix('_') {
        Some(escaped) => Some(escaped).filter(|component| is_escaped(component)),
        None => Some(directory).filter(|component| !is_escaped(component)),
    }?;
    let is_valid = !component.contains('/') && component.parse::<RepositoryName>().is_ok();
    is_valid.then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> String {
        let name = name.parse().expect("a name");
        directories_of(&name).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn a_name_is_a_path_unless_it_means_something_in_a_layout() {
        assert_eq!(path("a/b-c/d.e"), "a/b-c/d.e");
        assert_eq!(path("a/blobs/index.json"), "a/_blobs/_index.json");
        assert_eq!(path("con/nul.tar/com1/com10"), "_con/_nul.tar/_com1/com10");
    }

    #[test]
    fn every_component_is_read_back() {
        for component in ["a", "blobs", "oci-layout", "aux.x", "a__b", "0"] {
            let written = path(component);
            assert_eq!(component_of(&written), Some(component));
        }
    }

    #[test]
    fn other_directories_stand_for_nothing() {
        for directory in [
            "blobs",
            "_a",
            "__blobs",
            "_",
            ".tranship",
            ".",
            "A",
            "a/b",
            "a..b",
            "",
        ] {
            assert_eq!(component_of(directory), None, "{directory}");
        }
    }
}
