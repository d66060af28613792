//! Names of images as Docker writes them: the host may be missing.

use std::borrow::Cow;

/// The registry that Docker means where none is named.
pub(super) const DOCKER_HUB: &str = "docker.io";

/// Splits `text` into the host and the name of the repository, which may be a pattern.
///
/// The first component is a host if it contains a dot, a colon or an upper case letter, or is `localhost`; otherwise the
/// host is `docker.io`. There, a name of one component gets `library/` in front. A pattern with `**` may match several
/// components and gets nothing.
///
/// The rules are those of `splitDockerDomain` in <https://github.com/distribution/reference/blob/main/normalize.go>.
pub(super) fn split_host(text: &str) -> (&str, Cow<'_, str>) {
    let (host, name) = match text.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER_HUB, text),
    };
    match host {
        DOCKER_HUB | "index.docker.io" | "registry-1.docker.io" => (DOCKER_HUB, official(name)),
        host => (host, name.into()),
    }
}

/// Whether the first of several components is a host.
pub(super) fn is_host(component: &str) -> bool {
    component == "localhost"
        || component.contains(['.', ':'])
        || component.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The name of a repository on Docker Hub, in full.
fn official(name: &str) -> Cow<'_, str> {
    if name.is_empty() || name.contains('/') || name.contains("**") {
        name.into()
    } else {
        format!("library/{name}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_host_is_docker_hub() {
        for (text, host, name) in [
            ("busybox", "docker.io", "library/busybox"),
            ("team/app", "docker.io", "team/app"),
            ("a/b/c", "docker.io", "a/b/c"),
            ("docker.io/alpine", "docker.io", "library/alpine"),
            ("docker.io/team/app", "docker.io", "team/app"),
            ("index.docker.io/alpine", "docker.io", "library/alpine"),
            ("registry-1.docker.io/team/app", "docker.io", "team/app"),
            ("localhost/app", "localhost", "app"),
            ("localhost:5000/app", "localhost:5000", "app"),
            ("quay.io/coreos/etcd", "quay.io", "coreos/etcd"),
            ("MyHost/app", "MyHost", "app"),
            ("al*", "docker.io", "library/al*"),
            ("docker.io/**", "docker.io", "**"),
            ("team/**", "docker.io", "team/**"),
        ] {
            let (found, rest) = split_host(text);
            assert_eq!((found, &*rest), (host, name), "{text}");
        }
    }
}
