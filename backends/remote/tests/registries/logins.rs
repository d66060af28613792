//! Credentials and tokens that are invalid, and the errors for them.

use std::error::Error as _;
use std::sync::Arc;

use base64::Engine as _;
use tranship::*;
use tranship_remote::{Credential, RemoteOptions, RemoteRepository, StaticCredentials};

use crate::fake::{Fake, Reply, blob, name};

const PASSWORD: &str = "hunter2";

fn repository(fake: &Fake, credential: Credential) -> RemoteRepository {
    let registry = fake.host().parse().expect("a name");
    let credentials = StaticCredentials::new(registry, credential);
    let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    fake.client(options).open(&name())
}

async fn fetching(repository: &RemoteRepository) -> Result<bytes::Bytes> {
    let content = repository.fetch(&blob(b"hello")).await?;
    content.bytes(u64::MAX).await
}

/// A registry whose token server answers `reply`.
async fn wanting_a_token(reply: Reply) -> Fake {
    Fake::start(move |seen| {
        if seen.target.starts_with("/token") {
            return reply.clone();
        }
        let host = seen.header("host").expect("a host");
        Reply::new(401).header(
            "www-authenticate",
            format!("Bearer realm=\"http://{host}/token\""),
        )
    })
    .await
}

/// Everything that an error says, on all of its levels.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.hint());
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_token_with_a_newline_in_it_is_not_sent_nor_shown() {
    let reply = Reply::new(200).body(r#"{"token":"secret\r\nx-injected: yes"}"#);
    let fake = wanting_a_token(reply).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!everything(&error).contains("secret"), "{error:?}");
    for seen in fake.seen() {
        assert_eq!(seen.header("x-injected"), None, "{seen:?}");
    }
}

#[tokio::test]
async fn a_token_of_invalid_characters_is_not_sent_nor_shown() {
    for token in ["se cret, x", "sécret"] {
        let reply = Reply::new(200).body(format!(r#"{{"token":"{token}"}}"#));
        let fake = wanting_a_token(reply).await;
        let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
            .await
            .expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(!everything(&error).contains(token), "{error:?}");
        for seen in fake.seen() {
            assert!(!seen.text().contains(token), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_token_without_end_is_cut_off() {
    let reply = Reply::new(200).endless(vec![b' '; 64 * 1024]);
    let fake = wanting_a_token(reply).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit, "{error:?}");
    assert!(fake.sent() < 32 << 20, "{} bytes were taken", fake.sent());
}

#[tokio::test]
async fn a_token_that_was_compressed_is_refused() {
    let reply = Reply::new(200)
        .header("content-encoding", "gzip")
        .body([0x1f, 0x8b, 8, 0]);
    let fake = wanting_a_token(reply).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_gets_few_requests() {
    let fake = wanting_a_token(Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("refused");
    let kinds = [ErrorKind::Unauthorized, ErrorKind::Denied];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    // Without a token, for a token, with the token.
    assert_eq!(fake.seen().len(), 3);
}

/// In the time between, others may have used it up.
#[tokio::test]
async fn a_new_token_that_is_called_invalid_is_replaced_once() {
    let fake = Fake::start(|seen| {
        if seen.target.starts_with("/token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        let host = seen.header("host").expect("a host");
        let challenge = format!("Bearer realm=\"http://{host}/token\",error=\"invalid_token\"");
        Reply::new(401).header("www-authenticate", challenge)
    })
    .await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert_eq!(fake.seen().len(), 5);
}

#[tokio::test]
async fn a_secret_in_a_response_does_not_get_into_the_error() {
    let body =
        format!(r#"{{"errors":[{{"code":"DENIED","message":"robot:{PASSWORD} is wrong"}}]}}"#);
    let fake = wanting_a_token(Reply::new(401).body(body)).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!everything(&error).contains(PASSWORD), "{error:?}");
}

#[tokio::test]
async fn a_user_name_with_a_colon_is_an_error_before_anything_is_sent() {
    let fake = Fake::start(|_| Reply::new(401).header("www-authenticate", "Basic")).await;
    let error = fetching(&repository(&fake, Credential::basic("a:b", PASSWORD)))
        .await
        .expect_err("no user name");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(!everything(&error).contains(PASSWORD), "{error:?}");
    for seen in fake.seen() {
        assert_eq!(seen.header("authorization"), None, "{seen:?}");
    }
}

#[tokio::test]
async fn a_password_of_any_characters_arrives_as_it_is() {
    const STRANGE: &str = "pässword: \"☃\"\n";
    let fake = Fake::start(|seen| match seen.header("authorization") {
        Some(_) => Reply::new(200).body("hello"),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\", charset=\"UTF-8\""),
    })
    .await;
    fetching(&repository(&fake, Credential::basic("jürgen", STRANGE)))
        .await
        .expect("read");
    let asked = fake.seen().pop().expect("a request");
    let encoded = asked.header("authorization").expect("a header");
    let encoded = encoded.strip_prefix("Basic ").expect("Basic");
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .expect("Base64");
    assert_eq!(decoded, format!("jürgen:{STRANGE}").as_bytes());
}

#[tokio::test]
async fn refused_credentials_are_not_tried_forever() {
    let fake = Fake::start(|_| Reply::new(401).header("www-authenticate", "Basic")).await;
    let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!everything(&error).contains(PASSWORD), "{error:?}");
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn a_malformed_challenge_is_final() {
    for challenge in [
        "",
        ",,,",
        "Bearer",
        "Bearer realm=",
        "Bearer realm=\"",
        "\u{1}",
        "Negotiate",
    ] {
        let fake =
            Fake::start(move |_| Reply::new(401).header("www-authenticate", challenge)).await;
        let error = fetching(&repository(&fake, Credential::basic("robot", PASSWORD)))
            .await
            .expect_err(challenge);
        let is_known = matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Unavailable
        );
        assert!(is_known, "{challenge:?}: {error:?}");
        for seen in fake.seen() {
            assert_eq!(seen.header("authorization"), None, "{challenge:?}");
        }
        assert_eq!(fake.seen().len(), 1, "{challenge:?}");
    }
}

/// A registry that shows nothing to strangers, whom it asks for credentials at `/v2/` alone.
async fn hidden_from_strangers() -> Fake {
    Fake::start(|seen| match seen.header("authorization") {
        Some(shown) if shown.starts_with("Basic") && !shown.ends_with("wrong") => {
            match seen.target.as_str() {
                "/v2/library/app/tags/list" => Reply::new(200).body(r#"{"tags":["v1"]}"#),
                _ => Reply::new(404),
            }
        }
        _ if seen.target == "/v2/" => {
            Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")
        }
        _ => Reply::new(404),
    })
    .await
}

#[tokio::test]
async fn after_a_404_without_credentials_they_are_sent() {
    let fake = hidden_from_strangers().await;
    let repository = repository(&fake, Credential::basic("robot", PASSWORD));
    for _ in 0..2 {
        assert_eq!(tags(&repository).await.expect("tags").len(), 1);
    }
    // A blob that is missing all the same does not cause another question.
    let error = fetching(&repository).await.expect_err("missing");
    assert!(error.is_not_found(), "{error:?}");
    let targets: Vec<_> = fake.seen().into_iter().map(|seen| seen.target).collect();
    let list = "/v2/library/app/tags/list";
    assert_eq!(targets[..4], [list, "/v2/", list, list]);
    assert_eq!(targets.len(), 5);
}

#[tokio::test]
async fn without_credentials_a_404_is_final() {
    let fake = hidden_from_strangers().await;
    let repository = fake.repository();
    assert!(tags(&repository).await.expect("none").is_empty());
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn an_open_registry_is_asked_for_a_challenge_once() {
    let fake = Fake::start(|seen| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(404),
    })
    .await;
    let repository = repository(&fake, Credential::basic("robot", PASSWORD));
    for _ in 0..3 {
        let error = fetching(&repository).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
    }
    assert_eq!(fake.seen().len(), 4);
    for seen in fake.seen() {
        assert_eq!(seen.header("authorization"), None, "{seen:?}");
    }
}

/// As at a registry that allows anonymous reads, and asks for credentials at `/v2/` for pushes.
#[tokio::test]
async fn wrong_credentials_do_not_prevent_anonymous_reads() {
    let fake = Fake::start(|seen| match seen.header("authorization") {
        Some(_) => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        None if seen.target == "/v2/" => {
            Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")
        }
        None if seen.target.ends_with("/tags/list") => Reply::new(200).body(r#"{"tags":["v1"]}"#),
        None => Reply::new(404),
    })
    .await;
    let repository = repository(&fake, Credential::basic("robot", PASSWORD));
    for _ in 0..2 {
        let error = fetching(&repository).await.expect_err("missing");
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(tags(&repository).await.expect("tags").len(), 1);
    }
    let shown = fake
        .seen()
        .into_iter()
        .filter(|seen| seen.header("authorization").is_some());
    assert_eq!(shown.count(), 1);
}
