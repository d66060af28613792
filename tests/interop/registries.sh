#!/usr/bin/env bash
# Registries of others, with and without TLS and credentials: every scenario of the conformance kit
# over them, and the command line with what skopeo, oras, crane and regctl see of it.
#
#   bash tests/interop/registries.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs
# the registries, docker-registry of Debian (2.8, without a referrers API) and distribution 3. They
# listen on free ports, work in a temporary directory, and are gone when this ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=$(realpath -m "${1:-target/release/tranship}")
temporary=$(mktemp -d)
hello=fixtures/hello
# shellcheck source=support.sh
source tests/interop/support.sh
[ -x "$tranship" ] || die "$tranship is missing: run cargo build --release -p tranship-cli"
for program in docker-registry skopeo openssl curl python3; do
    command -v "$program" >/dev/null || die "$program is missing: run bash .ci/tools"
done
registry3=$(installed registry)
oras=$(installed oras)
crane=$(installed crane)
regctl=$(installed regctl)

servers=()
stop() {
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
    [ ${#servers[@]} = 0 ] || wait "${servers[@]}" 2>/dev/null || true
    rm -rf "$temporary"
}
trap stop EXIT
trap 'echo "error: ${BASH_SOURCE[0]} line $LINENO failed: $BASH_COMMAND" >&2' ERR

# Credentials of nobody, and nothing of who runs this.
own_home=$HOME
export HOME=$temporary/home DOCKER_CONFIG=$temporary/docker OTEL_TRACES_EXPORTER=none
unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME
mkdir -p "$HOME" "$DOCKER_CONFIG"

# One that has a colon and a letter beyond ASCII, by bcrypt at its least cost.
user=tester password='not:a sécret'
cat >"$temporary/htpasswd" <<'HTPASSWD'
tester:$2b$04$ScGGtpfQw1cqtpM..HY7z.pHpPIY1rEUuTSxrQN4rQZzyY01E7BAq
HTPASSWD

# An authority, and a certificate for this machine.
(
    cd "$temporary"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj '/CN=tranship test authority' -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj '/CN=127.0.0.1' -keyout server.key -out server.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n' >server.ext
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile server.ext -out server.pem
) >"$temporary/openssl.log" 2>&1 || { cat "$temporary/openssl.log" >&2; die "no certificates"; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME PROGRAM [auth] [tls]: sets host.
start() {
    local name=$1 program=$2 auth='' tls='' scheme=http ready=
    shift 2
    case " $* " in *' auth '*) auth="auth: {htpasswd: {realm: test, path: $temporary/htpasswd}}" ;; esac
    case " $* " in *' tls '*) tls=", tls: {certificate: $temporary/server.pem, key: $temporary/server.key}" scheme=https ;; esac
    for _ in 1 2 3; do
        local port pid
        port=$(free_port)
        cat >"$temporary/$name.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {delete: {enabled: true}, filesystem: {rootdirectory: $temporary/$name}}
http: {addr: "127.0.0.1:$port"$tls}
$auth
YAML
        "$program" serve "$temporary/$name.yml" >"$temporary/$name.log" 2>&1 &
        pid=$!
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            if curl -ks --max-time 2 -o /dev/null "$scheme://127.0.0.1:$port/v2/"; then
                ready=yes
                break
            fi
            sleep 0.1
        done
        servers+=("$pid")
        # Somebody else may have taken the port meanwhile.
        [ -z "$ready" ] || break
    done
    [ -n "$ready" ] || { cat "$temporary/$name.log" >&2; die "$name does not start"; }
    host=127.0.0.1:$port
}

# conformance NAME GAPS...: the scenarios on $host.
conformance() {
    local name=$1
    shift
    cat "$@" | grep -v '^#' >"$temporary/gaps"
    TRANSHIP_TEST_NAME=$name TRANSHIP_TEST_REGISTRY=$host TRANSHIP_TEST_GAPS=$(cat "$temporary/gaps") \
        HOME=$own_home cargo test --locked -q -p tranship-backends --test registry >"$temporary/conformance.log" 2>&1 ||
        { grep -vE '\.\.\. (ok|ignored)' "$temporary/conformance.log" >&2; die "the scenarios fail on $name"; }
    grep "^$name: " "$temporary/conformance.log"
}

# Runs the program without its notes.
quiet() {
    "$tranship" "$@" --quiet
}

# fails CODE ARGUMENTS...: what must fail, and tells no secret.
fails() {
    local code=$1 got=0
    shift
    "$tranship" "$@" >"$temporary/out" 2>"$temporary/err" </dev/null || got=$?
    [ "$got" = "$code" ] || { cat "$temporary/err" >&2; die "exit code $got and not $code: $*"; }
    grep -q '^error: ' "$temporary/err" || die "no error is told: $*"
    ! grep -q "$password" "$temporary/err" || die "a secret is told: $*"
}

# round_trip OPTIONS...: a layout to $host and back, the same byte for byte, and its referrers.
round_trip() {
    local digest back=$temporary/back
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
    check "$(printf 'round trip over %s %s' "$host" "$*")"
}

# read_by_others: what was pushed to $host, which speaks http, read by others, and what they push.
read_by_others() {
    local digest out=$temporary/others
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
        check "$each reads what we pushed"
    done
    mentions application/spdx+json "$oras" discover --plain-http "$host/team/hello@$digest"
    check "oras finds the referrers that we pushed"
    quietly "$oras" attach --plain-http --artifact-type application/vnd.example.note "$host/team/hello:v1" README.md:text/plain
    mentions application/vnd.example.note quiet discover "$host/team/hello:v1"
    mentions application/spdx+json quiet discover "$host/team/hello:v1"
    check "we find the referrer that oras attached beside ours"
}

gaps=tests/interop/registries
start docker-registry docker-registry
conformance docker-registry $gaps/any.tsv $gaps/distribution.tsv $gaps/docker-registry.tsv
round_trip
read_by_others

start distribution3 "$registry3"
conformance distribution3 $gaps/any.tsv $gaps/distribution.tsv $gaps/distribution3.tsv
round_trip
read_by_others

# With credentials, in clear text and over TLS.
for kind in "docker-registry docker-registry auth" "distribution3 $registry3 auth tls"; do
    read -r name program options <<<"$kind"
    # shellcheck disable=SC2086
    start "$name-auth" "$program" $options
    tls=()
    case " $options " in *' tls '*) tls=(--ca-file "$temporary/ca.pem") ;; esac
    fails 5 resolve "$host/team/hello:v1" "${tls[@]}"
    printf 'wrong' >"$temporary/secret"
    got=0
    "$tranship" login "$host" -u "$user" --password-stdin "${tls[@]}" <"$temporary/secret" 2>"$temporary/err" || got=$?
    [ "$got" = 5 ] || { cat "$temporary/err" >&2; die "exit code $got and not 5: login"; }
    ! grep -q "$host" "$DOCKER_CONFIG/config.json" 2>/dev/null || die "credentials were kept that are not good"
    printf '%s\n' "$password" | "$tranship" login "$host" -u "$user" --password-stdin "${tls[@]}" 2>"$temporary/err"
    grep -q '^warning: ' "$temporary/err" || die "nobody was warned of the plain text"
    round_trip "${tls[@]}"
    export TRANSHIP_TEST_CONFIG=$DOCKER_CONFIG/config.json
    case " $options " in *' tls '*) export TRANSHIP_TEST_CA=$temporary/ca.pem ;; esac
    distribution=$gaps/$name.tsv
    conformance "$name-auth" $gaps/any.tsv $gaps/distribution.tsv "$distribution"
    # crane reads docker's file, and so what we wrote.
    case " $options " in
        *' tls '*) SSL_CERT_FILE=$temporary/ca.pem quietly "$crane" digest "$host/team/hello:v1" ;;
        *) quietly "$crane" digest "$host/team/hello:v1" ;;
    esac
    check "crane uses the credentials that we kept"
    if [ ${#tls[@]} != 0 ]; then
        # In clear text, which this machine is spoken to in unless told otherwise.
        fails 2 resolve "$host/team/hello:v1"
        grep -q -- --ca-file "$temporary/err" || die "no hint at TLS"
        quiet resolve "$host/team/hello:v1" --insecure >/dev/null
        port=${host##*:}
        fails 8 resolve "registry.test:$port/team/hello:v1" --resolve "registry.test:$port:127.0.0.1"
        grep -q -- --ca-file "$temporary/err" || die "no hint at --ca-file"
        printf '%s' "$password" | quiet login "registry.test:$port" -u "$user" --password-stdin "${tls[@]}" --resolve "registry.test:$port:127.0.0.1" 2>/dev/null
        quiet resolve "registry.test:$port/team/hello:v1" "${tls[@]}" --resolve "registry.test:$port:127.0.0.1" >/dev/null
        check "names that resolve to what we say, and certificates that are looked at"
    fi
    quiet logout "$host"
    fails 5 resolve "$host/team/hello:v1" "${tls[@]}"
    check "login and logout at $name"
    unset TRANSHIP_TEST_CONFIG TRANSHIP_TEST_CA
done

start distribution3-tls "$registry3" tls
export TRANSHIP_TEST_CA=$temporary/ca.pem
conformance distribution3-tls $gaps/any.tsv $gaps/distribution.tsv $gaps/distribution3.tsv
unset TRANSHIP_TEST_CA
round_trip --ca-file "$temporary/ca.pem"

echo "registries: $checks checks passed"
