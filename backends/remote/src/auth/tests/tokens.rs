//! How tokens are asked for, sent again and renewed.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::advance;

use super::*;

#[tokio::test]
async fn a_token_is_asked_for_anonymously_where_there_are_no_credentials() {
    let server = Server::counting(300);
    let text = format!("{CHALLENGE},scope=\"repository:a:pull\"");
    assert_eq!(
        authorize(&anonymous(&server), &text, &pull()).await,
        "Bearer t1"
    );
    assert_eq!(
        server.asked(),
        [TokenRequest {
            method: Method::GET,
            text: "service=registry.example&scope=repository%3Aa%3Apull".to_owned(),
            authorization: None,
        }]
    );
}

#[tokio::test]
async fn a_token_covers_what_is_needed_and_what_the_registry_names() {
    let server = Server::counting(300);
    let text = format!("{CHALLENGE},scope=\"repository:a:push repository:b:pull\"");
    authorize(&authenticator(&server, user()), &text, &pull()).await;
    let [asked] = &server.asked()[..] else {
        panic!("asked once");
    };
    assert_eq!(
        asked.text,
        "service=registry.example&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull&account=user"
    );
    assert_eq!(asked.authorization.as_ref().expect("sent"), BASIC);
}

#[tokio::test]
async fn a_token_is_sent_again_for_whatever_it_covers() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    authorize(&authenticator, CHALLENGE, &push()).await;
    let clone = authenticator.clone();
    assert_eq!(sent(&clone, &pull()).await.expect("a token"), "Bearer t1");
    let other = Scopes::parse("repository:b:pull");
    assert_eq!(sent(&clone, &other).await, None);
    assert_eq!(
        authorize(&authenticator, CHALLENGE, &pull()).await,
        "Bearer t1"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_was_refused_is_replaced_once_for_all_who_sent_it() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let old = authorize(&authenticator, CHALLENGE, &pull()).await;
    for _ in 0..2 {
        let new = authenticator
            .respond(&challenge(CHALLENGE), &pull(), Some(&old))
            .await;
        assert_eq!(new.expect("a response").expect("a token"), "Bearer t2");
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_token_that_does_not_suffice_is_not_asked_for_again() {
    let text = format!("{CHALLENGE},scope=\"repository:a:pull\",error=\"insufficient_scope\"");
    for (credential, kind) in [
        (Some(user()), ErrorKind::Denied),
        (None, ErrorKind::Unauthorized),
    ] {
        let server = Server::counting(300);
        let authenticator =
            Authenticator::new(registry(), Counting::new(credential), server.clone());
        let token = authorize(&authenticator, CHALLENGE, &pull()).await;
        let error = authenticator
            .respond(&challenge(&text), &pull(), Some(&token))
            .await
            .expect_err("not enough");
        assert_eq!(error.kind(), kind);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_the_registry_wants_more_of_is_widened() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let narrow = authorize(&authenticator, CHALLENGE, &pull()).await;
    let text = format!("{CHALLENGE},scope=\"repository:a:push\",error=\"insufficient_scope\"");
    let wide = authenticator
        .respond(&challenge(&text), &pull(), Some(&narrow))
        .await;
    assert_eq!(wide.expect("a response").expect("a token"), "Bearer t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    authorize(&authenticator, CHALLENGE, &push()).await;
    advance(Duration::from_secs(269)).await;
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("fresh"),
        "Bearer t1"
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("new"),
        "Bearer t2"
    );
    advance(Duration::from_secs(100_000)).await;
    assert_eq!(
        sent(&authenticator, &push()).await.expect("new"),
        "Bearer t3"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| *one == asked[0]));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end_and_not_beyond() {
    let server = Server::new(|count, _| match count {
        1 => (200, r#"{"token":"t1","expires_in":100}"#.to_owned()),
        _ => (503, String::new()),
    });
    let authenticator = anonymous(&server);
    authorize(&authenticator, CHALLENGE, &pull()).await;
    for seconds in [75, 24] {
        advance(Duration::from_secs(seconds)).await;
        assert_eq!(
            sent(&authenticator, &pull()).await.expect("old"),
            "Bearer t1"
        );
        assert_eq!(server.asked().len(), 2);
    }
    advance(Duration::from_secs(1)).await;
    let error = authenticator
        .authorization(&pull())
        .await
        .expect_err("expired");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn callers_at_the_same_time_ask_once() {
    let server = Server::counting(300);
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), server.clone());
    let (a, b) = (pull(), Scopes::parse("repository:b:pull"));
    let headers = join_all((0..20).map(|n| {
        let scopes = if n % 2 == 0 { &a } else { &b };
        authorize(&authenticator, CHALLENGE, scopes)
    }))
    .await;
    assert!(
        headers
            .iter()
            .step_by(2)
            .all(|header| *header == headers[0])
    );
    assert_ne!(headers[0], headers[1]);
    assert_eq!(server.asked().len(), 2);
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn a_token_server_that_refuses_is_an_error_and_the_next_call_asks_again() {
    let server = Server::new(|count, _| match count {
        1 => (
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#.to_owned(),
        ),
        _ => (200, r#"{"token":"t"}"#.to_owned()),
    });
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), server);
    let error = authenticator
        .respond(&challenge(CHALLENGE), &pull(), None)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.registry_errors()[0].message, "no");
    assert!(error.hint().is_some());
    assert_eq!(
        authorize(&authenticator, CHALLENGE, &pull()).await,
        "Bearer t"
    );
    // Another program may have logged in meanwhile.
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_its_successor_is_shown_next() {
    let server = Server::new(|count, _| {
        let body = format!(r#"{{"access_token":"t{count}","refresh_token":"r{count}"}}"#);
        (200, body)
    });
    let authenticator = authenticator(&server, Credential::IdentityToken("r0".into()));
    let first = authorize(&authenticator, CHALLENGE, &pull()).await;
    assert_eq!(first, "Bearer t1");
    let second = authenticator
        .respond(&challenge(CHALLENGE), &pull(), Some(&first))
        .await;
    assert_eq!(second.expect("a response").expect("a token"), "Bearer t2");
    let asked = server.asked();
    for (asked, token) in asked.iter().zip(["r0", "r1"]) {
        assert_eq!(asked.method, Method::POST);
        assert_eq!(asked.authorization, None);
        assert_eq!(
            asked.text,
            format!(
                "grant_type=refresh_token&refresh_token={token}&client_id=tranship&service=registry.example&scope=repository%3Aa%3Apull"
            )
        );
    }
}

#[tokio::test]
async fn a_server_that_knows_oauth2_only_is_shown_the_password_in_a_form() {
    for status in [404, 405] {
        let server = Server::new(move |_, asked| match asked.method {
            Method::GET => (status, String::new()),
            _ => (200, r#"{"access_token":"t"}"#.to_owned()),
        });
        let authenticator = authenticator(&server, user());
        assert_eq!(
            authorize(&authenticator, CHALLENGE, &pull()).await,
            "Bearer t"
        );
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        assert!(
            asked[1]
                .text
                .starts_with("grant_type=password&username=user&password=hunter2&")
        );
    }
}

#[tokio::test]
async fn dropping_the_first_caller_does_not_strand_the_others() {
    let server = Server::counting(300);
    let authenticator = anonymous(&server);
    let spawn = || {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { authorize(&authenticator, CHALLENGE, &pull()).await })
    };
    let (first, second) = (spawn(), spawn());
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert_eq!(second.await.expect("joined"), "Bearer t1");
    assert_eq!(server.asked().len(), 1);
}
