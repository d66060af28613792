# crane and layouts: it pushes them to a registry and pulls them from one, so each check has a
# registry of its own. With one entry in index.json that entry is pushed, with more (and --index) the
# whole of index.json.
# shellcheck shell=bash

crane=$(installed crane)
crane_process=

# An empty registry at $at.
crane_registry() {
    local port=
    crane_registry_ends
    "$crane" registry serve --address 127.0.0.1:0 >"$temporary/crane.log" 2>&1 &
    crane_process=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/.*serving on port //p' "$temporary/crane.log")
        [ -n "$port" ] && break
        sleep 0.05
    done
    [ -n "$port" ] || die "crane's registry does not start: $(cat "$temporary/crane.log")"
    at=127.0.0.1:$port
}

crane_registry_ends() {
    [ -z "$crane_process" ] || kill "$crane_process" 2>/dev/null || true
    crane_process=
}

# Pushes and pulls a layout, whose only root has this digest, and compares.
crane_takes_along() {
    local layout=$1 digest=$2 pulled=$temporary/pulled-by-crane-$checks
    crane_registry
    quietly "$crane" push "$layout" "$at/app:v1"
    prints "$digest" "$crane" digest "$at/app:v1"
    "$crane" manifest "$at/app:v1" | cmp - "$(blob "$layout" "$digest")"
    quietly "$crane" pull --format=oci "$at/app:v1" "$pulled"
    diff -r "$layout/blobs" "$pulled/blobs"
}

crane_reads() {
    local file
    check "push: an index of several platforms, the same blobs"
    crane_takes_along "$whole" "$root"
    check "push: one platform, the same blobs"
    crane_takes_along "$platform" "$arm64"
    check "push: Docker's media types, the same blobs"
    crane_takes_along "$docker_copy" "$list"
    check "push --index: a layout with referrers, every manifest and every blob of it"
    crane_registry
    quietly "$crane" push --index "$recursive" "$at/app:v1"
    "$crane" manifest "$at/app:v1" | cmp - "$recursive/index.json"
    for file in "$recursive"/blobs/sha256/*; do
        "$crane" blob "$at/app@sha256:${file##*/}" >"$temporary/blob" 2>/dev/null ||
            "$crane" manifest "$at/app@sha256:${file##*/}" >"$temporary/blob"
        cmp "$file" "$temporary/blob"
    done
    crane_registry_ends
}

crane_writes() {
    local theirs=$temporary/by-crane
    crane_registry
    quietly "$crane" push "$whole" "$at/hello:v1"
    check "pull --format=oci --annotate-ref: tranship resolves by the tag behind the name"
    quietly "$crane" pull --format=oci --annotate-ref "$at/hello:v1" "$theirs"
    prints v1 tags_by_tranship "$theirs"
    prints "$root" "$tranship" resolve "oci:$theirs:v1"
    copied_whole "$theirs" :v1
    check "pull --format=oci: tranship copies by digest what has no name"
    quietly "$crane" pull --format=oci "$at/hello:v1" "$theirs-unnamed"
    prints "" tags_by_tranship "$theirs-unnamed"
    copied_whole "$theirs-unnamed" "@$root"
    check "pull --format=oci: an image added to a layout of tranship"
    cp -r "$docker_copy" "$temporary/with-crane"
    quietly "$crane" pull --format=oci --annotate-ref "$at/hello:v1" "$temporary/with-crane"
    prints "$root" "$tranship" resolve "oci:$temporary/with-crane@$root"
    quietly "$tranship" cp --quiet "oci:$temporary/with-crane@$root" "oci:$temporary/from-with-crane:v1"
    diff -r "$theirs/blobs" "$temporary/from-with-crane/blobs"
    crane_registry_ends
}
