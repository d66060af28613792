//! What is shown instead of a page.

use http::Response;
use http::header::RETRY_AFTER;
use maud::html;

use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::html::frame::{Crumb, frame};
use crate::html::text::Text;
use crate::links;
use crate::response;

pub(crate) fn page(context: &Context<'_>, failure: &Failure) -> Response<PageBody> {
    let content = html! {
        h1 { (failure.title) }
        p.lead { (Text(&failure.message)) }
        @if let Some(hint) = &failure.hint {
            p.quiet { (Text(hint)) }
        }
        p {
            a href=(links::ROOT) { "All repositories" }
            @if context.viewer.could_log_in() {
                " · "
                a href=(links::LOGIN) { "Log in" }
            }
        }
    };
    let crumbs = [Crumb::new("Repositories", links::ROOT)];
    let page = frame(context, failure.title, &crumbs, content);
    let mut response = response::html(failure.status, page);
    if let Some(wait) = failure.retry_after {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, wait.as_secs().into());
    }
    response
}
