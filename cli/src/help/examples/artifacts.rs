//! Examples of the commands about single artifacts.

use super::{Example, example};

/// By the path of the command, in the order of the help.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
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
];
