//! Access tokens: requests for them, and the responses (distribution, "Token
//! Authentication Specification" and "Oauth2 Token Authentication").

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use serde::Deserialize;
use serde_json::Value;
use tranship::{Error, ErrorKind, Result};
use url::{Url, form_urlencoded};

use super::challenge::Challenge;
use super::scope::Scopes;
use crate::credentials::Secret;

/// The client id of OAuth2. Registries do not require that clients are registered.
const CLIENT_ID: &str = "tranship";

/// The lifetime of the specification, where it is missing or invalid.
const DEFAULT_LIFETIME: f64 = 60.0;

/// The longest lifetime of a token, because permissions change.
const LONGEST_LIFETIME: f64 = 24.0 * 3600.0;

/// Sends requests to a token server, with the policy, retries and a limit on the body, and without redirects.
#[async_trait]
pub(crate) trait TokenServer: Send + Sync {
    /// Returns the response, whatever its status.
    ///
    /// # Errors
    /// Those of the network, and of the policy if it does not allow the server.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>>;
}

/// A token server, and its name for the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Realm {
    url: Url,
    service: Option<String>,
}

impl Realm {
    /// Returns the realm of a Bearer challenge.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] if it is missing, or is not an HTTP URL.
    pub(crate) fn of(challenge: &Challenge) -> Result<Self> {
        let unusable = |why| Error::new(ErrorKind::Unauthorized, why);
        let realm = challenge
            .parameter("realm")
            .ok_or_else(|| unusable("the registry wants a token and does not say from where"))?;
        let mut url = Url::parse(realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| unusable("the registry names a token server that is not an HTTP URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable(
                "the registry wants a token from a URL with user information in it",
            ));
        }
        url.set_fragment(None);
        Ok(Self {
            url,
            service: challenge.parameter("service").map(str::to_owned),
        })
    }

    /// Returns a request in the form of the first specification, with the password if there is one.
    pub(crate) fn get(
        &self,
        scopes: &Scopes,
        login: Option<(&str, &Secret)>,
    ) -> Result<Request<Bytes>> {
        let mut url = self.url.clone();
        // The query of the realm is kept byte by byte.
        let mut query = url.query_pairs_mut();
        if let Some(service) = &self.service {
            query.append_pair("service", service);
        }
        for scope in scopes.to_strings() {
            query.append_pair("scope", &scope);
        }
        if let Some((username, _)) = login {
            query.append_pair("account", username);
        }
        drop(query);
        let mut request = request(Method::GET, &url, Bytes::new())?;
        if let Some((username, password)) = login {
            let header = basic(username, password)?;
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        Ok(request)
    }

    /// Returns a request in the form of OAuth2.
    pub(crate) fn post(&self, scopes: &Scopes, grant: Grant<'_>) -> Result<Request<Bytes>> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match grant {
            Grant::RefreshToken(token) => form
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token.expose()),
            Grant::Password(username, password) => form
                .append_pair("grant_type", "password")
                .append_pair("username", username)
                .append_pair("password", password.expose()),
        };
        form.append_pair("client_id", CLIENT_ID);
        if let Some(service) = &self.service {
            form.append_pair("service", service);
        }
        let scopes = scopes.to_string();
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes);
        }
        let mut request = request(Method::POST, &self.url, form.finish().into())?;
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        Ok(request)
    }

    #[cfg(test)]
    pub(crate) fn for_tests(url: &str) -> Self {
        Self {
            url: url.parse().expect("a URL"),
            service: None,
        }
    }
}

/// The grant of an OAuth2 request.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    RefreshToken(&'a Secret),
    Password(&'a str, &'a Secret),
}

fn request(method: Method, url: &Url, body: Bytes) -> Result<Request<Bytes>> {
    Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .body(body)
        .map_err(|_| {
            Error::new(
                ErrorKind::Unauthorized,
                "the URL of the token server makes no request",
            )
        })
}

/// Returns `Authorization: Basic` (RFC 7617), in UTF-8.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the user name has a colon, which separates it from the password.
pub(crate) fn basic(username: &str, password: &Secret) -> Result<HeaderValue> {
    if username.contains(':') {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the user name has a colon in it",
        ));
    }
    let login = BASE64.encode(format!("{username}:{}", password.expose()));
    sensitive(format!("Basic {login}"))
}

/// Returns `Authorization: Bearer` (RFC 6750).
///
/// # Errors
/// [`ErrorKind::Unauthorized`] if the token has characters that are not allowed in tokens. The error does not show it.
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(
            ErrorKind::Unauthorized,
            "the token has characters that no token has",
        ));
    }
    sensitive(format!("Bearer {token}"))
}

fn sensitive(text: String) -> Result<HeaderValue> {
    // The error of the crate `http` does not repeat the text.
    let mut header = HeaderValue::try_from(text).map_err(|error| {
        Error::new(
            ErrorKind::Unauthorized,
            "the credentials do not fit into a header",
        )
        .with_source(error)
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// A token that a token server has granted.
pub(crate) struct Granted {
    pub(crate) header: HeaderValue,
    pub(crate) lifetime: Duration,
    /// The refresh token for the next request, which replaces the one that was sent.
    pub(crate) refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
    refresh_token: Option<String>,
}

impl Granted {
    /// Decodes a successful response.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] if it does not contain a usable token.
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let present = |token: Option<String>| token.filter(|token| !token.is_empty());
        // The error of serde would quote the token.
        let response: TokenResponse = serde_json::from_slice(body).map_err(|_| {
            Error::new(
                ErrorKind::Unauthorized,
                "the token server's response is not the expected JSON",
            )
        })?;
        let token = present(response.access_token)
            .or(present(response.token))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Unauthorized,
                    "the token server's response does not contain a token",
                )
            })?;
        Ok(Self {
            header: bearer(&Secret::new(token))?,
            lifetime: lifetime(&response.expires_in),
            refresh_token: present(response.refresh_token).map(Secret::new),
        })
    }
}

/// Returns a lifetime in seconds, which some servers write as a string.
fn lifetime(expires_in: &Value) -> Duration {
    let seconds = expires_in
        .as_f64()
        .or_else(|| expires_in.as_str()?.parse().ok())
        .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
        .unwrap_or(DEFAULT_LIFETIME);
    Duration::from_secs_f64(seconds.clamp(1.0, LONGEST_LIFETIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(realm: &str) -> Result<Realm> {
        let mut headers = http::HeaderMap::new();
        let value = format!("Bearer realm=\"{realm}\",service=\"a registry\"");
        headers.insert(
            http::header::WWW_AUTHENTICATE,
            value.parse().expect("a header value"),
        );
        Realm::of(&Challenge::parse_all(&headers)[0])
    }

    fn scopes() -> Scopes {
        Scopes::parse("repository:a:pull,push repository:b:pull")
    }

    #[test]
    fn a_realm_is_an_http_url_without_a_password() {
        assert!(realm("https://auth.example/token").is_ok());
        assert!(realm("http://127.0.0.1:9090").is_ok());
        for bad in [
            "",
            "/token",
            "file:///etc/passwd",
            "ftp://auth.example",
            "://x",
            "https://",
            "https://u:p@auth.example",
        ] {
            let error = realm(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{bad}");
        }
    }

    #[test]
    fn the_query_of_a_realm_stays() {
        let realm = realm("https://auth.example/t?a=%2f+b&c#d").expect("a realm");
        let request = realm.get(&scopes(), None).expect("a request");
        assert_eq!(
            request.uri(),
            "https://auth.example/t?a=%2f+b&c&service=a+registry&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull"
        );
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_password_goes_into_a_header_that_is_not_shown() {
        let realm = realm("https://auth.example").expect("a realm");
        let request = realm
            .get(&Scopes::default(), Some(("jürgen", &"pässword".into())))
            .expect("a request");
        assert_eq!(
            request.uri(),
            "https://auth.example/?service=a+registry&account=j%C3%BCrgen"
        );
        let header = &request.headers()[AUTHORIZATION];
        assert_eq!(header, "Basic asO8cmdlbjpww6Rzc3dvcmQ=");
        assert!(header.is_sensitive());
        assert!(!format!("{request:?}").contains("asO8"));
    }

    #[test]
    fn a_refresh_token_goes_into_a_form() {
        let realm = realm("https://auth.example/t?x=y").expect("a realm");
        let request = realm
            .post(&scopes(), Grant::RefreshToken(&"a b+c".into()))
            .expect("a request");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://auth.example/t?x=y");
        assert_eq!(
            request.headers()[CONTENT_TYPE],
            "application/x-www-form-urlencoded"
        );
        assert_eq!(
            request.body(),
            "grant_type=refresh_token&refresh_token=a+b%2Bc&client_id=tranship&service=a+registry&scope=repository%3Aa%3Apull%2Cpush+repository%3Ab%3Apull"
        );
    }

    #[test]
    fn a_colon_in_a_user_name_is_refused() {
        let error = basic("a:b", &"secret".into()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(basic("", &"pw".into()).is_ok());
        assert!(basic("user", &"".into()).is_ok());
    }

    #[test]
    fn tokens_come_under_two_names() {
        let header = |json: &str| Granted::read(json.as_bytes()).map(|granted| granted.header);
        assert_eq!(header(r#"{"token":"t"}"#).expect("a token"), "Bearer t");
        assert_eq!(
            header(r#"{"access_token":"a","token":"t","more":[]}"#).expect("a token"),
            "Bearer a"
        );
        assert_eq!(
            header(r#"{"access_token":"","token":"t"}"#).expect("a token"),
            "Bearer t"
        );
    }

    #[test]
    fn a_response_without_a_usable_token_is_refused_and_not_shown() {
        for body in [
            "",
            "<html>hunter2",
            "{}",
            r#"{"token":""}"#,
            r#"{"token":{"hunter2":1}}"#,
            r#"{"token":"hunter2\r\nX-Evil: 1"}"#,
            r#"{"token":"hunter2 hunter2"}"#,
            r#"{"token":"hünter2"}"#,
        ] {
            let Err(error) = Granted::read(body.as_bytes()) else {
                panic!("{body} was taken");
            };
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            assert!(!format!("{error:?}").contains("nter2"), "{error:?}");
        }
    }

    #[test]
    fn lifetimes_that_make_no_sense_are_bounded() {
        for (expires_in, seconds) in [
            ("null", 60),
            ("300", 300),
            ("\"3600\"", 3600),
            ("0", 60),
            ("-5", 60),
            ("0.01", 1),
            ("1e300", 86400),
            ("\"NaN\"", 60),
            ("[]", 60),
        ] {
            let body = format!(r#"{{"token":"t","expires_in":{expires_in}}}"#);
            let granted = Granted::read(body.as_bytes()).expect("a token");
            assert_eq!(
                granted.lifetime,
                Duration::from_secs(seconds),
                "{expires_in}"
            );
        }
    }
}
