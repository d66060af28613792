//! The examples in the help of each command.

/// A command line, and what it is for.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) purpose: &'static str,
    pub(crate) command: &'static str,
}

/// Returns the examples of the command with the given path, such as `manifest fetch`; the first two are those of `-h`.
pub(crate) fn examples(path: &str) -> &'static [Example] {
    EXAMPLES
        .iter()
        .find(|(of, _)| *of == path)
        .map_or(&[], |(_, examples)| examples)
}

const fn example(purpose: &'static str, command: &'static str) -> Example {
    Example { purpose, command }
}

/// By the path of the command, in the order of the help.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "cp",
        &[
            example(
                "From a registry to a directory, with all platforms",
                "tranship cp docker.io/library/alpine:3 oci:alpine",
            ),
            example(
                "From one registry to another, with signatures and SBOMs",
                "tranship cp -r ghcr.io/team/app:v1 registry.example/team/app",
            ),
            example(
                "To an archive for docker load",
                "tranship cp --platform linux/amd64 ghcr.io/team/app:v1 docker-archive:app.tar:team/app:v1",
            ),
            example(
                "What there is to do, without doing it",
                "tranship cp --dry-run oci:build/app:v1 localhost:5000/app",
            ),
        ],
    ),
    (
        "mirror",
        &[
            example("What a file says, once", "tranship mirror mirror.yaml"),
            example(
                "What that would do, with what it would delete",
                "tranship mirror mirror.yaml --dry-run --prune",
            ),
            example(
                "A list of images to a directory of layouts",
                "tranship mirror images.txt --to layouts:mirror",
            ),
            example(
                "Every hour, with the file of skopeo sync",
                "tranship mirror sync.yaml --to registry.example --watch 1h",
            ),
        ],
    ),
    (
        "push",
        &[
            example(
                "A file and a directory to a registry",
                "tranship push registry.example/reports:v1 report.pdf data",
            ),
            example(
                "With media types, to a layout",
                "tranship push oci:app:notes notes.txt:text/plain --artifact-type application/vnd.example.notes",
            ),
            example(
                "Standard input",
                "tranship push oci:app:backup - --title backup.sql:application/sql",
            ),
        ],
    ),
    (
        "pull",
        &[
            example(
                "All files of an artifact, into a directory",
                "tranship pull registry.example/reports:v1 -o reports",
            ),
            example(
                "Some of them, in place of older ones",
                "tranship pull oci:app:v1 --match '*.json' --overwrite",
            ),
            example(
                "The SBOMs that are attached to an image",
                "tranship pull registry.example/app:v1 -r --media-type application/spdx+json",
            ),
        ],
    ),
    (
        "attach",
        &[
            example(
                "An SBOM",
                "tranship attach registry.example/app:v1 sbom.json:application/spdx+json --artifact-type application/spdx+json",
            ),
            example(
                "Annotations alone",
                "tranship attach oci:app:v1 --artifact-type application/vnd.example.review -a by=me",
            ),
        ],
    ),
    (
        "resolve",
        &[
            example(
                "The digest of a tag",
                "tranship resolve docker.io/library/alpine:3",
            ),
            example(
                "The image for one platform, as a location",
                "tranship resolve --full --platform linux/arm64 docker.io/library/alpine:3",
            ),
        ],
    ),
    (
        "tag",
        &[
            example(
                "A further tag",
                "tranship tag registry.example/app:v1 stable",
            ),
            example(
                "Two tags for a digest of a layout",
                "tranship tag oci:app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0 v1 latest",
            ),
        ],
    ),
    (
        "untag",
        &[
            example(
                "Remove a tag, and keep the manifest",
                "tranship untag oci:app:old",
            ),
            example(
                "Remove several",
                "tranship untag registry.example/app:pr-1 registry.example/app:pr-2",
            ),
        ],
    ),
    (
        "manifest fetch",
        &[
            example(
                "Read a manifest",
                "tranship manifest fetch --pretty docker.io/library/alpine:3",
            ),
            example(
                "Its media type, digest and size",
                "tranship manifest fetch --descriptor oci:app:v1",
            ),
        ],
    ),
    (
        "manifest push",
        &[
            example(
                "Store a manifest",
                "tranship manifest push oci:app:v1 manifest.json",
            ),
            example(
                "From standard input, with two tags",
                "tranship manifest push localhost:5000/app:v1 - --tag latest",
            ),
        ],
    ),
    (
        "manifest delete",
        &[
            example(
                "Delete a manifest and its tags",
                "tranship manifest delete registry.example/app:v1",
            ),
            example(
                "What old pull requests have left",
                "tranship manifest delete registry.example/app --match 'pr-*' --older-than 30d --dry-run",
            ),
            example(
                "All but the last ten builds",
                "tranship manifest delete registry.example/app --match 'build-*' --keep 10 --yes",
            ),
        ],
    ),
    (
        "index create",
        &[
            example(
                "One image for two platforms, of an image for each",
                "tranship index create registry.example/app:v1 registry.example/app:v1-amd64 registry.example/app:v1-arm64",
            ),
            example(
                "Of tags of the same repository",
                "tranship index create registry.example/app:v1 v1-amd64 v1-arm64",
            ),
        ],
    ),
    (
        "index add",
        &[
            example(
                "A further platform",
                "tranship index add registry.example/app:v1 oci:build:v1-s390x",
            ),
            example(
                "A new build of a platform in place of the old one",
                "tranship index add --replace registry.example/app:v1 oci:build:v1-arm64",
            ),
        ],
    ),
    (
        "index remove",
        &[
            example(
                "A platform, with its attestations",
                "tranship index remove registry.example/app:v1 --platform linux/s390x",
            ),
            example(
                "All attestations",
                "tranship index remove registry.example/app:v1 --platform unknown/unknown",
            ),
        ],
    ),
    (
        "index show",
        &[
            example(
                "The platforms of an image",
                "tranship index show docker.io/library/alpine:3",
            ),
            example(
                "The same for a script",
                "tranship index show oci:alpine:3 --format json",
            ),
        ],
    ),
    (
        "annotate",
        &[
            example(
                "Set one annotation and remove another",
                "tranship annotate registry.example/app:v1 org.opencontainers.image.version=1.2 draft-",
            ),
            example(
                "Of one platform in an index",
                "tranship annotate oci:app:v1 --entry linux/arm64 team=harbour",
            ),
        ],
    ),
    (
        "blob fetch",
        &[
            example(
                "Write a blob to a file",
                "tranship blob fetch oci:app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0 -o layer.tar.gz",
            ),
            example(
                "Its first hundred bytes",
                "tranship blob fetch oci:app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0 --range 0-99",
            ),
        ],
    ),
    (
        "blob push",
        &[
            example(
                "Store a file",
                "tranship blob push localhost:5000/app layer.tar.gz",
            ),
            example("Store standard input", "tranship blob push oci:app -"),
        ],
    ),
    (
        "blob delete",
        &[
            example(
                "Delete a blob of a layout",
                "tranship blob delete oci:app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
            ),
            example(
                "Without a question",
                "tranship blob delete --yes oci:app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
            ),
        ],
    ),
    (
        "repo tags",
        &[
            example("All tags", "tranship repo tags docker.io/library/alpine"),
            example(
                "The newest release of version 3",
                "tranship repo tags docker.io/library/alpine --semver '^3' --sort version --reverse --limit 1",
            ),
            example(
                "The tags that name the same image as stable",
                "tranship repo tags registry.example/app --digest stable",
            ),
        ],
    ),
    (
        "repo ls",
        &[
            example(
                "The repositories of a registry",
                "tranship repo ls localhost:5000",
            ),
            example(
                "Those of one team",
                "tranship repo ls layouts:/srv/registry//team",
            ),
        ],
    ),
    (
        "ls",
        &[
            example("The tags of a repository", "tranship ls oci:app"),
            example(
                "The repositories of a registry",
                "tranship ls localhost:5000",
            ),
        ],
    ),
    (
        "tags",
        &[
            example("All tags", "tranship tags docker.io/library/alpine"),
            example(
                "In the order of versions",
                "tranship tags docker.io/library/alpine --sort version --exclude-digest-tags",
            ),
        ],
    ),
    (
        "rm",
        &[
            example(
                "Delete an image and its tags",
                "tranship rm registry.example/app:v1",
            ),
            example(
                "What old pull requests have left",
                "tranship rm registry.example/app --match 'pr-*' --older-than 30d --dry-run",
            ),
        ],
    ),
    (
        "discover",
        &[
            example(
                "Signatures, SBOMs and the like",
                "tranship discover ghcr.io/team/app:v1",
            ),
            example(
                "Only SBOMs, with their annotations",
                "tranship discover --artifact-type application/spdx+json --annotations oci:app:v1",
            ),
        ],
    ),
    (
        "inspect",
        &[
            example(
                "Platforms and sizes, or layers and configuration",
                "tranship inspect docker.io/library/alpine:3",
            ),
            example(
                "The layers and the configuration for one platform",
                "tranship inspect --platform linux/arm64 docker.io/library/alpine:3",
            ),
            example(
                "The configuration, byte for byte",
                "tranship inspect --config oci:app:v1",
            ),
        ],
    ),
    (
        "fs ls",
        &[
            example(
                "The files in a directory of an image",
                "tranship fs ls -l docker.io/library/alpine:3 /etc",
            ),
            example("All files", "tranship fs ls -R oci:app:v1"),
        ],
    ),
    (
        "fs cat",
        &[
            example(
                "Read a file of an image",
                "tranship fs cat docker.io/library/alpine:3 /etc/os-release",
            ),
            example(
                "Of one platform",
                "tranship fs cat --platform linux/arm64 oci:app:v1 /app/version",
            ),
        ],
    ),
    (
        "fs cp",
        &[
            example(
                "A program out of an image, into this directory",
                "tranship fs cp registry.example/app:v1 /usr/bin/app .",
            ),
            example(
                "All files, without owners and devices",
                "tranship fs cp oci:app:v1 / rootfs",
            ),
        ],
    ),
    (
        "fs export",
        &[
            example(
                "All files as a tar archive",
                "tranship fs export docker.io/library/alpine:3 --output rootfs.tar",
            ),
            example(
                "The archive of one platform, on standard output",
                "tranship fs export --platform linux/arm64 oci:app:v1",
            ),
        ],
    ),
    (
        "fs diff",
        &[
            example(
                "What has changed between two versions",
                "tranship fs diff registry.example/app:v1 registry.example/app:v2",
            ),
            example(
                "Between two platforms",
                "tranship fs diff oci:app:v1 oci:app:v1 --platform linux/amd64 --other-platform linux/arm64",
            ),
        ],
    ),
    (
        "verify",
        &[
            example(
                "Is everything there that an image needs?",
                "tranship verify registry.example/app:v1",
            ),
            example(
                "All tags of a repository, with what refers to them",
                "tranship verify -r registry.example/app",
            ),
        ],
    ),
    (
        "gc",
        &[
            example("What would go?", "tranship gc --dry-run oci:/srv/images"),
            example(
                "Also manifests without a tag that are older than a week",
                "tranship gc --untagged-older-than 7d layouts:/srv/registry",
            ),
        ],
    ),
    (
        "fsck",
        &[
            example("Check a layout", "tranship fsck oci:/srv/images"),
            example(
                "Repair it from a registry",
                "tranship fsck oci:/srv/images --repair-from registry.example/images",
            ),
        ],
    ),
    (
        "login",
        &[
            example("Ask for name and password", "tranship login ghcr.io"),
            example(
                "In a script",
                "echo \"$TOKEN\" | tranship login ghcr.io --username ann --password-stdin",
            ),
        ],
    ),
    (
        "logout",
        &[
            example("Forget the credentials", "tranship logout ghcr.io"),
            example(
                "Those in another file",
                "tranship logout ghcr.io --registry-config ci/auth.json",
            ),
        ],
    ),
    (
        "serve",
        &[
            example("An empty registry in memory, for tests", "tranship serve"),
            example(
                "A directory of layouts, over TLS and with passwords",
                "tranship serve --root /srv/registry --listen 0.0.0.0:443 --htpasswd users --tls-cert cert.pem --tls-key key.pem",
            ),
        ],
    ),
    (
        "completion",
        &[
            example(
                "For bash, in every shell",
                "tranship completion bash > ~/.local/share/bash-completion/completions/tranship",
            ),
            example(
                "For fish",
                "tranship completion fish > ~/.config/fish/completions/tranship.fish",
            ),
        ],
    ),
    (
        "version",
        &[
            example("The version and what is built in", "tranship version"),
            example("For scripts", "tranship version --format json"),
        ],
    ),
    (
        "help",
        &[
            example("The help of a command", "tranship help manifest fetch"),
            example(
                "The options that all commands have",
                "tranship help options",
            ),
        ],
    ),
    (
        "man",
        &[
            example("The manual page", "tranship man"),
            example(
                "Those of all commands",
                "tranship man --output /usr/share/man/man1",
            ),
        ],
    ),
];
