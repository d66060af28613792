//! Listing the referrers of a manifest.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use http::StatusCode;
use http::header::{HeaderValue, WARNING};
use http::request::Parts;
use tranship::{Descriptor, Digest, MediaType, RepositoryName};

use crate::query::{Query, parse_digest};
use crate::response::{HandlerResult, OCI_FILTERS_APPLIED, encode, link_next, typed, value};
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;

/// GET of the referrers of a digest, as an image index.
///
/// The index is a manifest, and may not be larger than the limit of manifests, so there may be several pages. A backend
/// lists referrers in any order, so the page collects those with the least digests. It needs no more memory than the
/// response.
pub(crate) async fn list(
    state: &ServerState,
    name: &RepositoryName,
    digest: &str,
    request: &Parts,
) -> HandlerResult {
    let digest = parse_digest(digest)?;
    let query = Query::of(&request.uri);
    let artifact_type = query.media_type("artifactType");
    let last = query.digest("last")?;
    let repository = state.repository(name).await?;
    if let Some(reason) = repository.capabilities().referrers.reason() {
        // After this response clients use the referrers tag.
        return Err(ResponseError::new(
            StatusCode::NOT_FOUND,
            ErrorCode::Unsupported,
            reason,
        ));
    }
    let subject = Descriptor::new(MediaType::IMAGE_MANIFEST, digest, 0);
    let mut referrers = repository.referrers(&subject, artifact_type.as_ref());
    let mut page = ReferrersPage::new(state.options.max_manifest_size);
    loop {
        match referrers.try_next().await {
            Ok(Some(referrer)) if last.is_none_or(|last| *referrer.digest() > last) => {
                page.add(&referrer)?;
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return Err(ResponseError::from_backend(&error, Resource::Manifest)),
        }
    }

    let mut response = typed(page.encode().into(), value(MediaType::IMAGE_INDEX.as_str()));
    if artifact_type.is_some() {
        response.headers_mut().insert(
            OCI_FILTERS_APPLIED,
            HeaderValue::from_static("artifactType"),
        );
    }
    let warning = state.stale_warning(|mirrors| {
        mirrors.has_stale_referrers(name, &digest, artifact_type.as_ref())
    });
    if let Some(warning) = warning {
        response.headers_mut().append(WARNING, warning);
    }
    if let Some(last) = page.next_page_after() {
        let path = format!("/v2/{name}/referrers/{digest}");
        let filter = artifact_type
            .as_ref()
            .map(|filter| ("artifactType", filter.as_str()));
        link_next(&mut response, &path, &last.to_string(), filter);
    }
    Ok(response)
}

/// The referrers with the least digests, as many as the limit allows.
struct ReferrersPage {
    entries: BTreeMap<Digest, Vec<u8>>,
    size: u64,
    limit: u64,
    has_more: bool,
}

impl ReferrersPage {
    fn new(limit: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            size: (OPENING.len() + CLOSING.len()) as u64,
            limit,
            has_more: false,
        }
    }

    fn add(&mut self, referrer: &Descriptor) -> Result<(), ResponseError> {
        let entry = encode(referrer)?;
        // One comma for each.
        self.size += entry.len() as u64 + 1;
        if let Some(replaced) = self.entries.insert(*referrer.digest(), entry) {
            self.size -= replaced.len() as u64 + 1;
        }
        // One entry above the limit is better than an endless sequence of empty pages.
        while self.size > self.limit && self.entries.len() > 1 {
            if let Some((_, dropped)) = self.entries.pop_last() {
                self.size -= dropped.len() as u64 + 1;
                self.has_more = true;
            }
        }
        Ok(())
    }

    fn next_page_after(&self) -> Option<&Digest> {
        self.entries.keys().next_back().filter(|_| self.has_more)
    }

    fn encode(&self) -> Vec<u8> {
        let mut index = Vec::with_capacity(OPENING.len() + CLOSING.len());
        index.extend_from_slice(OPENING);
        for (position, entry) in self.entries.values().enumerate() {
            if position > 0 {
                index.push(b',');
            }
            index.extend_from_slice(entry);
        }
        index.extend_from_slice(CLOSING);
        index
    }
}

const OPENING: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#;
const CLOSING: &[u8] = b"]}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_keeps_the_least_digests_and_says_that_there_are_more() {
        let referrers: Vec<Descriptor> = (0_u8..9)
            .map(|number| Descriptor::of(MediaType::IMAGE_MANIFEST, &[number]))
            .collect();
        let mut page = ReferrersPage::new(600);
        for referrer in &referrers {
            page.add(referrer).expect("encoded");
        }
        let index: tranship::Index = serde_json::from_slice(&page.encode()).expect("an index");
        let mut sorted = referrers.clone();
        sorted.sort();
        assert!(index.manifests.len() > 1);
        assert_eq!(index.manifests, sorted[..index.manifests.len()]);
        assert!(page.encode().len() <= 600);
        assert_eq!(
            page.next_page_after(),
            index.manifests.last().map(Descriptor::digest)
        );
    }

    #[test]
    fn few_referrers_are_one_page() {
        let mut page = ReferrersPage::new(600);
        page.add(&Descriptor::empty_json()).expect("encoded");
        assert_eq!(page.next_page_after(), None);
    }
}
