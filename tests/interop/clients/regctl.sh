# regctl and the server. It finds referrers in a layout by the tags under which it keeps them itself, so what it
# copies is what oras has brought.
# shellcheck shell=bash

regctl_program=$(installed regctl)

regctl() {
    "$regctl_program" --verbosity error "$@"
}

regctl_works() {
    local at=$host/by-regctl digest path tls=enabled
    [ "$scheme" = https ] || tls=disabled
    quietly regctl registry set "$host" --tls "$tls"
    check "image copy" "a copy within the registry, where blobs are mounted"
    quietly regctl image copy --referrers "$host/by-oras/hello:v1" "$at/hello:v1"
    check "image copy --referrers" "referrers are copied along"
    mentions application/spdx+json regctl artifact list --format '{{jsonPretty .}}' "$at/hello:v1"
    check "image copy" "an index of several platforms, there and back, the same blobs"
    quietly regctl image copy "$at/hello:v1" "ocidir://$temporary/$mode-regctl:v1"
    diff -r "$whole/blobs" "$temporary/$mode-regctl/blobs"
    quietly regctl image copy "ocidir://$temporary/$mode-regctl:v1" "$at/back:v1"
    regctl manifest get --format raw-body "$at/back:v1" | cmp - "$(blob "$hello" "$root")"
    check "manifest get" "one platform of an index"
    regctl manifest get --format raw-body --platform linux/arm64/v8 "$at/hello:v1" >"$temporary/arm64"
    cmp "$temporary/arm64" "$(blob "$hello" "$("$tranship" resolve --platform linux/arm64 "oci:$hello:v1")")"
    check "blob get" "every blob, byte for byte"
    for path in "$whole"/blobs/sha256/*; do
        digest=sha256:${path##*/}
        case $digest in "$root") continue ;; esac
        regctl blob get "$at/hello" "$digest" >"$temporary/blob" 2>/dev/null ||
            regctl manifest get --format raw-body "$at/hello@$digest" >"$temporary/blob"
        cmp "$temporary/blob" "$path"
    done
    check "artifact put, artifact list" "a referrer is attached and listed"
    printf 'a note\n' >"$temporary/note"
    quietly regctl artifact put --artifact-type application/vnd.example.note \
        --subject "$at/hello:v1" --file "$temporary/note"
    mentions application/vnd.example.note regctl artifact list --format '{{jsonPretty .}}' "$at/hello:v1"
    check "tag ls" "tags are listed"
    # Referrers go through the API, and so have no tags.
    prints v1 tags_of regctl tag ls "$at/hello"
    check "repo ls" "repositories are listed"
    mentions by-regctl/hello regctl repo ls "$host"
    check "blob put" "a blob in chunks"
    head -c 5000000 /dev/urandom >"$temporary/random"
    quietly regctl registry set "$host" --blob-chunk 1000000 --blob-max 1000000
    digest=$(regctl blob put "$at/chunks" <"$temporary/random")
    regctl blob get "$at/chunks" "$digest" | cmp - "$temporary/random"
    check "tag delete" "a tag is deleted, and its manifest stays"
    quietly regctl tag delete "$at/hello:v1"
    refused regctl manifest head "$at/hello:v1"
    quietly regctl manifest head "$at/hello@$root"
    check "manifest delete" "a manifest is deleted"
    quietly regctl manifest delete "$at/hello@$root"
    refused regctl manifest head "$at/hello@$root"
}
