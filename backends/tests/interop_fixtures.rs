//! Layouts and archives that other tools wrote (`fixtures/interop/`) are read whole, and hold what
//! `fixtures/interop/expected.json` says, which a script wrote that knows only the files.

#![cfg(feature = "layout")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tranship_backends::OpenOptions;
use tranship_backends::tranship::{
    self, CopyOptions, Descriptor, Digest, MAX_MANIFEST_SIZE, Repository, ResolveOptions,
    TagOrDigest, copy, referrers, resolve, successors, tags,
};

/// For each fixture a module with the tests that all of them pass.
macro_rules! fixtures {
    ($kind:literal, $scheme:literal: $($module:ident = $name:literal,)+) => {
        $(mod $module {
            use super::Fixture;

            fn fixture() -> Fixture {
                Fixture::new($kind, $scheme, $name)
            }

            #[tokio::test]
            async fn its_tags_name_what_the_file_says() {
                fixture().its_tags_name_what_the_file_says().await;
            }

            #[tokio::test]
            async fn all_that_it_lists_is_there_and_verified() {
                fixture().all_that_it_lists_is_there_and_verified().await;
            }

            #[tokio::test]
            async fn every_manifest_has_its_referrers() {
                fixture().every_manifest_has_its_referrers().await;
            }

            #[tokio::test]
            async fn every_platform_is_found() {
                fixture().every_platform_is_found().await;
            }

            #[tokio::test]
            async fn a_copy_of_it_holds_the_same_bytes() {
                fixture().a_copy_of_it_holds_the_same_bytes().await;
            }
        })+

        #[test]
        fn no_fixture_is_left_out() {
            let names: Vec<&str> = [$($name),+].into();
            let expected = super::expected();
            let there: Vec<&String> = expected[$kind].as_object().expect("an object").keys().collect();
            assert_eq!(names, there);
        }
    };
}

mod layouts {
    use super::Fixture;

    fixtures! { "layouts", "oci":
        buildkit = "buildkit",
        crane = "crane",
        crane_docker = "crane-docker",
        crane_unnamed = "crane-unnamed",
        oras = "oras",
        regctl = "regctl",
        regctl_docker = "regctl-docker",
        skopeo = "skopeo",
        umoci = "umoci",
    }
}

#[cfg(feature = "archive")]
mod oci_archives {
    use super::Fixture;

    fixtures! { "ociArchives", "oci-archive":
        buildkit = "buildkit.oci.tar",
        oras = "oras.oci.tar",
        regctl = "regctl.oci.tar",
        skopeo = "skopeo.oci.tar",
        skopeo_gzip = "skopeo.oci.tar.gz",
        skopeo_zstd = "skopeo.oci.tar.zst",
    }
}

#[cfg(feature = "archive")]
#[path = "interop_fixtures/docker_archives.rs"]
mod docker_archives;

/// One layout or archive, and what is to be found in it.
struct Fixture {
    location: String,
    expected: Value,
}

impl Fixture {
    fn new(kind: &str, scheme: &str, name: &str) -> Self {
        let path = folder().join(name);
        Self {
            location: format!("{scheme}:{}", path.display()),
            expected: expected()[kind][name].clone(),
        }
    }

    async fn open(&self) -> Arc<dyn Repository> {
        open(&self.location, true).await
    }

    /// A member of the expectations as a map. Its absence would make a test pass by itself.
    fn map(&self, member: &str) -> BTreeMap<String, Value> {
        let map = self.expected[member].as_object().expect("an object");
        map.iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// What `index.json` lists, named by tag where there is one.
    fn roots(&self) -> Vec<TagOrDigest> {
        let tags = self.map("tags").into_keys();
        let untagged = self.expected["untagged"].as_array().expect("an array");
        tags.chain(untagged.iter().map(text))
            .map(|text| text.parse().expect("a tag or a digest"))
            .collect()
    }

    /// Every descriptor that can be reached, by its digest.
    async fn walk(&self, repository: &dyn Repository) -> BTreeMap<String, Descriptor> {
        let mut found = BTreeMap::new();
        let mut waiting = Vec::new();
        for root in self.roots() {
            waiting.push(repository.resolve(&root).await.expect("resolves"));
        }
        while let Some(node) = waiting.pop() {
            if found.contains_key(&node.digest().to_string()) {
                continue;
            }
            let below = successors(repository, &node, MAX_MANIFEST_SIZE).await;
            waiting.extend(below.expect("decodes"));
            found.insert(node.digest().to_string(), node);
        }
        found
    }

    async fn its_tags_name_what_the_file_says(&self) {
        let repository = self.open().await;
        let mut named = BTreeMap::new();
        for tag in tags(&*repository).await.expect("tags") {
            let target = repository.resolve(&tag.clone().into()).await;
            let digest = target.expect("resolves").digest().to_string();
            named.insert(tag.to_string(), Value::String(digest));
        }
        assert_eq!(named, self.map("tags"));
    }

    async fn all_that_it_lists_is_there_and_verified(&self) {
        let repository = self.open().await;
        let found = self.walk(&*repository).await;
        let described: BTreeMap<String, Value> = found
            .iter()
            .map(|(digest, node)| {
                let media_type = node.media_type().as_str();
                let described = serde_json::json!({"mediaType": media_type, "size": node.size()});
                (digest.clone(), described)
            })
            .collect();
        assert_eq!(described, self.map("content"));
        for node in found.values() {
            let content = repository.fetch(node).await.expect("opens");
            let bytes = content.bytes(MAX_MANIFEST_SIZE).await.expect("verifies");
            // Once more, without what Content does.
            assert_eq!(Digest::of(&bytes), *node.digest());
        }
    }

    async fn every_manifest_has_its_referrers(&self) {
        let repository = self.open().await;
        let mut listed = BTreeMap::new();
        for (digest, node) in self.walk(&*repository).await {
            let mut found: Vec<(String, Value)> = referrers(&*repository, &node, None)
                .await
                .expect("referrers")
                .iter()
                .map(|each| {
                    let digest = each.digest().to_string();
                    let artifact_type = each.artifact_type().map(tranship::MediaType::as_str);
                    let described =
                        serde_json::json!({"digest": digest, "artifactType": artifact_type});
                    (digest, described)
                })
                .collect();
            found.sort_by(|one, other| one.0.cmp(&other.0));
            if !found.is_empty() {
                listed.insert(digest, found.into_iter().map(|each| each.1).collect());
            }
        }
        assert_eq!(listed, self.map("referrers"));
    }

    async fn every_platform_is_found(&self) {
        let repository = self.open().await;
        for (index, platforms) in self.map("platforms") {
            let index: TagOrDigest = index.parse().expect("a digest");
            for (platform, digest) in platforms.as_object().expect("an object") {
                let platform = platform.parse().expect("a platform");
                let options = ResolveOptions::default().with_platform(platform);
                let selected = resolve(&*repository, &index, &options).await;
                let selected = selected.expect("found").digest().to_string();
                assert_eq!(selected, text(digest));
            }
        }
    }

    async fn a_copy_of_it_holds_the_same_bytes(&self) {
        let repository = self.open().await;
        let directory = tempfile::tempdir().expect("a directory");
        let location = format!("oci:{}", directory.path().display());
        let destination = open(&location, false).await;
        for root in self.roots() {
            let tag = match &root {
                TagOrDigest::Tag(tag) => std::slice::from_ref(tag),
                TagOrDigest::Digest(_) => &[],
            };
            let options = CopyOptions::default();
            copy(&*repository, &root, &*destination, tag, &options)
                .await
                .expect("copied");
        }
        let expected: Vec<String> = self.map("content").into_keys().collect();
        assert_eq!(blobs_of(directory.path()), expected);
    }
}

async fn open(location: &str, must_exist: bool) -> Arc<dyn Repository> {
    let options = OpenOptions::default().with_must_exist(must_exist);
    let location = location.parse().expect("a location");
    let opened = tranship_backends::open_with(&location, &options).await;
    opened.expect("opens")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/interop")
}

fn expected() -> Value {
    let text = std::fs::read(folder().join("expected.json")).expect("read");
    serde_json::from_slice(&text).expect("JSON")
}

/// The digests of all blobs of a layout, each of which has the bytes of its name.
fn blobs_of(layout: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for algorithm in entries(&layout.join("blobs")) {
        for blob in entries(&algorithm) {
            let bytes = std::fs::read(&blob).expect("read");
            let name = blob.file_name().expect("a name").to_string_lossy();
            let digest = Digest::of(&bytes).to_string();
            assert_eq!(digest, format!("sha256:{name}"));
            found.push(digest);
        }
    }
    found.sort();
    found
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}
