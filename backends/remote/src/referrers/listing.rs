//! Listing what refers to a manifest.

use std::collections::{HashSet, VecDeque};

use futures_util::{FutureExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, StatusCode};
use tranship::{Descriptor, Digest, Error, Index, Listing, MediaType, Result, ResultExt as _};

use super::tag_scheme;
use crate::handle::Handle;
use crate::pages::Pages;
use crate::transport::{RequestKind, Response};

/// The referrers of `subject`, from wherever they are listed.
pub(crate) fn list(
    handle: &Handle,
    subject: Digest,
    artifact_type: Option<MediaType>,
) -> Listing<'_, Descriptor> {
    let opened = async move {
        let mut listing = Referrers::open(handle, subject, artifact_type).await?;
        listing.fill().await?;
        Ok(stream::try_unfold(listing, move |mut listing| async move {
            let next = listing.next().await.during("list referrers of", subject)?;
            Ok(next.map(|referrer| (referrer, listing)))
        }))
    };
    let opened = opened.map(move |opened: Result<_>| opened.during("list referrers of", subject));
    Box::pin(stream::once(opened).try_flatten())
}

struct Referrers {
    handle: Handle,
    subject: Digest,
    artifact_type: Option<MediaType>,
    pages: Option<Pages>,
    waiting: VecDeque<Descriptor>,
    /// A registry may list one on two pages, if something is pushed meanwhile.
    told: HashSet<Digest>,
}

impl Referrers {
    async fn open(
        handle: &Handle,
        subject: Digest,
        artifact_type: Option<MediaType>,
    ) -> Result<Self> {
        let mut url = handle.url(&format!("referrers/{subject}"))?;
        if let Some(wanted) = &artifact_type {
            url.query_pairs_mut()
                .append_pair("artifactType", wanted.as_str());
        }
        let page_size = handle.transport().options().referrers_page_size;
        if let Some(size) = page_size.filter(|size| *size > 0) {
            url.query_pairs_mut().append_pair("n", &size.to_string());
        }
        let accept = HeaderValue::from_static("application/vnd.oci.image.index.v1+json");
        let pages = Pages::new(
            handle.transport(),
            RequestKind::Referrers,
            handle.pull_scope(),
            url,
            accept,
        );
        Ok(Self {
            handle: handle.clone(),
            subject,
            artifact_type,
            pages: (!handle.learned().referrers.is_no()).then_some(pages),
            waiting: VecDeque::new(),
            told: HashSet::new(),
        })
    }

    /// Reads the first page, or the tag where the registry has none.
    async fn fill(&mut self) -> Result<()> {
        let Some(pages) = &mut self.pages else {
            return self.fall_back().await;
        };
        let Some(response) = pages.next_response().await? else {
            return Ok(());
        };
        let capability = &self.handle.learned().referrers;
        match verdict(&response) {
            Verdict::Page => {
                capability.learn(true);
                let page = pages.read(response).await?;
                self.take(page.decode::<Index>()?.manifests);
                Ok(())
            }
            Verdict::NoApi => {
                let error = response.into_error().await;
                let is_about_repository = matches!(
                    error.registry_errors(),
                    [only] if only.code == "NAME_UNKNOWN"
                );
                self.pages = None;
                match (is_about_repository, capability.is_fixed()) {
                    (true, true) => return Ok(()),
                    (true, false) => {}
                    (false, true) => return Err(no_api(error)),
                    (false, false) => capability.learn(false),
                }
                self.fall_back().await
            }
            Verdict::Failure => Err(response.into_error().await),
        }
    }

    async fn next(&mut self) -> Result<Option<Descriptor>> {
        loop {
            if let Some(referrer) = self.waiting.pop_front() {
                return Ok(Some(referrer));
            }
            let Some(pages) = &mut self.pages else {
                return Ok(None);
            };
            let Some(response) = pages.next_response().await? else {
                return Ok(None);
            };
            let response = response.expect(StatusCode::OK).await?;
            let page = pages.read(response).await?;
            self.take(page.decode::<Index>()?.manifests);
        }
    }

    async fn fall_back(&mut self) -> Result<()> {
        let list = tag_scheme::read(&self.handle, &self.subject).await?;
        self.take(list.map_or_else(Vec::new, |list| list.index.manifests));
        Ok(())
    }

    fn take(&mut self, page: Vec<Descriptor>) {
        for referrer in page {
            // The filter is applied here, too: a registry need not know it.
            let is_wanted = self.artifact_type.is_none()
                || referrer.artifact_type() == self.artifact_type.as_ref();
            if is_wanted && self.told.insert(*referrer.digest()) {
                self.waiting.push_back(referrer);
            }
        }
    }
}

/// The error of a registry that [`ReferrersMode::Api`](crate::ReferrersMode::Api) was set for.
fn no_api(error: Error) -> Error {
    Error::unsupported("the registry does not list referrers by the API, as the options say")
        .with_hint("ReferrersMode::Detect uses the tags that replace the API")
        .with_http_exchange_of(&error)
        .with_source(error)
}

enum Verdict {
    Page,
    NoApi,
    Failure,
}

fn verdict(response: &Response) -> Verdict {
    let is_index = || {
        let media_type = response.media_type().ok().flatten();
        media_type.is_some_and(|media_type| media_type == MediaType::IMAGE_INDEX)
    };
    match response.status() {
        StatusCode::OK if is_index() => Verdict::Page,
        StatusCode::OK
        | StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::NOT_IMPLEMENTED => Verdict::NoApi,
        _ => Verdict::Failure,
    }
}
