#!/usr/bin/env bash
# Layouts in a real S3 server: every scenario of the conformance kit, and several processes that
# write to one layout at the same time.
#
#   bash tests/interop/s3.sh
#
# `bash .ci/tools` installs the server, minio. It listens on free ports, works in a temporary
# directory, and is gone when this ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

minio=${MINIO:-.tools/minio}
[ -x "$minio" ] || minio=$(command -v minio || true)
[ -n "$minio" ] || die "minio is missing: run bash .ci/tools"
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
