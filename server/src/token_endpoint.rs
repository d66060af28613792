//! The token endpoint of the [token protocol](https://distribution.github.io/distribution/spec/auth/token/): GET with
//! Basic credentials or none, and POST of a form as in OAuth2.

use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use serde::Serialize;
use tranship::{Error, ErrorKind, RepositoryName};

use crate::access::{Access, Identity, Scopes, basic_challenge, not_identified};
use crate::peer::Peer;
use crate::query::Query;
use crate::record::RequestRecord;
use crate::request_body::RequestBody;
use crate::response::{HandlerResult, json};
use crate::response_error::{ErrorCode, ResponseError};
use crate::state::ServerState;

/// The largest form that is accepted, in bytes. Tokens are sent in headers too, which are limited to this.
const MAX_FORM_SIZE: u64 = 64 * 1024;

/// The response with a token.
#[derive(Serialize)]
struct TokenResponse {
    token: String,
    /// The same, under the name that it has in OAuth2.
    access_token: String,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// GET: a token for the user of the Basic credentials, or for anonymous callers.
pub(crate) async fn get(
    state: &ServerState,
    access: &Access,
    request: &Parts,
    record: &mut RequestRecord,
) -> HandlerResult {
    let query = Query::of(&request.uri);
    let peer = Peer::of(&request.extensions);
    let identity = access.identify(&request.headers, &peer).await;
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => {
            if let Some(audit) = record.audit() {
                audit.set_login_failed(access.named_user(&request.headers).await);
            }
            return Err(refused(&error, access, request));
        }
    };
    if identity.token_id().is_some() {
        // A token could otherwise be renewed without end, or exchanged for a refresh token, which lasts.
        let message = "a token is issued for a password, and not for another token";
        let error = Error::new(ErrorKind::Unauthorized, message);
        return Err(refused(&error, access, request));
    }
    let wants_refresh = query.first("offline_token").as_deref() == Some("true");
    let asked = Asked::of(query, wants_refresh);
    respond(state, access, request, identity, asked, record).await
}

/// POST: a token for a user's password (`grant_type=password`) or refresh token (`grant_type=refresh_token`).
pub(crate) async fn post(
    state: &ServerState,
    access: &Access,
    request: &Parts,
    body: &mut RequestBody,
    record: &mut RequestRecord,
) -> HandlerResult {
    let form = body.collect("form", MAX_FORM_SIZE).await?;
    let form = Query::of_form(&form)?;
    let parameter = |name: &'static str| {
        form.first(name)
            .ok_or_else(|| invalid_form(format!("the form has no {name}")))
    };
    let user = form.first("username").unwrap_or_default();
    let identity = match &*parameter("grant_type")? {
        "password" => {
            let (user, password) = (parameter("username")?, parameter("password")?);
            let peer = Peer::of(&request.extensions);
            access.log_in(&user, password.as_bytes(), &peer).await
        }
        "refresh_token" => access.refresh(&parameter("refresh_token")?).await,
        _ => return Err(invalid_form("the grant_type is not supported")),
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => {
            if let Some(audit) = record.audit() {
                audit.set_login_failed(access.known_user(&user).await);
            }
            return Err(refused(&error, access, request));
        }
    };
    let wants_refresh = form.first("access_type").as_deref() == Some("offline");
    let asked = Asked::of(form, wants_refresh);
    respond(state, access, request, identity, asked, record).await
}

/// What a client asks for.
struct Asked {
    scopes: Scopes,
    wants_refresh: bool,
}

impl Asked {
    fn of(parameters: Query<'_>, wants_refresh: bool) -> Self {
        let lists: Vec<_> = parameters.all("scope").collect();
        let scopes = Scopes::parse(lists.iter().map(AsRef::as_ref));
        Self {
            scopes,
            wants_refresh,
        }
    }
}

/// Returns a token with what `identity` may have of the scopes in `asked`. Less than the client has asked for is not an
/// error.
async fn respond(
    state: &ServerState,
    access: &Access,
    request: &Parts,
    identity: Identity,
    asked: Asked,
    record: &mut RequestRecord,
) -> HandlerResult {
    record.set_caller(&identity);
    let mirrors = state.options.mirrors.as_ref();
    let read_as = |name: &RepositoryName| mirrors.and_then(|mirrors| mirrors.read_as(name));
    let issued = access.issue_token(&identity, &asked.scopes, read_as).await;
    let issued = issued.map_err(|error| not_identified(&error, access, request))?;
    let refresh_token = if asked.wants_refresh {
        let issued = access.issue_refresh_token(&identity).await;
        issued.map_err(|error| not_identified(&error, access, request))?
    } else {
        None
    };
    record.set_issued(&identity, &issued.id);
    let time: DateTime<Utc> = issued.issued.into();
    let mut response = json(&TokenResponse {
        access_token: issued.text.clone(),
        token: issued.text,
        expires_in: issued.lifetime.as_secs(),
        issued_at: time.to_rfc3339_opts(SecondsFormat::Secs, true),
        refresh_token: refresh_token.map(|token| token.text),
    })?;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn refused(error: &Error, access: &Access, request: &Parts) -> ResponseError {
    if error.kind() != ErrorKind::Unauthorized {
        return not_identified(error, access, request);
    }
    ResponseError::new(
        StatusCode::UNAUTHORIZED,
        ErrorCode::Unauthorized,
        error.to_string(),
    )
    .with_header(WWW_AUTHENTICATE, basic_challenge())
}

fn invalid_form(message: impl Into<String>) -> ResponseError {
    ResponseError::bad_request(ErrorCode::Unsupported, message)
}
