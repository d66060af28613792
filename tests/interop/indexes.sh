#!/usr/bin/env bash
# Indexes and copies of some platforms: other programs read what tranship makes, and make the same.
#
#   bash tests/interop/indexes.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the others. Works in a
# temporary directory and ends with the first check that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")
oras=$(installed oras)
crane=$(installed crane)
regctl=$(installed regctl)
as_nobody
secret=none

passed() {
    checks=$((checks + 1))
    printf '  %s\n' "$1"
}

# The platforms of an index on standard input, in its order.
platforms() {
    python3 -c 'import json, sys
for entry in json.load(sys.stdin)["manifests"]:
    platform = entry["platform"]
    print("/".join(filter(None, (platform["os"], platform["architecture"], platform.get("variant")))))'
}

hello=$PWD/fixtures/hello
serve --root "$temporary/registry"
quietly "$tranship" cp "oci:$hello:v1" "$host/hello:v1"

echo "some platforms of an image"
for location in "oci:$temporary/two:v1" "$host/two:v1"; do
    quietly "$tranship" cp --platform linux/amd64,linux/arm64 "$host/hello:v1" "$location"
    case $location in
        oci:*) read=("$oras" manifest fetch --oci-layout "${location#oci:}") ;;
        *) read=("$oras" manifest fetch --plain-http "$location") ;;
    esac
    diff <("${read[@]}" | platforms) <(printf 'linux/amd64\nlinux/arm64/v8\n')
    passed "oras reads them from $(case $location in oci:*) echo a layout ;; *) echo a registry ;; esac)"
done
quietly skopeo copy --all --src-tls-verify=false "docker://$host/two:v1" "oci:$temporary/by-skopeo:v1"
passed "skopeo copies all of them"
quietly "$crane" validate --insecure --remote "$host/two:v1"
passed "crane finds every blob"
quietly "$oras" cp --from-plain-http --to-oci-layout "$host/two:v1" "$temporary/by-oras:v1"
quietly "$tranship" fsck "oci:$temporary/by-oras"
passed "oras copies all of them"

echo "an index of images"
for platform in amd64 arm64; do
    quietly "$tranship" cp --platform linux/$platform "$host/hello:v1" "$host/app:$platform"
done
quietly "$tranship" index create "$host/app:ours" "$host/app:amd64" "$host/app:arm64"
quietly "$oras" manifest index create --plain-http "$host/app:oras" amd64 arm64
"$tranship" manifest fetch "$host/app:ours" >"$temporary/ours"
"$tranship" manifest fetch "$host/app:oras" >"$temporary/oras"
python3 - "$temporary/ours" "$temporary/oras" <<'PYTHON'
import json, sys

ours, theirs = (json.load(open(path)) for path in sys.argv[1:])
if ours != theirs:
    sys.exit(f"error: tranship makes {ours}, and oras {theirs}")
PYTHON
passed "tranship and oras make the same index"
quietly "$crane" validate --insecure --remote "$host/app:ours"
passed "crane finds every blob of it"
quietly "$tranship" index remove "$host/app:ours" --platform linux/arm64
diff <("$crane" manifest --insecure "$host/app:ours" | platforms) <(echo linux/amd64)
quietly "$tranship" index add "$host/app:ours" "$host/app:arm64"
cmp <("$tranship" manifest fetch "$host/app:ours") "$temporary/ours"
passed "an entry that is removed and added again gives the same index"

echo "annotations"
quietly "$tranship" annotate "$host/app:amd64" team=harbour
[ "$("$regctl" --host "reg=$host,tls=disabled" manifest get "$host/app:amd64" --format '{{index .Annotations "team"}}')" = harbour ] ||
    die "regctl does not read the annotation"
passed "regctl reads them"

echo "$checks checks passed"
