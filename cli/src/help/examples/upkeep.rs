//! Examples of the commands about repositories, registries and the program.

use super::{Example, example};

/// By the path of the command, in the order of the help.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
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
            example(
                "Pulling without a login, pushing with one, also by accounts of programs",
                "tranship serve --root /srv/registry --htpasswd users --robots robots.json --anonymous-read",
            ),
        ],
    ),
    (
        "token create",
        &[
            example(
                "An account that may push to the repositories of a team for 90 days",
                "tranship token create ci-push --file robots.json --grant 'team/**:rw' --expires 90d",
            ),
            example(
                "An account that may only pull",
                "tranship token create ci-pull --file robots.json --grant '**:r'",
            ),
        ],
    ),
    (
        "token list",
        &[
            example(
                "The accounts, and when they expire",
                "tranship token list --file robots.json",
            ),
            example(
                "The same for a script",
                "tranship token list --file robots.json --format json",
            ),
        ],
    ),
    (
        "token revoke",
        &[
            example(
                "Refuse an account from now on",
                "tranship token revoke ci-push --file robots.json",
            ),
            example(
                "The same for a script",
                "tranship token revoke ci-pull --file robots.json --format json",
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
