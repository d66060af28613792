//! How much an extended copy follows against the direction of the graph: a source can make up manifests that
//! refer to each other without end.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};

/// How many steps are made at most.
const MAX_STEPS: usize = 100;

/// How many manifests are followed at most, all steps together.
const MAX_FOLLOWED: usize = 100_000;

/// How many bytes the annotations of all of them may have.
const MAX_ANNOTATIONS: usize = 64 * 1024 * 1024;

/// Counts of the referrers that have been followed so far.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    followed: AtomicUsize,
    annotations: AtomicUsize,
}

impl Bounds {
    /// Counts the referrers of a node that is `steps` steps away from the root.
    ///
    /// # Errors
    /// [`ErrorKind::SizeExceedsLimit`] if that is too far away, or too much.
    pub(super) fn admit(&self, steps: usize, found: &[Descriptor]) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let annotations = found.iter().map(size_of_annotations).sum();
        let add = |counter: &AtomicUsize, more: usize| {
            let before = counter.fetch_add(more, Ordering::Relaxed);
            before.saturating_add(more)
        };
        let too_much = if steps >= MAX_STEPS {
            format!("more than {MAX_STEPS} levels of referrers")
        } else if add(&self.followed, found.len()) > MAX_FOLLOWED {
            format!("more than {MAX_FOLLOWED} referrers")
        } else if add(&self.annotations, annotations) > MAX_ANNOTATIONS {
            format!("more than {MAX_ANNOTATIONS} bytes of annotations of referrers")
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::SizeExceedsLimit,
            format!("the source lists {too_much}"),
        )
        .with_hint("copy fewer levels, or only some types of artifacts"))
    }
}

fn size_of_annotations(referrer: &Descriptor) -> usize {
    let annotations = referrer.annotations().iter();
    annotations
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Annotations;
    use crate::media_type::MediaType;

    fn referrers(count: usize) -> Vec<Descriptor> {
        vec![Descriptor::of(MediaType::IMAGE_MANIFEST, b"referrer"); count]
    }

    #[track_caller]
    fn is_too_much(admitted: Result<()>, what: &str) {
        let error = admitted.expect_err("too much");
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
        assert!(error.to_string().contains(what), "{error}");
    }

    #[test]
    fn steps_end_where_a_chain_may_have_none() {
        let bounds = Bounds::default();
        bounds.admit(MAX_STEPS - 1, &referrers(1)).expect("near");
        bounds.admit(MAX_STEPS, &[]).expect("the end of a chain");
        is_too_much(bounds.admit(MAX_STEPS, &referrers(1)), "levels");
    }

    #[test]
    fn all_levels_together_are_bounded() {
        let bounds = Bounds::default();
        bounds.admit(0, &referrers(MAX_FOLLOWED - 1)).expect("few");
        bounds.admit(1, &referrers(1)).expect("few");
        is_too_much(bounds.admit(1, &referrers(1)), "100000 referrers");
    }

    #[test]
    fn so_is_what_is_said_of_them() {
        let annotations = Annotations::from([("a".to_owned(), "b".repeat(1 << 20))]);
        let large = referrers(1).remove(0).with_annotations(annotations);
        let bounds = Bounds::default();
        for _ in 0..63 {
            let one = std::slice::from_ref(&large);
            bounds.admit(0, one).expect("few");
        }
        is_too_much(bounds.admit(0, &[large]), "annotations");
    }
}
