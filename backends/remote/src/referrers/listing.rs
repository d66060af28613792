//! Lists the referrers of a manifest.

use std::collections::{HashSet, VecDeque};

use futures_util::{FutureExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, StatusCode};
use tranship::{Descriptor, Digest, Error, Index, Listing, MediaType, Result, ResultExt as _};

use super::tag_scheme;
use crate::pages::Pages;
use crate::repository_client::RepositoryClient;
use crate::transport::{RequestKind, Response};

/// Lists the referrers of `subject`, by the API or by the tag.
pub(crate) fn list(
    client: &RepositoryClient,
    subject: Digest,
    artifact_type: Option<MediaType>,
) -> Listing<'_, Descriptor> {
    let opened = async move {
        let mut listing = Referrers::open(client, subject, artifact_type).await?;
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
    client: RepositoryClient,
    subject: Digest,
    artifact_type: Option<MediaType>,
    pages: Option<Pages>,
    pending: VecDeque<Descriptor>,
    /// The listed digests. A registry may list a referrer on two pages if there is a push in between.
    listed: HashSet<Digest>,
}

impl Referrers {
    async fn open(
        client: &RepositoryClient,
        subject: Digest,
        artifact_type: Option<MediaType>,
    ) -> Result<Self> {
        let mut url = client.url(&format!("referrers/{subject}"))?;
        if let Some(wanted) = &artifact_type {
            url.query_pairs_mut()
                .append_pair("artifactType", wanted.as_str());
        }
        let page_size = client.transport().options().referrers_page_size;
        if let Some(size) = page_size.filter(|size| *size > 0) {
            url.query_pairs_mut().append_pair("n", &size.to_string());
        }
        let accept = HeaderValue::from_static("application/vnd.oci.image.index.v1+json");
        let pages = Pages::new(
            client.transport(),
            RequestKind::Referrers,
            client.pull_scope(),
            url,
            accept,
        );
        Ok(Self {
            client: client.clone(),
            subject,
            artifact_type,
            pages: (!client.learned().referrers.is_no()).then_some(pages),
            pending: VecDeque::new(),
            listed: HashSet::new(),
        })
    }

    /// Reads the first page, or the tag if the registry does not have the API.
    async fn fill(&mut self) -> Result<()> {
        let Some(pages) = &mut self.pages else {
            return self.fall_back().await;
        };
        let Some(response) = pages.next_response().await? else {
            return Ok(());
        };
        let capability = &self.client.learned().referrers;
        match classify(&response) {
            FirstResponse::Page => {
                capability.learn(true);
                let page = pages.read(response).await?;
                self.take(page.decode::<Index>()?.manifests);
                Ok(())
            }
            FirstResponse::NoApi => {
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
            FirstResponse::Refused => Err(response.into_error().await),
        }
    }

    async fn next(&mut self) -> Result<Option<Descriptor>> {
        loop {
            if let Some(referrer) = self.pending.pop_front() {
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
        let list = tag_scheme::read(&self.client, &self.subject).await?;
        self.take(list.map_or_else(Vec::new, |list| list.index.manifests));
        Ok(())
    }

    fn take(&mut self, page: Vec<Descriptor>) {
        for referrer in page {
            // A registry need not support the filter, so we apply it as well.
            let is_wanted = self.artifact_type.is_none()
                || referrer.artifact_type() == self.artifact_type.as_ref();
            if is_wanted && self.listed.insert(*referrer.digest()) {
                self.pending.push_back(referrer);
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

enum FirstResponse {
    Page,
    NoApi,
    Refused,
}

fn classify(response: &Response) -> FirstResponse {
    let is_index = || {
        let media_type = response.media_type().ok().flatten();
        media_type.is_some_and(|media_type| media_type == MediaType::IMAGE_INDEX)
    };
    match response.status() {
        StatusCode::OK if is_index() => FirstResponse::Page,
        StatusCode::OK
        | StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::NOT_IMPLEMENTED => FirstResponse::NoApi,
        _ => FirstResponse::Refused,
    }
}
