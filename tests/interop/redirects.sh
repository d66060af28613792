#!/usr/bin/env bash
# Redirects of blobs to a real S3 server: what the server responds with, and whether clients follow it.
#
#   bash tests/interop/redirects.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the clients and the
# server, minio, which listens on a free port and works in a temporary directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The durability of minio is not checked.
in_memory=yes
# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")
needs curl skopeo
crane=$(installed crane)
oras=$(installed oras)
as_nobody

echo "redirects of blobs to a bucket"
about s3 minio minio
minio
bucket=$host

head -c 9000000 /dev/urandom >"$temporary/large"
size=$(stat -c %s "$temporary/large")

# Serves the bucket, and stores an artifact with the large file in it.
serve_bucket() {
    serve --root s3://tranship/redirects --redirect-blobs "$@"
    quietly "$tranship" push --disable-path-validation "$host/team/app:v1" "$temporary/large:application/x-large"
    digest=sha256:$(sha256sum "$temporary/large" | cut -d ' ' -f 1)
    blob=$url/v2/team/app/blobs/$digest
}

# The value of a header in the file head.
header() {
    tr -d '\r' <"$temporary/head" | sed -n "s/^$1: //Ip"
}

# expect WHAT ACTUAL EXPECTED
expect() {
    [ "$2" = "$3" ] || die "$1 is $2, and not $3"
}

serve_bucket
check "a GET of a blob is redirected by 307, without a body, and must not be cached"
status=$(curl -s -o "$temporary/body" -D "$temporary/head" -w '%{http_code}' "$blob")
expect "the status" "$status" 307
expect "the size of the body" "$(stat -c %s "$temporary/body")" 0
expect "Cache-Control" "$(header cache-control)" no-store
expect "Docker-Content-Digest" "$(header docker-content-digest)" "$digest"
[[ $(header location) == "http://$bucket/tranship/redirects/team/app/blobs/sha256/"*X-Amz-Signature=* ]] ||
    die "the location is not that of the blob in the bucket"
check "HEAD of a blob, manifests and small blobs are not redirected"
expect "the status" "$(curl -sI -o /dev/null -w '%{http_code}' "$blob")" 200
expect "the status" "$(curl -s -o /dev/null -w '%{http_code}' "$url/v2/team/app/manifests/v1")" 200
empty=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
expect "the status" "$(curl -s -o /dev/null -w '%{http_code}' "$url/v2/team/app/blobs/$empty")" 200
check "a range is read from the bucket"
status=$(curl -sL -r 4000000-4000999 -o "$temporary/part" -w '%{http_code}' "$blob")
expect "the status" "$status" 206
cmp --bytes=1000 --ignore-initial=0:4000000 "$temporary/part" "$temporary/large"
expect "the size of the part" "$(stat -c %s "$temporary/part")" 1000

check "crane, oras, skopeo and tranship pull through the redirect"
quietly "$crane" blob "$host/team/app@$digest"
cmp "$temporary/output" "$temporary/large"
quietly "$oras" blob fetch --plain-http -o "$temporary/oras" "$host/team/app@$digest"
cmp "$temporary/oras" "$temporary/large"
quietly skopeo copy --src-tls-verify=false "docker://$host/team/app:v1" "oci:$temporary/skopeo:v1"
cmp "$temporary/skopeo/blobs/sha256/${digest#*:}" "$temporary/large"
quietly "$tranship" cp "$host/team/app:v1" "oci:$temporary/own:v1"
cmp "$temporary/own/blobs/sha256/${digest#*:}" "$temporary/large"
check "the large blob never passed through the server, and its log has no signature"
cp "$temporary/log" "$temporary/served"
stop_server
gets=$(grep "method=GET.*blobs/$digest" "$temporary/served")
# Two by curl, and one by each of the others.
expect "the number of redirects" "$(grep -c "status=307 .*sent=0 " <<<"$gets")" 6
expect "the number of GETs" "$(wc -l <<<"$gets")" 6
! grep -i "X-Amz" "$temporary/served" || die "a signature is in the log"

serve_bucket --redirect-expiry 1s
check "a download is resumed when its URL has expired"
signed=$(curl -s -o /dev/null -w '%{redirect_url}' "$blob")
for _ in $(seq 100); do
    status=$(curl -s -r 0-9 -o /dev/null -w '%{http_code}' "$signed")
    [ "$status" != 403 ] || break
    sleep 0.1
done
expect "the status of the expired URL" "$status" 403
head -c 4000000 "$temporary/large" >"$temporary/resumed"
quietly curl -sfL -C - -o "$temporary/resumed" "$blob"
cmp "$temporary/resumed" "$temporary/large"
expect "the size" "$(stat -c %s "$temporary/resumed")" "$size"
stop_server

serve_bucket --redirect-endpoint "http://localhost:${bucket##*:}"
check "URLs are signed for another endpoint, by which clients reach the bucket"
signed=$(curl -s -o /dev/null -w '%{redirect_url}' "$blob")
[[ $signed == http://localhost:* ]] || die "the location is not at the endpoint"
curl -sf "$signed" | cmp - "$temporary/large"
stop_server

check "a caller without rights is refused and not redirected"
passwords
serve --root s3://tranship/redirects --redirect-blobs --htpasswd "$temporary/htpasswd"
blob=$url/v2/team/app/blobs/$digest
expect "the status" "$(curl -s -o /dev/null -w '%{http_code}' "$blob")" 401
expect "the status" "$(curl -s -u "$user:$password" -o /dev/null -w '%{http_code}' "$blob")" 307
stop_server

echo "$checks checks passed"
