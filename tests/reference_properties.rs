//! What holds for every reference and location, not just for the vectors.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tranship::{Algorithm, Digest, Reference, RegistryName, RepositoryName, Tag, TagOrDigest};
use tranship_backends::{
    DockerArchiveLocation, LayoutLocation, LayoutPath, LayoutRegistryLocation, Location,
    ObjectLayoutLocation, ObjectLayoutRegistryLocation, ObjectStoreUrl, OciArchiveLocation,
    RegistryLocation,
};

fn parsed<T: std::str::FromStr<Err = tranship::Error>>(text: String) -> T {
    text.parse().expect("the strategy makes valid text only")
}

fn registry() -> impl Strategy<Value = RegistryName> {
    prop_oneof![
        r"[A-Za-z0-9._~!$&'()*+,;=-]{1,20}(:[0-9]{0,6})?",
        r"(localhost|docker\.io|oci|layouts|docker|127\.0\.0\.1|\.\.?|[a-z])(:[0-9]{0,5})?",
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]:5000")),
    ]
    .prop_map(parsed)
}

fn repository() -> impl Strategy<Value = RepositoryName> {
    let component = r"[a-z0-9]{1,5}((\.|_|__|-{1,4})[a-z0-9]{1,5}){0,3}";
    prop::collection::vec(component, 1..4).prop_map(|components| parsed(components.join("/")))
}

fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}".prop_map(parsed)
}

fn digest() -> impl Strategy<Value = Digest> {
    (0..Algorithm::ALL.len(), any::<[u8; 4]>())
        .prop_map(|(index, content)| Algorithm::ALL[index].digest(&content))
}

fn tag_or_digest() -> impl Strategy<Value = Option<TagOrDigest>> {
    prop_oneof![
        Just(None),
        tag().prop_map(|tag| Some(tag.into())),
        digest().prop_map(|digest| Some(digest.into())),
    ]
}

fn reference() -> impl Strategy<Value = Reference> {
    (registry(), repository(), tag_or_digest()).prop_map(|(registry, repository, reference)| {
        Reference::new(registry, repository, reference)
    })
}

/// Paths made of what means something in a location.
fn path() -> impl Strategy<Value = LayoutPath> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("\\".to_owned()),
        Just(":".to_owned()),
        Just("@".to_owned()),
        Just("C:".to_owned()),
        Just("sha256:".to_owned()),
        Just("a.tar:".to_owned()),
        Just("localhost:5000/".to_owned()),
        Just("@sha512:".to_owned()),
        Just(".".to_owned()),
        digest().prop_map(|digest| format!("@{digest}")),
        tag().prop_map(|tag| format!(":{tag}")),
        "\\PC{1,4}",
    ];
    prop::collection::vec(piece, 1..6).prop_filter_map("a path that a layout can have", |pieces| {
        LayoutPath::new(pieces.concat()).ok()
    })
}

/// Names of images as Docker writes them.
fn image() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        r"(localhost|docker\.io|[a-z]\.tar)(:[0-9]{1,5})?/",
        r"[A-Za-z0-9]{1,5}:[0-9]{1,5}/",
        Just("[::1]:5000/".to_owned()),
        Just(String::new()),
    ];
    (host, repository()).prop_map(|(host, repository)| format!("{host}{repository}"))
}

fn url() -> impl Strategy<Value = ObjectStoreUrl> {
    let place = prop_oneof![
        r"(s3|s3a|gs|az|azure|adl|abfs|abfss)://[A-Za-z0-9._$-]{1,9}",
        r"(az|abfs|abfss)://[a-z$]{1,5}@[a-z0-9.]{1,9}",
        r"https?://([a-z0-9.-]{1,9}|\[::1\])(:[0-9]{1,5})?",
    ];
    let component = r"([A-Za-z0-9_~!$&'()*+,;=:-]|%20|%40|%C3%A9|sha256:|\.tar:){1,6}";
    (place, prop::collection::vec(component, 0..4), "/?").prop_map(|(place, path, end)| {
        let path: String = path.into_iter().map(|part| format!("/{part}")).collect();
        parsed(format!("{place}{path}{end}"))
    })
}

fn location() -> impl Strategy<Value = Location> {
    prop_oneof![
        (path(), tag_or_digest())
            .prop_map(|(path, reference)| OciArchiveLocation::new(path, reference).into()),
        (path(), tag_or_digest())
            .prop_map(|(path, reference)| DockerArchiveLocation::new(path, reference).into()),
        (path(), image(), tag()).prop_map(|(path, name, tag)| {
            let archive = DockerArchiveLocation::new(path, None);
            archive.with_image(&name, tag).expect("an image").into()
        }),
        (url(), tag_or_digest())
            .prop_map(|(url, reference)| ObjectLayoutLocation::new(url, reference).into()),
        (url(), repository(), tag_or_digest()).prop_map(|(root, repository, reference)| {
            ObjectLayoutRegistryLocation::new(root, repository, reference).into()
        }),
        (path(), tag_or_digest())
            .prop_map(|(path, reference)| LayoutLocation::new(path, reference).into()),
        (path(), repository(), tag_or_digest()).prop_map(|(root, repository, reference)| {
            LayoutRegistryLocation::new(root, repository, reference).into()
        }),
        reference().prop_map(Location::from),
    ]
}

/// Valid text with one character put in, taken out or replaced.
fn mutated(text: String) -> impl Strategy<Value = String> {
    let length = text.chars().count();
    let character = prop_oneof![
        prop::sample::select("/:@._-[]%?# \n\u{0}\u{e9}A0".chars().collect::<Vec<_>>()),
        any::<char>(),
    ];
    (0..=length, 0..2_usize, prop::option::of(character)).prop_map(
        move |(at, removed, character)| {
            let head = text.chars().take(at);
            let tail = text.chars().skip(at + removed);
            head.chain(character).chain(tail).collect()
        },
    )
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9:/@._\\[\\]é -]{0,40}",
        "(oci|layouts|docker|oci-archive|docker-archive|http|x):[a-z:/@.\\\\ -]{0,20}",
        "(oci|layouts):(s3|az|https|memory)://[a-z0-9:/@.%?#\\\\ -]{0,20}",
        reference().prop_flat_map(|reference| mutated(reference.to_string())),
        location().prop_flat_map(|location| mutated(location.to_string())),
    ]
}

proptest! {
    #[test]
    fn a_reference_is_read_back_from_what_it_displays(reference in reference()) {
        prop_assert_eq!(reference.to_string().parse::<Reference>()?, reference);
    }

    #[test]
    fn a_reference_keeps_its_parts(reference in reference(), dropped in "[!-~&&[^@]]{0,10}") {
        let bare = Reference::new(reference.registry().clone(), reference.repository().clone(), None);
        if let Some(digest) = reference.reference().and_then(TagOrDigest::digest) {
            let form_b = format!("{bare}:{dropped}@{digest}");
            prop_assert_eq!(&form_b.parse::<Reference>()?, &reference);
        }
        if let Some(part) = reference.reference() {
            prop_assert_eq!(&bare.resolve_within(&part.to_string())?, &reference);
            prop_assert_eq!(&bare.resolve_within(&reference.to_string())?, &reference);
        }
    }

    #[test]
    fn a_reference_goes_through_json(reference in reference()) {
        let json = serde_json::to_string(&reference)?;
        prop_assert_eq!(serde_json::from_str::<Reference>(&json)?, reference);
    }

    #[test]
    fn a_location_is_read_back_from_what_it_displays(location in location()) {
        let text = location.to_string();
        prop_assert_eq!(text.parse::<Location>()?, location, "{}", text);
    }

    #[test]
    fn the_location_of_a_registry_is_read_back_from_what_it_displays(
        root in path(),
        url in url(),
        registry in registry(),
    ) {
        for location in [
            RegistryLocation::LayoutRegistry(root),
            RegistryLocation::ObjectLayoutRegistry(url),
            RegistryLocation::Remote(registry),
        ] {
            prop_assert_eq!(location.to_string().parse::<RegistryLocation>()?, location);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any_text(), base in reference()) {
        let _ = text.parse::<RegistryLocation>();
        let _ = text.parse::<Digest>();
        let _ = text.parse::<TagOrDigest>();
        let _ = base.resolve_within(&text);
    }

    #[test]
    fn what_is_read_is_ascii_and_reads_back_as_itself(text in any_text()) {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert!(text.is_ascii());
            prop_assert_eq!(reference.to_string().parse::<Reference>()?, reference);
        }
        if let Ok(location) = text.parse::<Location>() {
            prop_assert_eq!(location.to_string().parse::<Location>()?, location);
        }
    }

    #[test]
    fn an_error_is_one_line_whatever_the_input_was(text in any_text()) {
        if let Err(error) = text.parse::<Location>() {
            prop_assert!(!error.to_string().chars().any(char::is_control));
            prop_assert!(!error.hint().is_some_and(|hint| hint.chars().any(char::is_control)));
        }
    }

    #[test]
    fn names_sort_and_are_found_as_their_text(tags in prop::collection::vec(tag(), 0..8)) {
        let by_tag: BTreeMap<Tag, ()> = tags.iter().map(|tag| (tag.clone(), ())).collect();
        let by_text: BTreeMap<&str, ()> = tags.iter().map(|tag| (tag.as_str(), ())).collect();
        prop_assert!(by_tag.keys().map(Tag::as_str).eq(by_text.keys().copied()));
        prop_assert!(tags.iter().all(|tag| by_tag.contains_key(tag.as_str())));
    }
}
