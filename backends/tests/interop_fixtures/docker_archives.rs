//! Archives for `docker load`, in all the forms that tools write.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tranship_backends::Location;
use tranship_backends::tranship::{
    CopyOptions, Descriptor, MAX_MANIFEST_SIZE, Manifest, Repository, Tag, copy, tags,
};

use super::{blobs_of, expected, folder, open, text};

/// For each fixture a module with the tests that all of them pass.
macro_rules! fixtures {
    ($($module:ident = $name:literal,)+) => {
        $(mod $module {
            use super::Fixture;

            fn fixture() -> Fixture {
                Fixture::new($name)
            }

            #[tokio::test]
            async fn every_name_leads_to_its_image() {
                fixture().every_name_leads_to_its_image().await;
            }

            #[tokio::test]
            async fn every_tag_leads_to_its_image_where_only_one_has_it() {
                fixture().every_tag_leads_to_its_image().await;
            }

            #[tokio::test]
            async fn the_layers_are_those_that_the_config_names() {
                fixture().the_layers_are_those_that_the_config_names().await;
            }

            #[tokio::test]
            async fn a_copy_of_an_image_is_complete() {
                fixture().a_copy_of_an_image_is_complete().await;
            }
        })+

        #[test]
        fn no_fixture_is_left_out() {
            let expected = expected();
            let there = expected["dockerArchives"].as_object().expect("an object");
            assert_eq!([$($name),+].as_slice(), there.keys().collect::<Vec<_>>());
        }
    };
}

fixtures! {
    crane = "crane.docker.tar",
    docker_save = "docker-save.docker.tar",
    regctl = "regctl.docker.tar",
    skopeo = "skopeo.docker.tar",
}

struct Fixture {
    location: String,
    images: Vec<Image>,
}

struct Image {
    names: Vec<String>,
    config: String,
    layers: Vec<String>,
    diff_ids: Vec<String>,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let images = expected()["dockerArchives"][name]["images"].clone();
        let images: Vec<Image> = images
            .as_array()
            .expect("images")
            .iter()
            .map(Image::new)
            .collect();
        assert!(!images.is_empty());
        Self {
            location: format!("docker-archive:{}", folder().join(name).display()),
            images,
        }
    }

    /// Each name as a location, what is opened there, and the image that it is to be.
    async fn named(&self) -> Vec<(Tag, Arc<dyn Repository>, &Image)> {
        let mut named = Vec::new();
        for image in &self.images {
            for name in &image.names {
                let location = format!("{}:{name}", self.location);
                let parsed: Location = location.parse().expect("a location");
                let tag = parsed.reference().and_then(|reference| reference.tag());
                let tag = tag.expect("a tag").clone();
                named.push((tag, open(&location, true).await, image));
            }
        }
        assert!(!named.is_empty());
        named
    }

    async fn every_name_leads_to_its_image(&self) {
        for (tag, repository, image) in self.named().await {
            let listed = tags(&*repository).await.expect("tags");
            assert!(listed.contains(&tag), "{tag} in {listed:?}");
            image.is_under(&*repository, &tag).await;
        }
    }

    async fn every_tag_leads_to_its_image(&self) {
        let repository = open(&self.location, true).await;
        let mut expected = BTreeSet::new();
        for (tag, _, image) in self.named().await {
            image.is_under(&*repository, &tag).await;
            // The same tag of two names would not be clear.
            assert!(expected.insert(tag.to_string()), "{tag} twice");
        }
        let listed = tags(&*repository).await.expect("tags");
        let listed = listed.iter().map(ToString::to_string).collect();
        assert_eq!(expected, listed);
    }

    async fn the_layers_are_those_that_the_config_names(&self) {
        for (tag, repository, image) in self.named().await {
            let (_, manifest) = image.is_under(&*repository, &tag).await;
            let config = read(&*repository, &manifest.config).await;
            let config: Value = serde_json::from_slice(&config).expect("a config");
            let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list");
            let diff_ids: Vec<String> = diff_ids.iter().map(text).collect();
            assert_eq!(diff_ids, image.diff_ids);
            for layer in &manifest.layers {
                // Its digest is verified while it is read.
                let content = read(&*repository, layer).await;
                let is_gzip = content.starts_with(b"\x1f\x8b");
                assert_eq!(is_gzip, layer.media_type().as_str().ends_with("gzip"));
            }
        }
    }

    async fn a_copy_of_an_image_is_complete(&self) {
        for (tag, repository, image) in self.named().await {
            let directory = tempfile::tempdir().expect("a directory");
            let layout = format!("oci:{}", directory.path().display());
            let layout = open(&layout, false).await;
            let tags = [tag.clone()];
            let options = CopyOptions::default();
            let copied = copy(&*repository, &tag.clone().into(), &*layout, &tags, &options).await;
            let root = copied.expect("copied").root;
            let mut expected = image.layers.clone();
            expected.extend([image.config.clone(), root.digest().to_string()]);
            expected.sort();
            expected.dedup();
            assert_eq!(blobs_of(directory.path()), expected);
            image.is_under(&*layout, &tag).await;
        }
    }
}

impl Image {
    fn new(expected: &Value) -> Self {
        let texts = |member: &str| {
            let texts = expected[member].as_array().expect("a list");
            texts.iter().map(text).collect()
        };
        Self {
            names: texts("names"),
            config: text(&expected["config"]),
            layers: texts("layers"),
            diff_ids: texts("diffIds"),
        }
    }

    /// Fails unless the tag leads to this image. Its manifest is that of the archive, or made.
    async fn is_under(&self, repository: &dyn Repository, tag: &Tag) -> (Descriptor, Manifest) {
        let root = repository.resolve(&tag.clone().into()).await;
        let root = root.unwrap_or_else(|error| panic!("{tag}: {error}"));
        let manifest = read(repository, &root).await;
        let manifest: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
        assert_eq!(manifest.config.digest().to_string(), self.config);
        let layers = manifest
            .layers
            .iter()
            .map(|layer| layer.digest().to_string());
        assert_eq!(layers.collect::<Vec<_>>(), self.layers);
        (root, manifest)
    }
}

async fn read(repository: &dyn Repository, target: &Descriptor) -> Vec<u8> {
    let content = repository.fetch(target).await.expect("opens");
    content
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .expect("verifies")
        .into()
}
