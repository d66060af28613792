//! Against helpers in shell.

use super::*;
use crate::credentials::test_helper::install;

const SERVER: &str = "https://index.docker.io/v1/";

fn helper(directory: &Path) -> Helper {
    let search_path = Some(directory.as_os_str());
    Helper::find("test", search_path, Duration::from_secs(60))
        .expect("a name")
        .expect("installed")
}

/// A helper that does what `script` says.
fn scripted(script: &str) -> (tempfile::TempDir, Helper) {
    let directory = tempfile::tempdir().expect("a directory");
    install(directory.path(), "test", script);
    let helper = helper(directory.path());
    (directory, helper)
}

#[tokio::test]
async fn a_helper_is_told_the_server_and_answers_with_a_login() {
    let (_directory, helper) = scripted(
        r#"[ "$1" = get ] && read -r server; printf '{"ServerURL":"x","Username":"user at %s","Secret":"pw"}' "$server""#,
    );
    assert_eq!(
        helper.get(SERVER).await.expect("credentials"),
        Some(Credential::basic(format!("user at {SERVER}"), "pw"))
    );
}

#[tokio::test]
async fn a_field_that_is_null_is_empty() {
    let (_directory, helper) =
        scripted(r#"echo '{"ServerURL":null,"Username":null,"Secret":"pw"}'"#);
    assert_eq!(
        helper.get(SERVER).await.expect("credentials"),
        Some(Credential::basic("", "pw"))
    );
}

#[tokio::test]
async fn a_user_called_token_has_an_identity_token() {
    let (_directory, helper) = scripted(r#"echo '{"Username":"<token>","Secret":"id"}'"#);
    assert_eq!(
        helper.get(SERVER).await.expect("credentials"),
        Some(Credential::IdentityToken("id".into()))
    );
}

#[tokio::test]
async fn not_to_have_credentials_is_no_error() {
    for script in [
        "echo 'credentials not found in native keychain'; exit 1",
        "echo 'error: credentials not found' >&2; exit 1",
        r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#,
        r#"echo '{"ServerURL":null,"Username":null,"Secret":null}'"#,
        "echo null",
        "echo '{}'",
    ] {
        let (_directory, helper) = scripted(script);
        assert_eq!(helper.get(SERVER).await.expect(script), None);
    }
}

#[tokio::test]
async fn what_is_stored_comes_as_json_and_is_not_in_the_error() {
    let (directory, helper) = scripted(r#"cat > "$(dirname "$0")/input"; [ "$1" = store ]"#);
    let credential = Credential::basic("jürgen", "hunter2\"");
    helper.store(SERVER, &credential).await.expect("stored");
    let input = std::fs::read_to_string(directory.path().join("input")).expect("the input");
    assert_eq!(
        input,
        r#"{"ServerURL":"https://index.docker.io/v1/","Username":"jürgen","Secret":"hunter2\""}"#
    );

    let (_directory, helper) = scripted("echo 'will not keep hunter2'; exit 3");
    let credential = Credential::IdentityToken("hunter2".into());
    let error = helper.store(SERVER, &credential).await.expect_err("failed");
    assert_eq!(
        error.to_string(),
        "docker-credential-test fails to store: will not keep …"
    );
}

#[tokio::test]
async fn an_access_token_is_not_for_helpers() {
    let (_directory, helper) = scripted("exit 0");
    let token = Credential::AccessToken("t".into());
    let error = helper.store(SERVER, &token).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn helpers_that_misbehave_are_errors_without_a_secret() {
    for script in [
        "echo hunter2",
        r#"echo '{"Username":"u","Secret":{"hunter2":1}}'"#,
        "yes hunter2",
        "kill -9 $$",
    ] {
        let (_directory, helper) = scripted(script);
        let error = helper.get(SERVER).await.expect_err(script);
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{script}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_does_not_end_is_an_error() {
    let (_directory, helper) = scripted("exec sleep 600");
    let error = helper.get(SERVER).await.expect_err("too slow");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_helper_that_nobody_waits_for_is_killed() {
    let (directory, helper) = scripted(
        r#"cd "$(dirname "$0")" && echo $$ > staged-pid && mv staged-pid pid && exec sleep 600"#,
    );
    let pid = directory.path().join("pid");
    let begun = async {
        while !pid.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = helper.get(SERVER) => panic!("{result:?}"),
        () = begun => {}
    }
    let pid = std::fs::read_to_string(pid).expect("it began");
    let is_alive = || {
        let mut kill = std::process::Command::new("kill");
        let kill = kill.args(["-0", pid.trim()]).stderr(Stdio::null());
        kill.status().expect("kill runs").success()
    };
    while is_alive() {
        // Until tokio has reaped it.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_helper_need_not_read_what_it_is_told() {
    let (_directory, helper) = scripted("exit 0");
    let credential = Credential::basic("user", "x".repeat(200_000));
    helper.store(SERVER, &credential).await.expect("stored");
    helper.erase(SERVER).await.expect("erased");
}

#[test]
fn only_names_of_programs_in_the_search_path_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    install(directory.path(), "test", "exit 0");
    std::fs::write(directory.path().join("docker-credential-text"), "").expect("written");
    let timeout = Duration::from_secs(1);
    let find = |name, path| Helper::find(name, path, timeout);
    let path = Some(directory.path().as_os_str());
    assert!(find("test", path).expect("a name").is_some());
    assert!(find("text", path).expect("a name").is_none());
    assert!(find("other", path).expect("a name").is_none());
    assert!(find("test", None).expect("a name").is_none());
    assert!(
        find("test", Some(OsStr::new(".:relative:")))
            .expect("a name")
            .is_none()
    );
    for name in ["", "../x", "a/b", "a\\b", "a b", "ä", "a\0"] {
        let error = find(name, path).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}
