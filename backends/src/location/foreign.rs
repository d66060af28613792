//! What other tools write where a location is expected, and what to write instead.

/// Returns what to write instead of `text`, if it begins as the locations of another tool do.
pub(super) fn hint(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    // A third slash starts an absolute path.
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => &format!("/{}", path.trim_start_matches('/')),
        Some(path) => path,
        None => rest,
    };
    // A host may have any of these names, and a port.
    let port = rest.split('/').next().unwrap_or_default();
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && rest.contains('/') {
        return None;
    }
    Some(match scheme {
        "docker-daemon" | "docker-engine" => {
            "save the image with `docker save -o FILE IMAGE`, and write docker-archive:FILE".into()
        }
        "containers-storage" => {
            "save the image with `podman save --format oci-archive -o FILE IMAGE`, and write oci-archive:FILE".into()
        }
        "dir" => format!("only skopeo reads such directories: convert it with `skopeo copy {text} oci:PATH`, and write oci:PATH"),
        "ostree" | "sif" | "tarball" | "atomic" => {
            format!("convert it with `skopeo copy {text} oci:PATH`, and write oci:PATH")
        }
        "ocidir" | "ocilayout" | "oci-layout" | "oci-dir" | "layout" => format!("an image layout is written oci:{path}"),
        "oci" if rest.starts_with("///") => format!("an image layout is written oci:{path}"),
        "oci-archive" | "docker-archive" if rest.starts_with("//") => {
            format!("an archive is written {scheme}:{path}")
        }
        "oci" if rest.starts_with("//") => {
            format!("an image layout is written oci:{path}, and a registry without a scheme: {path}")
        }
        "ocifile" | "ociarchive" | "oci-tar" => format!("an archive of an image layout is written oci-archive:{path}"),
        "docker-tar" | "dockerarchive" => format!("an archive of docker is written docker-archive:{path}"),
        "http" | "https" if rest.starts_with("//") => {
            let plain = if scheme == "http" { ", and --plain-http to speak http" } else { "" };
            let registry = path.trim_start_matches('/');
            format!("a registry is written without a scheme: {registry}{plain}")
        }
        _ => return None,
    })
}

/// Returns the scheme of `text`, which has a [`hint`], unless it is one of a location here.
pub(super) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_own = ["oci", "oci-archive", "docker-archive"].contains(&scheme);
    (!is_own).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use crate::Location;

    #[test]
    fn what_other_tools_write_is_an_unknown_kind_of_location() {
        for text in [
            "docker-daemon:alpine:3",
            "docker-daemon:localhost/app:3",
            "containers-storage:alpine",
            "dir:path",
            "dir:/path",
            "ostree:app@/repo",
            "sif:app.sif",
            "tarball:a.tar",
            "ocidir:dir:v1",
            "https://registry.example/app:v1",
        ] {
            let message = text.parse::<Location>().expect_err(text).to_string();
            let (scheme, _) = text.split_once(':').expect("a scheme");
            let expected = format!("\"{scheme}\": is not a kind of location");
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn what_other_tools_write_is_met_with_what_to_write_here() {
        for (text, expected) in [
            ("docker-daemon:alpine:3", "docker-archive:FILE"),
            ("docker-daemon:localhost/app:3", "docker-archive:FILE"),
            ("containers-storage:alpine", "oci-archive:FILE"),
            (
                "containers-storage:[overlay@/x]localhost/app",
                "oci-archive:FILE",
            ),
            ("dir:/some/path", "skopeo copy dir:/some/path oci:PATH"),
            ("dir:path", "skopeo copy dir:path oci:PATH"),
            ("ostree:app@/repo", "oci:PATH"),
            ("oci://some/dir:v1", "oci:some/dir:v1"),
            ("ocidir://some/dir:v1", "oci:some/dir:v1"),
            ("ocidir:dir:v1", "oci:dir:v1"),
            ("ocidir:/abs/dir", "oci:/abs/dir"),
            ("oci:///abs/dir", "written oci:/abs/dir"),
            ("oci-archive:///abs/a.tar", "written oci-archive:/abs/a.tar"),
            ("docker-archive://a.tar", "written docker-archive:a.tar"),
            (
                "https://registry.example/app:v1",
                ": registry.example/app:v1",
            ),
            ("http://localhost:5000/app", "--plain-http"),
        ] {
            let error = text.parse::<Location>().expect_err(text);
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains(expected), "{text}: {hint}");
        }
    }

    #[test]
    fn a_host_named_like_a_scheme_is_a_host() {
        let location: Location = "dir:5000/app:v1".parse().expect("a registry");
        assert!(matches!(location, Location::Remote(_)));
    }
}
