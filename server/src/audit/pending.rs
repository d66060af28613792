//! The audit record of a request while it is handled.

use http::request::Parts;
use http::{Method, StatusCode, Uri};

use super::operation::AuditOperation;
use super::record::{AuditActor, AuditRecord, AuditResult};
use super::sink::AuditOptions;
use crate::access::Identity;
use crate::events::Event;
use crate::query::Query;
use crate::response_error::ErrorCode;
use crate::route::{Route, is_read};

/// The record of a request. Dropping it before it is [finished](Self::finish) records that the request has not ended, if
/// it could have changed something.
#[derive(Debug)]
pub(crate) struct PendingAudit {
    options: AuditOptions,
    /// `None` when the request is finished.
    record: Option<AuditRecord>,
    method: Method,
    /// Whether the path is that of an endpoint.
    is_routed: bool,
    has_credentials: bool,
    has_events: bool,
}

impl PendingAudit {
    pub(crate) fn begin(options: &AuditOptions, request: &Parts, id: &str) -> Self {
        let record = AuditRecord::of_server(AuditActor::Client, AuditOperation::Other);
        let mut record = record.by(request, &Identity::anonymous());
        record.request = Some(id.to_owned());
        Self {
            options: options.clone(),
            record: Some(record),
            method: request.method.clone(),
            is_routed: false,
            has_credentials: false,
            has_events: false,
        }
    }

    pub(crate) fn set_route(&mut self, route: &Route, uri: &Uri) {
        self.is_routed = true;
        let Some(record) = &mut self.record else {
            return;
        };
        record.operation = AuditOperation::of(route, &self.method);
        record.repository = route.repository().cloned();
        match route {
            Route::Manifest(_, reference)
            | Route::Blob(_, reference)
            | Route::Referrers(_, reference) => record.set_reference(reference),
            // The id of an upload is a secret, and so are other parameters.
            Route::Uploads(_) | Route::Upload(..) => {
                let query = Query::of(uri);
                let can_mount = matches!(route, Route::Uploads(_)) && self.method == Method::POST;
                let mounted = query.digest("mount").ok().flatten().filter(|_| can_mount);
                if mounted.is_some() {
                    record.operation = AuditOperation::MountBlob;
                }
                record.digest = mounted.or_else(|| query.digest("digest").ok().flatten());
            }
            _ => {}
        }
    }

    pub(crate) fn set_caller(&mut self, caller: &Identity) {
        self.has_credentials = caller.user().is_some() || caller.token_id().is_some();
        if let Some(record) = &mut self.record {
            record.set_caller(caller);
        }
    }

    /// Notes the id of a token that was issued.
    pub(crate) fn set_token(&mut self, id: &str) {
        if let Some(record) = &mut self.record {
            record.token = Some(id.to_owned());
        }
    }

    /// Notes that the credentials were refused. `user` is the user that they name, if there is one.
    pub(crate) fn set_login_failed(&mut self, user: Option<String>) {
        self.has_credentials = true;
        if let Some(record) = &mut self.record {
            record.set_login_failed(user);
        }
    }

    pub(crate) fn add_events(&mut self, events: &[Event]) {
        self.has_events = true;
        if let Some(record) = &mut self.record {
            events.iter().for_each(|event| record.add_event(event));
        }
    }

    /// Passes the record to the sink, if requests like this are recorded.
    pub(crate) fn finish(&mut self, status: Option<StatusCode>, code: Option<ErrorCode>) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        record.set_status(status);
        record.code = code.map(ErrorCode::as_str);
        if self.is_wanted(&record, status) {
            self.options.sink.record(record);
        }
    }

    fn is_wanted(&self, record: &AuditRecord, status: Option<StatusCode>) -> bool {
        let operation = record.operation;
        match record.result {
            AuditResult::Refused => {
                let is_question = status == Some(StatusCode::UNAUTHORIZED) && !self.has_credentials;
                self.is_routed && !is_question
            }
            AuditResult::Unfinished | AuditResult::Failure => {
                // The offset of an upload can be asked for, too.
                operation.is_change() && !is_read(&self.method)
            }
            AuditResult::Success => match operation {
                AuditOperation::TokenIssue => record.user.is_some() || self.options.reads,
                AuditOperation::Other => false,
                // A part of an upload, or a blob that was stored already, changes nothing.
                _ if operation.is_change() => self.has_events,
                _ => {
                    self.options.reads
                        && self.method == Method::GET
                        && status != Some(StatusCode::NOT_MODIFIED)
                }
            },
        }
    }
}

impl Drop for PendingAudit {
    fn drop(&mut self) {
        self.finish(None, None);
    }
}
