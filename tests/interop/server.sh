#!/usr/bin/env bash
# `tranship serve` as skopeo, oras, crane and regctl see it: push, pull, copies within the registry,
# tags, referrers and deletions, with contents compared byte for byte. Over memory in clear text, and over
# a directory of layouts with TLS and a password.
#
#   bash tests/interop/server.sh [--slow] [TRANSHIP]
#
# With --slow, helm and cosign too. TRANSHIP is the program to check, target/release/tranship unless given.
# `bash .ci/tools [--slow]` installs the others. Works in a temporary directory and ends with the first check
# that fails. What each tool does is in its file in clients/. The short form leaves out memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/interop

clients=(skopeo oras crane regctl)
slow=()
if [ "${1:-}" = --slow ]; then
    slow=(helm cosign)
    shift
fi
if [ $# -gt 1 ]; then
    echo "error: usage: bash tests/interop/server.sh [--slow] [TRANSHIP]" >&2
    exit 2
fi
hello=$PWD/fixtures/hello
docker=$PWD/fixtures/docker
# shellcheck source=support.sh
source $here/support.sh
# shellcheck source=servers.sh
source $here/servers.sh
tranship=$(tested "${1:-}")
for each in "${clients[@]}" "${slow[@]}"; do
    # shellcheck source=/dev/null
    source "$here/clients/$each.sh"
done
as_nobody
# Where skopeo looks.
export REGISTRY_AUTH_FILE=$DOCKER_CONFIG/config.json

certificates
passwords
# All the programs are told to trust it.
export SSL_CERT_FILE=$temporary/ca.pem

# The tags that a program lists, in ASCII order on one line.
tags_of() {
    "$@" | LC_ALL=C sort | xargs
}

# all_work MODE ARGUMENTS...: every client works with a server that these arguments start.
all_work() {
    local each scheme ours=()
    mode=$1
    shift
    serve "$@"
    scheme=${url%%://*}
    if [ "$scheme" = https ]; then
        # shellcheck disable=SC2034 # clients use it
        ours=(--ca-file "$temporary/ca.pem")
        prints 401 curl -s --cacert "$temporary/ca.pem" -o /dev/null -w '%{http_code}' "$url/v2/"
    fi
    logs_in
    for each in "${clients[@]}"; do
        echo "$mode: $each"
        about server "$each" "$each"
        "${each}_works"
    done
    for each in "${slow[@]}"; do
        echo "$mode: $each"
        about server-slow "$each" "$each"
        "${each}_works"
    done
    stop_server
}

root=$(digest_in "$hello" v1)
# shellcheck disable=SC2034 # clients use it
list=$(digest_in "$docker" v1)
whole=$temporary/whole
docker_copy=$temporary/docker-copy
quietly "$tranship" cp --quiet "oci:$hello:v1" "oci:$whole:v1"
quietly "$tranship" cp --quiet "oci:$docker:v1" "oci:$docker_copy:v1"

is_short || all_work memory
all_work layouts --root "layouts:$temporary/registry" --htpasswd "$temporary/htpasswd" \
    --tls-cert "$temporary/server.pem" --tls-key "$temporary/server.key"

echo "layouts: what all of them left"
about server "all of them"
check "a directory of layouts that is sound, and a log without the password"
quietly "$tranship" fsck "layouts:$temporary/registry"
refused grep -F "$password" "$temporary/log"

echo "$checks checks passed"
