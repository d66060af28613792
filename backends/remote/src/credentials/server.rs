//! The names under which files and helpers keep the credentials of a registry.

use tranship::{RegistryName, RepositoryName};

/// Docker Hub's names. The first is the one that `docker login` writes.
const HUB: [&str; 4] = [
    "https://index.docker.io/v1/",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
];

/// A registry, as files and helpers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The name to write. The names to look for are `names`, this one in front.
    names: Vec<String>,
}

impl Server {
    pub(crate) fn new(registry: &RegistryName) -> Self {
        let name = registry.as_str();
        let names = if HUB.contains(&name) {
            HUB.map(str::to_owned).to_vec()
        } else {
            vec![name.to_owned()]
        };
        Self { names }
    }

    /// The name to store credentials under, and to ask helpers for.
    pub(crate) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The keys that a file may hold the credential for `repository` under, the most precise first:
    /// Podman's `registry/namespace/repository` and the prefixes of that, then the registry.
    pub(crate) fn keys(&self, repository: Option<&RepositoryName>) -> Vec<String> {
        let mut keys = Vec::new();
        let mut path = repository.map_or("", RepositoryName::as_str);
        while !path.is_empty() {
            let hosts = self.names.iter().filter(|name| !name.contains('/'));
            keys.extend(hosts.map(|host| format!("{host}/{path}")));
            path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        keys.extend(self.names.iter().cloned());
        keys
    }

    /// Whether `key` is one of the registry's names, written as a URL perhaps, as Docker did once.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        let host = host_of(key);
        self.names.iter().any(|name| name == key || name == host)
    }
}

/// The host, and the port, that a key is about. A path goes with a URL; without a scheme it is a
/// namespace of the registry, and its credentials are not those of the whole registry.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let Some(url) = rest else {
        let key = key.strip_suffix('/').unwrap_or(key);
        // The two versions of the API, which are no namespaces.
        return key
            .strip_suffix("/v1")
            .or_else(|| key.strip_suffix("/v2"))
            .unwrap_or(key);
    };
    url.split_once('/').map_or(url, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> Server {
        Server::new(&name.parse().expect("a registry name"))
    }

    #[test]
    fn all_names_of_docker_hub_are_one() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            let server = server(name);
            assert_eq!(server.name(), "https://index.docker.io/v1/");
            for key in HUB {
                assert!(server.has_key(key), "{key}");
            }
            assert!(server.has_key("https://registry-1.docker.io/v2/"));
            assert!(!server.has_key("docker.io/library"));
        }
        assert!(!server("registry.example").has_key("docker.io"));
    }

    #[test]
    fn a_key_may_be_a_url() {
        let server = server("registry.example:5000");
        for key in [
            "registry.example:5000",
            "registry.example:5000/",
            "http://registry.example:5000",
            "https://registry.example:5000/",
            "https://registry.example:5000/foo/bar",
            "registry.example:5000/v2/",
            "registry.example:5000/v1",
        ] {
            assert!(server.has_key(key), "{key}");
        }
        for key in [
            "registry.example",
            "registry.example:5000/foo",
            "https://registry.example",
            "ftp://registry.example:5000",
            "other.example",
            "",
        ] {
            assert!(!server.has_key(key), "{key}");
        }
    }

    #[test]
    fn the_keys_of_a_repository_go_from_the_longest_to_the_registry() {
        let repository = "a/b/c".parse().expect("a repository name");
        assert_eq!(
            server("registry.example").keys(Some(&repository)),
            [
                "registry.example/a/b/c",
                "registry.example/a/b",
                "registry.example/a",
                "registry.example",
            ]
        );
        let library = "library".parse().expect("a repository name");
        assert_eq!(
            server("docker.io").keys(Some(&library))[..4],
            [
                "docker.io/library",
                "index.docker.io/library",
                "registry-1.docker.io/library",
                "https://index.docker.io/v1/",
            ]
        );
        assert_eq!(server("a.example").keys(None), ["a.example"]);
    }
}
