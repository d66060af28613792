# All tools write into one layout in turn, and nothing of the others is lost.
# shellcheck shell=bash

one_layout_with_several_writers() {
    local shared=$temporary/shared attached path
    quietly "$tranship" cp --quiet --recursive "oci:$hello:v1" "oci:$shared:v1"
    check "skopeo adds an image, and tranship's tag and referrers stay"
    skopeo_copy "oci:$hello:v1-amd64" "oci:$shared:by-skopeo"
    prints "by-skopeo v1" tags_by_tranship "$shared"
    prints "$amd64" "$tranship" resolve "oci:$shared:by-skopeo"
    check "oras adds a tag"
    quietly "$oras" tag --oci-layout "$shared:v1" by-oras
    prints "by-oras by-skopeo v1" tags_by_tranship "$shared"
    check "oras attaches a referrer, which tranship discovers beside the others"
    attached=$("$oras" attach --no-tty --oci-layout --artifact-type application/vnd.example.note \
        --annotation org.example.note=hello --format go-template='{{.digest}}' "$shared:v1")
    mentions "$attached" "$tranship" discover "oci:$shared:v1"
    mentions application/vnd.in-toto+json "$tranship" discover "oci:$shared:v1"
    check "umoci adds a tag to the image"
    quietly umoci tag --image "$shared:by-skopeo" by-umoci
    prints "by-oras by-skopeo by-umoci v1" tags_by_tranship "$shared"
    prints "$amd64" "$tranship" resolve "oci:$shared:by-umoci"
    check "regctl adds an image, and nothing of the others goes"
    regctl_copies "$docker:v1" "$shared:by-regctl"
    prints "by-oras by-regctl by-skopeo by-umoci v1" tags_by_tranship "$shared"
    prints "$list" "$tranship" resolve "oci:$shared:by-regctl"
    mentions "$attached" "$tranship" discover "oci:$shared:v1"
    check "tranship adds a tag, and all read everything"
    quietly "$tranship" tag "oci:$shared:by-oras" by-tranship
    prints "by-oras by-regctl by-skopeo by-tranship by-umoci v1" tags_by_oras "$shared"
    prints "by-oras by-regctl by-skopeo by-tranship by-umoci v1" tags_by_regctl "$shared"
    prints "by-oras by-regctl by-skopeo by-tranship by-umoci v1" tags_by_umoci "$shared"
    skopeo_copy "oci:$shared:by-skopeo" "dir:$temporary/dir-shared"
    mentions "$attached" referrers_by_oras "$shared:by-tranship"
    mentions "$attached" referrers_by_regctl "$shared:by-tranship"
    quietly umoci unpack --rootless --image "$shared:by-umoci" "$temporary/bundle-shared"
    check "every blob of both fixtures is there, and its bytes are those of its name"
    for path in "$hello"/blobs/sha256/* "$docker"/blobs/sha256/*; do
        cmp "$path" "$shared/blobs/sha256/${path##*/}"
    done
    (cd "$shared/blobs/sha256" && for each in *; do echo "$each  $each"; done | sha256sum --check --quiet)
}
