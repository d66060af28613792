//! Changes to a manifest that leave all other bytes as they are.

use bytes::Bytes;

use super::document::ManifestDocument;
use super::json_text::{Items, quoted, with_member, without_member};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::media_type::MediaType;

/// The fields that have descriptors of content below a manifest.
const ENTRIES: [&str; 4] = ["config", "layers", "manifests", "blobs"];

/// A manifest or index of which some parts are changed. All other bytes stay as they are: unknown fields, the order
/// of fields, white space and the digits of numbers.
///
/// ```
/// use tranship::{ManifestEditor, MediaType};
///
/// let json = br#"{"schemaVersion":2,"future":1.50,"manifests":[]}"#;
/// let mut editor = ManifestEditor::new(&MediaType::IMAGE_INDEX, json)?;
/// editor.annotate("team", Some("harbour"))?;
/// let expected = r#"{"schemaVersion":2,"future":1.50,"manifests":[],"annotations":{"team":"harbour"}}"#;
/// assert_eq!(editor.into_bytes(), expected);
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManifestEditor {
    text: String,
}

impl ManifestEditor {
    /// Begins to edit `content`, which is a manifest of the type `media_type`.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidManifest`] as [`ManifestDocument::decode`].
    /// - [`ErrorKind::Unsupported`] if `media_type` is not that of a manifest.
    pub fn new(media_type: &MediaType, content: &[u8]) -> Result<Self> {
        if ManifestDocument::decode(media_type, content)?.is_none() {
            return Err(Error::unsupported(format!(
                "content of type {media_type} is not a manifest"
            )));
        }
        let text = str::from_utf8(content).map_err(|error| {
            Error::new(ErrorKind::InvalidManifest, "the manifest is not UTF-8").with_source(error)
        })?;
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// Removes the entries of an index for which `keep` returns `false`. It is called once for each entry, in their
    /// order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidManifest`] if the entries cannot be read.
    pub fn retain_manifests(&mut self, mut keep: impl FnMut(&Descriptor) -> bool) -> Result<()> {
        let Some(range) = Items::of(&self.text)?.value(&self.text, "manifests") else {
            return Ok(());
        };
        let list = &self.text[range.clone()];
        let items = Items::of(list)?;
        let kept = items
            .iter()
            .map(|item| Ok(keep(&descriptor(&list[item.value.clone()])?)))
            .collect::<Result<Vec<bool>>>()?;
        if kept.contains(&false) {
            let list = items.retain(list, |number| kept[number]);
            self.text.replace_range(range, &list);
        }
        Ok(())
    }

    /// Adds entries at the end of an index.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidManifest`] if an entry cannot be encoded.
    pub fn append_manifests(&mut self, entries: &[Descriptor]) -> Result<()> {
        let entries = entries
            .iter()
            .map(|entry| {
                serde_json::to_string(entry).map_err(|error| {
                    Error::new(ErrorKind::InvalidManifest, "cannot be encoded as JSON")
                        .with_source(error)
                })
            })
            .collect::<Result<Vec<String>>>()?;
        let found = Items::of(&self.text)?.value(&self.text, "manifests");
        let list = found.map_or("[]", |range| &self.text[range]);
        let list = Items::of(list)?.append(list, entries);
        self.text = with_member(&self.text, "manifests", &list)?;
        Ok(())
    }

    /// Sets the annotation `key` of the manifest, or removes it if `value` is `None`. A field `annotations` that
    /// becomes empty is removed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidManifest`] if the annotations cannot be read.
    pub fn annotate(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        self.text = annotated(&self.text, key, value)?;
        Ok(())
    }

    /// Does the same as [`annotate`](Self::annotate) with the descriptors in the manifest for which `select` returns
    /// `true`: the config, layers, entries of an index, and blobs. Returns how many those are.
    ///
    /// # Errors
    /// As [`annotate`](Self::annotate).
    pub fn annotate_entries(
        &mut self,
        mut select: impl FnMut(&Descriptor) -> bool,
        key: &str,
        value: Option<&str>,
    ) -> Result<usize> {
        let top = Items::of(&self.text)?;
        let mut found = Vec::new();
        for name in ENTRIES {
            let Some(range) = top.value(&self.text, name) else {
                continue;
            };
            if name == "config" {
                found.push(range);
                continue;
            }
            let items = Items::of(&self.text[range.clone()])?;
            found.extend(
                items
                    .iter()
                    .map(|item| range.start + item.value.start..range.start + item.value.end),
            );
        }
        // From the end, so that the ranges before stay right.
        found.sort_unstable_by_key(|range| std::cmp::Reverse(range.start));
        let mut count = 0;
        for range in found {
            let entry = &self.text[range.clone()];
            if select(&descriptor(entry)?) {
                let entry = annotated(entry, key, value)?;
                self.text.replace_range(range, &entry);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Returns the bytes of the manifest as it is now.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.text.into()
    }
}

fn descriptor(text: &str) -> Result<Descriptor> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(
            ErrorKind::InvalidManifest,
            "cannot be decoded as a descriptor",
        )
        .with_source(error)
    })
}

/// Returns the object `text` with one of its annotations set or removed.
fn annotated(text: &str, key: &str, value: Option<&str>) -> Result<String> {
    let found = Items::of(text)?.value(text, "annotations");
    let annotations = found.map_or("{}", |range| &text[range]);
    let Some(value) = value else {
        if Items::of(annotations)?.iter().all(|item| item.name != key) {
            return Ok(text.to_owned());
        }
        let annotations = without_member(annotations, key)?;
        return if Items::of(&annotations)?.iter().next().is_none() {
            without_member(text, "annotations")
        } else {
            with_member(text, "annotations", &annotations)
        };
    };
    let annotations = with_member(annotations, key, &quoted(value))?;
    with_member(text, "annotations", &annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"size":1,"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","mediaType":"a/b","x":1.0}"#;

    fn index(rest: &str) -> ManifestEditor {
        let json = format!(r#"{{"schemaVersion":2,{rest}}}"#);
        ManifestEditor::new(&MediaType::IMAGE_INDEX, json.as_bytes()).expect("an index")
    }

    fn text(editor: ManifestEditor) -> String {
        String::from_utf8(editor.into_bytes().to_vec()).expect("UTF-8")
    }

    #[test]
    fn entries_are_removed_and_added_and_all_else_is_kept() {
        let mut editor = index(&format!(r#""manifests":[{A},{A}],"z":[1.50,null]"#));
        let mut calls = 0;
        editor
            .retain_manifests(|_| {
                calls += 1;
                calls == 2
            })
            .expect("edited");
        let added = Descriptor::empty_json().plain();
        editor
            .append_manifests(std::slice::from_ref(&added))
            .expect("edited");
        let added = serde_json::to_string(&added).expect("json");
        assert_eq!(
            text(editor),
            format!(r#"{{"schemaVersion":2,"manifests":[{A},{added}],"z":[1.50,null]}}"#)
        );
    }

    #[test]
    fn a_list_that_is_null_or_absent_is_empty() {
        for rest in [r#""manifests":null"#, r#""x":1"#] {
            let mut editor = index(rest);
            editor.retain_manifests(|_| false).expect("edited");
            editor
                .append_manifests(&[Descriptor::empty_json()])
                .expect("edited");
            let edited = editor.into_bytes();
            let document = ManifestDocument::decode(&MediaType::IMAGE_INDEX, &edited);
            let document = document.expect("valid").expect("an index");
            assert_eq!(document.successors(), [Descriptor::empty_json()]);
        }
    }

    #[test]
    fn annotations_are_set_and_removed() {
        let mut editor = index(r#""annotations":{"a":"1","b":"2"}"#);
        editor.annotate("a", Some("\"new\"")).expect("edited");
        editor.annotate("b", None).expect("edited");
        editor.annotate("c", None).expect("edited");
        assert_eq!(
            text(editor.clone()),
            r#"{"schemaVersion":2,"annotations":{"a":"\"new\""}}"#
        );
        editor.annotate("a", None).expect("edited");
        assert_eq!(text(editor), r#"{"schemaVersion":2}"#);
        let mut editor = index(r#""annotations":null"#);
        editor.annotate("a", Some("1")).expect("edited");
        assert_eq!(
            text(editor),
            r#"{"schemaVersion":2,"annotations":{"a":"1"}}"#
        );
    }

    #[test]
    fn annotations_of_entries_leave_the_other_entries() {
        let other = A.replace("\"size\":1", "\"size\":2");
        let mut editor = index(&format!(r#""manifests":[{other},{A}]"#));
        let count = editor.annotate_entries(|entry| entry.size() == 1, "k", Some("v"));
        assert_eq!(count.expect("edited"), 1);
        let changed = A.replace(r#""x":1.0"#, r#""x":1.0,"annotations":{"k":"v"}"#);
        assert_eq!(
            text(editor),
            format!(r#"{{"schemaVersion":2,"manifests":[{other},{changed}]}}"#)
        );
    }

    #[test]
    fn what_is_not_a_manifest_is_not_edited() {
        let error = ManifestEditor::new(&MediaType::OCTET_STREAM, b"{}").expect_err("a blob");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = ManifestEditor::new(&MediaType::IMAGE_INDEX, b"{").expect_err("not JSON");
        assert_eq!(error.kind(), ErrorKind::InvalidManifest);
    }
}
