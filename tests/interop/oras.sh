# oras and layouts. By its digest alone oras takes a manifest that index.json does not list for a
# blob, so what stands in an index only is named by the platform.
# shellcheck shell=bash

oras=$(installed oras)

# All referrers as oras sees them, without the path of the layout.
referrers_by_oras() {
    local layout=${1%%:*}
    "$oras" discover --oci-layout --format json "$@" | sed "s|$layout@|@|g"
}

tags_by_oras() {
    "$oras" repo tags --oci-layout "$1" | sort | xargs
}

oras_copy() {
    quietly "$oras" cp --no-tty --from-oci-layout --to-oci-layout "$@"
}

oras_reads() {
    local each
    check "manifest fetch" "an index, the same bytes"
    "$oras" manifest fetch --oci-layout "$whole:v1" | cmp - "$(blob "$hello" "$root")"
    check "manifest fetch --platform" "each platform of an index, the same bytes"
    "$oras" manifest fetch --oci-layout "$whole:v1" | cmp - "$(blob "$hello" "$root")"
    for each in linux/amd64 linux/arm64/v8 windows/amd64; do
        "$oras" manifest fetch --oci-layout --platform $each "$whole:v1" >"$temporary/manifest"
        "$oras" manifest fetch --oci-layout --platform $each "$hello:v1" | cmp - "$temporary/manifest"
    done
    "$oras" manifest fetch --oci-layout "$platform:v1" | cmp - "$(blob "$hello" "$arm64")"
    check "cp" "an index of several platforms, the same blobs"
    oras_copy "$whole:v1" "$temporary/whole-by-oras:v1"
    diff -r "$whole/blobs" "$temporary/whole-by-oras/blobs"
    check "discover" "the referrers of an index"
    prints "$(referrers_by_oras "$hello:v1")" referrers_by_oras "$recursive:v1"
    mentions application/vnd.in-toto+json referrers_by_oras "$recursive:v1"
    check "discover --platform" "the referrer of a platform, whose type is that of its config"
    prints "$(referrers_by_oras "$hello:v1" --platform linux/amd64)" \
        referrers_by_oras "$recursive:v1" --platform linux/amd64
    mentions application/vnd.example.sbom.config.v1+json \
        referrers_by_oras "$recursive:v1" --platform linux/amd64
    check "cp --recursive" "an index with referrers, every blob"
    oras_copy --recursive "$recursive:v1" "$temporary/recursive-by-oras:v1"
    diff -r "$hello/blobs" "$temporary/recursive-by-oras/blobs"
    prints "$(referrers_by_oras "$hello:v1")" referrers_by_oras "$temporary/recursive-by-oras:v1"
    check "manifest fetch" "Docker's manifest list, its media type and platforms"
    "$oras" manifest fetch --oci-layout "$docker_copy:v1" | cmp - "$(blob "$docker" "$list")"
    mentions application/vnd.docker.distribution.manifest.list.v2+json \
        "$oras" manifest fetch --oci-layout --descriptor "$docker_copy:v1"
    quietly "$oras" manifest fetch --oci-layout --platform linux/arm64/v8 "$docker_copy:v1"
    check "cp" "Docker's media types, the same blobs"
    oras_copy "$docker_copy:v1" "$temporary/docker-by-oras:v1"
    diff -r "$docker/blobs" "$temporary/docker-by-oras/blobs"
    check "repo tags" "all tags, of which one was moved and one removed"
    prints "stable v1" tags_by_oras "$tags"
    prints "$amd64" "$oras" resolve --oci-layout "$tags:stable"
    check "manifest fetch" "a layout in a directory of layouts"
    "$oras" manifest fetch --oci-layout "$registry/library/hello:v1" | cmp - "$(blob "$hello" "$root")"
}

oras_writes() {
    check "cp --recursive" "an index with referrers: resolved, and copied whole"
    oras_copy --recursive "$hello:v1" "$temporary/by-oras:v1"
    prints "$root" "$tranship" resolve "oci:$temporary/by-oras:v1"
    copied_whole "$temporary/by-oras" :v1
    check "push, pull" "an artifact: copied, and pulled from the copy"
    mkdir "$temporary/files"
    head -c 100000 /dev/urandom >"$temporary/files/random.bin"
    (cd "$temporary/files" && quietly "$oras" push --no-tty --oci-layout ../artifact:v1 \
        --artifact-type application/vnd.example.thing random.bin:application/octet-stream)
    quietly "$tranship" cp --quiet "oci:$temporary/artifact:v1" "oci:$temporary/artifact-copy:v1"
    quietly "$oras" pull --no-tty --oci-layout "$temporary/artifact-copy:v1" -o "$temporary/pulled"
    cmp "$temporary/files/random.bin" "$temporary/pulled/random.bin"
}
