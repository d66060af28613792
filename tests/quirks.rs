//! The scenarios of the conformance kit on registries that misbehave, each quirk for itself, and on
//! some that have all those of a real one.

use std::process::ExitCode;
use std::sync::Arc;

use tranship::RegistryName;
use tranship_conformance::http::{PASSWORD, Quirk, Quirky, USER};
use tranship_conformance::{Fixture, Gap, Suite};
use tranship_memory::MemoryRegistry;
use tranship_remote::{Credential, RemoteOptions, RemoteRegistry, StaticCredentials};
use tranship_server::{ServerOptions, TestServer, router};

fn main() -> ExitCode {
    let quirks = Quirk::ALL.iter().filter(|quirk| !quirk.is_lie());
    let single = quirks.map(|quirk| {
        suite(format!("remote-with-{quirk}"), &[*quirk]).with_groups(quirk.groups().iter().copied())
    });
    let whole = [
        suite("remote-like-distribution".to_owned(), DISTRIBUTION),
        suite("remote-like-gitlab".to_owned(), GITLAB),
        suite("remote-like-ecr".to_owned(), ECR),
    ];
    tranship_conformance::main(single.chain(whole))
}

/// What distribution does.
const DISTRIBUTION: &[Quirk] = &[
    Quirk::AbsoluteLocation,
    Quirk::LocationQuery,
    Quirk::NoReferrers,
    Quirk::NoTagParameters,
    Quirk::NullLists,
];

/// What GitLab does, which is made of distribution.
const GITLAB: &[Quirk] = &[
    Quirk::AbsoluteLocation,
    Quirk::LocationQuery,
    Quirk::DigestTags,
    Quirk::NoTagParameters,
    Quirk::NullLists,
];

/// What ECR does, as far as it is known.
const ECR: &[Quirk] = &[
    Quirk::NoDigestOnGet,
    Quirk::CreatedOnPatch,
    Quirk::NoManifestLocation,
    Quirk::NoTagParameters,
    Quirk::AbsoluteLink,
    Quirk::RedirectedBlobs,
];

/// What no client could do with a quirk, scenario by scenario.
fn gaps(quirk: Quirk) -> Vec<Gap> {
    let all = |reason: &str, scenarios: &[&str]| -> Vec<Gap> {
        let gaps = scenarios.iter().map(|scenario| Gap::new(*scenario, reason));
        gaps.collect()
    };
    match quirk {
        Quirk::SmallPutsOnly => all(
            "what comes once cannot be sent again in chunks",
            &["blobs::a_source_that_comes_once_is_enough"],
        ),
        Quirk::MinChunk => all(
            "what is too little for a chunk is not sent, and so is lost with the upload's handle",
            &[
                "uploads::an_upload_says_how_much_has_arrived",
                "uploads::an_upload_can_be_resumed_many_times",
            ],
        ),
        Quirk::NoContentType | Quirk::WrongContentType => all(
            "the registry does not tell a type that the content does not tell either",
            &[
                "manifests::an_untyped_manifest_keeps_its_type_in_an_index",
                "manifests::a_manifest_has_the_type_it_was_pushed_under_last",
            ],
        ),
        Quirk::NoMountNotFound | Quirk::NoMountAccepted => all(
            "the registry does not mount, and does not say so",
            &[
                "mounts::a_present_blob_is_mounted",
                "mounts::a_mount_does_not_read_its_fallback",
                "mounts::a_mount_can_be_repeated",
                "mounts::a_blob_can_be_mounted_from_its_own_repository",
                "mounts::an_empty_blob_can_be_mounted",
                "mounts::a_mounted_blob_outlives_its_origin",
                "mounts::an_origin_outlives_the_mounted_blob",
            ],
        ),
        Quirk::NoMountNotAllowed => all(
            "the registry does not mount, so the fallback is pushed",
            &["mounts::a_mount_does_not_read_its_fallback"],
        ),
        Quirk::ForbiddenWhereMissing => all(
            "what is missing cannot be told from what is forbidden",
            &[
                "ranges::a_range_of_content_that_is_absent_is_not_found",
                "uploads::a_commit_of_another_digest_ends_the_upload",
                "uploads::a_commit_of_another_size_ends_the_upload",
                "uploads::what_is_uploaded_is_not_there_before_the_commit",
            ],
        ),
        Quirk::EncodingLabel => all(
            "the registry does not say how large the blob is that it may have encoded",
            &[
                "blobs::a_wrong_size_names_nothing",
                "blobs::a_look_before_a_push_tells_what_is_stored",
            ],
        ),
        Quirk::PushToLook => all(
            "a repository that does not exist is shown only to a client that expects to push",
            &["mounts::a_present_blob_is_mounted"],
        ),
        Quirk::HtmlErrors | Quirk::EmptyErrors => all(
            "the registry does not say that the digest is what it refuses",
            &[
                "verification::a_blob_with_a_wrong_digest_is_refused",
                "verification::a_blob_with_a_wrong_sha512_digest_is_refused",
                "verification::a_wrong_source_that_comes_once_is_refused",
                "verification::a_failed_push_can_be_made_good",
                "verification::a_failed_push_leaves_other_content_alone",
            ],
        ),
        _ => Vec::new(),
    }
}

/// As on registries without a quirk.
fn mounted_unseen() -> Gap {
    Gap::new(
        "mounts::a_blob_of_another_size_is_not_mounted",
        "a registry mounts by the digest alone, and to ask for the size would be a request for every blob",
    )
}

fn suite(name: String, quirks: &[Quirk]) -> Suite {
    let mounts = ![
        Quirk::NoMountNotFound,
        Quirk::NoMountNotAllowed,
        Quirk::NoMountAccepted,
    ]
    .iter()
    .any(|quirk| quirks.contains(quirk));
    let gaps = quirks.iter().copied().flat_map(gaps);
    let gaps = gaps.chain(mounts.then(mounted_unseen));
    let gaps: Vec<Gap> = gaps.collect();
    let quirks: Arc<[Quirk]> = quirks.into();
    let suite = Suite::new(name, move || {
        let quirks = Arc::clone(&quirks);
        async move {
            let options = ServerOptions::default().with_complete_manifests(false);
            let service = router(Arc::new(MemoryRegistry::new()), options);
            let service = Quirky::new(service, quirks.iter().copied());
            let server = TestServer::serve(service).await?;
            let (one, other) = (connect(&server)?, connect(&server)?);
            Ok(Fixture::registry(Arc::new(one))
                .with_peer_registry(Arc::new(other))
                .with_guard(server))
        }
    });
    gaps.into_iter().fold(suite, Suite::with_gap)
}

/// A client with credentials, which are shown to registries that ask for them.
fn connect(server: &TestServer) -> tranship::Result<RemoteRegistry> {
    let host: RegistryName = server.host().parse()?;
    let credential = Credential::basic(USER, PASSWORD);
    let credentials = StaticCredentials::new(host.clone(), credential);
    let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    RemoteRegistry::with_options(&host, options)
}
