//! Leases: for a limited time, only the holder changes the index.
//!
//! A process that removes blobs must prevent other processes from listing manifests that need them in the meantime. It
//! writes an annotation into `index.json`, removes the blobs, and removes the annotation. Writers that see the
//! annotation wait. If it does not change for longer than a holder may take, the holder has died, and the next writer
//! removes the annotation. Each process measures that time with its own clock, so the clocks need not agree.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use tranship::{Error, ErrorKind, Result, encode_json};

/// The annotation. Its value identifies the holder.
const ANNOTATION: &str = "io.tranship.gc";

/// The time after which other processes remove a lease that has not changed.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// How long a holder may work after it has requested its lease.
pub(super) const HOLD_LIMIT: Duration = Duration::from_secs(30);

type JsonObject<V> = BTreeMap<String, V>;

/// Returns a random name for the holder of a lease.
pub(super) fn random_holder() -> Result<String> {
    let number = getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Io, "cannot get random numbers from the system")
            .with_source(error.to_string())
    })?;
    Ok(format!("{number:016x}"))
}

/// Returns whether `content`, an index, has a lease.
pub(super) fn is_leased(content: &[u8]) -> bool {
    // Few indexes have one, and an index may be large.
    let might_be = content
        .windows(ANNOTATION.len())
        .any(|window| window == ANNOTATION.as_bytes());
    // The reader of an invalid index reports the error.
    might_be
        && annotations(content).is_ok_and(|(_, annotations)| annotations.contains_key(ANNOTATION))
}

/// Returns `content` with a lease of `holder`.
pub(super) fn add(content: &[u8], holder: &str) -> Result<Bytes> {
    let (document, mut annotations) = annotations(content).map_err(unreadable)?;
    let holder = to_raw_value(holder).map_err(unreadable)?;
    annotations.insert(ANNOTATION.to_owned(), holder);
    encode(document, annotations)
}

/// Returns `content` without a lease.
pub(super) fn remove(content: &[u8]) -> Result<Bytes> {
    let (document, mut annotations) = annotations(content).map_err(unreadable)?;
    annotations.remove(ANNOTATION);
    encode(document, annotations)
}

type Parts = (JsonObject<Box<RawValue>>, JsonObject<Box<RawValue>>);

/// Returns the fields of an index, and its annotations.
fn annotations(content: &[u8]) -> serde_json::Result<Parts> {
    let document: JsonObject<Box<RawValue>> = serde_json::from_slice(content)?;
    let annotations = match document.get("annotations") {
        Some(annotations) => serde_json::from_str::<Option<_>>(annotations.get())?,
        None => None,
    };
    Ok((document, annotations.unwrap_or_default()))
}

fn encode(
    mut document: JsonObject<Box<RawValue>>,
    annotations: JsonObject<Box<RawValue>>,
) -> Result<Bytes> {
    if annotations.is_empty() {
        document.remove("annotations");
    } else {
        let annotations = to_raw_value(&annotations).map_err(unreadable)?;
        document.insert("annotations".to_owned(), annotations);
    }
    encode_json(&document)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "is not an image index").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = br#"{"manifests":[{"n":1.50}],"schemaVersion":2}"#;

    #[test]
    fn a_lease_comes_and_goes_and_leaves_everything_else() {
        for content in [
            PLAIN,
            br#"{"annotations":{"a":"b"},"manifests":[],"z":{"y":[1,{}]}}"#,
        ] {
            assert!(!is_leased(content));
            let leased = add(content, "me").expect("an index");
            assert!(is_leased(&leased));
            assert_eq!(remove(&leased).expect("an index"), content);
        }
    }

    #[test]
    fn the_word_alone_is_no_lease() {
        let content = br#"{"manifests":[{"annotations":{"io.tranship.gc":"x"}}]}"#;
        assert!(!is_leased(content));
        assert!(!is_leased(b"io.tranship.gc"));
    }

    #[test]
    fn annotations_that_are_null_are_none() {
        let leased = add(br#"{"annotations":null}"#, "me").expect("an index");
        assert!(is_leased(&leased));
    }
}
