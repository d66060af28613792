#!/usr/bin/env bash
# Image layouts between tranship, skopeo and oras: what one writes, the others read.
#
#   bash tests/interop/layouts.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs
# the others. Works in a temporary directory and ends with the first check that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=${1:-target/release/tranship}
oras=.tools/oras
[ -x "$oras" ] || oras=$(command -v oras || true)
hello=fixtures/hello
docker=fixtures/docker

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ -x "$tranship" ] || die "$tranship is missing: run cargo build --release -p tranship-cli"
[ -n "$oras" ] || die "oras is missing: run bash .ci/tools"
for program in skopeo python3; do
    command -v "$program" >/dev/null || die "$program is missing: run bash .ci/tools"
done

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'echo "error: line $LINENO failed: $BASH_COMMAND" >&2' ERR

checks=0
check() {
    checks=$((checks + 1))
    printf '  %s\n' "$*"
}

# Runs a command, which must succeed and print exactly this.
prints() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    [ "$got" = "$expected" ] || die "$(printf '%s\nexpected:\n%s\ngot:\n%s' "$*" "$expected" "$got")"
}

# Runs a command, which must succeed and print this among other things.
mentions() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    case $got in *"$expected"*) ;; *) die "$(printf '%s\nno %s in:\n%s' "$*" "$expected" "$got")" ;; esac
}

# The file of a digest in a layout.
blob() {
    printf '%s/blobs/%s\n' "$1" "${2/:/\/}"
}

# The digest under a tag in index.json, read by none of the tools under test.
digest_in() {
    python3 - "$1/index.json" "$2" <<'PYTHON'
import json, sys

for entry in json.load(open(sys.argv[1]))["manifests"]:
    if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == sys.argv[2]:
        print(entry["digest"])
PYTHON
}

# All referrers as oras sees them, without the path of the layout.
referrers_by_oras() {
    local layout=${1%%:*}
    "$oras" discover --oci-layout --format json "$@" | sed "s|$layout@|@|g"
}

tags_by_oras() {
    "$oras" repo tags --oci-layout "$1" | sort | xargs
}

tags_by_tranship() {
    "$tranship" repo tags "oci:$1" | xargs
}

skopeo_copy() {
    skopeo --insecure-policy copy --quiet "$@" >/dev/null
}

root=$(digest_in $hello v1)
amd64=$(digest_in $hello v1-amd64)
list=$(digest_in $docker v1)
[ -n "$root" ] && [ -n "$amd64" ] && [ -n "$list" ]

echo "an index with several platforms, copied by tranship"
ours=$temporary/whole
prints "$root" "$tranship" cp --quiet "oci:$hello:v1" "oci:$ours:v1"
check "index.json and oci-layout are what the spec says"
prints "$root" digest_in "$ours" v1
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["imageLayoutVersion"] == "1.0.0"' "$ours/oci-layout"
check "skopeo inspect: the raw index is the same bytes"
skopeo inspect --raw "oci:$ours:v1" | cmp - "$(blob $hello "$root")"
check "skopeo inspect: the image"
mentions "$root" skopeo inspect "oci:$ours:v1"
check "skopeo copy --all to a directory: every platform and the same index"
skopeo_copy --all "oci:$ours:v1" "dir:$temporary/dir"
cmp "$temporary/dir/manifest.json" "$(blob $hello "$root")"
check "skopeo copy to an archive"
skopeo_copy "oci:$ours:v1" "oci-archive:$temporary/whole.tar:v1"
check "oras manifest fetch: the same bytes, of each platform too"
"$oras" manifest fetch --oci-layout "$ours:v1" | cmp - "$(blob $hello "$root")"
for platform in linux/amd64 linux/arm64/v8 windows/amd64; do
    "$oras" manifest fetch --oci-layout --platform "$platform" "$ours:v1" >"$temporary/manifest"
    "$oras" manifest fetch --oci-layout --platform "$platform" "$hello:v1" | cmp - "$temporary/manifest"
done
check "oras repo tags"
prints v1 "$oras" repo tags --oci-layout "$ours"
check "oras cp: the same blobs"
"$oras" cp --no-tty --from-oci-layout "$ours:v1" --to-oci-layout "$temporary/by-oras:v1" >/dev/null
diff -r "$ours/blobs" "$temporary/by-oras/blobs"

echo "one platform"
ours=$temporary/platform
digest=$("$tranship" cp --quiet --platform linux/arm64 "oci:$hello:v1" "oci:$ours:v1")
check "skopeo inspect and skopeo copy"
mentions '"Architecture": "arm64"' skopeo inspect "oci:$ours:v1"
skopeo_copy "oci:$ours:v1" "dir:$temporary/dir-platform"
cmp "$temporary/dir-platform/manifest.json" "$(blob $hello "$digest")"
check "oras manifest fetch"
"$oras" manifest fetch --oci-layout "$ours:v1" | cmp - "$(blob $hello "$digest")"

echo "with referrers, three levels deep"
ours=$temporary/recursive
prints "$root" "$tranship" cp --quiet --recursive "oci:$hello:v1" "oci:$ours:v1"
check "every blob of the fixture is there, and nothing else"
diff -r $hello/blobs "$ours/blobs"
check "oras discover: the same tree"
prints "$(referrers_by_oras $hello:v1)" referrers_by_oras "$ours:v1"
mentions application/vnd.in-toto+json referrers_by_oras "$ours:v1"
check "oras discover: the referrer of a platform, whose type is that of its config"
# By its digest alone oras takes a manifest that index.json does not list for a blob.
prints "$(referrers_by_oras $hello:v1 --platform linux/amd64)" referrers_by_oras "$ours:v1" --platform linux/amd64
mentions application/vnd.example.sbom.config.v1+json referrers_by_oras "$ours:v1" --platform linux/amd64
check "oras cp --recursive: the same blobs"
"$oras" cp --no-tty --recursive --from-oci-layout "$ours:v1" --to-oci-layout "$temporary/by-oras-r:v1" >/dev/null
diff -r $hello/blobs "$temporary/by-oras-r/blobs"
prints "$(referrers_by_oras $hello:v1)" referrers_by_oras "$temporary/by-oras-r:v1"

echo "Docker media types"
# skopeo finds no manifests of these types in a layout, whoever wrote it.
ours=$temporary/docker
prints "$list" "$tranship" cp --quiet "oci:$docker:v1" "oci:$ours:v1"
check "every blob of the fixture is there, and nothing else"
diff -r $docker/blobs "$ours/blobs"
check "oras manifest fetch: the same bytes, media type and platforms"
"$oras" manifest fetch --oci-layout "$ours:v1" | cmp - "$(blob $docker "$list")"
mentions application/vnd.docker.distribution.manifest.list.v2+json "$oras" manifest fetch --oci-layout --descriptor "$ours:v1"
"$oras" manifest fetch --oci-layout --platform linux/arm64/v8 "$ours:v1" >/dev/null
check "oras cp: the same blobs"
"$oras" cp --no-tty --from-oci-layout "$ours:v1" --to-oci-layout "$temporary/docker-by-oras:v1" >/dev/null
diff -r $docker/blobs "$temporary/docker-by-oras/blobs"

echo "tags"
ours=$temporary/tags
"$tranship" cp --quiet "oci:$hello:v1" "oci:$ours:v1" --tag stable --tag v1.0 >/dev/null
check "oras repo tags and skopeo inspect: all tags of one copy"
prints "stable v1 v1.0" tags_by_oras "$ours"
skopeo inspect --raw "oci:$ours:stable" | cmp - "$(blob $hello "$root")"
check "a moved tag, and a removed one"
"$tranship" cp --quiet --platform linux/amd64 "oci:$hello:v1" "oci:$ours:stable" >/dev/null
"$tranship" untag --quiet "oci:$ours:v1.0" >/dev/null
prints "$amd64" "$oras" resolve --oci-layout "$ours:stable"
prints "stable v1" tags_by_oras "$ours"
skopeo inspect --raw "oci:$ours:stable" | cmp - "$(blob $hello "$amd64")"

echo "one layout of a directory of layouts"
registry=$temporary/registry
prints "$root" "$tranship" cp --quiet "oci:$hello:v1" "layouts:$registry//library/hello"
check "skopeo inspect and oras manifest fetch: a layout like any other"
skopeo inspect --raw "oci:$registry/library/hello:v1" | cmp - "$(blob $hello "$root")"
"$oras" manifest fetch --oci-layout "$registry/library/hello:v1" | cmp - "$(blob $hello "$root")"
check "what skopeo puts beside it is a repository"
mkdir -p "$registry/team"
skopeo_copy --all "oci:$hello:v1" "oci:$registry/team/app:v1"
prints "library/hello
team/app" "$tranship" repo ls "layouts:$registry"
prints "$root" "$tranship" resolve "layouts:$registry//team/app:v1"

echo "layouts that others write"
check "skopeo: tranship resolves and copies all of it"
theirs=$temporary/by-skopeo
skopeo_copy --all "oci:$hello:v1" "oci:$theirs:v1"
prints "$root" "$tranship" resolve "oci:$theirs:v1"
"$tranship" cp --quiet "oci:$theirs:v1" "oci:$temporary/from-skopeo:v1" >/dev/null
diff -r "$theirs/blobs" "$temporary/from-skopeo/blobs"
check "oras: tranship resolves and copies all of it, with referrers"
theirs=$temporary/by-oras-r
prints "$root" "$tranship" resolve "oci:$theirs:v1"
"$tranship" cp --quiet --recursive "oci:$theirs:v1" "oci:$temporary/from-oras:v1" >/dev/null
diff -r "$theirs/blobs" "$temporary/from-oras/blobs"
prints "$(referrers_by_oras $hello:v1)" referrers_by_oras "$temporary/from-oras:v1"
check "oras push: an artifact goes through tranship and comes back whole"
mkdir "$temporary/files"
head -c 100000 /dev/urandom >"$temporary/files/random.bin"
oras_absolute=$(realpath "$oras")
(cd "$temporary/files" && "$oras_absolute" push --no-tty --oci-layout ../artifact:v1 \
    --artifact-type application/vnd.example.thing random.bin:application/octet-stream >/dev/null)
"$tranship" cp --quiet "oci:$temporary/artifact:v1" "oci:$temporary/artifact-copy:v1" >/dev/null
"$oras" pull --no-tty --oci-layout "$temporary/artifact-copy:v1" -o "$temporary/pulled" >/dev/null
cmp "$temporary/files/random.bin" "$temporary/pulled/random.bin"

echo "one layout with several writers"
ours=$temporary/shared
"$tranship" cp --quiet --recursive "oci:$hello:v1" "oci:$ours:v1" >/dev/null
check "skopeo adds an image, and tranship's tag and referrers stay"
skopeo_copy "oci:$hello:v1-amd64" "oci:$ours:by-skopeo"
prints "by-skopeo v1" tags_by_tranship "$ours"
prints "$amd64" "$tranship" resolve "oci:$ours:by-skopeo"
check "oras adds a tag"
"$oras" tag --oci-layout "$ours:v1" by-oras >/dev/null
prints "by-oras by-skopeo v1" tags_by_tranship "$ours"
check "oras attaches a referrer, which tranship discovers beside the others"
attached=$("$oras" attach --no-tty --oci-layout --artifact-type application/vnd.example.note \
    --annotation org.example.note=hello --format go-template='{{.digest}}' "$ours:v1")
mentions "$attached" "$tranship" discover "oci:$ours:v1"
mentions application/vnd.in-toto+json "$tranship" discover "oci:$ours:v1"
check "tranship adds a tag, and skopeo and oras read everything"
"$tranship" tag "oci:$ours:by-oras" by-tranship >/dev/null
prints "by-oras by-skopeo by-tranship v1" tags_by_oras "$ours"
skopeo_copy "oci:$ours:by-skopeo" "dir:$temporary/dir-shared"
mentions "$attached" referrers_by_oras "$ours:by-tranship"

echo "$checks checks passed"
