#!/usr/bin/env bash
# The conformance suite of the distribution spec against `tranship serve`: over memory and over a
# directory of layouts, as version 1.1 and as what comes after it with everything switched on. Each of
# them must pass without a failure, and without a test that is skipped though it is switched on.
#
#   bash tests/interop/official_conformance.sh PATH/TO/tranship [LOCATION…]
#
# Further locations are served too, such as layouts:s3://bucket/prefix; what is pushed there stays.
# `bash .ci/tools` installs the suite.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=${1:?the first argument is the program to test}
shift

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

suite=${CONFORMANCE:-.tools/conformance}
[ -x "$suite" ] || die "the conformance suite is missing: run bash .ci/tools"
[ -x "$tranship" ] || die "$tranship is missing: build it with cargo build --release"
command -v python3 >/dev/null || die "python3 is missing: run bash .ci/tools"

temporary=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
}
finish() {
    stop
    rm -rf "$temporary"
}
trap finish EXIT

# Serves what the arguments say at $at.
serve() {
    : >"$temporary/url"
    "$tranship" serve --listen 127.0.0.1:0 "$@" >"$temporary/url" 2>"$temporary/log" &
    server=$!
    at=
    for _ in $(seq 100); do
        at=$(sed -n 's|^http://||p' "$temporary/url")
        [ -z "$at" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$temporary/log" >&2
    die "the server does not start: $*"
}

# Runs the suite against $at and counts the tests. Off are those that this version of the spec does not
# have.
conforms() {
    local what=$1 version=$2 results=$temporary/results code=0
    shift 2
    rm -rf "$results"
    env "$@" OCI_REGISTRY="$at" OCI_TLS=disabled OCI_VERSION="$version" OCI_LOG=error \
        OCI_REPO1="conformance-$version/one" OCI_REPO2="conformance-$version/two" \
        OCI_RESULTS_DIR="$results" "$suite" >"$temporary/output" 2>&1 || code=$?
    python3 - "$what" "$version" "$results/junit.xml" <<'PYTHON' || code=1
import sys
import xml.etree.ElementTree as tree

what, version, path = sys.argv[1:]
suites = list(tree.parse(path).iter("testsuite"))
count = lambda *names: sum(int(suite.get(name, 0)) for suite in suites for name in names)
failed, skipped, off = count("failures", "errors"), count("skipped"), count("disabled")
passed = count("tests") - failed - skipped - off
print(f"  {what}, version {version}: {passed} passed, {failed} failed, {skipped} skipped, {off} off")
sys.exit(passed == 0 or failed + skipped > 0 or (off > 0 and version == "dev"))
PYTHON
    [ "$code" = 0 ] || { grep -v ': Pass$' "$temporary/output" >&2 || true; die "not conformant: $what, version $version"; }
}

conforms_to_all() {
    conforms "$1" 1.1
    conforms "$1" dev OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_BLOBS_DIGEST_HEADER=true \
        OCI_API_MANIFESTS_DIGEST_HEADER=true OCI_API_MANIFESTS_TAG_PARAM=true OCI_DATA_SPARSE=true
}

echo "the conformance suite of the distribution spec"
serve
conforms_to_all "over memory"
stop
serve --root "layouts:$temporary/registry"
conforms_to_all "over a directory of layouts"
stop
for location in "$@"; do
    serve --root "$location"
    conforms_to_all "over $location"
    stop
done
echo "the conformance suite of the distribution spec: passed"
