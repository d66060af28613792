# umoci and layouts. It takes a tag on an index of several images for ambiguous, whoever wrote it.
# shellcheck shell=bash

umoci_reads() {
    check "list" "all tags, of which one was moved and one removed"
    prints "stable v1" tags_by_umoci "$tags"
    check "stat" "an image, and one platform"
    mentions "$(layer_of "$arm64")" umoci stat --json --image "$platform:v1"
    mentions "$(layer_of "$amd64")" umoci stat --json --image "$tags:stable"
    check "unpack" "one platform, the files of its layers"
    quietly umoci unpack --rootless --image "$platform:v1" "$temporary/bundle"
    unpacked "$hello" "$arm64" "$temporary/rootfs"
    diff -r "$temporary/rootfs" "$temporary/bundle/rootfs"
    check "gc" "what collects garbage leaves every blob of it"
    cp -r "$recursive" "$temporary/collected-by-umoci"
    quietly umoci gc --layout "$temporary/collected-by-umoci"
    diff -r "$recursive" "$temporary/collected-by-umoci"
}

umoci_writes() {
    local theirs=$temporary/by-umoci
    check "new, insert, config" "an image made from nothing: copied, and unpacked from the copy"
    printf 'inserted\n' >"$temporary/inserted"
    quietly umoci init --layout "$theirs"
    quietly umoci new --image "$theirs:v1"
    quietly umoci insert --image "$theirs:v1" "$temporary/inserted" /inserted
    quietly umoci config --image "$theirs:v1" --config.cmd /inserted
    quietly umoci tag --image "$theirs:v1" latest
    quietly umoci gc --layout "$theirs"
    prints "latest v1" tags_by_tranship "$theirs"
    prints "$(digest_in "$theirs" v1)" "$tranship" resolve "oci:$theirs:v1"
    copied_whole "$theirs" :v1
    quietly umoci unpack --rootless --image "$temporary/copied-$checks:v1" "$temporary/bundle-of-copy"
    cmp "$temporary/inserted" "$temporary/bundle-of-copy/rootfs/inserted"
    check "new" "an image added to a layout of tranship: both are read"
    cp -r "$whole" "$temporary/with-umoci"
    quietly umoci new --image "$temporary/with-umoci:empty"
    prints "empty v1" tags_by_tranship "$temporary/with-umoci"
    prints "$(digest_in "$temporary/with-umoci" empty)" "$tranship" resolve "oci:$temporary/with-umoci:empty"
    prints "$root" "$tranship" resolve "oci:$temporary/with-umoci:v1"
}

tags_by_umoci() {
    umoci list --layout "$1" | sort | xargs
}

# The digest of an image's last layer, as the fixture has it.
layer_of() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["layers"][-1]["digest"])' \
        "$(blob "$hello" "$1")"
}
