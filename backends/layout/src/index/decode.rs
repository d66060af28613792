//! Reads `index.json`, as whoever may have written it.

use serde::Deserialize as _;
use serde_json::Value;
use tranship::{Descriptor, Digest, Error, ErrorKind, Index, Result};

use super::keys::check_keys;
use super::{Entry, Snapshot};

impl Snapshot {
    /// Reads the content of the file.
    ///
    /// # Errors
    /// `Corrupt` if it is not an index.
    pub(crate) fn decode(content: &[u8]) -> Result<Self> {
        let mut snapshot = match serde_json::from_slice::<Index>(content) {
            Ok(mut index) => {
                let manifests = std::mem::take(&mut index.manifests);
                Self::new(index, manifests.into_iter().map(Entry::new).collect())
            }
            Err(_) => Self::decode_one_by_one(content).map_err(|(why, source)| {
                let error = Error::new(ErrorKind::Corrupt, why)
                    .with_hint("the file was not changed; restore it, or repair it by hand");
                match source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            })?,
        };
        snapshot.is_unambiguous = false;
        Ok(snapshot)
    }

    /// Reads the content of the file before it is changed, or before something is deleted that it does not list.
    ///
    /// # Errors
    /// `Corrupt` if it is not an index, or an object in it has a key twice: readers take the one or the other
    /// (RFC 8259, section 4), and writing it again would lose one of them.
    pub(crate) fn decode_for_change(content: &[u8]) -> Result<Self> {
        let mut snapshot = Self::decode(content)?;
        check_keys(content)?;
        snapshot.is_unambiguous = true;
        Ok(snapshot)
    }

    fn decode_one_by_one(content: &[u8]) -> Result<Self, (String, Option<serde_json::Error>)> {
        if content.trim_ascii().is_empty() {
            return Err((
                "is empty, as if writing it had been interrupted".into(),
                None,
            ));
        }
        let mut document: Value =
            serde_json::from_slice(content).map_err(|error| ("is not JSON".into(), Some(error)))?;
        let Some(fields) = document.as_object_mut() else {
            return Err(("is not a JSON object".into(), None));
        };
        let manifests = match fields.remove("manifests") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(manifests)) => manifests,
            Some(_) => return Err(("has manifests that are not a list".into(), None)),
        };
        fields.entry("schemaVersion").or_insert(2.into());
        let head = Index::deserialize(document)
            .map_err(|error| ("is not an image index".into(), Some(error)))?;
        let entries = manifests
            .into_iter()
            .enumerate()
            .map(|(position, value)| {
                entry(value)
                    .map_err(|error| (format!("entry {position} is not a descriptor"), Some(error)))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::new(head, entries))
    }
}

fn entry(value: Value) -> Result<Entry, serde_json::Error> {
    match Descriptor::deserialize(&value) {
        Ok(descriptor) => Ok(Entry::new(descriptor)),
        Err(error) if has_unknown_digest(&value) => {
            let size = value.get("size").and_then(Value::as_u64);
            size.map(|_| Entry::Foreign(value)).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// Whether the entry is named by a well-formed digest of an algorithm that we do not have.
fn has_unknown_digest(value: &Value) -> bool {
    let digest = value.get("digest").and_then(Value::as_str);
    let parsed = digest.map(str::parse::<Digest>);
    matches!(parsed, Some(Err(error)) if error.kind() == ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn decode(content: &str) -> Result<Snapshot> {
        Snapshot::decode(content.as_bytes())
    }

    #[test]
    fn what_is_foreign_survives_a_round_trip() {
        let content = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/xml","digest":"{HELLO}","size":5,"annotations":{{"b":"2"}},"zzz":[1]}},{{"digest":"blake3:00","size":1,"x":{{}}}}],"annotations":{{"a":"1"}},"yyy":null}}"#
        );
        let snapshot = decode(&content).expect("an index");
        assert_eq!(snapshot.encode().expect("json").into_bytes(), content);
        assert_eq!(snapshot.descriptors().count(), 1);
    }

    #[test]
    fn null_and_absent_manifests_are_none() {
        for content in [
            r#"{"schemaVersion":2,"manifests":null}"#,
            r#"{"schemaVersion":2}"#,
            r#"{"manifests":[]}"#,
            "{}",
        ] {
            let snapshot = decode(content).expect(content);
            assert_eq!(snapshot.descriptors().count(), 0, "{content}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_keeps_the_file_from_being_changed() {
        let entry = format!(r#"{{"digest":"{HELLO}","size":5,"annotations":{{"a":"1","a":"2"}}}}"#);
        for content in [
            r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
            r#"{"schemaVersion":2,"x":1,"manifests":[],"x":1}"#,
            &format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#),
        ] {
            let read = decode(content).expect("it can be read");
            assert!(!read.is_unambiguous());
            let error = Snapshot::decode_for_change(content.as_bytes()).expect_err(content);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("twice"), "{error}");
        }
        let sound = format!(r#"{{"manifests":[{{"digest":"{HELLO}","size":5}}],"size":5}}"#);
        let read = Snapshot::decode_for_change(sound.as_bytes()).expect("sound");
        assert!(read.is_unambiguous());
    }

    #[test]
    fn each_defect_is_named() {
        let negative =
            format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{HELLO}","size":-1}}]}}"#);
        let deep = format!(
            r#"{{"schemaVersion":2,"x":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        for (content, why) in [
            ("", "is empty"),
            (" \n", "is empty"),
            (r#"{"schemaVersion":2,"manif"#, "is not JSON"),
            ("[]", "is not a JSON object"),
            (r#"{"manifests":{}}"#, "not a list"),
            (&negative, "entry 0"),
            (&deep, "is not JSON"),
            (
                r#"{"manifests":[{"digest":"blake3:00","size":-1}]}"#,
                "entry 0",
            ),
            (
                r#"{"manifests":[{"digest":"sha256:00","size":1}]}"#,
                "entry 0",
            ),
        ] {
            let error = decode(content).expect_err(why);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
