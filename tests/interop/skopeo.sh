# skopeo and layouts. It finds no Docker manifests in a layout, whoever wrote it.
# shellcheck shell=bash

skopeo_copy() {
    quietly skopeo --insecure-policy copy "$@"
}

skopeo_reads() {
    check "inspect: the raw index is the same bytes"
    skopeo inspect --raw "oci:$whole:v1" | cmp - "$(blob "$hello" "$root")"
    check "inspect: the image"
    mentions "$root" skopeo inspect "oci:$whole:v1"
    mentions '"Architecture": "arm64"' skopeo inspect "oci:$platform:v1"
    check "copy --all to a directory: every platform and the same index"
    skopeo_copy --all "oci:$whole:v1" "dir:$temporary/dir"
    cmp "$temporary/dir/manifest.json" "$(blob "$hello" "$root")"
    check "copy --all to another layout: the same blobs"
    skopeo_copy --all "oci:$whole:v1" "oci:$temporary/whole-by-skopeo:v1"
    diff -r "$whole/blobs" "$temporary/whole-by-skopeo/blobs"
    check "copy of one platform: the same blobs"
    skopeo_copy "oci:$platform:v1" "oci:$temporary/platform-by-skopeo:v1"
    diff -r "$platform/blobs" "$temporary/platform-by-skopeo/blobs"
    check "copy to an archive: the same blobs"
    skopeo_copy --all "oci:$whole:v1" "oci-archive:$temporary/whole.tar:v1"
    mkdir "$temporary/archive-by-skopeo"
    tar -xf "$temporary/whole.tar" -C "$temporary/archive-by-skopeo"
    diff -r "$whole/blobs" "$temporary/archive-by-skopeo/blobs"
    check "inspect: every tag, a moved one too"
    skopeo inspect --raw "oci:$tags:stable" | cmp - "$(blob "$hello" "$amd64")"
    skopeo inspect --raw "oci:$tags:v1" | cmp - "$(blob "$hello" "$root")"
    check "inspect: a layout in a directory of layouts"
    skopeo inspect --raw "oci:$registry/library/hello:v1" | cmp - "$(blob "$hello" "$root")"
}

skopeo_writes() {
    check "copy --all: tranship resolves and copies all of it"
    skopeo_copy --all "oci:$hello:v1" "oci:$temporary/by-skopeo:v1"
    prints "$root" "$tranship" resolve "oci:$temporary/by-skopeo:v1"
    copied_whole "$temporary/by-skopeo" :v1
    check "copy into a directory of layouts: a repository"
    mkdir -p "$registry/team"
    skopeo_copy --all "oci:$hello:v1" "oci:$registry/team/app:v1"
    prints "library/hello
team/app" "$tranship" repo ls "layouts:$registry"
    prints "$root" "$tranship" resolve "layouts:$registry//team/app:v1"
}
