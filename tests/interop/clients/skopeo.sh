# skopeo and the server.
# shellcheck shell=bash

needs skopeo

skopeo_works() {
    local at=docker://$host/by-skopeo verify=true
    [ "$scheme" = https ] || verify=false
    local one=--tls-verify=$verify from=--src-tls-verify=$verify to=--dest-tls-verify=$verify
    check "copy --all" "an index of several platforms, there and back, the same blobs"
    quietly skopeo copy --all "$to" "oci:$whole:v1" "$at/hello:v1"
    quietly skopeo copy --all "$from" "$at/hello:v1" "oci:$temporary/$mode-skopeo:v1"
    diff -r "$whole/blobs" "$temporary/$mode-skopeo/blobs"
    check "copy --all" "a copy within the registry, where blobs are mounted"
    quietly skopeo copy --all "$from" "$to" "$at/hello:v1" "$at/copy:v1"
    skopeo inspect --raw "$one" "$at/copy:v1" | cmp - "$(blob "$hello" "$root")"
    check "copy --all" "Docker's media types"
    # Into layouts it writes OCI's media types, and from them it reads no others.
    quietly "$tranship" cp "${ours[@]}" --quiet "oci:$docker:v1" "$host/by-skopeo/docker:v1"
    quietly skopeo copy --all "$from" "$to" "$at/docker:v1" "$at/docker-copy:v1"
    skopeo inspect --raw "$one" "$at/docker-copy:v1" | cmp - "$(blob "$docker" "$list")"
    check "list-tags" "tags are listed"
    mentions '"v1"' skopeo list-tags "$one" "$at/hello"
    check "delete" "a manifest is deleted"
    quietly skopeo delete "$one" "$at/copy:v1"
    refused skopeo inspect --raw "$one" "$at/copy:v1"
}
