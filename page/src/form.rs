//! Forms that change something.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use url::form_urlencoded;

use crate::context::Context;
use crate::failure::Failure;
use crate::origin::is_same_origin;

/// The largest form, in bytes.
const MAX_SIZE: usize = 16 * 1024;

/// How long a browser may take to send a form.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the field with the secret that only forms of these pages carry.
pub(crate) const TOKEN: &str = "token";

/// The fields of a form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form that a page of this site has sent.
    ///
    /// # Errors
    /// 403 if another site has sent it, and 400 if it is not a form, too large or too slow.
    pub(crate) async fn read<B>(context: &Context<'_>, body: B) -> Result<Self, Failure>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        if !is_same_origin(context.request, context.peer.is_tls) {
            return Err(Failure::forbidden(
                "The form was not sent by a page of this registry.",
            ));
        }
        let media_type = context.request.headers.get(CONTENT_TYPE);
        if media_type.is_none_or(|it| it != "application/x-www-form-urlencoded") {
            return Err(Failure::bad_request("The request does not contain a form."));
        }
        let body = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_SIZE).collect()).await;
        let Ok(Ok(body)) = body else {
            return Err(Failure::bad_request("The form cannot be read."));
        };
        let body: Bytes = body.to_bytes();
        let fields = form_urlencoded::parse(&body);
        Ok(Self(fields.into_owned().collect()))
    }

    /// Returns the field `name`; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// # Errors
    /// 403 unless the form carries the secret of the viewer.
    pub(crate) fn check_token(&self, context: &Context<'_>) -> Result<(), Failure> {
        // Digests are compared, so that the time does not tell how much of a guess is right.
        let digest = |text: &str| tranship::Digest::of(text.as_bytes());
        let expected = context.viewer.form_token();
        if expected.is_some_and(|expected| digest(expected) == digest(self.field(TOKEN))) {
            return Ok(());
        }
        Err(Failure::forbidden(
            "The form has expired. Go back, reload the page and try again.",
        ))
    }
}
