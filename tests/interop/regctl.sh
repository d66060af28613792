# regctl and layouts. It looks for referrers under the tags `sha256-<hex>`, where it keeps them itself,
# and elsewhere only when asked to search slowly, as it does not for copies.
# shellcheck shell=bash

regctl=$(installed regctl)

tags_by_regctl() {
    "$regctl" tag ls "ocidir://$1" | sort | xargs
}

# The digests of the referrers of what is at a reference.
referrers_by_regctl() {
    "$regctl" artifact list --slow-referrers --format '{{range .Descriptors}}{{println .Digest}}{{end}}' \
        "ocidir://$1" | sed '/^$/d' | sort
}

regctl_copies() {
    quietly "$regctl" image copy "ocidir://$1" "ocidir://$2"
}

regctl_reads() {
    local digest path
    check "manifest get" "an index, the same bytes"
    "$regctl" manifest get --format raw-body "ocidir://$whole:v1" | cmp - "$(blob "$hello" "$root")"
    "$regctl" manifest get --format raw-body --platform linux/arm64/v8 "ocidir://$whole:v1" |
        cmp - "$(blob "$hello" "$arm64")"
    check "blob get" "an index with referrers, every blob"
    for path in "$recursive"/blobs/sha256/*; do
        digest=sha256:${path##*/}
        "$regctl" blob get "ocidir://$recursive" "$digest" | cmp - "$path"
    done
    check "image copy" "an index of several platforms, the same blobs"
    regctl_copies "$whole:v1" "$temporary/whole-by-regctl:v1"
    diff -r "$whole/blobs" "$temporary/whole-by-regctl/blobs"
    check "image copy" "Docker's media types, the same blobs"
    regctl_copies "$docker_copy:v1" "$temporary/docker-by-regctl:v1"
    diff -r "$docker/blobs" "$temporary/docker-by-regctl/blobs"
    check "artifact list" "the referrers of an index"
    prints "$(referrers_by_regctl "$hello:v1")" referrers_by_regctl "$recursive:v1"
    [ -n "$(referrers_by_regctl "$recursive:v1")" ]
    [ -n "$(referrers_by_regctl "$recursive@$amd64")" ]
    check "tag ls" "all tags, of which one was moved and one removed"
    prints "stable v1" tags_by_regctl "$tags"
}

regctl_writes() {
    local theirs=$temporary/by-regctl referrer
    check "image copy" "an index of several platforms: resolved, and copied whole"
    regctl_copies "$hello:v1" "$theirs:v1"
    prints "$root" "$tranship" resolve "oci:$theirs:v1"
    copied_whole "$theirs" :v1
    check "artifact put" "a referrer: discovered, and found in the copy"
    printf 'a note\n' >"$temporary/note"
    quietly "$regctl" artifact put --artifact-type application/vnd.example.note \
        --subject "ocidir://$theirs:v1" --file "$temporary/note"
    referrer=$(referrers_by_regctl "$theirs:v1")
    [ -n "$referrer" ]
    mentions "$referrer" "$tranship" discover "oci:$theirs:v1"
    quietly "$tranship" cp --quiet --recursive "oci:$theirs:v1" "oci:$theirs-copy:v1"
    prints "$referrer" referrers_by_regctl "$theirs-copy:v1"
}
