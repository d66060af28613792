//! The viewer of a page, and their permissions.

use std::sync::Arc;

use http::header::COOKIE;
use http::request::Parts;
use tranship::RepositoryName;
use tranship_server::{Access, Identity, Permission};

use crate::sessions::{Session, Sessions};

/// The name of the cookie on TLS. Browsers accept the prefix only from the host itself, and over TLS.
const SECURE_COOKIE: &str = "__Host-tranship-session";
/// The name of the cookie in clear text.
const PLAIN_COOKIE: &str = "tranship-session";

/// The sender of a request.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// `None` if every caller may do everything.
    access: Option<Access>,
    identity: Identity,
    /// The secret that the forms of this viewer carry; `None` for a viewer that has not logged in, and could.
    form_token: Option<Arc<str>>,
}

impl Viewer {
    /// Identifies the sender of a request by the cookie. No other credentials count, so that there are none that a browser
    /// adds to the requests of other sites.
    pub(crate) async fn of(
        request: &Parts,
        is_tls: bool,
        access: Option<&Access>,
        sessions: &Sessions,
        open_form_token: &Arc<str>,
    ) -> Self {
        let Some(access) = access else {
            return Self {
                access: None,
                identity: Identity::anonymous(),
                form_token: Some(Arc::clone(open_form_token)),
            };
        };
        let session = match session(request, is_tls, sessions) {
            Some(session) if access.is_current(&session.identity).await => Some(session),
            _ => None,
        };
        let form_token = session
            .as_ref()
            .map(|session| Arc::clone(&session.form_token));
        Self {
            access: Some(access.clone()),
            identity: session.map(|session| session.identity).unwrap_or_default(),
            form_token,
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the name of the logged-in user.
    pub(crate) fn user(&self) -> Option<&str> {
        self.identity.user()
    }

    /// Returns whether logging in may show more.
    pub(crate) fn could_log_in(&self) -> bool {
        self.access.is_some() && self.user().is_none()
    }

    pub(crate) fn may(&self, name: &RepositoryName, wanted: Permission) -> bool {
        self.access
            .as_ref()
            .is_none_or(|access| access.allows(&self.identity, name, wanted))
    }

    /// Returns the secret that forms carry which change something.
    pub(crate) fn form_token(&self) -> Option<&str> {
        self.form_token.as_deref()
    }
}

fn session(request: &Parts, is_tls: bool, sessions: &Sessions) -> Option<Session> {
    sessions.find(cookie(request, is_tls)?)
}

/// Returns the secret in the cookie of a request.
pub(crate) fn cookie(request: &Parts, is_tls: bool) -> Option<&str> {
    let wanted = name(is_tls);
    let cookies = request.headers.get_all(COOKIE).iter();
    cookies
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Returns the header that sets the cookie; an empty secret removes it.
pub(crate) fn set_cookie(secret: &str, is_tls: bool) -> String {
    let name = name(is_tls);
    // The prefix requires the whole host as the path.
    let (path, secure) = if is_tls {
        ("/", "; Secure")
    } else {
        ("/ui/", "")
    };
    let end = if secret.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={secret}; Path={path}; HttpOnly; SameSite=Strict{secure}{end}")
}

fn name(is_tls: bool) -> &'static str {
    if is_tls { SECURE_COOKIE } else { PLAIN_COOKIE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_on_tls_belongs_to_the_host_alone() {
        assert_eq!(
            set_cookie("secret", true),
            "__Host-tranship-session=secret; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            set_cookie("", false),
            "tranship-session=; Path=/ui/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
    }

    #[test]
    fn only_the_cookie_of_the_kind_of_connection_counts() {
        let header = "a=1; tranship-session=plain; __Host-tranship-session=secure";
        let request = http::Request::builder().header(COOKIE, header);
        let (request, ()) = request.body(()).expect("a request").into_parts();
        assert_eq!(cookie(&request, true), Some("secure"));
        assert_eq!(cookie(&request, false), Some("plain"));
    }
}
