//! The check of a layout: is everything there that it promises, and is it what it should be?
//!
//! Everything is hashed, and every reference followed. A layout may change meanwhile, by those who
//! push, delete and collect garbage. So what was found is looked at a second time, against the index
//! as it is then, and only what is found again is told.

mod hash;
mod options;
mod repair;
mod report;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tranship::blocking;
use tranship::{Digest, ErrorKind, Repository, Result};

use self::hash::{Contents, State, describe, hash_all};
use self::walk::Walk;
use crate::driver::{IndexRead, LeftoverKind};
use crate::index::Snapshot;
use crate::store::Store;

pub use self::options::{FsckOptions, FsckProgress};
pub use self::report::{Finding, FindingKind, FsckReport, Repaired, Severity};

/// A file of ours that nobody has touched for so long is left over.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// How long to wait before the second look: somebody who is at it may be done then.
#[cfg(not(test))]
const PAUSE: Duration = Duration::from_millis(100);
#[cfg(test)]
const PAUSE: Duration = Duration::ZERO;

/// Checks a layout and, if there is something to repair from, repairs it.
pub(crate) async fn fsck(
    store: &Store,
    options: &FsckOptions,
    from: Option<&dyn Repository>,
) -> Result<FsckReport> {
    let mut report = FsckReport::default();
    let mut pass = look(store, &HashSet::new(), options).await?;
    report.checked = pass.checked;
    // What was tried, and why it is as it was if it is found again.
    let mut tried: HashMap<(FindingKind, String), String> = HashMap::new();
    loop {
        pass = confirm(store, pass).await?;
        let Some(from) = from else {
            break;
        };
        let mut has_changed = false;
        for finding in &pass.findings {
            let key = key_of(finding);
            if tried.contains_key(&key) {
                continue;
            }
            let snapshot = pass.snapshot.as_deref();
            let why = match repair::repair(store, finding, from, snapshot).await {
                None => continue,
                Some(Ok(())) => {
                    has_changed = true;
                    report.repaired.push(Repaired {
                        kind: finding.kind,
                        subject: finding.subject.clone(),
                    });
                    "it was replaced, and is as before".into()
                }
                Some(Err(error)) => describe(&error),
            };
            tried.insert(key, why);
        }
        if !has_changed {
            break;
        }
        // What came may lead on to more that is missing.
        pass = look(store, &pass.intact, &FsckOptions::default()).await?;
    }
    let mut still_there = HashSet::new();
    for finding in &mut pass.findings {
        let key = key_of(finding);
        finding.not_repaired = tried.get(&key).cloned();
        still_there.insert(key);
    }
    report
        .repaired
        .retain(|repaired| !still_there.contains(&(repaired.kind, repaired.subject.clone())));
    pass.findings.extend(leftovers(store).await?);
    pass.findings.sort_by_key(|finding| finding.severity);
    report.sound = pass
        .findings
        .iter()
        .all(|finding| finding.severity != Severity::Error);
    report.findings = pass.findings;
    Ok(report)
}

/// What makes two findings the same.
fn key_of(finding: &Finding) -> (FindingKind, String) {
    (finding.kind, finding.subject.clone())
}

/// What one look at everything found.
struct Pass {
    findings: Vec<Finding>,
    checked: crate::gc::Amount,
    /// What hashes to its digest.
    intact: HashSet<Digest>,
    snapshot: Option<Arc<Snapshot>>,
}

/// Looks at everything, but hashes only what is not known to be `intact`.
async fn look(store: &Store, intact: &HashSet<Digest>, options: &FsckOptions) -> Result<Pass> {
    let driver = store.unchecked_driver();
    let mut findings = Vec::new();
    let snapshot = read_index(store, &mut findings).await?;
    check_marker(store, snapshot.as_deref(), &mut findings).await?;
    let contents = hash_all(driver, intact, options).await?;
    let mut walk = Walk::new(driver, &contents, store.max_manifest_size());
    if let Some(snapshot) = &snapshot {
        walk.follow(snapshot).await?;
        findings.extend(walk.finish());
    } else {
        // Without an index everything is unreferenced, which says nothing.
        let rest = walk.finish().into_iter();
        findings.extend(rest.filter(|finding| finding.severity == Severity::Error));
    }
    findings.extend(strays(&contents));
    let mut pass = Pass {
        findings,
        checked: crate::gc::Amount::default(),
        intact: HashSet::new(),
        snapshot,
    };
    for (digest, content) in &contents.blobs {
        pass.checked.add(content.size);
        if content.state == State::Intact {
            pass.intact.insert(*digest);
        }
    }
    Ok(pass)
}

/// Keeps of the findings those that a second look finds too.
async fn confirm(store: &Store, first: Pass) -> Result<Pass> {
    if first.findings.is_empty() {
        return Ok(first);
    }
    blocking::run(|| {
        std::thread::sleep(PAUSE);
        Ok(())
    })
    .await?;
    let second = look(store, &first.intact, &FsckOptions::default()).await?;
    let before: HashSet<_> = first.findings.iter().map(key_of).collect();
    let mut findings = second.findings;
    findings.retain(|finding| before.contains(&key_of(finding)));
    Ok(Pass { findings, ..second })
}

async fn read_index(store: &Store, findings: &mut Vec<Finding>) -> Result<Option<Arc<Snapshot>>> {
    let mut invalid = |message: String| {
        let kind = FindingKind::InvalidIndex;
        findings.push(Finding::new(Severity::Error, kind, "index.json", message));
    };
    let driver = store.unchecked_driver();
    match driver.read_index(None, store.max_index_size()).await {
        Ok(IndexRead::Read(content, _)) => match Snapshot::decode(&content) {
            Ok(snapshot) => {
                if let Err(error) = Snapshot::decode_for_change(&content) {
                    invalid(describe(&error));
                }
                return Ok(Some(Arc::new(snapshot)));
            }
            Err(error) => invalid(describe(&error)),
        },
        Ok(_) => invalid("is missing".into()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Corrupt | ErrorKind::SizeExceedsLimit | ErrorKind::PermissionDenied
            ) =>
        {
            invalid(describe(&error));
        }
        Err(error) => return Err(error),
    }
    Ok(None)
}

/// Checks `oci-layout`.
async fn check_marker(
    store: &Store,
    snapshot: Option<&Snapshot>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let driver = store.unchecked_driver();
    let mut invalid = |severity, message: String| {
        let kind = FindingKind::InvalidLayout;
        findings.push(Finding::new(severity, kind, "oci-layout", message));
    };
    match driver.version().await {
        Ok(Some(_)) => {
            // Of a version that we do not know nothing can be said.
            store.driver().await?;
        }
        Ok(None) => match snapshot {
            None => {
                return Err(store.no_layout());
            }
            // A process died that made it a layout, before anything was listed.
            Some(snapshot) if snapshot.len() == 0 => {
                invalid(
                    Severity::Info,
                    "is missing: this is not a layout yet".into(),
                );
            }
            Some(_) => invalid(Severity::Error, "is missing".into()),
        },
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Corrupt | ErrorKind::PermissionDenied
            ) =>
        {
            invalid(Severity::Error, describe(&error));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn strays(contents: &Contents) -> impl Iterator<Item = Finding> {
    contents.strays.iter().map(|(path, size)| {
        Finding::new(
            Severity::Warning,
            FindingKind::Stray,
            format_args!("blobs/{}", path.escape_debug()),
            format!("is no blob, of {size} bytes"),
        )
    })
}

async fn leftovers(store: &Store) -> Result<Vec<Finding>> {
    let driver = store.unchecked_driver();
    let mut findings = Vec::new();
    let mut pages = driver.leftovers(LEFTOVER_AGE);
    while let Some(page) = pages.try_next().await? {
        findings.extend(page.into_iter().map(|leftover| {
            let what = match leftover.kind {
                LeftoverKind::Temporary => "temporary file",
                LeftoverKind::Upload => "upload",
            };
            let message = format!(
                "a {what} of {} bytes that nobody goes on with",
                leftover.size
            );
            let name = leftover.name.escape_debug();
            Finding::new(Severity::Info, FindingKind::Leftover, name, message)
        }));
    }
    Ok(findings)
}
