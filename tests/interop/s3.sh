#!/usr/bin/env bash
# Layouts in a real S3 server: every scenario of the conformance kit, several processes that write to
# one layout at the same time, and the command line.
#
#   bash tests/interop/s3.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the
# server, minio, which listens on a free port, works in a temporary directory, and is gone when this ends. The short form
# leaves out the scenarios over one layout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# How fast others sync what they store is not what is checked.
in_memory=yes
# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")

echo "layouts in a bucket"
about s3 minio minio
minio
secret=$AWS_SECRET_ACCESS_KEY
export TRANSHIP_S3_ENDPOINT=$url TRANSHIP_S3_BUCKET=tranship
if is_short; then
    many=$(scenarios s3-layouts --test s3 -- s3-layouts::)
else
    scenarios s3-layouts? --test s3 >"$temporary/figures"
    { read -r one; read -r many; } <"$temporary/figures"
    figure "the scenarios of the conformance kit, over a layout" "$one"
fi
figure "the scenarios of the conformance kit, over a prefix with many layouts" "$many"

check "four processes push and tag at the same time, and nothing is lost"
quietly cargo test --locked -q --workspace --test s3_writers

bucket=s3://tranship/command-line
check "copies into it, within it, into an archive and out of that, the same blobs"
digest=$(quiet cp -r oci:fixtures/hello:v1 "oci:$bucket/hello:v1")
prints "$digest" quiet cp -r "oci:$bucket/hello:v1" "layouts:$bucket/all//library/hello"
prints library/hello quiet repo ls "layouts:$bucket/all"
quiet cp -r "layouts:$bucket/all//library/hello:v1" "oci-archive:$temporary/back.tar:v1" >/dev/null
quiet cp -r "oci-archive:$temporary/back.tar:v1" "oci:$temporary/back:v1" >/dev/null
diff -r fixtures/hello/blobs "$temporary/back/blobs"
check "tags, fsck and gc, of one layout and of all"
quiet tag "oci:$bucket/hello:v1" v2 >/dev/null
quiet untag "oci:$bucket/hello:v1"
prints v2 quiet repo tags "oci:$bucket/hello"
quiet fsck "oci:$bucket/hello"
quiet gc "oci:$bucket/hello"
quiet fsck "layouts:$bucket/all//library/hello"
quiet cp "oci:$bucket/hello:v2" "layouts:$bucket/all//team/other" >/dev/null
for command in gc fsck; do
    for name in library/hello team/other; do
        mentions "layouts:$bucket/all//$name" "$tranship" "$command" "layouts:$bucket/all" --format json
    done
done

check "a layout that was copied into the prefix by itself is listed after gc"
quiet cp "oci:$bucket/hello:v2" "oci:$bucket/all/copied:v2" >/dev/null
prints $'library/hello\nteam/other' quiet repo ls "layouts:$bucket/all"
quiet gc "layouts:$bucket/all"
prints $'copied\nlibrary/hello\nteam/other' quiet repo ls "layouts:$bucket/all"

check "what is not there and who may not are told by exit codes, without secrets"
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

echo "$checks checks passed"
