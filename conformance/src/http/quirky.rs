//! The wrapper: it passes requests to the server and responses to the client, and changes both.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service;

use super::body::{BoxError, QuirkyBody};
use super::quirk::Quirk;
use super::quirks::Quirks;
use super::request_info::RequestInfo;
use super::tokens::Tokens;
use super::{listings, requests, responses};

/// The user name that quirks accept which require credentials.
pub const USER: &str = "quirky";

/// The password of [`USER`].
pub const PASSWORD: &str = "hunter2";

/// A registry that misbehaves: a service that wraps the one of a correct server.
///
/// It can be used in the place of the server's own service. Clones share the state of the quirks, such as the tokens
/// that were issued.
#[derive(Clone)]
pub struct Quirky<S> {
    service: S,
    quirks: Arc<Quirks>,
    tokens: Arc<Tokens>,
}

impl<S> Quirky<S> {
    /// Wraps `service` with `quirks`. Some exclude each other, such as those about a missing API for referrers.
    pub fn new(service: S, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        Self {
            service,
            quirks: Arc::new(Quirks::new(quirks)),
            tokens: Arc::default(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for Quirky<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send> + Send + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<QuirkyBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.service.clone();
        // `poll_ready` was called on this one, so it is the one to call.
        let mut service = std::mem::replace(&mut self.service, next);
        let (quirks, tokens) = (Arc::clone(&self.quirks), Arc::clone(&self.tokens));
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let mut info = RequestInfo::of(&parts);
            let refusal = tokens
                .intercept(&quirks, &info, &parts)
                .or_else(|| requests::intercept(&quirks, &mut info, &mut parts));
            if let Some(refusal) = refusal {
                drain(body).await;
                return Ok(responses::finish(
                    &quirks,
                    &info,
                    refusal.map(QuirkyBody::whole),
                ));
            }
            let response = service.call(Request::from_parts(parts, body)).await?;
            let response = response.map(QuirkyBody::streamed);
            let response = match listings::rewrite(&quirks, &info, response).await {
                Ok(response) => response,
                Err(_) => broken(),
            };
            Ok(responses::finish(&quirks, &info, response))
        })
    }
}

/// Reads and discards a body, so that a client that sends first and then reads can read.
async fn drain<B: Body>(body: B) {
    let mut body = pin!(body);
    while let Some(Ok(_)) = body.frame().await {}
}

fn broken<R>() -> Response<QuirkyBody<R>> {
    let mut response = Response::new(QuirkyBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

impl<S> fmt::Debug for Quirky<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quirky")
            .field("quirks", &self.quirks)
            .finish_non_exhaustive()
    }
}
