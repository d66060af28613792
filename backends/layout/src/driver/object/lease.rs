//! Leases: for a while, nobody but the holder changes the index.
//!
//! Who removes blobs must keep others from listing, meanwhile, what needs them. It writes an annotation
//! into `index.json`, removes, and takes the annotation away. Writers that see it wait. If it stands
//! there unchanged for longer than a holder may take, the holder has died, and the annotation goes
//! with the next change. Everybody goes by their own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use tranship::{Error, ErrorKind, Result, encode_json};

/// The annotation. Its value says whose lease it is.
const ANNOTATION: &str = "io.tranship.gc";

/// How long a lease holds.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// How long a holder may go on after it asked for its lease.
pub(super) const USE: Duration = Duration::from_secs(30);

type Object<V> = BTreeMap<String, V>;

/// A name for the holder of a lease that nobody else has.
pub(super) fn holder() -> Result<String> {
    let number = getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Io, "the system has no random numbers").with_source(error.to_string())
    })?;
    Ok(format!("{number:016x}"))
}

/// Whether `content`, an index, has a lease.
pub(super) fn is_leased(content: &[u8]) -> bool {
    // Nearly always there is none, and an index may be large.
    let might_be = content
        .windows(ANNOTATION.len())
        .any(|window| window == ANNOTATION.as_bytes());
    // What cannot be read is told by who reads it.
    might_be
        && annotations(content).is_ok_and(|(_, annotations)| annotations.contains_key(ANNOTATION))
}

/// `content` with a lease of `holder`.
pub(super) fn add(content: &[u8], holder: &str) -> Result<Bytes> {
    let (document, mut annotations) = annotations(content).map_err(unreadable)?;
    let holder = to_raw_value(holder).map_err(unreadable)?;
    annotations.insert(ANNOTATION.to_owned(), holder);
    encode(document, annotations)
}

/// `content` without any lease.
pub(super) fn remove(content: &[u8]) -> Result<Bytes> {
    let (document, mut annotations) = annotations(content).map_err(unreadable)?;
    annotations.remove(ANNOTATION);
    encode(document, annotations)
}

type Parts = (Object<Box<RawValue>>, Object<Box<RawValue>>);

/// The fields of an index, and its annotations.
fn annotations(content: &[u8]) -> serde_json::Result<Parts> {
    let document: Object<Box<RawValue>> = serde_json::from_slice(content)?;
    let annotations = match document.get("annotations") {
        Some(annotations) => serde_json::from_str::<Option<_>>(annotations.get())?,
        None => None,
    };
    Ok((document, annotations.unwrap_or_default()))
}

fn encode(
    mut document: Object<Box<RawValue>>,
    annotations: Object<Box<RawValue>>,
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
    Error::new(ErrorKind::Corrupt, "is no image index").with_source(error)
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
