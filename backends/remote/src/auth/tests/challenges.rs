//! Which challenge is met, and how.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn nothing_is_sent_until_the_registry_asks() {
    let server = Server::counting(300);
    assert_eq!(sent(&authenticator(&server, user()), &pull()).await, None);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_basic_challenge_is_answered_and_the_answer_is_sent_from_then_on() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let header = authorize(&authenticator, "Basic realm=x", &pull()).await;
    assert_eq!(header, BASIC);
    assert!(header.is_sensitive());
    assert_eq!(sent(&authenticator, &push()).await.expect("known"), BASIC);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn without_credentials_a_basic_challenge_is_an_error_that_says_how_to_log_in() {
    let authenticator = anonymous(&Server::counting(300));
    let error = authenticator
        .respond(&challenge("Basic"), &pull(), None)
        .await
        .expect_err("no credentials");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        error.to_string(),
        "authenticate registry.example: the registry wants a user name and a password"
    );
    assert_eq!(
        error.hint(),
        Some("log in with `tranship login registry.example`")
    );
}

#[tokio::test]
async fn credentials_that_were_just_refused_are_not_sent_again() {
    let authenticator = authenticator(&Server::counting(300), user());
    let first = authorize(&authenticator, "Basic", &pull()).await;
    let error = authenticator
        .respond(&challenge("Basic"), &pull(), Some(&first))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn credentials_that_were_refused_are_looked_up_anew() {
    for (text, old, new) in [
        ("Basic", Credential::basic("user", "old"), user()),
        (
            CHALLENGE,
            Credential::AccessToken("old".into()),
            Credential::AccessToken("new".into()),
        ),
    ] {
        let provider = Counting::new(Some(old));
        let authenticator = Authenticator::new(registry(), provider.clone(), Server::counting(300));
        let first = authorize(&authenticator, text, &pull()).await;
        provider.set(new);
        let second = authenticator
            .respond(&challenge(text), &pull(), Some(&first))
            .await;
        let second = second.expect("a response").expect("something to send");
        assert_ne!(first, second);
        assert_eq!(sent(&authenticator, &pull()).await, Some(second));
        assert_eq!(provider.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_token_is_no_answer_to_a_basic_challenge() {
    let token = Credential::IdentityToken("id".into());
    let error = authenticator(&Server::counting(300), token)
        .respond(&challenge("Basic"), &pull(), None)
        .await
        .expect_err("no password");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn bearer_is_chosen_before_basic_and_unknown_schemes_are_passed_over() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let all = format!("Negotiate abc, Basic realm=x, {CHALLENGE}");
    assert_eq!(authorize(&authenticator, &all, &pull()).await, "Bearer t1");
    let unknown = authenticator
        .respond(&challenge("Negotiate abc, Digest realm=x"), &pull(), None)
        .await;
    assert_eq!(unknown.expect("no error"), None);
}

#[tokio::test]
async fn a_bearer_challenge_without_a_realm_is_passed_over() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    assert_eq!(
        authorize(&authenticator, "Bearer, Basic", &pull()).await,
        BASIC
    );
    let error = authenticator
        .respond(&challenge("Bearer"), &pull(), None)
        .await
        .expect_err("no realm");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn callers_at_the_same_time_look_for_credentials_once() {
    let provider = Counting::new(Some(user()));
    let authenticator = Authenticator::new(registry(), provider.clone(), Server::counting(300));
    let scopes = push();
    join_all((0..10).map(|_| authorize(&authenticator, "Basic", &scopes))).await;
    assert_eq!(provider.asked(), [Some("a".to_owned())]);
}

#[tokio::test]
async fn an_access_token_goes_to_the_registry_as_it_is() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, Credential::AccessToken("given".into()));
    let header = authorize(&authenticator, CHALLENGE, &pull()).await;
    assert_eq!(header, "Bearer given");
    assert!(header.is_sensitive());
    assert_eq!(
        sent(&authenticator, &pull()).await.expect("known"),
        "Bearer given"
    );
    let error = authenticator
        .respond(&challenge(CHALLENGE), &pull(), Some(&header))
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_registry_may_change_its_scheme() {
    let server = Server::counting(300);
    let authenticator = authenticator(&server, user());
    let token = authorize(&authenticator, CHALLENGE, &pull()).await;
    let basic = authenticator
        .respond(&challenge("Basic"), &pull(), Some(&token))
        .await;
    assert_eq!(basic.expect("a response").expect("credentials"), BASIC);
    assert_eq!(sent(&authenticator, &pull()).await.expect("known"), BASIC);
    authorize(&authenticator, CHALLENGE, &pull()).await;
    let header = sent(&authenticator, &pull()).await.expect("a token");
    assert!(header.as_bytes().starts_with(b"Bearer "));
}
