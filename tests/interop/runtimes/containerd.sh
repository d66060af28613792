# containerd, driven by ctr. The kubelet and nerdctl read the same hosts.toml.
# shellcheck shell=bash

needs containerd ctr

# Files with the configuration of two kinds: the mirror is chosen by the parameter ns, and by the path.
hosts=$temporary/containerd/certs.d
prefixes=$temporary/containerd/prefixes.d
hosts_dir=$hosts

containerd_starts() {
    local directory=$temporary/containerd registry
    for registry in docker.io registry.example other.example; do
        mkdir -p "$hosts/$registry" "$prefixes/$registry"
        cat >"$hosts/$registry/hosts.toml" <<TOML
server = "$mirror"

[host."$mirror"]
  capabilities = ["pull", "resolve"]
TOML
        cat >"$prefixes/$registry/hosts.toml" <<TOML
[host."$mirror/v2/$registry"]
  capabilities = ["pull", "resolve"]
  override_path = true
TOML
    done
    # Only the native snapshotter needs nothing of the file system.
    cat >"$directory/config.toml" <<TOML
version = 2
root = "$directory/root"
state = "$directory/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.overlayfs",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "$directory/socket"
[ttrpc]
  address = "$directory/ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "$directory/opt"
TOML
    daemon containerd containerd --config "$directory/config.toml"
    ready containerd ctr_here version
}

ctr_here() {
    ctr --address "$temporary/containerd/socket" "$@"
}

# containerd_pull REFERENCE [USER:PASSWORD]
containerd_pull() {
    ctr_here images pull --hosts-dir "$hosts_dir" --snapshotter native ${2:+--user "$2"} "$1" >/dev/null
}

# containerd_has REFERENCE LAYOUT DIGEST: the image has the digest, and the blobs for this platform are those of the layout.
containerd_has() {
    local each
    mentions "$3" ctr_here images ls "name==$1"
    for each in "$3" $(blobs_of "$2" "$3"); do
        ctr_here content get "$each" | cmp - "$(blob "$2" "$each")"
    done
}

containerd_forgets() {
    # shellcheck disable=SC2046 # names have no spaces
    ctr_here images rm --sync $(ctr_here images ls -q) >/dev/null
}

# containerd_push REFERENCE NAME [USER:PASSWORD]
containerd_push() {
    ctr_here images push --plain-http ${3:+--user "$3"} "$2" "$1"
}
