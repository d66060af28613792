use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a layout location was read as, or the kind and message of the error.
fn layout(text: &str) -> Result<(String, Option<String>), String> {
    match text.parse() {
        Ok(Location::Layout(layout)) => Ok((
            layout.path().display().to_string(),
            layout.reference().map(ToString::to_string),
        )),
        Ok(other) => Err(format!("not a layout: {other}")),
        Err(error) => Err(format!("{}: {error}", error.kind())),
    }
}

fn is(path: &str, reference: &str) -> Result<(String, Option<String>), String> {
    let reference = (!reference.is_empty()).then(|| reference.to_owned());
    Ok((path.to_owned(), reference))
}

fn error(text: &str) -> Error {
    match text.parse::<Location>() {
        Ok(location) => panic!("{text} was read as {location}"),
        Err(error) => error,
    }
}

fn round_trips(location: Location) {
    assert_eq!(
        location.to_string().parse::<Location>().ok().as_ref(),
        Some(&location),
        "{location}"
    );
}

#[test]
fn a_layout_may_have_a_tag_or_a_digest_behind_its_path() {
    assert_eq!(layout("oci:dir"), is("dir", ""));
    assert_eq!(layout("oci:dir:v1"), is("dir", "v1"));
    assert_eq!(layout(&format!("oci:dir@{DIGEST}")), is("dir", DIGEST));
    assert_eq!(layout("oci:/abs/dir:v1"), is("/abs/dir", "v1"));
    assert_eq!(layout("oci:a b/é:v1"), is("a b/é", "v1"));
}

#[test]
fn a_tag_in_front_of_a_digest_is_dropped() {
    assert_eq!(layout(&format!("oci:dir:v1@{DIGEST}")), is("dir", DIGEST));
}

#[test]
fn only_the_last_colon_of_the_last_component_starts_a_tag() {
    assert_eq!(layout("oci:a:b:v1"), is("a:b", "v1"));
    assert_eq!(layout("oci:./a:b/c"), is("./a:b/c", ""));
    assert_eq!(layout("oci:a:b/"), is("a:b/", ""));
    assert_eq!(layout("oci:a:b/:v1"), is("a:b/", "v1"));
    assert_eq!(layout("oci:/:v1"), is("/", "v1"));
}

#[test]
fn windows_drives_survive() {
    assert_eq!(layout(r"oci:C:\dir"), is(r"C:\dir", ""));
    assert_eq!(layout(r"oci:C:\dir:v1"), is(r"C:\dir", "v1"));
    assert_eq!(layout("oci:C:/dir"), is("C:/dir", ""));
    assert_eq!(
        layout(r"oci:\\server\share:v1"),
        is(r"\\server\share", "v1")
    );
}

#[test]
fn an_at_sign_that_no_digest_follows_belongs_to_the_path() {
    assert_eq!(layout("oci:app@1.2:v1"), is("app@1.2", "v1"));
    assert_eq!(layout("oci:me@home"), is("me@home", ""));
    assert_eq!(layout("oci:a@b/c"), is("a@b/c", ""));
}

#[test]
fn a_bad_tag_is_an_error_that_names_the_tag() {
    let error = error("oci:dir:bad tag");
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
    assert_eq!(error.subject(), Some("\"bad tag\""));
}

#[test]
fn a_bad_digest_is_an_error_and_no_tag() {
    for text in [
        "oci:dir@sha256:12".to_owned(),
        format!("oci:dir@{}", DIGEST.to_uppercase()),
        "oci:dir@md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("oci:dir@{DIGEST}:v1"),
        format!("oci:dir@{DIGEST}@{DIGEST}"),
    ] {
        let error = error(&text);
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{text}");
        assert!(error.to_string().contains("the digest"), "{error}");
    }
}

#[test]
fn an_empty_tag_or_digest_is_an_error() {
    assert_eq!(error("oci:dir:").kind(), ErrorKind::InvalidReference);
    assert_eq!(error("oci:dir@").kind(), ErrorKind::InvalidReference);
    assert_eq!(error("layouts:dir//a:").kind(), ErrorKind::InvalidReference);
}

#[test]
fn an_empty_path_is_an_error() {
    assert_eq!(error("oci:").kind(), ErrorKind::InvalidInput);
    assert_eq!(error("oci::v1").kind(), ErrorKind::InvalidInput);
    assert_eq!(error("layouts://name").kind(), ErrorKind::InvalidInput);
}

#[test]
fn two_slashes_behind_oci_are_not_taken_for_a_path() {
    let error = error("oci://registry.example/app:v1");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().is_some_and(|hint| hint.contains("registry")));
}

#[test]
fn places_that_cannot_be_read_yet_are_unsupported() {
    for text in [
        "oci-archive:app.tar:v1",
        "docker-archive:app.tar",
        "oci:s3://bucket/prefix:v1",
        "oci:gs://bucket",
        "oci:file:///dir",
    ] {
        assert_eq!(error(text).kind(), ErrorKind::Unsupported, "{text}");
    }
}

#[test]
fn a_directory_of_layouts_is_parted_from_the_repository_by_two_slashes() -> Result<()> {
    let Location::LayoutRegistry(layout) = "layouts:/var//lib//team/app:v1".parse()? else {
        panic!("not a layout registry")
    };
    assert_eq!(layout.root(), "/var//lib");
    assert_eq!(layout.repository().as_str(), "team/app");
    assert_eq!(layout.reference(), Some(&"v1".parse()?));
    assert!("layouts:dir".parse::<Location>().is_err());
    assert!("layouts:dir//".parse::<Location>().is_err());
    assert!("layouts:dir//UPPER".parse::<Location>().is_err());
    Ok(())
}

#[test]
fn a_root_may_be_the_file_systems_root() -> Result<()> {
    let location: Location = "layouts:///app".parse()?;
    let Location::LayoutRegistry(layout) = &location else {
        panic!("not a layout registry")
    };
    assert_eq!(layout.root(), "/");
    assert_eq!(location.to_string(), "layouts:///app");
    Ok(())
}

#[test]
fn everything_else_is_a_registry() -> Result<()> {
    for text in ["localhost:5000/app:v1", "docker://localhost:5000/app:v1"] {
        let expected = "localhost:5000/app:v1".parse()?;
        assert_eq!(text.parse::<Location>()?, Location::Remote(expected));
    }
    Ok(())
}

#[test]
fn a_path_without_a_scheme_is_told_how_to_name_a_layout() {
    for text in [
        "./dir:v1", "../dir", "/dir", r".\dir", "~/dir", r"C:\dir", "C:/dir",
    ] {
        let error = error(text);
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{text}");
        assert_eq!(error.hint(), Some("to name a layout write oci:PATH"));
    }
}

#[test]
fn an_unknown_scheme_is_not_taken_for_a_host() {
    for text in ["dir:/some/path", "ocidir://path", "http://localhost/app"] {
        let error = error(text);
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{text}");
        assert!(error.to_string().contains("scheme"), "{error}");
    }
}

#[test]
fn a_bare_image_name_is_told_to_name_the_registry() {
    let error = error("alpine:3");
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("docker.io/library/alpine:3"), "{hint}");
}

#[test]
fn a_path_that_looks_like_more_is_written_with_a_slash() -> Result<()> {
    for (path, reference, text) in [
        ("a:b", "", "oci:a:b/".to_owned()),
        ("a:b", "v1", "oci:a:b:v1".to_owned()),
        ("a:", "", "oci:a:/".to_owned()),
        ("a@", "", "oci:a@/".to_owned()),
        ("a:b", DIGEST, format!("oci:a:b/@{DIGEST}")),
        ("a@sha256:b", "v1", "oci:a@sha256:b/:v1".to_owned()),
        ("C:/dir", "v1", "oci:C:/dir:v1".to_owned()),
    ] {
        let reference = (!reference.is_empty())
            .then(|| reference.parse())
            .transpose()?;
        let location = Location::from(LayoutLocation::new(path.parse()?, reference));
        assert_eq!(location.to_string(), text);
        round_trips(location);
    }
    Ok(())
}

#[test]
fn a_host_that_looks_like_a_scheme_or_a_path_is_written_with_docker() -> Result<()> {
    for host in [
        "oci:5000",
        "layouts:",
        "oci-archive:1",
        "h:",
        "..",
        ".x",
        "docker:",
        "~a",
    ] {
        let remote: Reference = format!("{host}/app:v1").parse()?;
        let location = Location::from(remote);
        assert_eq!(location.to_string(), format!("docker://{host}/app:v1"));
        round_trips(location);
    }
    Ok(())
}

#[test]
fn another_tag_replaces_the_old_one_everywhere() -> Result<()> {
    for (text, expected) in [
        ("oci:dir:v1", "oci:dir:v2"),
        ("layouts:dir//app", "layouts:dir//app:v2"),
        ("localhost/app:v1", "localhost/app:v2"),
    ] {
        let location = text
            .parse::<Location>()?
            .with_reference("v2".parse::<TagOrDigest>()?);
        assert_eq!(location.to_string(), expected);
    }
    Ok(())
}

#[test]
fn a_registry_is_a_host_or_a_directory_of_layouts() -> Result<()> {
    for text in [
        "localhost:5000",
        "layouts:some/dir",
        "docker://oci:5000",
        "docker://.",
    ] {
        let location: RegistryLocation = text.parse()?;
        assert_eq!(location.to_string(), text);
    }
    for text in [
        "localhost/app",
        "oci:dir",
        "layouts:",
        "./dir",
        "",
        "oci-archive:x",
    ] {
        assert!(text.parse::<RegistryLocation>().is_err(), "{text}");
    }
    Ok(())
}

#[test]
fn no_error_repeats_a_password() {
    for text in [
        "https://me:secret@host/app",
        "docker://me:secret@host/app",
        "oci://me:secret@host/app",
        "oci:s3://me:secret@bucket/app",
        "me:secret@host/app",
        "me:secret@host",
    ] {
        let location = text.parse::<Location>().expect_err("user information");
        let registry = text
            .parse::<RegistryLocation>()
            .expect_err("user information");
        let shown = format!("{location:?} {registry:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn the_repository_alone_has_no_tag() {
    for (text, expected) in [
        ("oci:a b:v1", "oci:a b"),
        ("oci:dir", "oci:dir"),
        ("layouts:root//team/app:v1", "layouts:root//team/app"),
        ("localhost:5000/app:v1", "localhost:5000/app"),
    ] {
        let location: Location = text.parse().expect("a location");
        assert_eq!(location.without_reference().to_string(), expected);
    }
}

#[test]
fn a_word_that_is_neither_is_told_how_both_are_written() {
    let error = "hello:v1".parse::<Location>().expect_err("no registry");
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("docker.io/library/hello"), "{hint}");
    assert!(hint.contains("oci:PATH"), "{hint}");
}
