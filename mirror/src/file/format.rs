//! Which format a file has.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, Result};

use super::MAX_FILE_SIZE;
use super::yaml::{Key, Node, Value};

/// The format of a file with rules.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// The YAML or JSON of tranship.
    Native,
    /// The YAML of `skopeo sync`.
    SkopeoSync,
    /// The YAML of `regsync`.
    Regsync,
    /// A list with one image on each line.
    List,
}

impl FileFormat {
    /// Tells the format by the content, and by the name where the content does not tell.
    ///
    /// A mapping with `sync` is for regsync; one with `images` or `registries` is native; other mappings, whose keys are
    /// hosts, are for skopeo. Anything else is a list, unless it looks like a mapping with an error, or `name` ends with
    /// `.yaml`, `.yml` or `.json`: that is native.
    #[must_use]
    pub fn detect(name: &str, content: &str) -> Self {
        const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];
        let lower = name.to_ascii_lowercase();
        let otherwise = if EXTENSIONS.iter().any(|end| lower.ends_with(end)) {
            Self::Native
        } else {
            Self::List
        };
        if content.len() > MAX_FILE_SIZE {
            return otherwise;
        }
        let Ok(root) = Node::read(name, content, true) else {
            // The error of the native format says what is wrong with the YAML.
            return if has_key(content) {
                Self::Native
            } else {
                otherwise
            };
        };
        let Value::Map(entries) = &root.value else {
            return otherwise;
        };
        let has = |key: &str| entries.iter().any(|(found, _)| found.text == key);
        if has("sync") {
            Self::Regsync
        } else if has("images") || has("registries") {
            Self::Native
        } else if has("creds") {
            Self::Regsync
        } else if entries
            .iter()
            .all(|(key, node)| is_skopeo_registry(&key.text, node))
            && !entries.is_empty()
        {
            Self::SkopeoSync
        } else {
            otherwise
        }
    }
}

/// Whether a line looks like the key of a mapping, which the name of an image never does.
fn has_key(content: &str) -> bool {
    let mut lines = content.lines().map(str::trim_end);
    lines.any(|line| line.starts_with('{') || line.ends_with(':') || line.contains(": "))
}

/// Whether it is the name of a host, with the mapping that skopeo expects after it.
fn is_skopeo_registry(key: &str, node: &Node) -> bool {
    let is_host = key.contains(['.', ':']) || key == "localhost";
    let is_registry = |entries: &[(Key, Node)]| {
        let mut keys = entries.iter().map(|(key, _)| key.text.as_str());
        is_host || keys.any(|key| key.starts_with("images") || key == "tls-verify")
    };
    match &node.value {
        Value::Map(entries) => is_registry(entries),
        _ => false,
    }
}

impl FromStr for FileFormat {
    type Err = Error;

    /// Reads `native`, `skopeo`, `regsync` or `list`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other text.
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "native" => Self::Native,
            "skopeo" => Self::SkopeoSync,
            "regsync" => Self::Regsync,
            "list" => Self::List,
            _ => {
                return Err(
                    Error::new(ErrorKind::InvalidInput, "unknown format of a file")
                        .with_subject(Printable(text))
                        .with_hint("the formats are native, skopeo, regsync and list"),
                );
            }
        })
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::SkopeoSync => "skopeo",
            Self::Regsync => "regsync",
            Self::List => "list",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_the_content() {
        use FileFormat::{List, Native, Regsync, SkopeoSync};
        for (name, content, expected) in [
            ("-", "images: [alpine]", Native),
            ("-", "{\"images\": [\"alpine\"]}", Native),
            ("-", "version: 1\nimages: []", Native),
            ("-", "version: 1\nsync: []", Regsync),
            ("-", "version: 1\ncreds: []", Regsync),
            ("-", "docker.io:\n  images: {alpine: []}", SkopeoSync),
            (
                "-",
                "quay.io:\n  tls-verify: false\n  images-by-semver: {a: '1'}",
                SkopeoSync,
            ),
            ("-", "alpine", List),
            ("-", "alpine:3.19\nbusybox:1", List),
            ("-", "# only\n\nalpine:3.19 # one", List),
            ("-", "", List),
            ("-", "docker.io/library/alpine@sha256:1\n", List),
            ("-", "images: [", Native),
            ("a.yaml", "images: [", Native),
            ("a.YML", "", Native),
            ("a.json", "[]", Native),
            ("a.txt", "images: [alpine]", Native),
        ] {
            assert_eq!(
                FileFormat::detect(name, content),
                expected,
                "{name} {content}"
            );
        }
    }

    #[test]
    fn formats_are_read_and_written() {
        for name in ["native", "skopeo", "regsync", "list"] {
            let format: FileFormat = name.parse().expect(name);
            assert_eq!(format.to_string(), name);
        }
        let error = "yaml".parse::<FileFormat>().expect_err("not a format");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
