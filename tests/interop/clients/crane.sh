# crane and the server.
# shellcheck shell=bash

crane=$(installed crane)

crane_works() {
    local at=$host/by-crane plain=()
    [ "$scheme" = https ] || plain=(--insecure)
    check "push, pull" "an index of several platforms, there and back, the same blobs"
    quietly "$crane" push "${plain[@]}" "$whole" "$at/hello:v1"
    prints "$root" "$crane" digest "${plain[@]}" "$at/hello:v1"
    quietly "$crane" pull "${plain[@]}" --format=oci "$at/hello:v1" "$temporary/$mode-crane"
    diff -r "$whole/blobs" "$temporary/$mode-crane/blobs"
    check "validate" "what was pushed is well-formed"
    quietly "$crane" validate "${plain[@]}" --remote "$at/hello:v1"
    check "push" "Docker's media types"
    quietly "$crane" push "${plain[@]}" "$docker_copy" "$at/docker:v1"
    "$crane" manifest "${plain[@]}" "$at/docker:v1" | cmp - "$(blob "$docker" "$list")"
    check "copy" "a copy within the registry, where blobs are mounted"
    quietly "$crane" copy "${plain[@]}" "$at/hello:v1" "$at/copy:v1"
    check "tag" "a second tag"
    quietly "$crane" tag "${plain[@]}" "$at/copy:v1" stable
    prints "$root" "$crane" digest "${plain[@]}" "$at/copy:stable"
    check "ls" "tags are listed"
    prints "stable v1" tags_of "$crane" ls "${plain[@]}" "$at/copy"
    check "catalog" "repositories are listed"
    mentions by-crane/copy "$crane" catalog "${plain[@]}" "$host"
    check "delete" "a manifest is deleted"
    quietly "$crane" delete "${plain[@]}" "$at/copy@$root"
    refused "$crane" digest "${plain[@]}" "$at/copy:stable"
}
