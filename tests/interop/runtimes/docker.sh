# The daemon of Docker, which has mirrors of Docker Hub only.
# shellcheck shell=bash

needs docker dockerd

# containerd must have been started.
docker_starts() {
    local directory=$temporary/dockerd
    mkdir -p "$directory/client"
    cat >"$directory/daemon.json" <<JSON
{
  "registry-mirrors": ["$mirror"],
  "hosts": ["unix://$directory/socket"],
  "containerd": "$temporary/containerd/socket",
  "data-root": "$directory/data",
  "exec-root": "$directory/exec",
  "pidfile": "$directory/pid",
  "deprecated-key-path": "$directory/key.json",
  "bridge": "none",
  "iptables": false,
  "ip6tables": false,
  "storage-driver": "vfs"
}
JSON
    daemon dockerd dockerd --config-file "$directory/daemon.json"
    ready dockerd docker_here version
}

docker_here() {
    docker --config "$temporary/dockerd/client" --host "unix://$temporary/dockerd/socket" "$@"
}

docker_pull() {
    docker_here pull --quiet "$1" >/dev/null
}

# docker_has REFERENCE LAYOUT DIGEST: the image has the digest and the config, which has the digests of layers.
docker_has() {
    mentions "@$3" docker_here image inspect --format '{{.RepoDigests}}' "$1"
    prints "$(config_of "$2" "$3")" docker_here image inspect --format '{{.Id}}' "$1"
}

docker_forgets() {
    local images
    images=$(docker_here images --quiet --no-trunc | sort -u)
    # shellcheck disable=SC2086 # digests have no spaces
    [ -z "$images" ] || docker_here rmi --force $images >/dev/null
}

# docker_push REFERENCE NAME [USER:PASSWORD]
docker_push() {
    [ $# -lt 3 ] || docker_here login --username "${3%%:*}" --password-stdin "${2%%/*}" <<<"${3#*:}" >/dev/null 2>&1
    docker_here tag "$1" "$2"
    docker_here push "$2"
}
