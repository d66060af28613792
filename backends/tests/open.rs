//! Locations are opened by the backend that they belong to, or refused with a reason.

use tranship_backends::tranship::{ErrorKind, Result};
use tranship_backends::{Location, RegistryLocation};
use tranship_backends::{OpenOptions, open, open_registry, open_registry_with, open_with};

fn location(text: &str) -> Location {
    text.parse().expect("a location")
}

fn registry_location(text: &str) -> RegistryLocation {
    text.parse().expect("a location")
}

fn existing() -> OpenOptions {
    OpenOptions::default().with_must_exist(true)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("must fail"),
        Err(error) => error.kind(),
    }
}

#[cfg(feature = "remote")]
#[tokio::test]
async fn repositories_of_one_remote_registry_share_it() {
    let options = OpenOptions::default();
    let open = async |text: &str| {
        let repository = open_with(&location(text), &options).await;
        repository.expect("no request is made").registry().cloned()
    };
    let app = open("registry.example/app:v1").await;
    assert!(app.is_some());
    assert_eq!(app, open("registry.example/other").await);
    assert_ne!(app, open("localhost:5000/app").await);
}

#[cfg(not(feature = "remote"))]
#[tokio::test]
async fn a_remote_registry_without_its_backend_names_the_feature() {
    let error = open(&location("registry.example/app:v1"))
        .await
        .expect_err("no backend");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("feature `remote`"), "{error}");
    let result = open_registry(&registry_location("registry.example")).await;
    assert_eq!(kind(result), ErrorKind::Unsupported);
}

#[test]
fn the_values_of_store_options_are_not_shown() {
    let options = OpenOptions::default()
        .with_store_option("secret_access_key", "hunter2")
        .with_unconditional_put(true);
    let shown = format!("{options:?}");
    assert!(shown.contains("secret_access_key"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[cfg(not(feature = "layout"))]
#[tokio::test]
async fn a_layout_without_its_backend_names_the_feature() {
    for text in ["oci:somewhere", "layouts:somewhere//app"] {
        let error = open(&location(text)).await.expect_err("no backend");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("feature `layout`"), "{error}");
    }
    let result = open_registry_with(&registry_location("layouts:somewhere"), &existing()).await;
    assert_eq!(kind(result), ErrorKind::Unsupported);
    let result = open_with(&location("oci:somewhere"), &existing()).await;
    assert_eq!(kind(result), ErrorKind::Unsupported);
}

#[cfg(feature = "layout")]
mod layouts {
    use std::path::Path;

    use tempfile::TempDir;
    use tranship_backends::tranship::{
        Descriptor, PackOptions, Repository, pack_and_tag, repositories, tags,
    };

    use super::*;

    fn directory() -> (TempDir, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display().to_string();
        (directory, path)
    }

    fn is_empty(directory: &Path) -> bool {
        let mut entries = directory.read_dir().expect("a directory");
        entries.next().is_none()
    }

    async fn pack(repository: &dyn Repository) -> Descriptor {
        let options = PackOptions::new("application/vnd.example".parse().expect("a type"));
        let tags = ["v1".parse().expect("a tag")];
        let packed = pack_and_tag(repository, &options, &tags).await;
        packed.expect("pushed")
    }

    #[tokio::test]
    async fn what_does_not_exist_is_empty_until_something_is_pushed() {
        let (directory, path) = directory();
        for text in [
            format!("oci:{path}/one/layout:v1"),
            format!("layouts:{path}/many//team/app:v1"),
        ] {
            let location = location(&text);
            let repository = open(&location).await.expect("opens");
            let reference = location.reference().expect("a tag");
            let result = repository.resolve(reference).await;
            assert_eq!(kind(result), ErrorKind::NotFound);
            assert_eq!(tags(&*repository).await.expect("tags"), []);
            assert!(is_empty(directory.path()), "{text}");

            let root = pack(&*repository).await;
            let again = open_with(&location, &existing()).await.expect("exists");
            let resolved = again.resolve(reference).await.expect("pushed");
            assert!(resolved.same_content(&root));
            for entry in directory.path().read_dir().expect("a directory") {
                let path = entry.expect("an entry").path();
                std::fs::remove_dir_all(path).expect("removed");
            }
        }
    }

    #[tokio::test]
    async fn what_must_exist_and_does_not_is_not_found_and_not_created() {
        let (directory, path) = directory();
        for text in [
            format!("oci:{path}/typo:v1"),
            format!("layouts:{path}/typo//app:v1"),
            format!("layouts:{path}//app"),
        ] {
            let error = open_with(&location(&text), &existing())
                .await
                .expect_err("must fail");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
            assert_eq!(error.operation(), Some("open"));
            assert!(is_empty(directory.path()), "{text}");
        }
        let root = registry_location(&format!("layouts:{path}/typo"));
        let result = open_registry_with(&root, &existing()).await;
        assert_eq!(kind(result), ErrorKind::NotFound);
        assert!(is_empty(directory.path()));
    }

    #[tokio::test]
    async fn a_repository_is_told_from_its_neighbours() {
        let (_directory, path) = directory();
        let there = [
            "a0",
            "a9",
            "az",
            "team",
            "team/ap",
            "team/ap-p",
            "team/apo",
            "team/app",
            "team/app-x",
            "team/app/x",
            "team/appz",
        ];
        let absent = [
            "a",
            "a1",
            "tea",
            "team/a",
            "team/app0",
            "team/app/a",
            "team/apz",
        ];
        let registry = open_registry(&registry_location(&format!("layouts:{path}")))
            .await
            .expect("opens");
        for name in there {
            let name = name.parse().expect("a name");
            pack(&*registry.repository(&name).await.expect("opens")).await;
        }
        let listed = repositories(&*registry).await.expect("a catalog");
        assert_eq!(listed.len(), there.len());
        for name in there {
            let location = location(&format!("layouts:{path}//{name}"));
            let repository = open_with(&location, &existing()).await.expect(name);
            assert_eq!(repository.name().as_str(), name);
        }
        for name in absent {
            let location = location(&format!("layouts:{path}//{name}"));
            let result = open_with(&location, &existing()).await;
            assert_eq!(kind(result), ErrorKind::NotFound, "{name}");
        }
    }

    #[tokio::test]
    async fn repositories_of_one_directory_belong_together() {
        let (_directory, path) = directory();
        let first = open(&location(&format!("layouts:{path}//a"))).await;
        let second = open(&location(&format!("layouts:{path}//b"))).await;
        let (first, second) = (first.expect("opens"), second.expect("opens"));
        assert!(first.registry().is_some());
        assert_eq!(first.registry(), second.registry());
    }

    #[tokio::test]
    async fn a_file_is_no_layout() {
        let (directory, path) = directory();
        std::fs::write(directory.path().join("file"), "x").expect("written");
        for text in [
            format!("oci:{path}/file"),
            format!("layouts:{path}/file//app"),
        ] {
            let result = open(&location(&text)).await;
            assert_eq!(kind(result), ErrorKind::InvalidInput, "{text}");
        }
    }
}

#[cfg(feature = "memory")]
#[tokio::test]
async fn the_memory_backend_is_here_too() {
    let registry = tranship_backends::memory::MemoryRegistry::new();
    assert_eq!(registry.stored_bytes(), 0);
}
