//! How many referrers are followed: a repository can make up manifests that refer to each other without end.

use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};

/// How many steps are made at most.
const MAX_STEPS: usize = 100;

/// How many manifests are followed at most, all steps together.
const MAX_FOLLOWED: usize = 100_000;

/// How many bytes the annotations of all of them may have.
const MAX_ANNOTATIONS: usize = 64 * 1024 * 1024;

/// Counts the referrers that have been followed, for programs that follow referrers of referrers. Extended copies
/// keep to the same bounds: 100 steps, 100,000 referrers, and 64 MiB of their annotations.
#[derive(Debug, Default)]
pub struct ReferrerBounds {
    followed: usize,
    annotations: usize,
}

impl ReferrerBounds {
    /// Counts `found`, the referrers of one manifest, which the step number `steps` leads to; the first step is
    /// number 1.
    ///
    /// # Errors
    /// [`ErrorKind::SizeExceedsLimit`] if that is too far away, or too much.
    pub fn admit<'d>(
        &mut self,
        steps: usize,
        found: impl Iterator<Item = &'d Descriptor>,
    ) -> Result<()> {
        let followed = self.followed;
        for descriptor in found {
            self.followed += 1;
            self.annotations += size_of_annotations(descriptor);
        }
        let too_much = if self.followed == followed {
            return Ok(());
        } else if steps > MAX_STEPS {
            format!("more than {MAX_STEPS} levels of referrers")
        } else if self.followed > MAX_FOLLOWED {
            format!("more than {MAX_FOLLOWED} referrers")
        } else if self.annotations > MAX_ANNOTATIONS {
            format!("more than {MAX_ANNOTATIONS} bytes of annotations of referrers")
        } else {
            return Ok(());
        };
        Err(
            Error::new(ErrorKind::SizeExceedsLimit, format!("there are {too_much}"))
                .with_hint("follow fewer levels, or only some types of artifacts"),
        )
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
        let mut bounds = ReferrerBounds::default();
        let one = referrers(1);
        bounds.admit(MAX_STEPS, one.iter()).expect("near");
        bounds.admit(MAX_STEPS + 1, [].iter()).expect("the end");
        is_too_much(bounds.admit(MAX_STEPS + 1, one.iter()), "levels");
    }

    #[test]
    fn all_levels_together_are_bounded() {
        let mut bounds = ReferrerBounds::default();
        let all = referrers(MAX_FOLLOWED);
        bounds.admit(1, all[1..].iter()).expect("few");
        bounds.admit(2, all[..1].iter()).expect("few");
        is_too_much(bounds.admit(2, all[..1].iter()), "100000 referrers");
    }

    #[test]
    fn so_are_their_annotations() {
        let annotations = Annotations::from([("a".to_owned(), "b".repeat(1 << 20))]);
        let large = referrers(1).remove(0).with_annotations(annotations);
        let mut bounds = ReferrerBounds::default();
        for _ in 0..63 {
            bounds.admit(1, [&large].into_iter()).expect("few");
        }
        is_too_much(bounds.admit(1, [&large].into_iter()), "annotations");
    }
}
