//! Reading and writing real files, with helpers in shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::credentials::test_helper::{KEEPS, install};

/// A home directory, and helpers in its `bin`.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        fs::create_dir(home.path("bin")).expect("created");
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, text).expect("written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("read")
    }

    fn install(&self, name: &str, script: &str) {
        install(&self.path("bin"), name, script);
    }

    /// With further variables, whose values are paths in the home directory.
    fn files_with(&self, variables: &[(&str, &str)]) -> CredentialFiles {
        let all = [("HOME", ""), ("PATH", "bin")];
        let all = all.iter().chain(variables);
        CredentialFiles::new(&Environment::new(
            all.map(|(name, path)| (*name, self.path(path))),
        ))
    }

    fn files(&self) -> CredentialFiles {
        self.files_with(&[])
    }
}

fn registry(name: &str) -> RegistryName {
    name.parse().expect("a registry name")
}

async fn found(files: &CredentialFiles, name: &str) -> Option<Credential> {
    let found = files.credential(&registry(name), None).await;
    found.expect("no error")
}

fn user(name: &str) -> Credential {
    Credential::basic(name, "pw")
}

/// A file with a user of that name, whose password is `pw`.
fn file_of(name: &str, server: &str) -> String {
    let mut document = super::super::document::Document::default();
    let server = Server::new(&registry(server));
    document.set(&server, Some(&user(name))).expect("set");
    String::from_utf8(document.encode().expect("encoded")).expect("text")
}

#[tokio::test]
async fn files_are_searched_in_podmans_order() {
    let home = Home::new();
    let variables = [
        ("REGISTRY_AUTH_FILE", "explicit.json"),
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_CONFIG_HOME", "xdg"),
        ("DOCKER_CONFIG", "docker"),
    ];
    let files = home.files_with(&variables);
    assert_eq!(found(&files, "a.example").await, None);
    for path in [
        "docker/config.json",
        "xdg/containers/auth.json",
        "run/containers/auth.json",
        "explicit.json",
    ] {
        home.write(path, &file_of(path, "a.example"));
        assert_eq!(found(&files, "a.example").await, Some(user(path)));
    }
    assert_eq!(found(&files, "b.example").await, None);
}

#[tokio::test]
async fn without_variables_the_files_are_those_below_the_home_directory() {
    let home = Home::new();
    let files = home.files();
    for path in [".docker/config.json", ".config/containers/auth.json"] {
        home.write(path, &file_of(path, "a.example"));
        assert_eq!(found(&files, "a.example").await, Some(user(path)));
    }
    let nowhere = CredentialFiles::new(&Environment::default());
    assert_eq!(found(&nowhere, "a.example").await, None);
    let error = nowhere
        .store(&registry("a.example"), &user("u"))
        .await
        .expect_err("no place");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_named_file_is_the_only_one() {
    let home = Home::new();
    home.write(".docker/config.json", &file_of("docker", "a.example"));
    home.write("mine.json", &file_of("mine", "b.example"));
    let files = CredentialFiles::at(home.path("mine.json"), &Environment::default());
    assert_eq!(found(&files, "a.example").await, None);
    assert_eq!(found(&files, "b.example").await, Some(user("mine")));
}

#[tokio::test]
async fn a_helper_comes_before_the_file_that_names_it() {
    let home = Home::new();
    home.install("one", r#"echo '{"Username":"one","Secret":"pw"}'"#);
    home.install(
        "all",
        "echo 'credentials not found in native keychain'; exit 1",
    );
    let helpers = r#"{"credsStore":"all","credHelpers":{"a.example":"one"},"auths":"#;
    home.write(
        ".docker/config.json",
        &format!(
            r#"{helpers}{{"a.example":{{"auth":"ZmlsZTpwdw=="}},"b.example":{{"auth":"ZmlsZTpwdw=="}}}}}}"#
        ),
    );
    let files = home.files();
    assert_eq!(found(&files, "a.example").await, Some(user("one")));
    assert_eq!(found(&files, "b.example").await, Some(user("file")));
    assert_eq!(found(&files, "c.example").await, None);
}

#[tokio::test]
async fn a_helper_that_is_not_installed_matters_if_it_is_the_registrys_own() {
    let home = Home::new();
    home.write(
        ".docker/config.json",
        r#"{"credsStore":"desktop","credHelpers":{"a.example":"one"}}"#,
    );
    let files = home.files();
    assert_eq!(found(&files, "b.example").await, None);
    let error = files
        .credential(&registry("a.example"), None)
        .await
        .expect_err("not installed");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error
            .to_string()
            .ends_with("docker-credential-one is not installed")
    );
    let stored = files.store(&registry("b.example"), &user("u")).await;
    assert!(stored.expect_err("not installed").hint().is_some());
}

#[tokio::test]
async fn a_helper_that_fails_is_an_error() {
    let home = Home::new();
    home.install("one", "echo 'the keychain is locked'; exit 1");
    home.write(".docker/config.json", r#"{"credsStore":"one"}"#);
    let error = home
        .files()
        .credential(&registry("a.example"), None)
        .await
        .expect_err("locked");
    assert_eq!(
        error.to_string(),
        "look for credentials a.example: docker-credential-one fails to get: the keychain is locked"
    );
}

#[tokio::test]
async fn a_helper_name_that_is_a_path_is_refused() {
    let home = Home::new();
    home.write(".docker/config.json", r#"{"credsStore":"../../evil"}"#);
    let found = home.files().credential(&registry("a.example"), None).await;
    assert_eq!(found.expect_err("refused").kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_broken_file_is_an_error_that_names_it_and_shows_nothing_of_it() {
    let home = Home::new();
    let path = ".docker/config.json";
    let text = "{\"auths\": {\"a.example\": {\"auth\": hunter2";
    home.write(path, text);
    let files = home.files();
    let a = registry("a.example");
    let errors = [
        files.credential(&a, None).await.expect_err("broken"),
        files.store(&a, &user("u")).await.expect_err("broken"),
        files.erase(&a).await.expect_err("broken"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(path), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(home.read(path), text);
}

#[tokio::test]
async fn a_login_is_written_where_docker_reads_it_and_for_the_owner_only() {
    let home = Home::new();
    let files = home.files();
    let path = home.path(".docker/config.json");
    let stored = files.store(&registry("docker.io"), &user("user")).await;
    assert_eq!(stored.expect("stored"), StoredIn::PlainText(path.clone()));
    assert_eq!(
        home.read(".docker/config.json"),
        "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"dXNlcjpwdw==\"\n\t\t}\n\t}\n}"
    );
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&home.path(".docker")), 0o700);
    assert_eq!(
        found(&files, "registry-1.docker.io").await,
        Some(user("user"))
    );

    assert!(files.erase(&registry("docker.io")).await.expect("erased"));
    assert!(!files.erase(&registry("docker.io")).await.expect("nothing"));
    assert_eq!(home.read(".docker/config.json"), "{\n\t\"auths\": {}\n}");
    // Nothing is left beside it but the lock.
    let names = fs::read_dir(home.path(".docker")).expect("a directory");
    assert_eq!(names.count(), 2);
}

#[tokio::test]
async fn a_login_replaces_the_one_that_would_be_found() {
    let home = Home::new();
    let podman = ".config/containers/auth.json";
    home.write(podman, &file_of("old", "a.example"));
    let files = home.files();
    let stored = files.store(&registry("a.example"), &user("new")).await;
    assert_eq!(
        stored.expect("stored"),
        StoredIn::PlainText(home.path(podman))
    );
    assert_eq!(found(&files, "a.example").await, Some(user("new")));
    assert!(!home.path(".docker").exists());
}

#[tokio::test]
async fn a_logout_leaves_nothing_to_be_found() {
    let home = Home::new();
    for path in [".docker/config.json", ".config/containers/auth.json"] {
        home.write(path, &file_of("u", "a.example"));
    }
    let files = home.files();
    assert!(files.erase(&registry("a.example")).await.expect("erased"));
    assert_eq!(found(&files, "a.example").await, None);
}

#[tokio::test]
async fn a_login_may_replace_an_entry_that_is_broken() {
    let home = Home::new();
    home.write(
        ".docker/config.json",
        r#"{"auths":{"a.example":{"auth":"?"}}}"#,
    );
    let files = home.files();
    let stored = files.store(&registry("a.example"), &user("new")).await;
    stored.expect("stored");
    assert_eq!(found(&files, "a.example").await, Some(user("new")));
}

#[tokio::test]
async fn a_helper_keeps_what_the_file_only_lists() {
    let home = Home::new();
    home.install("keeps", KEEPS);
    home.write(
        ".docker/config.json",
        r#"{"credsStore":"keeps","auths":{"a.example":{"auth":"b2xkOnB3"}}}"#,
    );
    let files = home.files();
    let a = registry("a.example");
    let token = Credential::IdentityToken("hunter2".into());
    let stored = files.store(&a, &token).await.expect("stored");
    assert_eq!(stored, StoredIn::Helper("keeps".to_owned()));
    assert_eq!(
        home.read(".docker/config.json"),
        "{\n\t\"credsStore\": \"keeps\",\n\t\"auths\": {\n\t\t\"a.example\": {}\n\t}\n}"
    );
    assert_eq!(found(&files, "a.example").await, Some(token));
    assert!(files.erase(&a).await.expect("erased"));
    assert_eq!(found(&files, "a.example").await, None);
    assert!(!files.erase(&a).await.expect("nothing"));
}

#[tokio::test]
async fn a_link_stays_and_what_it_points_to_is_changed() {
    let home = Home::new();
    home.write("dotfiles/docker.json", "");
    fs::create_dir(home.path(".docker")).expect("created");
    let link = home.path(".docker/config.json");
    std::os::unix::fs::symlink(home.path("dotfiles/docker.json"), &link).expect("linked");
    let files = home.files();
    let stored = files.store(&registry("a.example"), &user("u")).await;
    stored.expect("stored");
    assert!(link.is_symlink());
    assert!(home.read("dotfiles/docker.json").contains("a.example"));
}

#[tokio::test]
async fn no_login_is_lost_among_several_at_once() {
    let home = Home::new();
    // Each opens the lock for itself, as processes do.
    let logins = (0..20).map(|n| {
        let files = home.files();
        tokio::spawn(async move {
            let a = registry(&format!("r{n}.example"));
            files.store(&a, &user("u")).await.expect("stored");
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.expect("joined");
    }
    for n in 0..20 {
        let name = format!("r{n}.example");
        assert_eq!(found(&home.files(), &name).await, Some(user("u")), "{name}");
    }
}

#[tokio::test]
async fn the_credential_for_a_part_of_a_registry_counts_there_only() {
    let home = Home::new();
    home.write(
        ".config/containers/auth.json",
        r#"{"auths":{"a.example/team":{"auth":"dGVhbTpwdw=="}}}"#,
    );
    home.write(".docker/config.json", &file_of("all", "a.example"));
    let files = home.files();
    for (repository, expected) in [("team/app", "team"), ("other/app", "all")] {
        let repository = repository.parse().expect("a repository name");
        let a = registry("a.example");
        let found = files.credential(&a, Some(&repository)).await;
        assert_eq!(found.expect("no error"), Some(user(expected)));
    }
}

#[tokio::test]
async fn docker_auth_config_goes_before_the_files() {
    let home = Home::new();
    home.write(".docker/config.json", &file_of("file", "a.example"));
    home.write("own.json", &file_of("own", "a.example"));
    let environment = |text: &str| {
        let home = home.path("").into_os_string();
        Environment::new([("HOME", home), (DOCKER_AUTH_CONFIG, text.into())])
    };
    let given = environment(&file_of("given", "a.example"));
    let files = CredentialFiles::new(&given);
    assert_eq!(found(&files, "a.example").await, Some(user("given")));
    assert!(files.has_inline(&registry("a.example")).expect("read"));
    assert!(!files.has_inline(&registry("b.example")).expect("read"));
    assert!(!format!("{files:?}").contains("Z2l2ZW"), "{files:?}");
    // A file that is named by hand is the only one.
    let own = CredentialFiles::at(home.path("own.json"), &given);
    assert_eq!(found(&own, "a.example").await, Some(user("own")));

    let of_another = environment(&file_of("given", "b.example"));
    let files = CredentialFiles::new(&of_another);
    assert_eq!(found(&files, "a.example").await, Some(user("file")));
}

#[tokio::test]
async fn helpers_of_docker_auth_config_are_asked() {
    let home = Home::new();
    home.install("given", r#"echo '{"Username":"helper","Secret":"pw"}'"#);
    let environment = Environment::new([
        ("HOME", home.path("").into_os_string()),
        ("PATH", home.path("bin").into_os_string()),
        (
            DOCKER_AUTH_CONFIG,
            r#"{"credHelpers":{"a.example":"given"}}"#.into(),
        ),
    ]);
    let files = CredentialFiles::new(&environment);
    assert_eq!(found(&files, "a.example").await, Some(user("helper")));
}

#[tokio::test]
async fn a_broken_docker_auth_config_is_named_and_not_shown() {
    let environment = Environment::new([(DOCKER_AUTH_CONFIG, r#"{"auths": hunter2"#)]);
    let files = CredentialFiles::new(&environment);
    let error = files.credential(&registry("a.example"), None).await;
    let error = error.expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let shown = format!("{error:?}");
    assert!(shown.contains(DOCKER_AUTH_CONFIG), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn plain_text_that_is_refused_is_not_written() {
    let home = Home::new();
    let files = home.files().with_plain_text(false);
    let me = Credential::basic("me", "hunter2");
    let name = registry("registry.example");
    let error = files.store(&name, &me).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.to_string().contains(".docker/config.json"), "{error}");
    assert!(error.hint().expect("a hint").contains("credsStore"));
    assert!(!home.path(".docker/config.json").exists());

    home.write(".docker/config.json", r#"{"credsStore": "keeps"}"#);
    let error = files.store(&name, &me).await.expect_err("no helper");
    assert!(error.to_string().contains("is not installed"), "{error}");
    home.install("keeps", KEEPS);
    let stored = files.store(&name, &me).await.expect("stored");
    assert_eq!(stored, StoredIn::Helper("keeps".to_owned()));
    assert!(!home.read(".docker/config.json").contains("auth\""));
    let store: &dyn CredentialStore = &files;
    assert_eq!(
        store.credential(&name, None).await.expect("found"),
        Some(me)
    );
    assert!(store.erase(&name).await.expect("erased"));
}

#[tokio::test]
async fn plain_text_that_is_stored_already_is_used_and_erased() {
    let home = Home::new();
    let me = Credential::basic("me", "hunter2");
    let name = registry("registry.example");
    home.files().store(&name, &me).await.expect("stored");
    let files = home.files().with_plain_text(false);
    assert_eq!(found(&files, "registry.example").await, Some(me.clone()));
    let error = files.store(&name, &me).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(files.erase(&name).await.expect("erased"));
}

#[test]
fn without_a_runtime_directory_podman_uses_that_of_the_system() {
    let first = |variables: &[(&str, &str)]| {
        let environment = Environment::new(variables.iter().copied());
        let files = CredentialFiles::new(&environment);
        let path = files.paths().next().expect("a path");
        path.display().to_string()
    };
    let user = (USER_ID, "0");
    assert_eq!(first(&[user]), "/run/containers/0/auth.json");
    let given = ("XDG_RUNTIME_DIR", "/run/user/0");
    assert_eq!(first(&[user, given]), "/run/user/0/containers/auth.json");
}
