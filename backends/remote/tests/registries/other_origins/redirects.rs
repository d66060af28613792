//! Redirects of downloads to another origin.

use tranship::*;

use super::{HEADER, fetching, got_no_secret, is_refused, repository, wanting_credentials};
use crate::fake::{Fake, Reply};

#[tokio::test]
async fn a_redirect_to_another_origin_carries_no_secret() {
    let storage = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = storage.url("/bucket/hello?signature=a%2Fb");
    let registry = wanting_credentials(move |_| {
        Reply::redirect(&target).header("set-cookie", "session=1; path=/")
    })
    .await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
    let [asked] = &storage.seen()[..] else {
        panic!("{:?}", storage.seen());
    };
    assert_eq!(asked.target, "/bucket/hello?signature=a%2Fb");
    got_no_secret(&storage);
    let last = registry.seen().pop().expect("a request");
    assert_eq!(last.header("x-secret"), Some(HEADER));
}

#[tokio::test]
async fn another_origin_that_asks_for_credentials_gets_none() {
    let storage =
        Fake::start(|_| Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")).await;
    let target = storage.url("/hello");
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let error = fetching(&repository(&registry)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    got_no_secret(&storage);
}

#[tokio::test]
async fn a_private_registry_redirects_to_private_names() {
    let storage = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = format!("http://localhost:{}/hello", storage.port());
    // It is named by its address, so no name of it is ever resolved.
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
    got_no_secret(&storage);
}

#[tokio::test]
async fn other_schemes_and_credentials_in_a_target_are_refused() {
    for target in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/hello",
        "http://user:password@127.0.0.1/hello",
    ] {
        let registry = wanting_credentials(move |_| Reply::redirect(target)).await;
        is_refused(&fetching(&repository(&registry)).await.expect_err(target));
    }
}

#[tokio::test]
async fn a_redirect_back_to_the_registry_has_credentials() {
    let registry = wanting_credentials(|seen| match seen.target.as_str() {
        "/elsewhere" => Reply::new(200).body("hello"),
        _ => Reply::redirect("/elsewhere"),
    })
    .await;
    let read = fetching(&repository(&registry)).await.expect("read");
    assert_eq!(read, "hello");
}
