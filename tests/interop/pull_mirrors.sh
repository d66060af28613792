#!/usr/bin/env bash
# Mirrors of other registries (`tranship serve --mirror`) as container runtimes use them, with the configuration that
# docs/serving.md shows: containerd, podman and Docker pull by tag and by digest, all at the same time, and while the
# other registry is down. They pull without a login, and push beside the mirrors with one; nothing can be pushed to a mirror.
#
#   bash tests/interop/pull_mirrors.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the runtimes. They keep
# their images in a temporary directory, do not run containers, and need root, as they mount. What each does is in its
# file in runtimes/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/interop

# The durability of the runtimes is not checked.
in_memory=yes
# shellcheck source=support.sh
source $here/support.sh
# shellcheck source=servers.sh
source $here/servers.sh
tranship=$(tested "${1:-}")
[ "$(id -u)" = 0 ] || die "containerd, podman and dockerd need root here"
needs umoci unshare
as_nobody

# daemon NAME COMMAND...: starts a daemon of which no mount is left when it ends.
daemon() {
    local name=$1
    shift
    unshare --mount "$@" >"$temporary/$name.log" 2>&1 &
    servers+=($!)
}

# ready NAME COMMAND...: waits until the command, which asks the daemon, succeeds.
ready() {
    local name=$1
    shift
    for _ in $(seq 300); do
        ! "$@" >/dev/null 2>&1 || return 0
        kill -0 "${servers[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    cat "$temporary/$name.log" >&2
    die "$name does not start"
}

# at_once COMMANDS...: runs them at the same time, each a function and its arguments in one text. All must succeed.
at_once() {
    local each running=()
    for each in "$@"; do
        # shellcheck disable=SC2086 # it is split into words
        $each &
        running+=($!)
    done
    for each in "${running[@]}"; do
        wait "$each" || die "failed: one of $*"
    done
}

# refused_with WORDS COMMAND...: runs what must not succeed, and say this.
refused_with() {
    local words=$1
    shift
    refused "$@"
    grep -qF "$words" "$temporary/output" || { cat "$temporary/output" >&2; die "no $words is told: $*"; }
}

# status TARGET [ARGUMENTS OF curl]...: the status of a request to $mirror.
status() {
    curl -s -o /dev/null -w '%{http_code}' "$mirror$1" "${@:2}"
}

# blobs_of LAYOUT DIGEST: the digests of what a pull for this platform reads besides this one: the config, the layers, and
# the manifest, if the digest is that of an index.
blobs_of() {
    python3 - "$1" "$2" <<'PYTHON'
import json, platform, sys

layout, digest = sys.argv[1:]
here = {"os": "linux", "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]}
read = lambda digest: json.load(open(layout + "/blobs/" + digest.replace(":", "/")))
manifest, found = read(digest), []
if "manifests" in manifest:
    found = [each["digest"] for each in manifest["manifests"] if here.items() <= each["platform"].items()]
    manifest = read(found[0])
print(manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"]), *found[:1])
PYTHON
}

config_of() {
    local blobs
    blobs=$(blobs_of "$1" "$2")
    printf '%s\n' "${blobs%% *}"
}

for each in containerd podman docker; do
    # shellcheck source=/dev/null
    source "$here/runtimes/$each.sh"
done

hello=$PWD/fixtures/hello
docker=$PWD/fixtures/docker
# Large enough to be read while it arrives.
large=$temporary/large
head -c 20000000 /dev/urandom >"$temporary/file"
quietly umoci init --layout "$large"
quietly umoci new --image "$large:v1"
quietly umoci insert --image "$large:v1" "$temporary/file" /file

# The registry that is mirrored, which only a user may read, and the login for it.
passwords
server_log=$temporary/upstream.log
serve --htpasswd "$temporary/htpasswd"
upstream=${servers[-1]}
upstream_url=$url
logs_in
for each in "$large:v1 library/large:v1" "$docker:v1 library/app:v1" "$docker:v1-amd64 library/app:v1-amd64" \
    "$hello:v1 team/hello:v1"; do
    quietly "$tranship" cp --quiet "oci:${each% *}" "$host/${each#* }"
done
prepared=$(wc -l <"$temporary/upstream.log")

# A server with mirrors of it. Docker Hub's can be read without a login, as Docker asks for it too: without its prefix.
server_log=$temporary/mirror.log
serve --root "layouts:$temporary/mirror" --mirror "docker.io=$upstream_url" --mirror "registry.example=$upstream_url" \
    --mirror-fallback docker.io --mirror-ttl 0s --htpasswd "$temporary/htpasswd" \
    --anonymous-read='docker.io/**'
mirror=$url
containerd_starts
docker_starts
podman_starts

echo "all at once"
image=docker.io/library/large:v1
digest=$(digest_in "$large" v1)
at_once "containerd_pull $image" "docker_pull $image" "podman_pull $image" "podman_pull_into two $image" \
    "podman_pull_into three $image"

# Images, their layouts and their digests.
app=docker.io/library/app
list=$(digest_in "$docker" v1)
index=$(digest_in "$hello" v1)

declare -A commands=([containerd]="ctr images pull" [podman]="podman pull" [docker]="docker pull")
for each in containerd podman docker; do
    echo "$each"
    program=$each
    [ "$each" != docker ] || program=dockerd
    about pull-mirrors "$each" "$program"
    check "${commands[$each]}" "an image that five clients pull at the same time"
    "${each}_has" $image "$large" "$digest"
    check "${commands[$each]}" "an image by its tag, and by its digest"
    for name in "$app:v1" "$app@$list"; do
        "${each}_pull" "$name"
        "${each}_has" "$name" "$docker" "$list"
    done
    check "${commands[$each]/pull/push}" "pushed beside the mirrors with a login, and not without"
    "${each}_pull" "$app:v1-amd64"
    refused "${each}_push" "$app:v1-amd64" "$host/team/$each:v1"
    quietly "${each}_push" "$app:v1-amd64" "$host/team/$each:v1" "$user:$password"
    prints 200 status "/v2/team/$each/manifests/v1" --user "$user:$password"
    check "${commands[$each]/pull/push}" "a push to a mirror is refused, with a login too"
    case $each in containerd) words=405 ;; *) words=unsupported ;; esac
    refused_with "$words" "${each}_push" "$app:v1-amd64" "$host/docker.io/library/app:v2" "$user:$password"
    [ "$each" != docker ] || continue
    check "${commands[$each]}" "an image of another registry, which only users may read, with a login and not without"
    refused "${each}_pull" registry.example/team/hello:v1
    "${each}_pull" registry.example/team/hello:v1 "$user:$password"
    "${each}_has" registry.example/team/hello:v1 "$hello" "$index"
done

about pull-mirrors containerd
check "ctr images pull" "the mirror in the path, with override_path"
hosts_dir=$prefixes
containerd_forgets
containerd_pull "$app:v1"
containerd_has "$app:v1" "$docker" "$list"
containerd_pull registry.example/team/hello:v1 "$user:$password"
containerd_has registry.example/team/hello:v1 "$hello" "$index"
hosts_dir=$hosts
check "ctr images pull" "a registry that is not mirrored is not found"
refused_with "not found" containerd_pull other.example/team/hello:v1 "$user:$password"
about pull-mirrors "the server"
check "the parameter ns with a registry that is not mirrored: 404"
prints 404 status "/v2/library/app/manifests/v1?ns=other.example" --user "$user:$password"
prints 200 status "/v2/library/app/manifests/v1?ns=docker.io"

echo "the other registry is down"
kill "$upstream"
wait "$upstream"
for each in containerd podman docker; do
    about pull-mirrors "$each"
    check "${commands[$each]}" "pulled again while the other registry is down, by tag and by digest"
    "${each}_forgets"
done
at_once "containerd_pull $app:v1" "podman_pull $app:v1" "docker_pull $app:v1"
at_once "containerd_has $app:v1 $docker $list" "podman_has $app:v1 $docker $list" "docker_has $app:v1 $docker $list"
for each in containerd podman docker; do
    "${each}_forgets"
    "${each}_pull" "$app@$list"
    "${each}_has" "$app@$list" "$docker" "$list"
done
about pull-mirrors "the server"
check "a tag that was resolved without the other registry has a warning"
mentions "warning: 110 " curl -sI "$mirror/v2/docker.io/library/app/manifests/v1"
check "every blob was read from the other registry once, by all clients together"
for each in $(blobs_of "$large" "$digest") $(blobs_of "$docker" "$list"); do
    gets=$(grep -c "method=GET path=\"/v2/library/.*/$each\"" "$temporary/upstream.log")
    [ "$gets" = 1 ] || die "$gets GETs of $each"
done
check "nothing was written to the other registry with the login of the mirrors"
! tail -n "+$((prepared + 1))" "$temporary/upstream.log" | grep -E 'method=(POST|PUT|PATCH|DELETE)' || die "it was"

echo "$checks checks passed"
