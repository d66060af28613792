//! What files hold, and what becomes of it.

use super::*;
use proptest::prelude::*;

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes()).expect("a document")
}

fn server(name: &str) -> Server {
    Server::new(&name.parse().expect("a registry name"))
}

fn credential(entry: &str) -> Result<Option<Credential>> {
    document(&format!(r#"{{"auths":{{"a.example":{entry}}}}}"#))
        .credential(&server("a.example"), None)
}

#[test]
fn entries_hold_credentials_in_several_forms() {
    let user = |name, password| Some(Credential::basic(name, password));
    for (entry, expected) in [
        ("{}", None),
        ("null", None),
        (r#"{"auth":""}"#, None),
        (
            r#"{"auth":null,"username":null,"password":null,"identitytoken":null,"registrytoken":null}"#,
            None,
        ),
        (
            r#"{"auth":"OnB3","identitytoken":null,"registrytoken":null}"#,
            user("", "pw"),
        ),
        (r#"{"auth":"dXNlcjpwdzphYg=="}"#, user("user", "pw:ab")),
        (r#"{"auth":"dXNlcjpwdzphYg"}"#, user("user", "pw:ab")),
        (r#"{"auth":"dXNlcjo="}"#, user("user", "")),
        (r#"{"auth":"OnB3"}"#, user("", "pw")),
        (r#"{"auth":"asO8cmdlbjpww6R3"}"#, user("jürgen", "päw")),
        (r#"{"auth":"dXNlcjpwdwAA"}"#, user("user", "pw")),
        (r#"{"username":"old","password":"pw"}"#, user("old", "pw")),
        (
            r#"{"username":"old","password":"pw","auth":"dXNlcjpwdzphYg=="}"#,
            user("user", "pw:ab"),
        ),
        (
            r#"{"auth":"MDAwOg==","identitytoken":"id"}"#,
            Some(Credential::IdentityToken("id".into())),
        ),
        (
            r#"{"identitytoken":"id","registrytoken":"access"}"#,
            Some(Credential::AccessToken("access".into())),
        ),
    ] {
        assert_eq!(credential(entry).expect(entry), expected, "{entry}");
    }
}

#[test]
fn broken_entries_are_errors_that_show_nothing() {
    for entry in [
        r#""aHVudGVyMg==""#,
        r#"{"auth":"hunter2!"}"#,
        r#"{"auth":"aHVudGVyMg=="}"#,
        r#"{"auth":"/zpodW50ZXIy"}"#,
        r#"{"auth":["hunter2"]}"#,
        r#"{"username":"a:b","password":"hunter2"}"#,
    ] {
        let error = credential(entry).expect_err(entry);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let shown = format!("{error:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudG"),
            "{shown}"
        );
    }
}

#[test]
fn a_broken_entry_does_not_hide_the_others() {
    let document = document(r#"{"auths":{"a.example":7,"b.example":{"auth":"OnB3"}}}"#);
    let found = document.credential(&server("b.example"), None);
    assert!(found.expect("no error").is_some());
    assert!(document.credential(&server("a.example"), None).is_err());
}

#[test]
fn an_empty_file_is_a_document_and_other_json_is_not() {
    for text in [
        "",
        " \n\t",
        "{}",
        "\u{feff}{}",
        "null",
        r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
    ] {
        let found = document(text).credential(&server("a.example"), None);
        assert_eq!(found.expect("no error"), None);
    }
    for text in ["[]", "{\"hunter2", "\"hunter2\""] {
        let Err(error) = Document::parse(text.as_bytes()) else {
            panic!("{text} was taken");
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn the_longest_key_that_fits_counts() {
    let document = document(
        r#"{"auths":{
            "https://a.example/v2/":{"auth":"dXJsOg=="},
            "a.example/n":{"auth":"bjo="},
            "a.example/n/app":{"auth":"YXBwOg=="},
            "a.example/e":{}
        }}"#,
    );
    let user = |repository: Option<&str>| {
        let repository = repository.map(|name| name.parse().expect("a repository name"));
        let found = document.credential(&server("a.example"), repository.as_ref());
        match found.expect("no error") {
            Some(Credential::Basic { username, .. }) => username,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(user(Some("n/app")), "app");
    assert_eq!(user(Some("n/app/x")), "app");
    assert_eq!(user(Some("n/other")), "n");
    assert_eq!(user(Some("nn")), "url");
    assert_eq!(user(Some("e")), "url");
    assert_eq!(user(None), "url");
}

#[test]
fn a_helper_for_the_registry_comes_before_the_one_for_all() {
    let document = document(
        r#"{"credsStore":"all","credHelpers":{"a.example":"one","docker.io":"hub","n.example":""}}"#,
    );
    let helper = |name: &str| document.helper(&server(name)).expect("no error");
    let choice = |name: &str, explicit| {
        let name = name.to_owned();
        Some(HelperChoice { name, explicit })
    };
    assert_eq!(helper("a.example"), choice("one", true));
    assert_eq!(helper("registry-1.docker.io"), choice("hub", true));
    assert_eq!(helper("b.example"), choice("all", false));
    assert_eq!(helper("n.example"), None);
}

#[test]
fn what_is_not_ours_stays_when_credentials_are_set_and_removed() {
    let before = "{\n\t\"zoo\": 1,\n\t\"auths\": {\n\t\t\"a.example\": {\n\t\t\t\"auth\": \"OnB3\",\n\t\t\t\"email\": \"me\"\n\t\t}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"X\": \"y\"\n\t}\n}";
    let mut document = document(before);
    let id = Credential::IdentityToken("id".into());
    document.set(&server("a.example"), Some(&id)).expect("set");
    let hub = Credential::basic("user", "pw");
    document.set(&server("docker.io"), Some(&hub)).expect("set");
    let text = String::from_utf8(document.encode().expect("encoded")).expect("text");
    assert_eq!(
        text,
        "{\n\t\"zoo\": 1,\n\t\"auths\": {\n\t\t\"a.example\": {\n\t\t\t\"email\": \"me\",\n\t\t\t\"identitytoken\": \"id\"\n\t\t},\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"dXNlcjpwdw==\"\n\t\t}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"X\": \"y\"\n\t}\n}"
    );
    assert!(document.remove(&server("docker.io")).expect("removed"));
    assert!(!document.remove(&server("docker.io")).expect("nothing"));
    document.set(&server("a.example"), None).expect("set");
    let found = document.credential(&server("a.example"), None);
    assert_eq!(found.expect("no error"), None);
    assert!(document.knows(&server("a.example")));
}

#[test]
fn credentials_are_set_under_the_key_that_is_there() {
    let mut document = document(r#"{"auths":{"docker.io":{}}}"#);
    let hub = Credential::basic("user", "pw");
    document.set(&server("docker.io"), Some(&hub)).expect("set");
    let text = String::from_utf8(document.encode().expect("encoded")).expect("text");
    assert!(!text.contains("index.docker.io"), "{text}");
}

#[test]
fn a_colon_in_a_user_name_is_refused() {
    let error = Document::default()
        .set(&server("a.example"), Some(&Credential::basic("a:b", "pw")))
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

proptest! {
    #[test]
    fn what_is_set_is_found(username in "[^:]{0,8}", password in "[^\0]{1,8}") {
        let mut document = Document::default();
        let credential = Credential::basic(username, password);
        let server = server("a.example");
        document.set(&server, Some(&credential)).expect("set");
        let read = Document::parse(&document.encode().expect("encoded")).expect("read");
        prop_assert_eq!(read.credential(&server, None).expect("no error"), Some(credential));
    }
}
