//! Which entries without a tag leave `index.json`.

use std::collections::{HashMap, HashSet};

use tranship::{Digest, Result};

use super::mark::{Kept, Link, Marker, roots};
use super::options::GcOptions;
use crate::driver::Stored;
use crate::index::{Entry, Name, Snapshot};

/// An entry that may go.
struct Candidate {
    link: Link,
    subject: Option<Digest>,
    has_subject: bool,
    /// Whether it is old enough to go for having no tag, not only for having no subject.
    is_old: bool,
}

/// The manifests whose entries are to go, and what the rest leads to.
///
/// All candidates are taken for gone first. Then each that something else leads to comes back, and
/// each referrer whose subject is kept, with what these lead to, until nothing changes.
pub(super) async fn dropped(
    snapshot: &Snapshot,
    options: &GcOptions,
    marker: &mut Marker<'_>,
    stored: &HashMap<Digest, Stored>,
) -> Result<(HashSet<Digest>, Kept)> {
    let roots = roots(snapshot)?;
    let mut gone: Vec<Candidate> = Vec::new();
    let mut staying = Vec::new();
    for (entry, link) in roots {
        match candidate(entry, &link, options, marker, stored).await? {
            Some(candidate) => gone.push(candidate),
            None => staying.push(link),
        }
    }
    let mut kept = Kept::default();
    marker.reach(staying, &mut kept).await?;
    loop {
        let names: HashSet<_> = gone.iter().map(|candidate| candidate.link.digest).collect();
        let (back, rest): (Vec<_>, Vec<_>) = gone.into_iter().partition(|candidate| {
            kept.digests.contains(&candidate.link.digest)
                || candidate.subject.is_some_and(|subject| {
                    let stays = kept.digests.contains(&subject);
                    // What only lacks a subject goes with it, and stays if that is not to go.
                    let is_left = !candidate.is_old && !names.contains(&subject);
                    candidate.has_subject && (stays || is_left)
                })
        });
        gone = rest;
        if back.is_empty() {
            return Ok((names, kept));
        }
        let back = back.into_iter().map(|candidate| candidate.link);
        marker.reach(back.collect(), &mut kept).await?;
    }
}

/// The entry, if it has no name and is of an age and a kind that may go.
async fn candidate(
    entry: &Entry,
    link: &Link,
    options: &GcOptions,
    marker: &Marker<'_>,
    stored: &HashMap<Digest, Stored>,
) -> Result<Option<Candidate>> {
    let Entry::Manifest(_, Name::None) = entry else {
        return Ok(None);
    };
    // What came just now has no age yet, and stays.
    let age = stored.get(&link.digest).map(|stored| stored.age);
    let Some(age) = age.filter(|age| *age >= options.grace) else {
        return Ok(None);
    };
    let subject = marker.subject(link);
    let is_old = options
        .untagged_older_than
        .is_some_and(|limit| age >= limit);
    if !is_old && (subject.is_none() || !options.dangling_referrers) {
        return Ok(None);
    }
    let has_subject = match subject {
        Some(subject) => stored.contains_key(&subject) || marker.is_stored(&subject).await?,
        None => false,
    };
    Ok(Some(Candidate {
        link: link.clone(),
        subject,
        has_subject,
        is_old,
    }))
}
