//! Events: from handlers, which attach them to responses, to the sink in the options.

mod event;
mod sink;

use std::time::SystemTime;

use http::Response;
use http::header::HOST;
use http::request::Parts;
use tranship::{Descriptor, ManifestDocument, RepositoryName, Tag};

pub use event::{Event, EventAction, EventCause};
pub use sink::{EventSink, ReceiverState};

use crate::access::Caller;
use crate::peer::Peer;
use crate::record::user_agent;
use crate::response_body::ResponseBody;
use crate::state::ServerState;

/// The longest header in an event, in bytes.
const MAX_HEADER: usize = 256;

/// The events of a request, as an extension of its response.
#[derive(Clone)]
struct Attached(Vec<Event>);

/// Attaches the events of a request that has succeeded to its response, if there is a sink for them.
pub(crate) fn attach(
    state: &ServerState,
    response: &mut Response<ResponseBody>,
    events: impl FnOnce() -> Vec<Event>,
) {
    if state.options.events.is_some() {
        response.extensions_mut().insert(Attached(events()));
    }
}

/// Passes the events of `response` to the sink. Nothing is awaited between a change and this, so that the event is not
/// lost if the client closes the connection.
pub(crate) fn report(
    state: &ServerState,
    response: &mut Response<ResponseBody>,
    request: &Parts,
    caller: &Caller<'_>,
) {
    let Some(sink) = &state.options.events else {
        return;
    };
    let Some(Attached(events)) = response.extensions_mut().remove() else {
        return;
    };
    sink.record(&cause(request, caller.user()), events);
}

/// Returns the facts of a request of `user`.
pub(crate) fn cause(request: &Parts, user: Option<&str>) -> EventCause {
    let host = request.headers.get(HOST);
    EventCause {
        time: SystemTime::now(),
        user: user.map(ToOwned::to_owned),
        client: Peer::of(&request.extensions).address,
        host: host.and_then(|host| host.to_str().ok()).map(shortened),
        method: request.method.clone(),
        agent: user_agent(request).map(shortened),
    }
}

/// Returns the beginning of a header in ASCII, which clients can make long.
fn shortened(header: &str) -> String {
    header.chars().take(MAX_HEADER).collect()
}

/// Returns the events of a push of `manifest`: by the first of `tags` if `is_by_tag`, and by its digest otherwise.
pub(crate) fn pushed(
    name: &RepositoryName,
    manifest: &Descriptor,
    document: &ManifestDocument,
    tags: &[Tag],
    is_by_tag: bool,
) -> Vec<Event> {
    let (by, set) = tags.split_at(usize::from(is_by_tag).min(tags.len()));
    let push = Event::new(EventAction::Push, name.clone())
        .with_content(manifest)
        .with_tag(by.first())
        .with_references(&document.successors());
    let set = set.iter().map(|tag| {
        Event::new(EventAction::Tag, name.clone())
            .with_content(manifest)
            .with_tag(Some(tag))
    });
    std::iter::once(push).chain(set).collect()
}
