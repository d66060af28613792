//! Examples of the commands that copy: one artifact, and many.

use super::{Example, example};

/// By the path of the command, in the order of the help.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
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
        "bundle create",
        &[
            example(
                "Every tag of some repositories, with signatures and SBOMs",
                "tranship bundle create -o bundle.tar --lock bundle.lock 'registry.example/team/**'",
            ),
            example(
                "What a file for `tranship mirror` chooses and the other side does not have, on volumes",
                "tranship bundle create -o june.tar -f mirror.yaml --base may.lock --volume-size 4GiB",
            ),
            example(
                "To a bucket",
                "tranship bundle create -o s3://transfer/bundle.tar docker.io/library/alpine:3.20",
            ),
        ],
    ),
    (
        "bundle apply",
        &[
            example(
                "To a registry, and the lock for the next bundle",
                "tranship bundle apply bundle.tar registry.internal --lock bundle.lock",
            ),
            example(
                "One volume at a time, with the host in the names",
                "tranship bundle apply june.001.tar registry.internal/{registry}/{repository}",
            ),
            example(
                "Back to what an earlier lock says, where the content still exists",
                "tranship bundle apply may.lock registry.internal --prune",
            ),
        ],
    ),
    (
        "restore",
        &[
            example(
                "A backup to an empty registry",
                "tranship restore backup.tar registry.example",
            ),
            example(
                "What that would copy",
                "tranship restore backup.tar registry.example --dry-run",
            ),
        ],
    ),
    (
        "bundle list",
        &[
            example("The images of a bundle", "tranship bundle list bundle.tar"),
            example(
                "The images of two volumes, and what they still need",
                "tranship bundle list june.001.tar june.003.tar",
            ),
        ],
    ),
    (
        "bundle verify",
        &[
            example(
                "All volumes",
                "tranship bundle verify june.001.tar june.002.tar",
            ),
            example(
                "One volume alone",
                "tranship bundle verify --partial june.001.tar",
            ),
            example(
                "With what the destination has",
                "tranship bundle verify june.tar --base may.lock",
            ),
        ],
    ),
    (
        "bundle diff",
        &[
            example("Of two bundles", "tranship bundle diff may.tar june.tar"),
            example("Of two locks", "tranship bundle diff may.lock june.lock"),
        ],
    ),
    (
        "bundle lock",
        &[
            example("To a file", "tranship bundle lock may.tar > may.lock"),
            example(
                "Of a volume",
                "tranship bundle lock june.002.tar > june.lock",
            ),
        ],
    ),
    (
        "backup",
        &[
            example(
                "A whole registry",
                "tranship backup registry.example -o backup.tar",
            ),
            example(
                "A name space, on volumes",
                "tranship backup 'registry.example/team/**' -o team.tar --volume-size 4GiB",
            ),
            example(
                "A directory of layouts, with manifests that have no tag",
                "tranship backup layouts:/srv/registry --untagged -o backup.tar",
            ),
        ],
    ),
];
