#!/usr/bin/env bash
# Image layouts between tranship, skopeo, oras, umoci, crane and regctl: what one writes, the others
# read, and contents are the same byte for byte.
#
#   bash tests/interop/layouts.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs
# the others. Works in a temporary directory and ends with the first check that fails. What each
# tool has to do is in the file of its name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/interop

hello=$PWD/fixtures/hello
docker=$PWD/fixtures/docker

# shellcheck source=support.sh
source $here/support.sh
# shellcheck source=servers.sh
source $here/servers.sh
tranship=$(tested "${1:-}")
needs skopeo umoci
for each in skopeo oras umoci crane regctl shared; do
    # shellcheck source=/dev/null
    source $here/$each.sh
done
as_nobody

root=$(digest_in "$hello" v1)
amd64=$(digest_in "$hello" v1-amd64)
arm64=$(python3 -c 'import json, sys; print(next(
    each["digest"] for each in json.load(open(sys.argv[1]))["manifests"]
    if each["platform"]["architecture"] == "arm64"))' "$(blob "$hello" "$root")")
list=$(digest_in "$docker" v1)
[ -n "$root" ] && [ -n "$amd64" ] && [ -n "$arm64" ] && [ -n "$list" ]

echo "tranship writes"
about layouts-read "on disk"
whole=$temporary/whole
platform=$temporary/platform
recursive=$temporary/recursive
docker_copy=$temporary/docker
tags=$temporary/tags
registry=$temporary/registry
check "an index of several platforms, in index.json and oci-layout as the spec says"
prints "$root" "$tranship" cp --quiet "oci:$hello:v1" "oci:$whole:v1"
prints "$root" digest_in "$whole" v1
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["imageLayoutVersion"] == "1.0.0"' "$whole/oci-layout"
check "one platform, the same blobs"
prints "$arm64" "$tranship" cp --quiet --platform linux/arm64 "oci:$hello:v1" "oci:$platform:v1"
check "an index with referrers, every blob"
prints "$root" "$tranship" cp --quiet --recursive "oci:$hello:v1" "oci:$recursive:v1"
diff -r "$hello/blobs" "$recursive/blobs"
check "Docker's media types, the same blobs"
prints "$list" "$tranship" cp --quiet "oci:$docker:v1" "oci:$docker_copy:v1"
diff -r "$docker/blobs" "$docker_copy/blobs"
check "all tags, of which one was moved and one removed"
quietly "$tranship" cp --quiet "oci:$hello:v1" "oci:$tags:v1" --tag stable --tag v1.0
prints "stable v1 v1.0" tags_by_oras "$tags"
quietly "$tranship" cp --quiet --platform linux/amd64 "oci:$hello:v1" "oci:$tags:stable"
quietly "$tranship" untag --quiet "oci:$tags:v1.0"
check "a layout in a directory of layouts"
prints "$root" "$tranship" cp --quiet "oci:$hello:v1" "layouts:$registry//library/hello"

for each in skopeo oras umoci crane regctl; do
    echo "$each reads"
    about layouts-read "$each" "$each"
    "${each}_reads"
    echo "$each writes"
    about layouts-written "$each" "$each"
    "${each}_writes"
done

echo "one layout with several writers"
about layouts-shared "all of them"
one_layout_with_several_writers

echo "$checks checks passed"
