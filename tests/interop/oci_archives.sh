# Layouts in tar archives, for archives.sh.
# shellcheck shell=bash

oci_archives_by_tranship() {
    archive=$temporary/hello.tar
    blobs=$temporary/hello-blobs
    recursive=$temporary/recursive.tar
    check "an index of several platforms, with all members as tar unpacks them"
    prints "$root" "$tranship" cp --quiet "oci:$hello:v1" "oci-archive:$archive:v1"
    mkdir "$temporary/unpacked"
    tar -xf "$archive" -C "$temporary/unpacked"
    prints "$root" digest_in "$temporary/unpacked" v1
    blobs=$temporary/unpacked/blobs
    for each in "$blobs"/sha256/*; do
        cmp "$each" "$hello/blobs/sha256/${each##*/}"
    done
    check "two runs write the same bytes"
    quietly "$tranship" cp --quiet "oci:$hello:v1" "oci-archive:$temporary/again.tar:v1"
    cmp "$archive" "$temporary/again.tar"
    check "an index with referrers, every blob"
    prints "$root" "$tranship" cp --quiet --recursive "oci:$hello:v1" "oci-archive:$recursive:v1"
    mkdir "$temporary/unpacked-recursive"
    tar -xf "$recursive" -C "$temporary/unpacked-recursive"
    diff -r "$hello/blobs" "$temporary/unpacked-recursive/blobs"
    check "what comes out of it, compressed or not, is the same"
    compress "$archive"
    archive_is_read_whole "$archive"
    archive_is_read_whole "$archive.gz"
    archive_is_read_whole "$archive.zst"
}

# tranship copies everything from an archive that holds the index and all below it.
archive_is_read_whole() {
    local copy=$temporary/from-archive-$checks-${1##*.}
    prints "$root" "$tranship" resolve "oci-archive:$1:v1"
    quietly "$tranship" cp --quiet "oci-archive:$1:v1" "oci:$copy:v1"
    diff -r "$blobs" "$copy/blobs"
}

# archive_of_others_is_read_whole COMMAND ARCHIVE: the same of what another tool wrote, as it is and compressed.
archive_of_others_is_read_whole() {
    local command=$1 archive=$2
    check "$command" "an index of several platforms: copied whole, compressed too"
    compress "$archive"
    archive_is_read_whole "$archive"
    archive_is_read_whole "$archive.gz"
    archive_is_read_whole "$archive.zst"
    check "$command" "tranship adds a tag and an image, and what was there stays"
    quietly "$tranship" cp --quiet "oci:$hello:v1-amd64" "oci-archive:$archive:one"
    quietly "$tranship" tag --quiet "oci-archive:$archive:v1" stable
    prints "one stable v1" tags_of_archive "$archive"
    archive_is_read_whole "$archive"
}

tags_of_archive() {
    "$tranship" repo tags "oci-archive:$1" | xargs
}

skopeo_reads_oci_archives() {
    local each
    check "inspect --raw" "an index, the same bytes"
    skopeo inspect --raw "oci-archive:$archive:v1" | cmp - "$(blob "$hello" "$root")"
    check "copy --all" "an index of several platforms, the same blobs, compressed too"
    for each in "$archive" "$archive.gz" "$archive.zst"; do
        skopeo_copy --all "oci-archive:$each:v1" "oci:$temporary/skopeo-${each##*.}:v1"
        diff -r "$blobs" "$temporary/skopeo-${each##*.}/blobs"
    done
    check "copy --all" "every platform of an index, out of the archive"
    skopeo_copy --all "oci-archive:$archive:v1" "dir:$temporary/dir"
    cmp "$temporary/dir/manifest.json" "$(blob "$hello" "$root")"
}

skopeo_writes_oci_archives() {
    skopeo_copy --all "oci:$hello:v1" "oci-archive:$temporary/by-skopeo.tar:v1"
    archive_of_others_is_read_whole "copy --all" "$temporary/by-skopeo.tar"
    check "inspect" "what tranship has added to it"
    skopeo inspect --raw "oci-archive:$temporary/by-skopeo.tar:one" | cmp - "$(blob "$hello" "$amd64")"
    skopeo inspect --raw "oci-archive:$temporary/by-skopeo.tar:stable" | cmp - "$(blob "$hello" "$root")"
}

oras_reads_oci_archives() {
    check "manifest fetch" "an index, the same bytes"
    "$oras" manifest fetch --oci-layout "$archive:v1" | cmp - "$(blob "$hello" "$root")"
    check "cp" "an index of several platforms, the same blobs"
    oras_copy "$archive:v1" "$temporary/archive-by-oras:v1"
    diff -r "$blobs" "$temporary/archive-by-oras/blobs"
    check "cp --recursive" "an index with referrers, every blob"
    oras_copy --recursive "$recursive:v1" "$temporary/recursive-by-oras:v1"
    diff -r "$hello/blobs" "$temporary/recursive-by-oras/blobs"
    check "restore" "an index of several platforms, into a registry"
    crane_registry
    quietly "$oras" restore --no-tty --plain-http --exclude-referrers --input "$archive" "$host/hello:v1"
    quietly "$crane" pull --format=oci "$host/hello:v1" "$temporary/restored"
    diff -r "$blobs" "$temporary/restored/blobs"
    stop_servers
}

oras_writes_oci_archives() {
    crane_registry
    quietly "$crane" push "$temporary/unpacked" "$host/hello:v1"
    quietly "$oras" backup --no-tty --plain-http --output "$temporary/by-oras.tar" "$host/hello:v1"
    stop_servers
    archive_of_others_is_read_whole "backup" "$temporary/by-oras.tar"
    check "manifest fetch" "what tranship has added to it"
    "$oras" manifest fetch --oci-layout "$temporary/by-oras.tar:one" | cmp - "$(blob "$hello" "$amd64")"
}

regctl_reads_oci_archives() {
    local each
    check "image import" "an index of several platforms, the same blobs, compressed too"
    for each in "$archive" "$archive.gz" "$archive.zst"; do
        quietly "$regctl" image import "ocidir://$temporary/regctl-${each##*.}:v1" "$each"
        diff -r "$blobs" "$temporary/regctl-${each##*.}/blobs"
    done
}

regctl_writes_oci_archives() {
    quietly "$regctl" image export --name example.com/hello:v1 "ocidir://$temporary/unpacked:v1" "$temporary/by-regctl.tar"
    archive_of_others_is_read_whole "image export" "$temporary/by-regctl.tar"
    check "image import" "what tranship has added to it"
    quietly "$regctl" image import --name one "ocidir://$temporary/added-by-regctl:v1" "$temporary/by-regctl.tar"
    prints "$amd64" digest_in "$temporary/added-by-regctl" v1
}
