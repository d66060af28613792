#!/usr/bin/env bash
# `tranship serve` as skopeo, oras, crane and regctl see it: push, pull, copies within the registry,
# tags, referrers and deletions, with contents compared byte for byte. Over memory in clear text, and over
# a directory of layouts with TLS and a password.
#
#   bash tests/interop/server.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs
# the others. Works in a temporary directory and ends with the first check that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=$(realpath -m "${1:-target/release/tranship}")
hello=$PWD/fixtures/hello
docker=$PWD/fixtures/docker
temporary=$(mktemp -d)
# shellcheck source=support.sh
source tests/interop/support.sh
[ -x "$tranship" ] || die "$tranship is missing: run cargo build --release -p tranship-cli"
for program in skopeo openssl curl python3; do
    command -v "$program" >/dev/null || die "$program is missing: run bash .ci/tools"
done
oras=$(installed oras)
crane=$(installed crane)
regctl_program=$(installed regctl)

server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" || die "the server ended badly"
    server=
}
trap 'trap - ERR; stop; chmod -R u+w "$temporary"; rm -rf "$temporary"' EXIT
trap 'echo "error: ${BASH_SOURCE[0]} line $LINENO failed: $BASH_COMMAND" >&2' ERR
set -E

# Nothing of who runs this.
export HOME=$temporary/home DOCKER_CONFIG=$temporary/docker REGISTRY_AUTH_FILE=$temporary/docker/config.json
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME
mkdir -p "$HOME" "$DOCKER_CONFIG"

# By bcrypt at its least cost.
user=tester password='not:a sécret'
cat >"$temporary/htpasswd" <<'HTPASSWD'
tester:$2b$04$ScGGtpfQw1cqtpM..HY7z.pHpPIY1rEUuTSxrQN4rQZzyY01E7BAq
HTPASSWD

# A certificate for this machine that is its own authority, which all the programs are told to trust.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj '/CN=tranship test' -addext 'subjectAltName=IP:127.0.0.1' \
    -keyout "$temporary/key.pem" -out "$temporary/cert.pem" 2>"$temporary/output" ||
    { cat "$temporary/output" >&2; die "no certificate"; }
export SSL_CERT_FILE=$temporary/cert.pem

# serve ARGUMENTS...: sets host.
serve() {
    local url=
    : >"$temporary/url"
    "$tranship" serve --listen 127.0.0.1:0 "$@" >"$temporary/url" 2>"$temporary/log" &
    server=$!
    for _ in $(seq 200); do
        url=$(cat "$temporary/url")
        [ -z "$url" ] || break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    [ -n "$url" ] || { cat "$temporary/log" >&2; die "the server does not start: $*"; }
    host=${url#*://}
    python3 - "$host" "$user" "$password" >"$DOCKER_CONFIG/config.json" <<'PYTHON'
import base64, json, sys

host, *credentials = sys.argv[1:]
print(json.dumps({"auths": {host: {"auth": base64.b64encode(":".join(credentials).encode()).decode()}}}))
PYTHON
}

# Runs what must not succeed.
refused() {
    ! "$@" >"$temporary/output" 2>&1 || die "succeeded: $*"
}

regctl() {
    "$regctl_program" --verbosity error "$@"
}

# The digests of what refers to a manifest, to all depths.
referrers_by_oras() {
    "$oras" discover "${oras_plain[@]}" --format json "$1" | python3 -c '
import json, sys

def walk(node):
    for each in node.get("referrers") or []:
        print(each["digest"])
        walk(each)

walk(json.load(sys.stdin))' | sort
}

skopeo_works() {
    local at=docker://$host/by-skopeo
    check "copy --all: an index of several platforms, there and back"
    quietly skopeo copy --all "$skopeo_to" "oci:$whole:v1" "$at/hello:v1"
    quietly skopeo copy --all "$skopeo_from" "$at/hello:v1" "oci:$temporary/$mode-skopeo:v1"
    diff -r "$whole/blobs" "$temporary/$mode-skopeo/blobs"
    check "copy: within the registry, where blobs are mounted"
    quietly skopeo copy --all "$skopeo_from" "$skopeo_to" "$at/hello:v1" "$at/copy:v1"
    skopeo inspect --raw "$skopeo_one" "$at/copy:v1" | cmp - "$(blob "$hello" "$root")"
    check "list-tags, delete"
    mentions '"v1"' skopeo list-tags "$skopeo_one" "$at/hello"
    quietly skopeo delete "$skopeo_one" "$at/copy:v1"
    refused skopeo inspect --raw "$skopeo_one" "$at/copy:v1"
}

oras_works() {
    local at=$host/by-oras note=$temporary/note.txt
    check "cp -r: with referrers, there, within the registry, and back"
    quietly "$oras" cp -r --from-oci-layout "$hello:v1" "${oras_to[@]}" "$at/hello:v1"
    quietly "$oras" cp -r "${oras_from[@]}" "$at/hello:v1" "${oras_to[@]}" "$at/copy:v1"
    quietly "$oras" cp -r "${oras_from[@]}" "$at/copy:v1" --to-oci-layout "$temporary/$mode-oras:v1"
    diff -r "$hello/blobs" "$temporary/$mode-oras/blobs"
    check "discover: the referrers, to all depths"
    prints "$(referrers_by_oras "$at/hello:v1")" referrers_by_oras "$at/copy:v1"
    [ "$(referrers_by_oras "$at/copy:v1" | wc -l)" -ge 3 ]
    check "push, attach, pull: files"
    printf 'a note for %s\n' "$mode" >"$note"
    (cd "$temporary" && quietly "$oras" push "${oras_plain[@]}" "$at/files:v1,latest" note.txt:text/plain)
    (cd "$temporary" && quietly "$oras" attach "${oras_plain[@]}" --artifact-type application/vnd.note \
        "$at/files:v1" note.txt:text/plain)
    [ -n "$(referrers_by_oras "$at/files:v1")" ]
    quietly "$oras" pull "${oras_plain[@]}" "$at/files:v1" -o "$temporary/$mode-pulled"
    cmp "$note" "$temporary/$mode-pulled/note.txt"
    check "repo tags, repo ls, manifest delete"
    prints "latest v1" tags_of "$oras" repo tags "${oras_plain[@]}" "$at/files"
    mentions by-oras/files "$oras" repo ls "${oras_plain[@]}" "$host"
    quietly "$oras" manifest delete "${oras_plain[@]}" --force "$at/copy:v1"
    refused "$oras" resolve "${oras_plain[@]}" "$at/copy:v1"
}

crane_works() {
    local at=$host/by-crane
    check "push, validate, pull: an index of several platforms, the same blobs"
    quietly "$crane" push "${crane_plain[@]}" "$whole" "$at/hello:v1"
    prints "$root" "$crane" digest "${crane_plain[@]}" "$at/hello:v1"
    quietly "$crane" validate "${crane_plain[@]}" --remote "$at/hello:v1"
    quietly "$crane" pull "${crane_plain[@]}" --format=oci "$at/hello:v1" "$temporary/$mode-crane"
    diff -r "$whole/blobs" "$temporary/$mode-crane/blobs"
    check "push, and a copy by skopeo: Docker's media types"
    quietly "$crane" push "${crane_plain[@]}" "$docker_copy" "$at/docker:v1"
    quietly skopeo copy --all "$skopeo_from" "$skopeo_to" "docker://$at/docker:v1" "docker://$at/docker-copy:v1"
    "$crane" manifest "${crane_plain[@]}" "$at/docker-copy:v1" | cmp - "$(blob "$docker" "$list")"
    check "copy, tag, ls, catalog, delete"
    quietly "$crane" copy "${crane_plain[@]}" "$at/hello:v1" "$at/copy:v1"
    quietly "$crane" tag "${crane_plain[@]}" "$at/copy:v1" stable
    prints "stable v1" tags_of "$crane" ls "${crane_plain[@]}" "$at/copy"
    mentions by-crane/copy "$crane" catalog "${crane_plain[@]}" "$host"
    quietly "$crane" delete "${crane_plain[@]}" "$at/copy@$root"
    refused "$crane" digest "${crane_plain[@]}" "$at/copy:stable"
}

regctl_works() {
    local at=$host/by-regctl digest path
    quietly regctl registry set "$host" --tls "$regctl_tls"
    check "image copy --referrers: there, within the registry, and back"
    # It finds referrers in a layout by the tags under which it keeps them itself, so oras has brought them.
    quietly regctl image copy --referrers "$host/by-oras/hello:v1" "$at/hello:v1"
    quietly regctl image copy --referrers "$at/hello:v1" "ocidir://$temporary/$mode-regctl:v1"
    regctl manifest get --format raw-body "$at/hello:v1" | cmp - "$(blob "$hello" "$root")"
    regctl manifest get --format raw-body --platform linux/arm64/v8 "$at/hello:v1" >"$temporary/arm64"
    cmp "$temporary/arm64" "$(blob "$hello" "$("$tranship" resolve --platform linux/arm64 "oci:$hello:v1")")"
    check "blob get: every blob of it, byte for byte"
    for path in "$whole"/blobs/sha256/*; do
        digest=sha256:${path##*/}
        case $digest in "$root") continue ;; esac
        regctl blob get "$at/hello" "$digest" >"$temporary/blob" 2>/dev/null ||
            regctl manifest get --format raw-body "$at/hello@$digest" >"$temporary/blob"
        cmp "$temporary/blob" "$path"
    done
    check "artifact put, artifact list: through the referrers API, without fallback tags"
    printf 'a note\n' >"$temporary/note"
    quietly regctl artifact put --artifact-type application/vnd.example.note \
        --subject "$at/hello:v1" --file "$temporary/note"
    mentions application/vnd.example.note regctl artifact list --format '{{jsonPretty .}}' "$at/hello:v1"
    prints v1 tags_of regctl tag ls "$at/hello"
    check "blob put in chunks, tag delete"
    head -c 5000000 /dev/urandom >"$temporary/random"
    quietly regctl registry set "$host" --blob-chunk 1000000 --blob-max 1000000
    digest=$(regctl blob put "$at/chunks" <"$temporary/random")
    regctl blob get "$at/chunks" "$digest" | cmp - "$temporary/random"
    quietly regctl tag delete "$at/hello:v1"
    refused regctl manifest head "$at/hello:v1"
}

# The tags that a program lists, in ASCII order on one line.
tags_of() {
    "$@" | LC_ALL=C sort | xargs
}

clients() {
    local each
    for each in skopeo oras crane regctl; do
        echo "$mode: $each"
        "${each}_works"
    done
}

root=$(digest_in "$hello" v1)
list=$(digest_in "$docker" v1)
whole=$temporary/whole
docker_copy=$temporary/docker-copy
quietly "$tranship" cp --quiet "oci:$hello:v1" "oci:$whole:v1"
quietly "$tranship" cp --quiet "oci:$docker:v1" "oci:$docker_copy:v1"

mode=memory
serve
skopeo_one=--tls-verify=false skopeo_from=--src-tls-verify=false skopeo_to=--dest-tls-verify=false
oras_plain=(--plain-http) oras_from=(--from-plain-http) oras_to=(--to-plain-http)
crane_plain=(--insecure) regctl_tls=disabled
clients
stop

mode=layouts
serve --root "layouts:$temporary/registry" --htpasswd "$temporary/htpasswd" \
    --tls-cert "$temporary/cert.pem" --tls-key "$temporary/key.pem"
skopeo_one=--tls-verify=true skopeo_from=--src-tls-verify=true skopeo_to=--dest-tls-verify=true
oras_plain=() oras_from=() oras_to=() crane_plain=() regctl_tls=enabled
[ "$(curl -s --cacert "$temporary/cert.pem" -o /dev/null -w '%{http_code}' "https://$host/v2/")" = 401 ]
clients
stop
check "what all of them left is sound"
quietly "$tranship" fsck "layouts:$temporary/registry"
refused grep -F "$password" "$temporary/log"

echo "$checks checks passed"
