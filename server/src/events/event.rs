//! What a request has changed or read, for receivers outside of the server.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::Method;
use tranship::{Descriptor, Digest, RepositoryName, Tag};

/// The effect of a request that has succeeded.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub action: EventAction,
    /// The repository in which it happened.
    pub repository: RepositoryName,
    /// The manifest or blob; `None` for [`Untag`](EventAction::Untag), since a tag is removed without resolving it.
    pub content: Option<Descriptor>,
    /// The tag by which the content was pushed or pulled, or which was set or removed.
    pub tag: Option<Tag>,
    /// The manifest that the tag named before, if it was set or removed and that is known: a server looks for it only if
    /// it has an [audit log](crate::AuditSink).
    pub previous: Option<Digest>,
    /// The repository that a blob was mounted from.
    pub from: Option<RepositoryName>,
    /// What a pushed manifest refers to, without annotations. Empty if these are more than
    /// [`MAX_REFERENCES`](Self::MAX_REFERENCES).
    pub references: Vec<Descriptor>,
}

impl Event {
    /// The most [`references`](Self::references) of an event.
    pub const MAX_REFERENCES: usize = 256;

    /// Returns an event without content, tag, source and references.
    #[must_use]
    pub fn new(action: EventAction, repository: RepositoryName) -> Self {
        Self {
            action,
            repository,
            content: None,
            tag: None,
            previous: None,
            from: None,
            references: Vec::new(),
        }
    }

    /// Sets [`content`](Self::content), without its annotations.
    #[must_use]
    pub fn with_content(mut self, content: &Descriptor) -> Self {
        self.content = Some(content.plain());
        self
    }

    /// Sets [`tag`](Self::tag).
    #[must_use]
    pub fn with_tag(mut self, tag: Option<&Tag>) -> Self {
        self.tag = tag.cloned();
        self
    }

    /// Sets [`previous`](Self::previous).
    #[must_use]
    pub fn with_previous(mut self, digest: Option<Digest>) -> Self {
        self.previous = digest;
        self
    }

    /// Sets [`from`](Self::from).
    #[must_use]
    pub fn with_from(mut self, from: RepositoryName) -> Self {
        self.from = Some(from);
        self
    }

    /// Sets [`references`](Self::references), unless there are too many.
    #[must_use]
    pub fn with_references(mut self, references: &[Descriptor]) -> Self {
        if references.len() <= Self::MAX_REFERENCES {
            self.references = references.iter().map(Descriptor::plain).collect();
        }
        self
    }
}

/// What happened in an [`Event`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// A manifest was read by GET. HEAD, and reads of blobs, are not reported.
    Pull,
    /// A manifest or blob was pushed, whether or not the repository had it before. A manifest that was pushed by a tag
    /// has this tag.
    Push,
    /// A blob was mounted from another repository.
    Mount,
    /// A manifest or blob was deleted.
    Delete,
    /// A tag was set beside a push: a request may push a manifest by its digest and set several tags.
    Tag,
    /// A tag was removed.
    Untag,
}

impl EventAction {
    /// All actions.
    pub const ALL: [Self; 6] = [
        Self::Pull,
        Self::Push,
        Self::Mount,
        Self::Delete,
        Self::Tag,
        Self::Untag,
    ];

    /// Returns the name in lower case, such as `push`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount => "mount",
            Self::Delete => "delete",
            Self::Tag => "tag",
            Self::Untag => "untag",
        }
    }
}

/// The request that caused events.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCause {
    /// When the server decided on the response.
    pub time: SystemTime,
    /// The id of the request, which logs have too; `None` if it was not made by a request.
    pub request: Option<String>,
    /// The user; `None` for an anonymous caller.
    pub user: Option<String>,
    /// The address of the client, if [`Server`](crate::Server) serves the registry.
    pub client: Option<SocketAddr>,
    /// The `Host` of the request. At most its first 256 bytes.
    pub host: Option<String>,
    /// The method of the request.
    pub method: Method,
    /// The `User-Agent` of the request. At most its first 256 bytes.
    pub agent: Option<String>,
}

impl EventCause {
    /// Returns a request of an anonymous caller of whom nothing is known.
    #[must_use]
    pub fn new(time: SystemTime, method: Method) -> Self {
        Self {
            time,
            request: None,
            user: None,
            client: None,
            host: None,
            method,
            agent: None,
        }
    }
}
