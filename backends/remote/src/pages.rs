//! Listings in pages.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::LINK;
use http::{HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tranship::{Error, ErrorKind, ListOptions, Listing, Result};
use url::Url;

use crate::auth::Scopes;
use crate::link;
use crate::transport::{Request, RequestKind, Response, Transport, failure};

/// The pages of a listing from `next` on.
pub(crate) struct Pages {
    transport: Transport,
    kind: RequestKind,
    scopes: Scopes,
    accept: HeaderValue,
    next: Option<Url>,
    /// Hashes of the URLs that have been read, so that pages that name each other end the listing. The URLs themselves may be
    /// long.
    read: HashSet<u64>,
    hashes: RandomState,
    /// The number of bytes of the pages that have been read.
    size: u64,
    /// How long the registry has taken for them.
    took: Duration,
}

pub(crate) struct Page(Bytes);

impl Page {
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| {
            failure::protocol("the registry sends a page that cannot be decoded").with_source(error)
        })
    }
}

impl Pages {
    pub(crate) fn new(
        transport: &Transport,
        kind: RequestKind,
        scopes: Scopes,
        first: Url,
        accept: HeaderValue,
    ) -> Self {
        Self {
            transport: transport.clone(),
            kind,
            scopes,
            accept,
            next: Some(first),
            read: HashSet::new(),
            hashes: RandomState::new(),
            size: 0,
            took: Duration::ZERO,
        }
    }

    /// Requests the next page. Returns the response, whatever its status, and `None` after the last page.
    pub(crate) async fn next_response(&mut self) -> Result<Option<Response>> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        let most = self.transport.options().policy.max_pages;
        if self.read.len() >= most {
            return Err(failure::protocol(format!(
                "the registry's listing has more than {most} pages"
            )));
        }
        if !self.read.insert(self.hashes.hash_one(&url)) {
            return Err(failure::protocol("the registry's pages lead in a circle"));
        }
        let request = Request::new(self.kind, Method::GET, url, self.scopes.clone())
            .header(http::header::ACCEPT, self.accept.clone());
        let transport = self.transport.clone();
        let response = self.timed(transport.send(request)).await?;
        Ok(Some(response))
    }

    /// Waits for a part of the listing, and fails if the listing takes longer than the policy allows.
    async fn timed<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let most = self.transport.options().policy.max_listing_time;
        let left = most.saturating_sub(self.took);
        let begun = Instant::now();
        let done = tokio::time::timeout(left, work).await;
        self.took += begun.elapsed();
        done.unwrap_or_else(|_| Err(failure::too_slow(most)))
    }

    /// Reads the page of a response, and the URL of the next page.
    pub(crate) async fn read(&mut self, response: Response) -> Result<Page> {
        let mut target = None;
        for value in response.headers().get_all(LINK) {
            let value = value.to_str().map_err(|_| malformed_link())?;
            target = target.or(link::next(value).map_err(|_| malformed_link())?);
        }
        if let Some(target) = target {
            let next = response.url.join(target);
            let next = next.map_err(|_| failure::protocol("the next page has no URL"))?;
            self.next = Some(self.transport.locations().page(next)?);
        }
        let policy = self.transport.options().policy;
        let left = policy.max_listing_size.saturating_sub(self.size);
        let body = self.timed(response.bytes(policy.max_manifest_size)).await?;
        if body.len() as u64 > left {
            let most = policy.max_listing_size;
            let message = format!("the registry's listing has more than {most} bytes");
            return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
        }
        self.size += body.len() as u64;
        Ok(Page(body))
    }

    fn has_next(&self) -> bool {
        self.next.is_some()
    }

    fn continue_at(&mut self, url: Url) {
        self.next = Some(url);
    }
}

fn malformed_link() -> tranship::Error {
    failure::protocol("the registry's Link to the next page cannot be understood")
}

/// A listing of names: tags or repositories.
pub(crate) struct Names<T> {
    pages: Pages,
    first: Url,
    page_size: Option<usize>,
    /// Names up to this one are skipped.
    last: Option<String>,
    /// Whether the next page was requested by the last name, so that repeated names do not count as progress.
    is_by_name: bool,
    /// The last name of the previous page, which some registries repeat on the next one.
    end_before: Option<String>,
    pending: VecDeque<T>,
}

impl<T> Names<T>
where
    T: std::str::FromStr + std::fmt::Display + Send + 'static,
{
    pub(crate) fn new(
        transport: &Transport,
        kind: RequestKind,
        scopes: Scopes,
        url: Url,
        options: ListOptions,
    ) -> Self {
        let first = with_query(&url, options.page_size, options.last.as_deref());
        let accept = HeaderValue::from_static("application/json");
        Self {
            pages: Pages::new(transport, kind, scopes, first, accept),
            first: url,
            page_size: options.page_size.filter(|size| *size > 0),
            last: options.last,
            is_by_name: false,
            end_before: None,
            pending: VecDeque::new(),
        }
    }

    /// Lists the names. `decode` takes them out of a page, and `settle` returns `Ok` for an error that means an empty
    /// listing.
    pub(crate) fn list<'a>(
        self,
        decode: impl Fn(&Page) -> Result<Vec<String>> + Send + Sync + Copy + 'a,
        settle: impl Fn(tranship::Error) -> Result<()> + Send + Sync + Copy + 'a,
    ) -> Listing<'a, T> {
        Box::pin(stream::try_unfold(self, move |mut names| async move {
            loop {
                if let Some(name) = names.pending.pop_front() {
                    return Ok(Some((name, names)));
                }
                let Some(response) = names.pages.next_response().await? else {
                    return Ok(None);
                };
                if response.status() != StatusCode::OK {
                    settle(response.into_error().await)?;
                    return Ok(None);
                }
                let page = names.pages.read(response).await?;
                names.take(decode(&page)?);
            }
        }))
    }

    fn take(&mut self, mut page: Vec<String>) {
        // Some registries do not sort.
        page.sort_unstable();
        page.dedup();
        let count = page.len();
        let furthest = page.last().cloned();
        let end_before = std::mem::replace(&mut self.end_before, furthest.clone());
        let mut new_names = 0;
        for name in page {
            if end_before.as_ref() == Some(&name) {
                continue;
            }
            // Some registries ignore the parameter `last`.
            if self.last.as_ref().is_some_and(|last| name <= *last) {
                continue;
            }
            new_names += 1;
            match name.parse() {
                Ok(name) => self.pending.push_back(name),
                Err(_) => tracing::warn!(%name, "a name that breaks the grammar is not listed"),
            }
        }
        if self.pages.has_next() {
            return;
        }
        // After a full page without a link there may be more, so we request it by the last name.
        let is_full = self.page_size.is_some_and(|size| count >= size);
        if let Some(furthest) = furthest.filter(|_| is_full && (new_names > 0 || !self.is_by_name))
        {
            self.pages
                .continue_at(with_query(&self.first, self.page_size, Some(&furthest)));
            self.is_by_name = true;
            self.last = Some(furthest);
        }
    }
}

fn with_query(url: &Url, page_size: Option<usize>, last: Option<&str>) -> Url {
    let mut url = url.clone();
    if let Some(size) = page_size.filter(|size| *size > 0) {
        url.query_pairs_mut().append_pair("n", &size.to_string());
    }
    if let Some(last) = last {
        url.query_pairs_mut().append_pair("last", last);
    }
    url
}

/// Returns `Ok` for the error that the repository does not exist: its listing is empty.
pub(crate) fn ignore_missing(error: tranship::Error) -> Result<()> {
    match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RemoteOptions;

    /// A listing that sends no request.
    fn pages(transport: &Transport) -> Pages {
        let first = "https://registry.example/v2/_catalog";
        Pages::new(
            transport,
            RequestKind::Catalog,
            Scopes::default(),
            first.parse().expect("a URL"),
            HeaderValue::from_static("application/json"),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn all_pages_together_may_take_so_long() {
        let registry = "registry.example".parse().expect("a name");
        let transport = Transport::new(&registry, RemoteOptions::default());
        let transport = transport.expect("a transport");
        let most = transport.options().policy.max_listing_time;
        let mut pages = pages(&transport);
        let page = || async {
            tokio::time::sleep(most / 3).await;
            Ok(())
        };
        pages.timed(page()).await.expect("in time");
        // A reader may take its time between them.
        tokio::time::sleep(most).await;
        pages.timed(page()).await.expect("in time");
        let late = async {
            tokio::time::sleep(most / 2).await;
            Ok(())
        };
        let error = pages.timed(late).await.expect_err("too late");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(!error.is_retryable());
    }
}
