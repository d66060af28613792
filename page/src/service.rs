//! The service: pages below `/ui/`, and the registry's service for everything else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Buf;
use http::header::ACCEPT;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service;
use tracing::Instrument as _;
use tranship::Result;
use tranship_server::{LocalHosts, PageRequest, RegistryService, ResponseBody};

use crate::audit;
use crate::body::PageBody;
use crate::context::{Context, State};
use crate::failure::Failure;
use crate::form::Form;
use crate::links;
use crate::options::PageOptions;
use crate::pages;
use crate::response;
use crate::route::Route;

/// Adds web pages to the service of a registry. Clones share all state.
///
/// Dropping the future of a call stops what the page reads. A manifest or tag may be deleted in spite of it.
#[derive(Debug, Clone)]
pub struct Page {
    service: RegistryService,
    state: Arc<State>,
}

impl Page {
    /// Adds pages about the registry of `service`, with its users and what they may do, to the service.
    ///
    /// # Errors
    /// [`Unavailable`](tranship::ErrorKind::Unavailable) if the system does not return random bytes.
    pub fn new(service: RegistryService, options: PageOptions) -> Result<Self> {
        Ok(Self {
            service,
            state: Arc::new(State::new(options)?),
        })
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> Service<Request<B>> for Page
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    RegistryService: Service<
            Request<B>,
            Response = Response<ResponseBody>,
            Error = Infallible,
            Future: Send + 'static,
        >,
{
    type Response = Response<PageBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        // The service of a registry is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let is_page = path.starts_with(links::ROOT);
        if !is_page && path != "/ui" && (path != "/" || !is_from_browser(&request)) {
            let response = self.service.call(request);
            return Box::pin(async move { Ok(response.await?.map(PageBody::registry)) });
        }
        let state = Arc::clone(&self.state);
        let service = self.service.clone();
        Box::pin(async move {
            let (request, body) = request.into_parts();
            let mut record = service.begin_page(&request);
            let route = Route::parse(request.uri.path());
            let template = route.as_ref().map_or("/ui/{page}", Route::template);
            record.set_page(if is_page { template } else { "/" });
            let span = record.span();
            let mut response = if is_page {
                let responding = async {
                    let context = Context::of(&state, &service, &request, record.id()).await;
                    record.set_user(context.viewer.user());
                    respond(&context, &record, route, body).await
                };
                responding.instrument(span).await
            } else {
                response::see_other(links::ROOT)
            };
            if request.method == Method::HEAD {
                response::without_body(&mut response);
            }
            record.set_status(response.status());
            response.body_mut().set_request(record);
            Ok(response)
        })
    }
}

/// Returns whether a person wants to see the page at `/`, and not a program.
fn is_from_browser<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get(ACCEPT);
    let accepted = accepted.and_then(|accepted| accepted.to_str().ok());
    is_read(request.method()) && accepted.is_some_and(|types| types.contains("text/html"))
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

async fn respond<B>(
    context: &Context<'_>,
    record: &PageRequest,
    route: Option<Route>,
    body: B,
) -> Response<PageBody>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send,
{
    let body = body.map_frame(|frame| {
        let bytes = frame.data_ref().map_or(0, Buf::remaining);
        record.add_received(bytes);
        frame
    });
    let response = dispatch(context, record, route.clone(), body);
    let response = match tokio::time::timeout(context.state.options.timeout, response).await {
        Ok(response) => response,
        Err(_) => Err(Failure::timeout()),
    };
    response.unwrap_or_else(|failure| {
        audit::refused(context, route.as_ref(), &failure);
        pages::failure::page(context, &failure)
    })
}

async fn dispatch<B>(
    context: &Context<'_>,
    record: &PageRequest,
    route: Option<Route>,
    body: B,
) -> Result<Response<PageBody>, Failure>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send,
{
    if context.state.options.local_hosts_only && !LocalHosts::default().allow(context.request) {
        return Err(Failure::forbidden(
            "pages are shown at a loopback address or localhost only; start the server with --ui to show them elsewhere",
        ));
    }
    let route = route.ok_or_else(Failure::not_found)?;
    // Each page has three of them, which browsers keep, and they are sent from memory.
    if !matches!(route, Route::Asset(_)) {
        let counted = record.check_rate(context.request, context.viewer.user());
        counted.map_err(Failure::too_many_requests)?;
    }
    if is_read(&context.request.method) {
        return pages::show(context, route).await;
    }
    if context.request.method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let form = Form::read(context, body).await?;
    pages::submit(context, route, &form).await
}
