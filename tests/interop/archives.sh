#!/usr/bin/env bash
# Archives between tranship, skopeo, crane, oras and regctl: what one writes, the others read, and
# contents are the same byte for byte.
#
#   bash tests/interop/archives.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs
# the others. Works in a temporary directory and ends with the first check that fails. crane knows no
# OCI archives, and oras none of docker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/interop

hello=$PWD/fixtures/hello

# shellcheck source=support.sh
source $here/support.sh
# shellcheck source=servers.sh
source $here/servers.sh
tranship=$(tested "${1:-}")
needs skopeo tar gzip zstd
for each in skopeo oras crane regctl oci_archives docker_archives; do
    # shellcheck source=/dev/null
    source $here/$each.sh
done
as_nobody

root=$(digest_in "$hello" v1)
amd64=$(digest_in "$hello" v1-amd64)
[ -n "$root" ] && [ -n "$amd64" ]

# Each compressed, too, under the name with .gz and .zst behind it.
compress() {
    gzip --keep "$1"
    zstd --quiet "$1"
}

for kind in oci docker; do
    echo "$kind archives: tranship writes"
    about $kind-archives-read "on disk"
    ${kind}_archives_by_tranship
    for each in skopeo oras crane regctl; do
        if declare -F "${each}_reads_${kind}_archives" >/dev/null; then
            echo "$kind archives: $each reads"
            about $kind-archives-read "$each" "$each"
            "${each}_reads_${kind}_archives"
            echo "$kind archives: $each writes"
            about $kind-archives-written "$each" "$each"
            "${each}_writes_${kind}_archives"
        fi
    done
done

echo "$checks checks passed"
