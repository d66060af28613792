# podman, whose library also pulls for CRI-O, buildah and skopeo.
# shellcheck shell=bash

needs podman

podman_starts() {
    local registry
    mkdir -p "$temporary/podman" "$HOME/.config/containers"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$HOME/.config/containers/policy.json"
    export CONTAINERS_REGISTRIES_CONF=$temporary/podman/registries.conf
    export REGISTRY_AUTH_FILE=$temporary/podman/auth.json
    echo '{}' >"$REGISTRY_AUTH_FILE"
    for registry in docker.io registry.example other.example; do
        cat <<TOML
[[registry]]
location = "$registry"

[[registry.mirror]]
location = "${mirror#*://}/$registry"
insecure = true

TOML
    done >"$CONTAINERS_REGISTRIES_CONF"
}

# podman_here ARGUMENTS...: podman with the images of $store.
podman_here() {
    local directory=$temporary/podman/${store:-one}
    podman --root "$directory/root" --runroot "$directory/run" --tmpdir "$directory/tmp" --storage-driver vfs "$@"
}

# podman_pull REFERENCE [USER:PASSWORD]: the login is for the mirror.
podman_pull() {
    [ $# = 1 ] || podman_here login --tls-verify=false --username "${2%%:*}" --password "${2#*:}" "${mirror#*://}" >/dev/null
    podman_here pull --quiet "$1" >/dev/null
}

# podman_pull_into STORE REFERENCE
podman_pull_into() {
    local store=$1
    podman_pull "$2"
}

# podman_has REFERENCE LAYOUT DIGEST: the image has the digest and the config, which has the digests of layers.
podman_has() {
    mentions "@$3" podman_here image inspect --format '{{.RepoDigests}}' "$1"
    prints "$(config_of "$2" "$3")" podman_here image inspect --format 'sha256:{{.Id}}' "$1"
}

podman_forgets() {
    podman_here rmi --all --force >/dev/null
}

# podman_push REFERENCE NAME [USER:PASSWORD]
podman_push() {
    podman_here push --tls-verify=false ${3:+--creds "$3"} "$1" "$2"
}
