use super::*;
use tranship::ErrorKind;

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

/// Path, name and reference of an archive, with a space between them, or the kind of the error.
fn archive(text: &str) -> String {
    let shown = |path: &std::path::Path, name: Option<&str>, reference: Option<&TagOrDigest>| {
        let reference = reference.map(ToString::to_string).unwrap_or_default();
        format!(
            "{} {} {reference}",
            path.display(),
            name.unwrap_or_default()
        )
    };
    match text.parse() {
        Ok(Location::OciArchive(archive)) => shown(archive.path(), None, archive.reference()),
        Ok(Location::DockerArchive(archive)) => {
            shown(archive.path(), archive.name(), archive.reference())
        }
        Ok(other) => format!("no archive: {other}"),
        Err(error) => error.kind().to_string(),
    }
}

#[test]
fn an_archive_may_have_a_tag_or_a_digest_behind_its_path() {
    for scheme in ["oci-archive", "docker-archive"] {
        for (text, expected) in [
            ("a.tar", "a.tar  ".to_owned()),
            ("a.tar:v1", "a.tar  v1".to_owned()),
            (&format!("a.tar@{DIGEST}"), format!("a.tar  {DIGEST}")),
            (&format!("a.tar:v1@{DIGEST}"), format!("a.tar  {DIGEST}")),
            ("/abs/a b.tar:v1", "/abs/a b.tar  v1".to_owned()),
            (r"C:\a.tar:v1", r"C:\a.tar  v1".to_owned()),
            ("C:/dir/a.tar", "C:/dir/a.tar  ".to_owned()),
            ("me@home.tar:v1", "me@home.tar  v1".to_owned()),
            ("a.tar/:v1", "a.tar  v1".to_owned()),
            ("./a:b/c.tar/:v1", "./a:b/c.tar  v1".to_owned()),
            ("./a:b/c.tar/", "./a:b/c.tar  ".to_owned()),
            ("./A b:B b/c.tar:v1", "./A b:B b/c.tar  v1".to_owned()),
        ] {
            assert_eq!(archive(&format!("{scheme}:{text}")), expected, "{text}");
        }
    }
}

#[test]
fn an_image_in_a_docker_archive_may_be_named_as_docker_does() {
    for (text, expected) in [
        ("x.tar:alpine:3.18", "x.tar alpine 3.18"),
        (
            "x.tar:docker.io/library/alpine:3.18",
            "x.tar docker.io/library/alpine 3.18",
        ),
        ("x.tar:localhost:5000/app:v1", "x.tar localhost:5000/app v1"),
        ("x.tar:[::1]:5000/app:v1", "x.tar [::1]:5000/app v1"),
        ("./a:b/c.tar:alpine:3.18", "./a:b/c.tar alpine 3.18"),
        ("./a:b/c.tar:v1", "./a b/c.tar v1"),
        (r"C:\x.tar:alpine:3", r"C:\x.tar alpine 3"),
        ("C:/x.tar:alpine:3", "C:/x.tar alpine 3"),
        ("x:y.tar/:alpine:3", "x:y.tar alpine 3"),
    ] {
        assert_eq!(archive(&format!("docker-archive:{text}")), expected);
    }
    let text = format!("docker-archive:x.tar:alpine:3@{DIGEST}");
    assert_eq!(archive(&text), format!("x.tar  {DIGEST}"));
}

#[test]
fn what_no_image_is_called_is_not_taken_for_a_part_of_the_archives_path() {
    for text in [
        "docker-archive:x.tar:Alpine:3",
        "docker-archive:x.tar:docker.io/Library/alpine:3",
        "docker-archive:x.tar:docker.io/library/alpine",
        "docker-archive:x.tar:my host/app:3",
        "docker-archive:x.tar:alpine:bad tag",
        "docker-archive:x.tar:",
        "docker-archive:x.tar@",
        "docker-archive:x.tar@sha256:12",
        "oci-archive:x.tar:alpine:3",
        "oci-archive:x.tar:docker.io/library/alpine:3",
        "oci-archive:x.tar:docker.io/library/alpine",
        "oci-archive:./a:b/c.tar:v1",
        "oci-archive:x.tar:bad tag",
        "oci-archive:x.tar:",
    ] {
        assert_eq!(archive(text), "invalid reference", "{text}");
    }
    let hint = error("oci-archive:x.tar:alpine:3");
    assert!(hint.hint().is_some_and(|hint| hint.contains(":TAG")));
}

#[test]
fn an_archive_is_a_file_on_the_disk() {
    for text in [
        "oci-archive:",
        "oci-archive::v1",
        "docker-archive:",
        "oci-archive://x.tar",
        "oci-archive:s3://bucket/x.tar",
        "docker-archive:file:///x.tar",
    ] {
        assert_eq!(archive(text), "invalid input", "{text}");
    }
}

#[test]
fn the_name_of_an_image_stays_with_a_tag_only() -> Result<()> {
    let location: Location = "docker-archive:x.tar:alpine:3".parse()?;
    let tagged = location
        .clone()
        .with_reference(TagOrDigest::Tag("4".parse()?));
    assert_eq!(tagged.to_string(), "docker-archive:x.tar:alpine:4");
    let digest = location
        .clone()
        .with_reference(TagOrDigest::Digest(DIGEST.parse()?));
    assert_eq!(digest.to_string(), format!("docker-archive:x.tar@{DIGEST}"));
    let alone = location.without_reference();
    assert_eq!(alone.to_string(), "docker-archive:x.tar");
    let archive = DockerArchiveLocation::new("x.tar".parse()?, None);
    assert!(archive.clone().with_image("Alpine", "3".parse()?).is_err());
    let named = archive.with_image("alpine", "3".parse()?)?;
    assert_eq!(
        Location::from(named).to_string(),
        "docker-archive:x.tar:alpine:3"
    );
    Ok(())
}

/// URL and reference of a layout in an object store, or the kind of the error.
fn object(text: &str) -> (String, String) {
    match text.parse() {
        Ok(Location::ObjectLayout(layout)) => (
            layout.url().to_string(),
            layout
                .reference()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        Ok(other) => panic!("no layout in an object store: {other}"),
        Err(error) => (error.kind().to_string(), String::new()),
    }
}

#[test]
fn a_layout_in_an_object_store_is_named_by_its_url() {
    for (text, url, reference) in [
        ("oci:s3://bucket/a/b", "s3://bucket/a/b", ""),
        ("oci:s3://bucket/a/b:v1", "s3://bucket/a/b", "v1"),
        ("oci:s3://bucket/a/b/", "s3://bucket/a/b", ""),
        ("oci:s3://bucket:v1", "s3://bucket", "v1"),
        ("oci:gs://bucket_1/:v1", "gs://bucket_1", "v1"),
        ("oci:az://container/a:b/", "az://container/a:b", ""),
        ("oci:s3://bucket/a:b:v1", "s3://bucket/a:b", "v1"),
        (
            "oci:s3://bucket/a%20%C3%A9+~",
            "s3://bucket/a%20%C3%A9+~",
            "",
        ),
        (
            "oci:abfss://files@account.dfs.core.windows.net/a:v1",
            "abfss://files@account.dfs.core.windows.net/a",
            "v1",
        ),
        ("oci:https://host:9000", "https://host:9000", ""),
        ("oci:https://host:9000/:v1", "https://host:9000", "v1"),
        ("oci:http://[::1]:9000/a:v1", "http://[::1]:9000/a", "v1"),
    ] {
        assert_eq!(object(text), (url.to_owned(), reference.to_owned()));
    }
    for place in [
        "s3://bucket/a",
        "s3://bucket",
        "https://host",
        "https://host:80/a",
    ] {
        let expected = (place.to_owned(), DIGEST.to_owned());
        assert_eq!(object(&format!("oci:{place}@{DIGEST}")), expected);
        assert_eq!(object(&format!("oci:{place}/:v1@{DIGEST}")), expected);
    }
}

#[test]
fn a_malformed_url_is_an_error() {
    for text in [
        "s3://",
        "s3:///a",
        "s3://bucket//a",
        "s3://bucket//",
        "s3://bucket/a//",
        "s3://bucket/a/../b",
        "s3://bucket/%2e%2E/b",
        "s3://bucket/a%2Fb",
        "s3://bucket/a%0Ab",
        "s3://bucket/a%",
        "s3://bucket/a%zz",
        "s3://bucket/%FF",
        "s3://bucket/a b",
        "s3://bucket/é",
        r"s3://bucket\a",
        "s3://bucket:9000/a",
        "s3://bu cket/a",
        "s3://bucket/a@b",
        "s3://bucket/a:",
        "s3://bucket/a@",
        "s3://bucket/a:bad tag",
        "az://@account/a",
        "az://container@/a",
        "adl://container@account/a",
        "https://host:port/a",
        "https://host:v1",
        "https://:80/a",
    ] {
        let (kind, _) = object(&format!("oci:{text}"));
        assert_eq!(kind, "invalid reference", "{text}");
    }
}

#[test]
fn a_url_of_no_object_store_is_unsupported_and_the_known_ones_are_listed() {
    for text in ["ftp://host/a", "memory:///a", "memory://a", "S3://bucket/a"] {
        for text in [format!("oci:{text}"), format!("layouts:{text}//app")] {
            let error = error(&text);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{text}");
            let hint = error.hint().expect("a hint");
            assert!(hint.contains("s3://, "), "{hint}");
            assert!(hint.contains("abfss://, "), "{hint}");
        }
    }
    assert_eq!(error("oci:file:///a").hint(), Some("write the path alone"));
}

#[test]
fn a_registry_of_layouts_may_lie_in_an_object_store() -> Result<()> {
    let location: Location = "layouts:s3://bucket/root//team/app:v1".parse()?;
    let Location::ObjectLayoutRegistry(layout) = &location else {
        panic!("{location}")
    };
    assert_eq!(layout.root().as_str(), "s3://bucket/root");
    assert_eq!(layout.repository().as_str(), "team/app");
    assert_eq!(layout.reference(), Some(&"v1".parse()?));
    round_trips(location);
    let at_the_top: Location = "layouts:https://host:80//app".parse()?;
    assert_eq!(at_the_top.to_string(), "layouts:https://host:80//app");
    for text in [
        "layouts:s3://bucket",
        "layouts:s3://bucket/root",
        "layouts:s3://bucket/root//",
        "layouts:s3://bucket/root//UPPER",
        "layouts:s3://bucket//root//app",
        "layouts:s3:////app",
    ] {
        assert_eq!(error(text).kind(), ErrorKind::InvalidReference, "{text}");
    }
    let registry: RegistryLocation = "layouts:s3://bucket/root/".parse()?;
    assert_eq!(registry.to_string(), "layouts:s3://bucket/root");
    Ok(())
}

#[test]
fn a_url_without_a_scheme_in_front_is_told_how_to_name_a_layout() {
    let error = error("s3://bucket/app:v1");
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
    assert!(error.hint().is_some_and(|hint| hint.contains("oci:URL")));
}

#[test]
fn a_url_that_looks_like_more_is_written_with_a_slash() -> Result<()> {
    for (url, reference, text) in [
        ("s3://bucket/a:b", None, "oci:s3://bucket/a:b/"),
        ("s3://bucket/a:b", Some("v1"), "oci:s3://bucket/a:b:v1"),
        ("s3://bucket", Some("v1"), "oci:s3://bucket:v1"),
        ("https://host", Some("v1"), "oci:https://host/:v1"),
    ] {
        let reference = reference.map(str::parse).transpose()?;
        let location = Location::from(ObjectLayoutLocation::new(url.parse()?, reference));
        assert_eq!(location.to_string(), text);
        round_trips(location);
    }
    Ok(())
}

#[test]
fn a_path_that_begins_as_a_url_needs_a_dot_in_front() {
    for path in ["s3:", "s3:/", "s3://bucket", "sha256:"] {
        let error = path.parse::<LayoutPath>().expect_err(path);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        let location: Location = format!("layouts:./{path}//app").parse().expect(path);
        round_trips(location);
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
        assert!(error.to_string().contains("kind of location"), "{error}");
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
        ("oci-archive:a.tar:v1", "oci-archive:a.tar:v2"),
        ("docker-archive:a.tar", "docker-archive:a.tar:v2"),
        ("oci:s3://bucket/a:v1", "oci:s3://bucket/a:v2"),
        ("layouts:s3://bucket//app", "layouts:s3://bucket//app:v2"),
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
        "docker-archive:x",
        "oci:s3://bucket",
        "layouts:memory:///",
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
        "oci:s3://me:secret@bucket",
        "oci:s3://me:s/secret@bucket/app:v1",
        "oci:abfss://me:secret@account.dfs.core.windows.net/app",
        "oci:https://me:secret@host//app:bad tag",
        "oci:https://host/app?sig=secret",
        "oci:https://host/app?sig=secret:bad tag",
        "oci:https://host/app?user=a@secret",
        "oci:s3://me:what?@secret@bucket/app",
        "oci:https://host/app#secret",
        "oci:ftp://me:secret@host/app",
        "layouts:s3://me:secret@bucket//app",
        "layouts:s3://me:s//secret@bucket/root//app",
        "layouts:https://host/root?sig=secret//app",
        "oci-archive:https://me:secret@host/x.tar",
        "docker-archive:https://host/x.tar?sig=secret:bad tag",
        "https://host/app?sig=secret",
        "s3://me:secret@bucket/app",
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
        ("oci-archive:a.tar:v1", "oci-archive:a.tar"),
        ("oci:s3://bucket/a:v1", "oci:s3://bucket/a"),
        ("layouts:gs://bucket//app:v1", "layouts:gs://bucket//app"),
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
