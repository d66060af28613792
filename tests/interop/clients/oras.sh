# oras and the server.
# shellcheck shell=bash

oras=$(installed oras)

oras_works() {
    local at=$host/by-oras note=$temporary/note.txt plain=() from=() to=()
    [ "$scheme" = https ] || plain=(--plain-http) from=(--from-plain-http) to=(--to-plain-http)
    check "cp -r" "an index of several platforms, there and back, the same blobs"
    quietly "$oras" cp -r --from-oci-layout "$hello:v1" "${to[@]}" "$at/hello:v1"
    quietly "$oras" cp -r "${from[@]}" "$at/hello:v1" --to-oci-layout "$temporary/$mode-oras:v1"
    diff -r "$hello/blobs" "$temporary/$mode-oras/blobs"
    check "cp -r" "a copy within the registry, where blobs are mounted"
    quietly "$oras" cp -r "${from[@]}" "$at/hello:v1" "${to[@]}" "$at/copy:v1"
    check "cp -r" "referrers are copied along"
    prints "$(referrers_by_oras "$at/hello:v1")" referrers_by_oras "$at/copy:v1"
    [ "$(referrers_by_oras "$at/copy:v1" | wc -l)" -ge 3 ]
    check "push, pull" "files"
    printf 'a note for %s\n' "$mode" >"$note"
    (cd "$temporary" && quietly "$oras" push "${plain[@]}" "$at/files:v1,latest" note.txt:text/plain)
    quietly "$oras" pull "${plain[@]}" "$at/files:v1" -o "$temporary/$mode-pulled"
    cmp "$note" "$temporary/$mode-pulled/note.txt"
    check "attach, discover" "a referrer is attached and listed"
    (cd "$temporary" && quietly "$oras" attach "${plain[@]}" --artifact-type application/vnd.note \
        "$at/files:v1" note.txt:text/plain)
    [ "$(referrers_by_oras "$at/files:v1" | wc -l)" = 1 ]
    check "repo tags" "tags are listed"
    prints "latest v1" tags_of "$oras" repo tags "${plain[@]}" "$at/files"
    check "repo ls" "repositories are listed"
    mentions by-oras/files "$oras" repo ls "${plain[@]}" "$host"
    check "manifest delete" "a manifest is deleted"
    quietly "$oras" manifest delete "${plain[@]}" --force "$at/copy:v1"
    refused "$oras" resolve "${plain[@]}" "$at/copy:v1"
}

# The digests of what refers to a manifest, to all depths.
referrers_by_oras() {
    "$oras" discover "${plain[@]}" --format json "$1" | python3 -c '
import json, sys

def walk(node):
    for each in node.get("referrers") or []:
        print(each["digest"])
        walk(each)

walk(json.load(sys.stdin))' | sort
}
