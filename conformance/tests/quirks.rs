//! What quirks do to requests and answers, with a server that is a table.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use tower_service::Service;
use tranship_conformance::http::{Quirk, Quirky};

/// Requests and the answers of a registry that does what it should: method, path, how many bytes come
/// with it, status, headers, body.
type Exchange = (
    &'static str,
    &'static str,
    usize,
    u16,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const INDEX: (&str, &str) = ("content-type", "application/vnd.oci.image.index.v1+json");
const DIGEST: (&str, &str) = ("docker-content-digest", "sha256:00");
const ETAG: (&str, &str) = ("etag", "\"sha256:00\"");
const UPLOAD: (&str, &str) = ("location", "/v2/a/blobs/uploads/1");
const NEXT: (&str, &str) = ("link", "</v2/_catalog?last=b>; rel=\"next\"");

const EXCHANGES: &[Exchange] = &[
    ("GET", "/v2/", 0, 200, &[], "{}"),
    (
        "GET",
        "/v2/a/manifests/v1",
        0,
        200,
        &[INDEX, DIGEST, ETAG],
        "{}",
    ),
    (
        "HEAD",
        "/v2/a/manifests/v1",
        0,
        200,
        &[INDEX, DIGEST, ("content-length", "2")],
        "",
    ),
    ("GET", "/v2/a/manifests/v2", 0, 404, &[], r#"{"errors":[]}"#),
    (
        "PUT",
        "/v2/a/manifests/v1",
        9,
        201,
        &[
            ("location", "/v2/a/manifests/sha256:00"),
            ("oci-subject", "sha256:11"),
        ],
        "",
    ),
    (
        "PUT",
        "/v2/a/manifests/sha256:00?tag=v1",
        9,
        201,
        &[("oci-tag", "v1")],
        "",
    ),
    (
        "GET",
        concat!(
            "/v2/a/manifests/sha256-",
            "00000000000000000000000000000000",
            "00000000000000000000000000000000"
        ),
        0,
        404,
        &[],
        "",
    ),
    ("DELETE", "/v2/a/manifests/v1", 0, 202, &[], ""),
    ("DELETE", "/v2/a/manifests/sha256:00", 0, 202, &[], ""),
    (
        "GET",
        "/v2/a/blobs/sha256:00",
        0,
        200,
        &[DIGEST, ETAG],
        "hello",
    ),
    ("HEAD", "/v2/a/blobs/sha256:00", 0, 404, &[], ""),
    (
        "POST",
        "/v2/a/blobs/uploads/",
        0,
        202,
        &[UPLOAD, ("range", "0-0")],
        "",
    ),
    (
        "POST",
        "/v2/a/blobs/uploads/?mount=sha256:00",
        0,
        202,
        &[UPLOAD],
        "",
    ),
    (
        "POST",
        "/v2/a/blobs/uploads/?mount=sha256:00&from=b",
        0,
        201,
        &[],
        "",
    ),
    (
        "PATCH",
        "/v2/a/blobs/uploads/1",
        9,
        202,
        &[UPLOAD, ("range", "0-8")],
        "",
    ),
    (
        "GET",
        "/v2/a/blobs/uploads/1",
        0,
        204,
        &[UPLOAD, ("range", "0-8")],
        "",
    ),
    (
        "PUT",
        "/v2/a/blobs/uploads/1?digest=sha256:00",
        100_000,
        201,
        &[],
        "",
    ),
    (
        "PATCH",
        "/v2/a/blobs/uploads/2",
        2_000_000,
        202,
        &[UPLOAD],
        "",
    ),
    ("DELETE", "/v2/a/blobs/uploads/1", 0, 204, &[], ""),
    (
        "GET",
        "/v2/_catalog?n=3",
        0,
        200,
        &[NEXT],
        r#"{"repositories":["b","c"]}"#,
    ),
    (
        "GET",
        "/v2/_catalog?last=a",
        0,
        200,
        &[],
        r#"{"repositories":["b","c"]}"#,
    ),
    ("GET", "/v2/a/tags/list", 0, 200, &[], r#"{"tags":[]}"#),
    (
        "GET",
        "/v2/a/referrers/sha256:00?artifactType=x",
        0,
        200,
        &[INDEX, ("oci-filters-applied", "artifactType")],
        r#"{"manifests":[]}"#,
    ),
];

/// Responds by the table, and records the requests.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<Vec<String>>>);

impl Service<Request<Full<Bytes>>> for Table {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let number = request.headers()["x-number"].to_str().expect("a number");
        let number: usize = number.parse().expect("a number");
        let arrived = format!("{} {:?}", request.uri(), request.headers().get("range"));
        self.0.lock().expect("no panic").push(arrived);
        let (_, _, _, status, headers, body) = EXCHANGES[number];
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Full::from(body)).expect("a response");
        Box::pin(async { Ok(response) })
    }
}

/// All that a client and a server see of the exchanges.
async fn seen(quirks: &[Quirk]) -> Vec<String> {
    let table = Table::default();
    let mut quirky = Quirky::new(table.clone(), quirks.iter().copied());
    let mut seen = Vec::new();
    for (number, (method, target, length, ..)) in EXCHANGES.iter().enumerate() {
        let request = Request::builder()
            .method(*method)
            .uri(*target)
            .header("host", "registry.example:5000")
            .header("content-length", *length)
            .header("range", "bytes=1-2")
            .header("x-number", number)
            .body(Full::from(vec![0; *length]))
            .expect("a request");
        let answer = quirky.call(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let headers: BTreeMap<String, String> = parts
            .headers
            .iter()
            .filter(|(name, _)| *name != "retry-after")
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .collect();
        let length = body.size_hint().exact();
        let body = body.collect().await.expect("whole").to_bytes();
        seen.push(format!("{} {headers:?} {length:?} {body:?}", parts.status));
    }
    seen.extend(table.0.lock().expect("no panic").clone());
    seen
}

#[tokio::test]
async fn without_quirks_nothing_changes() {
    let seen = seen(&[]).await;
    assert_eq!(seen.len(), 2 * EXCHANGES.len());
    for (number, (.., status, _, body)) in EXCHANGES.iter().enumerate() {
        assert!(seen[number].starts_with(&status.to_string()));
        assert!(seen[number].ends_with(&format!("{:?}", Bytes::from_static(body.as_bytes()))));
    }
}

#[tokio::test]
async fn every_quirk_changes_something() {
    let usual = seen(&[]).await;
    for quirk in Quirk::ALL {
        assert_ne!(seen(&[*quirk]).await, usual, "{quirk}");
    }
}

#[tokio::test]
async fn no_two_quirks_are_the_same() {
    let mut known: BTreeMap<Vec<String>, Quirk> = BTreeMap::new();
    for quirk in Quirk::ALL {
        if let Some(other) = known.insert(seen(&[*quirk]).await, *quirk) {
            panic!("{quirk} does what {other} does");
        }
    }
}
