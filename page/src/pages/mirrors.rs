//! How the mirrors of the server are used.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use maud::{Markup, html};
use tokio::time::timeout_at;
use tranship_server::{MirrorState, Mirrors, StoredRepositories};

use crate::body::PageBody;
use crate::context::Context;
use crate::details::{self, NoDetails};
use crate::failure::Failure;
use crate::html::frame::{Crumb, frame};
use crate::html::parts;
use crate::html::text::Text;
use crate::html::time;
use crate::links;
use crate::response;

/// How many repositories of a mirror are counted.
const MAX_COUNTED: usize = 10_000;

/// Returns whether the viewer may see the page. They may see the metrics too, which have the same counts: every user, and
/// every viewer of a server without users.
pub(super) fn may_see(context: &Context<'_>) -> bool {
    context.service.mirrors().is_some() && !context.viewer.could_log_in()
}

pub(super) async fn show(context: &Context<'_>) -> Result<Response<PageBody>, Failure> {
    if context.viewer.could_log_in() {
        // Also without mirrors, so that only users learn whether there are some.
        return Ok(response::see_other(links::LOGIN));
    }
    let mirrors = context.service.mirrors();
    let mirrors = mirrors.ok_or_else(Failure::not_found)?;
    let states = mirrors.states();
    let deadline = details::deadline(context);
    let stored = states.iter().map(|state| async {
        let counted = mirrors.count_stored(state, MAX_COUNTED);
        match timeout_at(deadline, counted).await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(_)) => Err(NoDetails::Failed),
            Err(_) => Err(NoDetails::Late),
        }
    });
    let stored = join_all(stored).await;
    let content = html! {
        h1 { "Mirrors" }
        p.lead { "Counts begin when the server starts, and again when the settings of mirrors change." }
        (cache(&mirrors))
        @for (state, stored) in states.iter().zip(&stored) {
            section { h2 { (Text(&state.host)) } (mirror(state, *stored)) }
        }
    };
    let crumbs = [Crumb::new("Repositories", links::ROOT)];
    let page = frame(context, "Mirrors", &crumbs, content);
    Ok(response::html(StatusCode::OK, page))
}

/// Shows the store that all mirrors share.
fn cache(mirrors: &Mirrors) -> Markup {
    let stats = mirrors.stats();
    let used = match mirrors.max_size() {
        Some(limit) => html! {
            (parts::size(stats.bytes)) " of " (parts::size(limit)) (parts::bar(stats.bytes, limit))
        },
        None => html! { span.quiet { "not limited, and not counted" } },
    };
    let rows = [
        ("Stored content", used),
        ("Deleted to make room", html! { (stats.evicted) }),
        ("Stale tags served", html! { (stats.stale) }),
    ];
    parts::properties("Cache of all mirrors", rows.into_iter())
}

fn mirror(state: &MirrorState, stored: Result<StoredRepositories, NoDetails>) -> Markup {
    let calls = &state.calls;
    let failure = match calls.last_failure {
        Some((at, kind)) => html! { (moment(Some(at))) " " span.quiet { (kind) } },
        None => moment(None),
    };
    let repositories = match stored {
        Ok(stored) => html! {
            (stored.all) @if stored.cut { "+" } ", of which " (stored.pinned) " pinned"
        },
        Err(reason) => parts::no_details(reason),
    };
    let rows = [
        ("Upstream", html! { (Text(&state.upstream)) }),
        ("Reads that were stored (hits)", html! { (state.hits) }),
        ("Reads that were fetched (misses)", html! { (state.misses) }),
        ("Fetched from upstream", parts::size(calls.bytes)),
        (
            "Calls of the upstream",
            html! { (calls.succeeded) ", and " (calls.failed) " failed" },
        ),
        ("Last success", moment(calls.last_success)),
        ("Last failure", failure),
        ("Stored repositories", repositories),
    ];
    parts::properties(&state.host, rows.into_iter())
}

fn moment(at: Option<SystemTime>) -> Markup {
    match at {
        Some(at) => time::age(Some(&DateTime::<Utc>::from(at).to_rfc3339())),
        None => html! { span.quiet { "never" } },
    }
}
