//! Events: from handlers, which attach them to responses, to the sink in the options.

mod event;
mod sink;

use std::time::SystemTime;

use http::Response;
use http::header::HOST;
use http::request::Parts;
use tranship::{Descriptor, Digest, ManifestDocument, RepositoryName, Tag};

pub use event::{Event, EventAction, EventCause};
pub use sink::{EventSink, ReceiverState};

use crate::access::Caller;
use crate::peer::Peer;
use crate::record::{RequestRecord, user_agent};
use crate::response_body::ResponseBody;
use crate::state::ServerState;

/// The longest text of a client that is passed on, in characters.
const MAX_TEXT: usize = 256;

/// The events of a request, as an extension of its response.
#[derive(Clone)]
struct Attached(Vec<Event>);

/// Attaches the events of a request that has succeeded to its response, if there is a receiver for them.
pub(crate) fn attach(
    state: &ServerState,
    response: &mut Response<ResponseBody>,
    events: impl FnOnce() -> Vec<Event>,
) {
    if state.options.events.is_some() || state.options.audit.is_some() {
        response.extensions_mut().insert(Attached(events()));
    }
}

/// Passes the events of `response` to the sink and to the audit log. Nothing is awaited between a change and this, so that the event is not
/// lost if the client closes the connection.
pub(crate) fn report(
    state: &ServerState,
    response: &mut Response<ResponseBody>,
    request: &Parts,
    caller: &Caller<'_>,
    record: &mut RequestRecord,
) {
    let Some(Attached(events)) = response.extensions_mut().remove() else {
        return;
    };
    record.add_events(&events);
    if let Some(sink) = &state.options.events {
        let mut cause = cause(request, caller.user());
        cause.request = Some(record.id());
        sink.record(&cause, events);
    }
}

/// Returns the facts of a request of `user`.
pub(crate) fn cause(request: &Parts, user: Option<&str>) -> EventCause {
    let host = request.headers.get(HOST);
    EventCause {
        time: SystemTime::now(),
        request: None,
        user: user.map(ToOwned::to_owned),
        client: Peer::of(&request.extensions).address,
        host: host.and_then(|host| host.to_str().ok()).map(shortened),
        method: request.method.clone(),
        agent: user_agent(request).map(shortened),
    }
}

/// Returns the beginning of text that clients can make long, such as a header.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Returns the events of a push of `manifest`: by the first of `tags` if `is_by_tag`, and by its digest otherwise. `before`
/// has what the tags named before, in their order, if that is known.
pub(crate) fn pushed(
    name: &RepositoryName,
    manifest: &Descriptor,
    document: &ManifestDocument,
    tags: &[Tag],
    before: &[Option<Digest>],
    is_by_tag: bool,
) -> Vec<Event> {
    let by_tag = usize::from(is_by_tag).min(tags.len());
    let previous = |position: usize| before.get(position).copied().flatten();
    let push = Event::new(EventAction::Push, name.clone())
        .with_content(manifest)
        .with_tag(tags.first().filter(|_| by_tag > 0))
        .with_previous(previous(0).filter(|_| by_tag > 0))
        .with_references(&document.successors());
    let set = tags.iter().enumerate().skip(by_tag).map(|(position, tag)| {
        Event::new(EventAction::Tag, name.clone())
            .with_content(manifest)
            .with_tag(Some(tag))
            .with_previous(previous(position))
    });
    std::iter::once(push).chain(set).collect()
}
