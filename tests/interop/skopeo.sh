# skopeo and layouts. It finds no Docker manifests in a layout, whoever wrote it.
# shellcheck shell=bash

skopeo_copy() {
    quietly skopeo --insecure-policy copy "$@"
}

skopeo_reads() {
    check "inspect --raw" "an index, the same bytes"
    skopeo inspect --raw "oci:$whole:v1" | cmp - "$(blob "$hello" "$root")"
    check "inspect" "an image, and one platform"
    mentions "$root" skopeo inspect "oci:$whole:v1"
    mentions '"Architecture": "arm64"' skopeo inspect "oci:$platform:v1"
    check "copy --all" "every platform of an index, out of the layout"
    skopeo_copy --all "oci:$whole:v1" "dir:$temporary/dir"
    cmp "$temporary/dir/manifest.json" "$(blob "$hello" "$root")"
    check "copy --all" "an index of several platforms, the same blobs"
    skopeo_copy --all "oci:$whole:v1" "oci:$temporary/whole-by-skopeo:v1"
    diff -r "$whole/blobs" "$temporary/whole-by-skopeo/blobs"
    check "copy" "one platform, the same blobs"
    skopeo_copy "oci:$platform:v1" "oci:$temporary/platform-by-skopeo:v1"
    diff -r "$platform/blobs" "$temporary/platform-by-skopeo/blobs"
    check "copy --all" "an index of several platforms, into an archive"
    skopeo_copy --all "oci:$whole:v1" "oci-archive:$temporary/whole.tar:v1"
    mkdir "$temporary/archive-by-skopeo"
    tar -xf "$temporary/whole.tar" -C "$temporary/archive-by-skopeo"
    diff -r "$whole/blobs" "$temporary/archive-by-skopeo/blobs"
    check "inspect --raw" "all tags, of which one was moved and one removed"
    skopeo inspect --raw "oci:$tags:stable" | cmp - "$(blob "$hello" "$amd64")"
    skopeo inspect --raw "oci:$tags:v1" | cmp - "$(blob "$hello" "$root")"
    check "inspect --raw" "a layout in a directory of layouts"
    skopeo inspect --raw "oci:$registry/library/hello:v1" | cmp - "$(blob "$hello" "$root")"
}

skopeo_writes() {
    check "copy --all" "an index of several platforms: resolved, and copied whole"
    skopeo_copy --all "oci:$hello:v1" "oci:$temporary/by-skopeo:v1"
    prints "$root" "$tranship" resolve "oci:$temporary/by-skopeo:v1"
    copied_whole "$temporary/by-skopeo" :v1
    check "copy --all" "a layout put into a directory of layouts: a repository"
    mkdir -p "$registry/team"
    skopeo_copy --all "oci:$hello:v1" "oci:$registry/team/app:v1"
    prints "library/hello
team/app" "$tranship" repo ls "layouts:$registry"
    prints "$root" "$tranship" resolve "layouts:$registry//team/app:v1"
}
