# What the interop checks share; read by layouts.sh.
# shellcheck shell=bash

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# A Go program of .tools, or else of the PATH.
installed() {
    local program=$PWD/.tools/$1
    [ -x "$program" ] || program=$(command -v "$1" || true)
    [ -n "$program" ] || die "$1 is missing: run bash .ci/tools"
    printf '%s\n' "$program"
}

checks=0
check() {
    checks=$((checks + 1))
    printf '  %s\n' "$*"
}

# Runs a command and shows what it said only if it fails.
quietly() {
    "$@" >"$temporary/output" 2>&1 || { cat "$temporary/output" >&2; die "failed: $*"; }
}

# Runs a command, which must succeed and print exactly this.
prints() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    [ "$got" = "$expected" ] || die "$(printf '%s\nexpected:\n%s\ngot:\n%s' "$*" "$expected" "$got")"
}

# Runs a command, which must succeed and print this among other things.
mentions() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    case $got in *"$expected"*) ;; *) die "$(printf '%s\nno %s in:\n%s' "$*" "$expected" "$got")" ;; esac
}

# The file of a digest in a layout.
blob() {
    printf '%s/blobs/%s\n' "$1" "${2/:/\/}"
}

# The digest under a tag in index.json, read by none of the tools under test.
digest_in() {
    python3 - "$1/index.json" "$2" <<'PYTHON'
import json, sys

for entry in json.load(open(sys.argv[1]))["manifests"]:
    if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == sys.argv[2]:
        print(entry["digest"])
PYTHON
}

# The files of an image's layers, unpacked by tar into a directory.
unpacked() {
    local layout=$1 digest=$2 into=$3 layer
    mkdir -p "$into"
    python3 - "$layout" "$digest" <<'PYTHON' | while read -r layer; do tar -xzf "$layer" -C "$into"; done
import json, sys

layout, digest = sys.argv[1:]
path = lambda digest: layout + "/blobs/" + digest.replace(":", "/")
for layer in json.load(open(path(digest)))["layers"]:
    print(path(layer["digest"]))
PYTHON
}

# Copies with tranship and fails if a copy of `layout` lacks a blob of it, or has others.
copied_whole() {
    local layout=$1 copy=$temporary/copied-$checks root
    shift
    for root in "$@"; do
        quietly "$tranship" cp --quiet --recursive "oci:$layout$root" "oci:$copy"
    done
    diff -r "$layout/blobs" "$copy/blobs"
}

tags_by_tranship() {
    "$tranship" repo tags "oci:$1" | xargs
}
