//! The formats of events.

use std::time::SystemTime;

use serde::Serialize;
use tranship::{Descriptor, Error, ErrorKind, RepositoryName, Result, Tag};
use tranship_server::{Event, EventAction, EventCause};

/// How events are written.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EventFormat {
    /// The format of distribution's notifications, `application/vnd.docker.distribution.events.v2+json`: an envelope
    /// with one event. It knows the actions `pull`, `push`, `mount` and `delete`: a tag that is set is a `push` with
    /// the tag, and a tag that is removed is a `delete` with the tag and without a digest, as at distribution.
    #[default]
    Distribution,
    /// [CloudEvents] 1.0 as JSON, `application/cloudevents+json`. The data of an event is what the other format has as
    /// an event. Types begin with `io.github.tranship.`: `manifest.pulled`, `manifest.pushed`, `manifest.deleted`,
    /// `blob.pushed`, `blob.mounted`, `blob.deleted`, `tag.set` and `tag.removed`.
    ///
    /// [CloudEvents]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    CloudEvents,
}

impl EventFormat {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Distribution => "application/vnd.docker.distribution.events.v2+json",
            Self::CloudEvents => "application/cloudevents+json",
        }
    }

    /// Returns the number of the format in a queue.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Distribution => 0,
            Self::CloudEvents => 1,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Distribution),
            1 => Some(Self::CloudEvents),
            _ => None,
        }
    }

    /// Writes an event.
    pub(crate) fn encode(self, message: &Message<'_>) -> Result<Vec<u8>> {
        let document = Document::new(message);
        let encoded = match self {
            Self::Distribution => serde_json::to_vec(&Envelope { events: [document] }),
            Self::CloudEvents => serde_json::to_vec(&CloudEvent::new(message, document)),
        };
        encoded.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "an event cannot be written").with_source(error)
        })
    }
}

/// An event, and everything else that the formats need.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) cause: &'a EventCause,
    pub(crate) event: &'a Event,
    pub(crate) server: &'a ServerIdentity,
}

/// The server that sends events.
#[derive(Debug, Clone)]
pub(crate) struct ServerIdentity {
    /// Differs between two runs of a server.
    pub(crate) instance: String,
    pub(crate) address: Option<String>,
    /// Without a slash at the end.
    pub(crate) public_url: Option<String>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    events: [Document<'a>; 1],
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    timestamp: String,
    action: &'static str,
    target: Target<'a>,
    request: Request<'a>,
    actor: Actor<'a>,
    source: Source<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The same as `size`. Older receivers read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    repository: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    references: &'a [Descriptor],
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    method: &'a str,
    useragent: &'a str,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<&'a str>,
    #[serde(rename = "instanceID")]
    instance_id: &'a str,
}

impl<'a> Document<'a> {
    fn new(message: &Message<'a>) -> Self {
        let Message {
            cause,
            event,
            server,
            ..
        } = *message;
        let content = event.content.as_ref();
        let url = server
            .public_url
            .as_ref()
            .zip(content)
            .map(|(url, content)| {
                let kind = if content.media_type().is_manifest() {
                    "manifests"
                } else {
                    "blobs"
                };
                format!("{url}/v2/{}/{kind}/{}", event.repository, content.digest())
            });
        Self {
            id: message.id,
            timestamp: timestamp(cause.time),
            action: match event.action {
                EventAction::Tag => EventAction::Push.as_str(),
                EventAction::Untag => EventAction::Delete.as_str(),
                action => action.as_str(),
            },
            target: Target {
                media_type: content.map(|content| content.media_type().as_str()),
                size: content.map(Descriptor::size),
                digest: content.map(|content| content.digest().to_string()),
                length: content.map(Descriptor::size),
                repository: event.repository.as_str(),
                from_repository: event.from.as_ref().map(RepositoryName::as_str),
                url,
                tag: event.tag.as_ref().map(Tag::as_str),
                references: &event.references,
            },
            request: Request {
                id: message.request_id,
                addr: cause.client.map(|client| client.to_string()),
                host: cause.host.as_deref(),
                method: cause.method.as_str(),
                useragent: cause.agent.as_deref().unwrap_or_default(),
            },
            actor: Actor {
                name: cause.user.as_deref(),
            },
            source: Source {
                addr: server.address.as_deref(),
                instance_id: &server.instance,
            },
        }
    }
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    data: Document<'a>,
}

impl<'a> CloudEvent<'a> {
    fn new(message: &Message<'a>, data: Document<'a>) -> Self {
        let Message { event, server, .. } = message;
        let content = event.content.as_ref();
        let is_blob = content.is_some_and(|content| !content.media_type().is_manifest());
        let object = if is_blob { "blob" } else { "manifest" };
        let (object, verb) = match event.action {
            EventAction::Pull => (object, "pulled"),
            EventAction::Push => (object, "pushed"),
            EventAction::Mount => (object, "mounted"),
            EventAction::Delete => (object, "deleted"),
            EventAction::Tag => ("tag", "set"),
            EventAction::Untag => ("tag", "removed"),
            // An action that the server has and this version does not know.
            action => (object, action.as_str()),
        };
        let subject = match (&event.tag, content) {
            (Some(tag), _) => format!("{}:{tag}", event.repository),
            (None, Some(content)) => format!("{}@{}", event.repository, content.digest()),
            (None, None) => event.repository.to_string(),
        };
        let source = match &server.public_url {
            Some(url) => url.clone(),
            None => format!("urn:tranship:{}", server.instance),
        };
        Self {
            specversion: "1.0",
            id: message.id,
            source,
            kind: format!("io.github.tranship.{object}.{verb}"),
            subject,
            time: timestamp(message.cause.time),
            datacontenttype: "application/json",
            data,
        }
    }
}

/// Formats a time as RFC 3339 says, in UTC.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
