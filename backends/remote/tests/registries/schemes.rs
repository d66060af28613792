//! Which scheme a registry on this machine speaks is found out from what it responds.

use tranship::*;
use tranship_remote::{RemoteOptions, RemoteRegistry, RetryPolicy, Scheme, TlsOptions};

use crate::fake::{Fake, HELLO, Reply, blob, name};

async fn fetching(client: &RemoteRegistry) -> Result<bytes::Bytes> {
    let content = client.open(&name()).fetch(&blob(HELLO)).await?;
    content.bytes(u64::MAX).await
}

fn insecure() -> RemoteOptions {
    RemoteOptions::default().with_tls(TlsOptions::default().with_insecure(true))
}

async fn in_clear_text() -> Fake {
    Fake::start(|_| Reply::new(200).body(HELLO)).await
}

#[tokio::test]
async fn http_costs_no_request_to_find_out() {
    let fake = in_clear_text().await;
    let client = fake.client(RemoteOptions::default());
    fetching(&client).await.expect("read");
    assert_eq!(client.request_counts().total(), 1);
}

/// An option for TLS may be meant for the other end of a copy.
#[tokio::test]
async fn options_for_tls_do_not_keep_http_from_being_found() {
    let fake = in_clear_text().await;
    let client = fake.client(insecure());
    for _ in 0..2 {
        fetching(&client).await.expect("read");
    }
    let asked: Vec<_> = fake.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(asked[0], "/v2/");
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[tokio::test]
async fn https_is_found_and_its_certificate_is_looked_at() {
    let (fake, _) = Fake::start_secure(|_| Reply::new(200).body(HELLO)).await;
    let error = fetching(&fake.client(RemoteOptions::default())).await;
    let error = error.expect_err("not trusted");
    assert!(error.to_string().contains("certificate"), "{error:?}");
    assert!(error.hint().expect("a hint").contains("--ca-file"));
    fake.was_not_asked();
    fetching(&fake.client(insecure())).await.expect("read");
}

/// What servers of Go, nginx and others respond to http on a port for https.
#[tokio::test]
async fn a_server_that_complains_about_http_is_taken_for_one_of_https() {
    let fake = Fake::start(|_| {
        Reply::new(400)
            .header("content-type", "text/plain; charset=utf-8")
            .body("Client sent an HTTP request to an HTTPS server.\n")
    })
    .await;
    let client = fake.client(RemoteOptions::default());
    let error = fetching(&client).await.expect_err("400");
    assert_eq!(error.http_status(), Some(400), "{error:?}");
    // It does not speak TLS either, so its word stands, and is not doubted again.
    assert_eq!(client.request_counts().total(), 2);
    fetching(&client).await.expect_err("400");
    assert_eq!(client.request_counts().total(), 3);
}

/// As nginx with `error_page 497 =308 https://$http_host$request_uri`.
#[tokio::test]
async fn a_server_that_leads_to_https_gets_no_request_over_http() {
    let (secure, _) = Fake::start_secure(|_| Reply::new(200).body(HELLO)).await;
    let doubtful = Fake::start(|seen| {
        let host = seen.header("host").expect("a host");
        Reply::redirect(format!("https://{host}{}", seen.target))
    })
    .await;
    let error = fetching(&doubtful.client(insecure())).await;
    error.expect_err("it does not speak https");
    // Only the question about the scheme went there in clear text.
    let targets: Vec<_> = doubtful
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert_eq!(targets, ["/v2/"]);
    fetching(&secure.client(insecure())).await.expect("read");
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_does_not_lead_to_http() {
    let (fake, _) = Fake::start_secure(|_| Reply::new(200).body(HELLO)).await;
    let (_, other) = Fake::start_secure(|_| Reply::new(200)).await;
    let trusting = TlsOptions::default().with_roots(other);
    let client = fake.client(RemoteOptions::default().with_tls(trusting));
    let error = fetching(&client).await.expect_err("not trusted");
    assert!(error.to_string().contains("certificate"), "{error:?}");
    fake.was_not_asked();
}

#[tokio::test]
async fn a_scheme_that_is_asked_for_is_not_doubted() {
    let fake = in_clear_text().await;
    let soon = RemoteOptions::default().with_retry(RetryPolicy::default().with_max_retries(0));
    let address = fake.host().parse().expect("an address");
    let host = fake.host().parse().expect("a name");
    let https = soon.clone().with_scheme(Scheme::Https);
    let client = RemoteRegistry::with_options(&host, https).expect("a client");
    fetching(&client).await.expect_err("no TLS");
    fake.was_not_asked();
    // Neither is https to another host than this machine.
    let options = soon.with_resolve("registry.example.com", address);
    let host = format!("registry.example.com:{}", fake.port());
    let client = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    fetching(&client.expect("a client"))
        .await
        .expect_err("no TLS");
    fake.was_not_asked();
}
