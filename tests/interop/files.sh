#!/usr/bin/env bash
# Files as artifacts between tranship and oras: each pulls what the other has pushed, and the same input makes the
# same manifest, byte for byte.
#
#   bash tests/interop/files.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs oras. Works in a
# temporary directory and ends with the first check that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")
oras=$(installed oras)
as_nobody
secret=none

created=org.opencontainers.image.created=2026-01-31T12:00:00Z

passed() {
    checks=$((checks + 1))
    printf '  %s\n' "$1"
}

by_oras() {
    quietly "$oras" "$@" --no-tty
}

by_tranship() {
    quietly "$tranship" "$@"
}

# Fails unless two trees have the same names, kinds, contents, link targets and permissions.
same_tree() {
    diff -r --no-dereference "$1" "$2"
    diff <(cd "$1" && find . ! -name . -printf '%P %y %m %l\n' | sort) \
        <(cd "$2" && find . ! -name . -printf '%P %y %m %l\n' | sort)
}

# same_manifest NAME ARGUMENTS...: pushes with both programs and compares the manifests.
same_manifest() {
    local name=$1
    shift
    by_oras push --oci-layout "$temporary/oras:v1" --export-manifest "$temporary/by-oras" "$@"
    by_tranship push "oci:$temporary/tranship:v1" --export-manifest "$temporary/by-tranship" "$@"
    cmp "$temporary/by-oras" "$temporary/by-tranship"
    passed "$name"
}

umask 022
mkdir "$temporary/in"
cd "$temporary/in"
mkdir -p data/sub/deep 'with space'
echo alpha >a.txt
echo beta >'with space/b c.txt'
: >empty
head -c 300000 /dev/urandom >data/random.bin
echo '#!/bin/sh' >data/sub/run
chmod 755 data/sub/run
chmod 600 data/sub/deep/.hidden 2>/dev/null || echo hidden >data/sub/deep/.hidden
ln -s ../random.bin data/sub/link
ln -s sub data/directory-link
echo '{"a":1}' >config.json
cat >annotations.json <<'JSON'
{
  "$manifest": {"org.opencontainers.image.created": "2026-01-31T12:00:00Z", "z": "last", "a": "<first> & \u2028"},
  "$config": {"c": "1"},
  "a.txt": {"f": "2"},
  "./with space/b c.txt": {"org.opencontainers.image.title": "renamed.txt"}
}
JSON

echo "the same manifest as oras"
same_manifest "files" -a $created a.txt 'with space/b c.txt' empty
same_manifest "media types, and a colon in them" -a $created a.txt:text/plain ./empty:
same_manifest "an artifact type" -a $created --artifact-type application/vnd.example.thing a.txt
same_manifest "image-spec 1.0" -a $created --image-spec v1.0 a.txt
same_manifest "image-spec 1.0 with an artifact type" -a $created --image-spec v1.0 --artifact-type text/x a.txt
same_manifest "image-spec 1.0 without files" -a $created --image-spec v1.0
same_manifest "no files" -a $created
same_manifest "a config" -a $created --config config.json a.txt
same_manifest "a config with its type" -a $created --config config.json:application/x-config a.txt
same_manifest "a config and an artifact type" -a $created --config config.json:text/c --artifact-type text/x a.txt
same_manifest "a platform" -a $created --artifact-platform linux/arm/v7 a.txt
same_manifest "an annotation file" --annotation-file annotations.json a.txt './with space/b c.txt'

echo "the same refusals as oras"
for arguments in "/etc/hostname" "a.txt a.txt" "missing" "--config config.json --image-spec v1.1" \
    "--config config.json --artifact-type a/b --image-spec v1.0" "--artifact-type bad a.txt" \
    "-a $created -a $created a.txt" "-a org.opencontainers.image.created=today a.txt" ":text/plain"; do
    # shellcheck disable=SC2086
    refused "$tranship" push "oci:$temporary/refused" $arguments
    # shellcheck disable=SC2086
    refused "$oras" push --oci-layout "$temporary/refused-by-oras:v1" $arguments
    passed "push $arguments"
done

echo "files and directories"
files=(a.txt 'with space/b c.txt' empty data)
serve --root "$temporary/registry"
for kind in layout registry; do
    if [ $kind = layout ]; then
        oras_location=(--oci-layout "$temporary/by-oras.layout:v1") location=oci:$temporary/by-oras.layout:v1
        own=(--oci-layout "$temporary/own.layout:v1") own_location=oci:$temporary/own.layout:v1
    else
        oras_location=(--plain-http "$host/by-oras:v1") location=$host/by-oras:v1
        own=(--plain-http "$host/own:v1") own_location=$host/own:v1
    fi
    by_oras push "${oras_location[@]}" "${files[@]}"
    by_tranship pull "$location" -o "$temporary/out-$kind"
    for each in "${files[@]}"; do
        diff -r --no-dereference "$each" "$temporary/out-$kind/$each"
    done
    same_tree data "$temporary/out-$kind/data"
    [ -z "$("$tranship" pull "$location" -o "$temporary/out-$kind" --quiet)" ] || die "a second pull writes files"
    passed "tranship pulls from a $kind what oras has pushed, and a second time nothing"
    by_tranship push "$own_location" "${files[@]}"
    by_oras pull "${own[@]}" -o "$temporary/by-oras-$kind"
    for each in "${files[@]}"; do
        diff -r --no-dereference "$each" "$temporary/by-oras-$kind/$each"
    done
    same_tree data "$temporary/by-oras-$kind/data"
    passed "oras pulls from a $kind what tranship has pushed"
done

echo "configs"
by_oras push --oci-layout "$temporary/config:v1" --config config.json:text/c a.txt
by_tranship pull "oci:$temporary/config:v1" -o "$temporary/config-out" --config c.json:text/c
cmp config.json "$temporary/config-out/c.json"
by_tranship push "oci:$temporary/config:v2" --config config.json:text/c a.txt
by_oras pull --oci-layout "$temporary/config:v2" -o "$temporary/config-by-oras" --config c.json:text/c
cmp config.json "$temporary/config-by-oras/c.json"
passed "both ways"

echo "attach and discover"
for location in "oci:$temporary/by-oras.layout:v1" "$host/own:v1"; do
    case $location in
        oci:*) theirs=(--oci-layout "${location#oci:}") ;;
        *) theirs=(--plain-http "$location") ;;
    esac
    by_oras attach "${theirs[@]}" --artifact-type text/by-oras -a $created --export-manifest "$temporary/by-oras" a.txt:text/plain
    mentions text/by-oras "$tranship" discover "$location"
    by_tranship attach "$location" --artifact-type text/by-tranship -a $created a.txt:text/plain
    mentions text/by-tranship "$oras" discover "${theirs[@]}" --format json
    by_tranship attach "$location" --artifact-type text/by-oras -a $created --export-manifest "$temporary/by-tranship" a.txt:text/plain
    # In a layout, oras also stores the annotations of the entry of index.json in the subject.
    [[ $location = oci:* ]] || cmp "$temporary/by-oras" "$temporary/by-tranship"
    by_tranship pull "$location" -r --media-type text/plain -o "$temporary/attached"
    cmp a.txt "$temporary/attached/a.txt"
    passed "each sees what the other attaches to $(case $location in oci:*) echo a layout ;; *) echo a registry ;; esac)"
done

echo "$checks checks passed"
