#!/usr/bin/env bash
# Layouts in a real S3 server: every scenario of the conformance kit, several processes that write to
# one layout at the same time, and the command line.
#
#   bash tests/interop/s3.sh PATH/TO/tranship
#
# `bash .ci/tools` installs the server, minio. It listens on free ports, works in a temporary
# directory, and is gone when this ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=${1:?the first argument is the program to test}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

minio=${MINIO:-.tools/minio}
[ -x "$minio" ] || minio=$(command -v minio || true)
[ -n "$minio" ] || die "minio is missing: run bash .ci/tools"
[ -x "$tranship" ] || die "$tranship is missing: build it with cargo build --release"
for program in curl python3; do
    command -v "$program" >/dev/null || die "$program is missing: run bash .ci/tools"
done

temporary=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$temporary"
}
trap stop EXIT

# Two ports that nobody listens on.
free_ports() {
    python3 - <<'PYTHON'
import socket

sockets = [socket.socket() for _ in range(2)]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

# A directory is a bucket.
mkdir -p "$temporary/data/tranship"
export AWS_ACCESS_KEY_ID=tranship AWS_SECRET_ACCESS_KEY=not-a-secret AWS_REGION=us-east-1
endpoint=
for _ in 1 2 3; do
    read -r port console <<<"$(free_ports)"
    MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY \
        "$minio" server --quiet "$temporary/data" --address "127.0.0.1:$port" \
        --console-address "127.0.0.1:$console" >"$temporary/log" 2>&1 &
    server=$!
    for _ in $(seq 150); do
        kill -0 "$server" 2>/dev/null || break
        if curl -fsS --max-time 2 "http://127.0.0.1:$port/minio/health/live" >/dev/null 2>&1; then
            endpoint=http://127.0.0.1:$port
            break 2
        fi
        sleep 0.2
    done
    # Somebody else may have taken the port meanwhile.
    kill "$server" 2>/dev/null || true
done
[ -n "$endpoint" ] || { cat "$temporary/log" >&2; die "minio does not start"; }

export TRANSHIP_S3_ENDPOINT=$endpoint TRANSHIP_S3_BUCKET=tranship
cargo test --locked -p tranship-backends --features s3 --test s3 --test s3_writers

echo "the command line in a bucket"
export AWS_ENDPOINT_URL=$endpoint AWS_ALLOW_HTTP=true
bucket=s3://tranship/command-line

# Runs the program with its notes hidden.
quiet() {
    "$tranship" "$@" --quiet
}

# Runs what must fail with the given exit code.
fails() {
    local code=$1 got=0
    shift
    "$tranship" "$@" >"$temporary/out" 2>"$temporary/err" || got=$?
    [ "$got" = "$code" ] || { cat "$temporary/err" >&2; die "exit code $got and not $code: $*"; }
    grep -q '^error: ' "$temporary/err" || die "no error is told: $*"
    ! grep -q "$AWS_SECRET_ACCESS_KEY" "$temporary/err" || die "a secret is told: $*"
}

digest=$(quiet cp -r oci:fixtures/hello:v1 "oci:$bucket/hello:v1")
mounted=$(quiet cp -r "oci:$bucket/hello:v1" "layouts:$bucket/all//library/hello")
[ "$digest" = "$mounted" ] || die "another digest"
[ "$(quiet repo ls "layouts:$bucket/all")" = library/hello ] || die "the repository is not listed"
quiet cp -r "layouts:$bucket/all//library/hello:v1" "oci-archive:$temporary/back.tar:v1" >/dev/null
quiet cp -r "oci-archive:$temporary/back.tar:v1" "oci:$temporary/back:v1" >/dev/null
for blob in "$temporary"/back/blobs/sha256/*; do
    cmp "$blob" "fixtures/hello/blobs/sha256/$(basename "$blob")"
done
quiet tag "oci:$bucket/hello:v1" v2 >/dev/null
quiet untag "oci:$bucket/hello:v1"
[ "$(quiet repo tags "oci:$bucket/hello")" = v2 ] || die "the tags are wrong"
quiet fsck "oci:$bucket/hello"
quiet gc "oci:$bucket/hello"
quiet fsck "layouts:$bucket/all//library/hello"
quiet cp "oci:$bucket/hello:v2" "layouts:$bucket/all//team/other" >/dev/null
for command in gc fsck; do
    "$tranship" "$command" "layouts:$bucket/all" --format json >"$temporary/out"
    for name in library/hello team/other; do
        grep -q "layouts:$bucket/all//$name" "$temporary/out" || die "$command passes over $name"
    done
done

fails 3 resolve "oci:$bucket/hello:v1"
fails 3 resolve oci:s3://no-such-bucket/hello:v1
fails 3 cp oci:fixtures/hello:v1 oci:s3://no-such-bucket/hello:v1
fails 3 gc "layouts:$bucket/nothing"
fails 3 fsck layouts:s3://no-such-bucket
fails 2 resolve oci:s3://Bad_Name/hello:v1
grep -q 'lower-case letters' "$temporary/err" || die "no hint about the bucket's name"
AWS_SECRET_ACCESS_KEY=wrong fails 5 resolve "oci:$bucket/hello:v2"
AWS_ALLOW_HTTP=false fails 2 resolve "oci:$bucket/hello:v2"
fails 2 resolve "oci:$bucket/hello:v2" --store-option aws_regoin=x
echo "the command line in a bucket: passed"
