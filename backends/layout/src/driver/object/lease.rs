//! Leases: for a while, nobody but the holder changes the index.
//!
//! Who removes blobs must keep others from listing, meanwhile, what needs them. It writes an annotation
//! into `index.json`, removes, and takes the annotation away. Writers that see it wait. If it stands
//! there unchanged for longer than a holder may take, the holder has died, and the annotation goes
//! with the next change. Everybody goes by their own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use object_store::UpdateVersion;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result, encode_json};

use super::backoff::Backoff;

/// The annotation. Its value says whose lease it is.
const ANNOTATION: &str = "io.tranship.gc";

/// How long a lease holds.
const TTL: Duration = Duration::from_secs(60);

/// How long a holder may go on after it asked for its lease.
pub(super) const USE: Duration = Duration::from_secs(30);

/// How long leases that change hands are waited for.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

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

/// Waits for the leases of others.
#[derive(Debug)]
pub(super) struct Waiting {
    began: Instant,
    seen: Option<(UpdateVersion, Instant)>,
    backoff: Backoff,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            seen: None,
            backoff: Self::backoff(),
        }
    }

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(20), Duration::from_secs(2))
    }

    /// Whether the lease in the state `at` of the index has run out. If it has not, some time has
    /// passed and the index is to be read again.
    ///
    /// # Errors
    /// `Conflict` if there has been one lease after the other for too long.
    pub(super) async fn has_run_out(&mut self, at: &UpdateVersion) -> Result<bool> {
        let now = Instant::now();
        match &self.seen {
            Some((seen, since)) if seen == at => {
                if now.duration_since(*since) > TTL {
                    return Ok(true);
                }
            }
            _ => {
                self.seen = Some((at.clone(), now));
                self.backoff = Self::backoff();
            }
        }
        if now.duration_since(self.began) > PATIENCE {
            return Err(Error::new(
                ErrorKind::Conflict,
                "somebody removes content, and keeps others from writing meanwhile",
            )
            .with_retryable(true)
            .with_hint("garbage is being collected; try again when that has ended"));
        }
        self.backoff.pause().await;
        Ok(false)
    }
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

    fn version(e_tag: &str) -> UpdateVersion {
        UpdateVersion {
            e_tag: Some(e_tag.to_owned()),
            version: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_stays_the_same_runs_out() {
        let (mut waiting, began) = (Waiting::new(), Instant::now());
        while !waiting.has_run_out(&version("1")).await.expect("patience") {}
        assert!(began.elapsed() > TTL);
        assert!(began.elapsed() < TTL + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_prolonged_is_waited_for_but_not_for_ever() {
        let (mut waiting, began) = (Waiting::new(), Instant::now());
        let error = loop {
            let prolonged = version(&(began.elapsed().as_secs() / 20).to_string());
            match waiting.has_run_out(&prolonged).await {
                Ok(run_out) => assert!(!run_out),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.is_retryable());
        assert!(began.elapsed() > PATIENCE);
    }
}
