# crane and layouts: it pushes them to a registry and pulls them from one, so each check has a
# registry of its own. With one entry in index.json that entry is pushed, with more (and --index) the
# whole of index.json.
# shellcheck shell=bash

crane=$(installed crane)

# Pushes and pulls a layout, whose only root has this digest, and compares.
crane_takes_along() {
    local layout=$1 digest=$2 pulled=$temporary/pulled-by-crane-$checks
    crane_registry
    quietly "$crane" push "$layout" "$host/app:v1"
    prints "$digest" "$crane" digest "$host/app:v1"
    "$crane" manifest "$host/app:v1" | cmp - "$(blob "$layout" "$digest")"
    quietly "$crane" pull --format=oci "$host/app:v1" "$pulled"
    diff -r "$layout/blobs" "$pulled/blobs"
}

crane_reads() {
    local file
    check "push, pull" "an index of several platforms, the same blobs"
    crane_takes_along "$whole" "$root"
    check "push, pull" "one platform, the same blobs"
    crane_takes_along "$platform" "$arm64"
    check "push, pull" "Docker's media types, the same blobs"
    crane_takes_along "$docker_copy" "$list"
    check "push --index" "an index with referrers, every blob"
    crane_registry
    quietly "$crane" push --index "$recursive" "$host/app:v1"
    "$crane" manifest "$host/app:v1" | cmp - "$recursive/index.json"
    for file in "$recursive"/blobs/sha256/*; do
        "$crane" blob "$host/app@sha256:${file##*/}" >"$temporary/blob" 2>/dev/null ||
            "$crane" manifest "$host/app@sha256:${file##*/}" >"$temporary/blob"
        cmp "$file" "$temporary/blob"
    done
    stop_servers
}

crane_writes() {
    local theirs=$temporary/by-crane
    crane_registry
    quietly "$crane" push "$whole" "$host/hello:v1"
    check "pull --format=oci --annotate-ref" "an index of several platforms: resolved, and copied whole"
    quietly "$crane" pull --format=oci --annotate-ref "$host/hello:v1" "$theirs"
    prints v1 tags_by_tranship "$theirs"
    prints "$root" "$tranship" resolve "oci:$theirs:v1"
    copied_whole "$theirs" :v1
    check "pull --format=oci" "an index without a name: copied by its digest"
    quietly "$crane" pull --format=oci "$host/hello:v1" "$theirs-unnamed"
    prints "" tags_by_tranship "$theirs-unnamed"
    copied_whole "$theirs-unnamed" "@$root"
    check "pull --format=oci" "an image added to a layout of tranship: both are read"
    cp -r "$docker_copy" "$temporary/with-crane"
    quietly "$crane" pull --format=oci --annotate-ref "$host/hello:v1" "$temporary/with-crane"
    prints "$root" "$tranship" resolve "oci:$temporary/with-crane@$root"
    quietly "$tranship" cp --quiet "oci:$temporary/with-crane@$root" "oci:$temporary/from-with-crane:v1"
    diff -r "$theirs/blobs" "$temporary/from-with-crane/blobs"
    stop_servers
}
