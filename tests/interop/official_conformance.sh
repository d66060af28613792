#!/usr/bin/env bash
# The conformance suite of the distribution spec against `tranship serve`: over memory, over a directory of
# layouts and over a bucket of S3, as version 1.1 and as what comes after it with everything switched on. Each
# of them must pass without a failure, and without a test that is skipped though it is switched on.
#
#   bash tests/interop/official_conformance.sh [TRANSHIP [LOCATION…]]
#
# TRANSHIP is the program to check, target/release/tranship unless given. With locations, such as
# layouts:s3://bucket/prefix, only these are served; what is pushed there stays. `bash .ci/tools` installs the
# suite, and minio, which has the bucket. The short form leaves out version 1.1 and the bucket.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=support.sh
source tests/interop/support.sh
# shellcheck source=servers.sh
source tests/interop/servers.sh
tranship=$(tested "${1:-}")
suite=$(installed conformance)

# conforms WHAT VERSION SETTINGS...: runs the suite against $host and counts the tests. Off are those that this
# version of the spec does not have.
conforms() {
    local what=$1 version=$2 results=$temporary/results code=0 counted
    shift 2
    rm -rf "$results"
    env "$@" OCI_REGISTRY="$host" OCI_TLS=disabled OCI_VERSION="$version" OCI_LOG=error \
        OCI_REPO1="conformance-$version/one" OCI_REPO2="conformance-$version/two" \
        OCI_RESULTS_DIR="$results" "$suite" >"$temporary/output" 2>&1 || code=$?
    counted=$(python3 - "$version" "$results/junit.xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

version, path = sys.argv[1:]
suites = list(tree.parse(path).iter("testsuite"))
count = lambda *names: sum(int(suite.get(name, 0)) for suite in suites for name in names)
failed, skipped, off = count("failures", "errors"), count("skipped"), count("disabled")
passed = count("tests") - failed - skipped - off
print(f"{passed} passed, {failed} failed, {skipped} skipped, {off} off")
sys.exit(passed == 0 or failed + skipped > 0 or (off > 0 and version == "dev"))
PYTHON
    ) || code=1
    figure "$what, version $version" "$counted"
    [ "$code" = 0 ] || { grep -v ': Pass$' "$temporary/output" >&2 || true; die "not conformant: $what, version $version"; }
}

# conforms_to_all WHAT ARGUMENTS...: serves what the arguments say; for the test of sparse indexes, with the option
# that allows them.
conforms_to_all() {
    local what=$1
    shift
    serve "$@"
    is_short || conforms "$what" 1.1
    stop_server
    serve --sparse "$@"
    conforms "$what" dev OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_BLOBS_DIGEST_HEADER=true \
        OCI_API_MANIFESTS_DIGEST_HEADER=true OCI_API_MANIFESTS_TAG_PARAM=true OCI_DATA_SPARSE=true
    stop_server
}

echo "the conformance suite of the distribution spec"
about conformance "the suite" conformance
if [ $# -gt 1 ]; then
    for location in "${@:2}"; do
        conforms_to_all "over $location" --root "$location"
    done
else
    conforms_to_all "over memory"
    conforms_to_all "over a directory of layouts" --root "layouts:$temporary/registry"
    if ! is_short; then
        minio
        conforms_to_all "over a bucket of S3" --root layouts:s3://tranship/registry
    fi
fi
