//! What an audit log says about one action.

use std::net::SocketAddr;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use http::request::Parts;
use serde::{Serialize, Serializer};
use tranship::{Digest, RepositoryName, Tag};

use super::operation::AuditOperation;
use crate::access::{CredentialKind, Identity};
use crate::events::{Event, EventAction, shortened};
use crate::peer::Peer;
use crate::record::user_agent;

/// One action, with its actor and its result. It has no secrets: neither credentials nor parameters, and no
/// ids of uploads.
///
/// As JSON it is an object whose keys have the names of the fields, in camel case. Keys without a value are left out,
/// except `user`. The time is in the format of RFC 3339, with milliseconds.
#[non_exhaustive]
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// When the request has begun.
    #[serde(serialize_with = "milliseconds")]
    pub time: SystemTime,
    /// The id of the request, which the access log has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The actor: a client, or the server itself.
    pub actor: AuditActor,
    /// The user; `None` for an anonymous caller and for the server. If a login has failed, the user that was named, and
    /// `None` if this user does not exist, since the name may be a misplaced password.
    pub user: Option<String>,
    /// Whether the user was only named, and not proven, as the login has failed.
    #[serde(skip_serializing_if = "is_false")]
    pub claimed: bool,
    /// How the caller was identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<CredentialKind>,
    /// With a token of this server, the kind of credential that it was issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<CredentialKind>,
    /// The id of the token by which the caller was identified, or of the one that was issued. It is not secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The address of the client, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SocketAddr>,
    /// The `User-Agent` of the request. At most its first 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What was done, or tried.
    pub operation: AuditOperation,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryName>,
    /// The tag or digest in the request. At most its first 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The digest of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The repository that a blob was mounted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<RepositoryName>,
    /// The tags that were set or removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagChange>,
    /// How the action has ended.
    pub result: AuditResult,
    /// The status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error code of the response, such as `DENIED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// With [`RecordsLost`](AuditOperation::RecordsLost), how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// A tag that was set or removed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagChange {
    /// The tag.
    pub tag: Tag,
    /// The digest that it named before, if it existed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_digest: Option<Digest>,
}

/// The actor of an [`AuditRecord`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditActor {
    /// A client, by a request.
    Client,
    /// The server, because of the rules for old tags.
    Retention,
    /// The server, by garbage collection.
    GarbageCollection,
    /// The audit log.
    AuditLog,
}

/// How an action has ended.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    /// It was done.
    Success,
    /// The caller may not do it, or not now: a response with the status 401, 403 or 429.
    Refused,
    /// It was not done for another reason.
    Failure,
    /// The client closed the connection before there was a response. The change may have been made.
    Unfinished,
}

impl AuditResult {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                Self::Refused
            }
            _ if status.is_client_error() || status.is_server_error() => Self::Failure,
            _ => Self::Success,
        }
    }
}

impl AuditRecord {
    /// Returns a record of something that the server itself does now.
    #[must_use]
    pub fn of_server(actor: AuditActor, operation: AuditOperation) -> Self {
        Self {
            time: SystemTime::now(),
            request: None,
            actor,
            user: None,
            claimed: false,
            auth: None,
            login: None,
            token: None,
            client: None,
            agent: None,
            operation,
            repository: None,
            reference: None,
            digest: None,
            from: None,
            tags: Vec::new(),
            result: AuditResult::Success,
            status: None,
            code: None,
            count: None,
        }
    }

    /// Returns a record of what `event` reports, by `actor`.
    #[must_use]
    pub fn of_event(actor: AuditActor, event: &Event) -> Self {
        let is_manifest =
            (event.content.as_ref()).is_none_or(|content| content.media_type().is_manifest());
        let operation = match event.action {
            EventAction::Pull if is_manifest => AuditOperation::PullManifest,
            EventAction::Pull => AuditOperation::PullBlob,
            EventAction::Push | EventAction::Tag if is_manifest => AuditOperation::PushManifest,
            EventAction::Push | EventAction::Tag => AuditOperation::PushBlob,
            EventAction::Mount => AuditOperation::MountBlob,
            EventAction::Delete if is_manifest => AuditOperation::DeleteManifest,
            EventAction::Delete => AuditOperation::DeleteBlob,
            EventAction::Untag => AuditOperation::DeleteTag,
        };
        let mut record = Self::of_server(actor, operation);
        record.repository = Some(event.repository.clone());
        record.add_event(event);
        record
    }

    /// Makes this a record of an action by `caller` in `request`.
    #[must_use]
    pub fn by(mut self, request: &Parts, caller: &Identity) -> Self {
        self.actor = AuditActor::Client;
        self.client = Peer::of(&request.extensions).address;
        self.agent = user_agent(request).map(shortened);
        self.set_caller(caller);
        self
    }

    /// Sets the id of the request.
    #[must_use]
    pub fn with_request(mut self, id: &str) -> Self {
        self.request = Some(id.to_owned());
        self
    }

    /// Sets the repository.
    #[must_use]
    pub fn with_repository(mut self, name: RepositoryName) -> Self {
        self.repository = Some(name);
        self
    }

    /// Sets the tag or digest that the request names.
    #[must_use]
    pub fn with_reference(mut self, reference: &str) -> Self {
        self.set_reference(reference);
        self
    }

    /// Sets how the request has ended.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.set_status(Some(status));
        self
    }

    /// Makes this a record of a failed login. `user` is the user that the credentials name, if it exists.
    pub(crate) fn set_login_failed(&mut self, user: Option<String>) {
        self.operation = AuditOperation::LoginFailed;
        self.claimed = user.is_some();
        self.user = user;
    }

    pub(crate) fn set_caller(&mut self, caller: &Identity) {
        self.user = caller.user().map(ToOwned::to_owned);
        self.auth = caller.credential();
        self.login = caller.login();
        self.token = caller.token_id().map(shortened);
    }

    pub(crate) fn set_reference(&mut self, reference: &str) {
        self.digest = reference.parse().ok();
        self.reference = Some(shortened(reference));
    }

    pub(crate) fn set_status(&mut self, status: Option<StatusCode>) {
        self.result = status.map_or(AuditResult::Unfinished, AuditResult::of);
        self.status = status.map(|status| status.as_u16());
    }

    /// Adds what a request has done.
    pub(crate) fn add_event(&mut self, event: &Event) {
        if event.action == EventAction::Mount {
            self.operation = AuditOperation::MountBlob;
        }
        if let Some(content) = &event.content {
            self.digest = Some(*content.digest());
        }
        self.from.clone_from(&event.from);
        let changes_tag = event.action != EventAction::Pull;
        if let Some(tag) = event.tag.clone().filter(|_| changes_tag) {
            self.tags.push(TagChange {
                tag,
                old_digest: event.previous,
            });
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

fn milliseconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time: DateTime<Utc> = (*time).into();
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
