#!/usr/bin/env bash
# Registries of others, with and without TLS and credentials: every scenario of the conformance kit
# over them, and the command line with what skopeo, oras, crane and regctl see of it.
#
#   bash tests/interop/registries.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the
# registries: docker-registry of Debian (2.8, without a referrers API), distribution 3, and crane's, which knows
# neither TLS nor credentials. They listen on free ports, work in a temporary directory, and are gone when this
# ends. What each of them cannot do is in registries/. In the short form, the scenarios run over docker-registry in clear text
# and over distribution with credentials and TLS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

hello=fixtures/hello
# How fast others sync what they store is not what is checked.
in_memory=yes
# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")
needs docker-registry skopeo
registry=$(installed registry)
oras=$(installed oras)
crane=$(installed crane)
regctl=$(installed regctl)
as_nobody
certificates
passwords
secret=$password

# distribution NAME PROGRAM OPTIONS...: starts one of the two that are made of distribution. Options are auth and tls.
distribution() {
    local name=$1 program=$2 auth='' tls='' scheme=http
    shift 2
    case " $* " in *' auth '*) auth="auth: {htpasswd: {realm: test, path: $temporary/htpasswd}}" ;; esac
    case " $* " in *' tls '*) tls=", tls: {certificate: $temporary/server.pem, key: $temporary/server.key}" scheme=https ;; esac
    cat >"$temporary/$name.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {delete: {enabled: true}, filesystem: {rootdirectory: $temporary/$name}}
http: {addr: "127.0.0.1:0"$tls}
$auth
YAML
    listens $scheme /v2/ env OTEL_TRACES_EXPORTER=none REGISTRY_HTTP_ADDR=@HOST@ "$program" serve "$temporary/$name.yml"
}

# conformance GAPS... [-- OPTIONS...]: the scenarios on $host. The files name those that the registry cannot pass.
conformance() {
    local gaps=() counted
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        gaps+=("tests/interop/registries/$1")
        shift
    done
    counted=$(TRANSHIP_TEST_REGISTRY=$host TRANSHIP_TEST_GAPS=$(grep -hv '^#' "${gaps[@]}") \
        scenarios registry --test remote "$@")
    figure "the scenarios of the conformance kit$how" "$counted"
}

# round_trip OPTIONS...: a layout to $host and back, the same byte for byte, and its referrers.
round_trip() {
    local digest back=$temporary/back
    check "copied there, within and back with referrers, tagged, listed$how"
    digest=$(quiet cp -r "oci:$hello:v1" "$host/team/hello:v1" "$@")
    prints "$digest" quiet resolve "$host/team/hello:v1" "$@"
    rm -rf "$back"
    prints "$digest" quiet cp -r "$host/team/hello:v1" "oci:$back:v1" "$@"
    quietly diff -r "$hello/blobs" "$back/blobs"
    prints "$digest" quiet cp -r "$host/team/hello:v1" "$host/team/copy:v2" "$@"
    quiet tag "$host/team/hello:v1" v2 latest "$@" >/dev/null
    mentions latest quiet repo tags "$host/team/hello" "$@"
    mentions team/copy quiet repo ls "$host" "$@"
    mentions application/spdx+json quiet discover "$host/team/copy:v2" "$@"
}

# read_by_others: what was pushed to $host, which speaks http, read by others, and what they push.
read_by_others() {
    local digest out=$temporary/others
    check "skopeo, oras, regctl, crane" "what we pushed is read by others"
    digest=$(quiet resolve "$host/team/hello:v1")
    rm -rf "$out"
    mkdir "$out"
    prints "$digest" "$crane" digest "$host/team/hello:v1"
    quietly skopeo --insecure-policy copy --all --src-tls-verify=false "docker://$host/team/hello:v1" "oci:$out/skopeo:v1"
    quietly "$oras" cp -r --from-plain-http --to-oci-layout "$host/team/hello:v1" "$out/oras:v1"
    quietly "$regctl" --host "reg=$host,tls=disabled" image copy --referrers "$host/team/hello:v1" "ocidir://$out/regctl:v1"
    quietly "$crane" pull --format oci "$host/team/hello:v1" "$out/crane"
    local each
    for each in skopeo oras regctl crane; do
        [ -n "$(find "$out/$each/blobs" -type f)" ] || die "$each read nothing"
        find "$out/$each/blobs" -type f -printf '%P\n' | while read -r file; do
            # The tool's own index of what it read is not among ours.
            [ ! -e "$hello/blobs/$file" ] || cmp "$hello/blobs/$file" "$out/$each/blobs/$file"
        done
    done
    check "oras discover" "the referrers that we pushed are found by others"
    mentions application/spdx+json "$oras" discover --plain-http "$host/team/hello@$digest"
    check "oras attach" "a referrer that others attached is found beside ours"
    quietly "$oras" attach --plain-http --artifact-type application/vnd.example.note "$host/team/hello:v1" README.md:text/plain
    mentions application/vnd.example.note quiet discover "$host/team/hello:v1"
    mentions application/spdx+json quiet discover "$host/team/hello:v1"
}

how=''
echo "docker-registry"
about registries docker-registry docker-registry
distribution docker-registry docker-registry
conformance any.tsv distribution.tsv docker-registry.tsv
round_trip
read_by_others

echo "distribution"
about registries distribution registry
distribution distribution "$registry"
is_short || conformance any.tsv distribution.tsv
round_trip
read_by_others

echo "crane's registry"
about registries "crane's registry" crane
mkdir "$temporary/crane"
crane_registry --disk "$temporary/crane"
is_short || conformance crane.tsv -- --skip a_push_that_is_held_up_holds_up_nothing_else
round_trip
read_by_others

# with_credentials NAME PROGRAM tls|clear GAPS...: the same to a user, who logs in and out.
with_credentials() {
    local name=$1 program=$2 tls=()
    about registries "$name"
    distribution "$name-auth" "$program" auth "$3"
    how=', with credentials'
    [ "$3" = clear ] || tls=(--ca-file "$temporary/ca.pem") how=', with credentials over TLS'
    check "who logs in may, until the logout$how"
    fails 5 resolve "$host/team/hello:v1" "${tls[@]}"
    printf 'wrong' >"$temporary/secret"
    got=0
    "$tranship" login "$host" -u "$user" --password-stdin "${tls[@]}" <"$temporary/secret" 2>"$temporary/err" || got=$?
    [ "$got" = 5 ] || { cat "$temporary/err" >&2; die "exit code $got and not 5: login"; }
    ! grep -q "$host" "$DOCKER_CONFIG/config.json" 2>/dev/null || die "credentials were kept that are not good"
    printf '%s\n' "$password" | "$tranship" login "$host" -u "$user" --password-stdin "${tls[@]}" 2>"$temporary/err"
    grep -q '^warning: ' "$temporary/err" || die "nobody was warned of the plain text"
    round_trip "${tls[@]}"
    if ! is_short || [ "$3" = tls ]; then
        TRANSHIP_TEST_CA=${tls[1]:-} TRANSHIP_TEST_CONFIG=$DOCKER_CONFIG/config.json \
            conformance any.tsv distribution.tsv "${@:4}"
    fi
    check "crane digest" "the credentials that we keep are found by others"
    # It reads docker's file.
    SSL_CERT_FILE=$temporary/ca.pem quietly "$crane" digest "$host/team/hello:v1"
    if [ ${#tls[@]} != 0 ]; then
        check "certificates are looked at, and names resolve to what we say"
        # On this machine https is found without an option.
        fails 8 resolve "$host/team/hello:v1"
        grep -q -- --ca-file "$temporary/err" || die "no hint at TLS"
        quiet resolve "$host/team/hello:v1" --insecure >/dev/null
        port=${host##*:}
        fails 8 resolve "registry.test:$port/team/hello:v1" --resolve "registry.test:$port:127.0.0.1"
        grep -q -- --ca-file "$temporary/err" || die "no hint at --ca-file"
        printf '%s' "$password" | quiet login "registry.test:$port" -u "$user" --password-stdin "${tls[@]}" --resolve "registry.test:$port:127.0.0.1" 2>/dev/null
        quiet resolve "registry.test:$port/team/hello:v1" "${tls[@]}" --resolve "registry.test:$port:127.0.0.1" >/dev/null
    fi
    quiet logout "$host"
    fails 5 resolve "$host/team/hello:v1" "${tls[@]}"
}

echo "with credentials"
with_credentials docker-registry docker-registry clear docker-registry.tsv
with_credentials distribution "$registry" tls

echo "over TLS"
how=', over TLS'
distribution distribution-tls "$registry" tls
is_short || TRANSHIP_TEST_CA=$temporary/ca.pem conformance any.tsv distribution.tsv
round_trip --ca-file "$temporary/ca.pem"

echo "$checks checks passed"
