# What the interop checks share: a temporary directory, ways to run programs and to compare what they
# say, and the record of what was checked. The scripts source it first of all.
# shellcheck shell=bash

# What fails within $(…) ends a script, too.
shopt -s inherit_errexit

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# In memory for those who say so, where there is room for it.
if [ "${in_memory:-}" = yes ] && [ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null; then
    export TMPDIR=/dev/shm
fi
temporary=$(mktemp -d)

# Ends what servers.sh has started, and leaves nothing.
finish() {
    trap - ERR
    ! declare -F stop_servers >/dev/null || stop_servers
    chmod -R u+w "$temporary"
    rm -rf "$temporary"
}
trap finish EXIT
trap 'echo "error: ${BASH_SOURCE[0]} line $LINENO failed: $BASH_COMMAND" >&2' ERR
set -E

# The program to check, of which the path is given.
tested() {
    local program
    program=$(realpath -m "${1:-target/release/tranship}")
    [ -x "$program" ] || die "$program is missing: run cargo build --release -p tranship-cli"
    printf '%s\n' "$program"
}

# A Go program of .tools, or else of the PATH.
installed() {
    local program=$PWD/.tools/$1
    [ -x "$program" ] || program=$(command -v "$1" || true)
    [ -n "$program" ] || die "$1 is missing: run bash .ci/tools"
    printf '%s\n' "$program"
}

needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is missing: run bash .ci/tools"
    done
}

# Programs that follow read no settings and no credentials of who runs this.
as_nobody() {
    export HOME=$temporary/home DOCKER_CONFIG=$temporary/docker
    unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME
    mkdir -p "$HOME" "$DOCKER_CONFIG"
}

# What is checked goes to the file that TRANSHIP_INTEROP_RECORD names, if it does, for matrix.py: lines of
# fields between tabs.
record() {
    local IFS=$'\t'
    [ -z "${TRANSHIP_INTEROP_RECORD:-}" ] || printf '%s\n' "$*" >>"$TRANSHIP_INTEROP_RECORD"
}

# about TABLE COLUMN [PROGRAM]: where the checks that follow belong in docs/interop.md. The version of the
# program stands there with the column.
about() {
    local version
    table=$1 column=$2
    if [ $# = 3 ]; then
        version=$(version_of "$3")
        record version "$table" "$column" "$version"
    fi
}

# The version of a program: the one that .ci/tools has installed, or else the first that it tells. Of one that
# has no release, the day.
version_of() {
    local version
    version=$(cat ".tools/$1.version" 2>/dev/null || "$1" --version)
    if [[ $version =~ -(20[0-9]{2})([0-9]{2})([0-9]{2})[0-9]{6}- ]]; then
        version="${BASH_REMATCH[1]}-${BASH_REMATCH[2]}-${BASH_REMATCH[3]}"
    elif [[ $version =~ [0-9]+(\.[0-9]+)+ ]]; then
        version=${BASH_REMATCH[0]}
    fi
    printf '%s\n' "$version"
}

# Whether the short forms of the checks are asked for, as by .ci/run.
is_short() {
    [ -n "${TRANSHIP_INTEROP_SHORT:-}" ]
}

# check [COMMANDS] WHAT: what the next lines check, and the commands of the other tool that do it.
checks=0
check() {
    checks=$((checks + 1))
    if [ $# = 1 ]; then
        printf '  %s\n' "$1"
        record check "$table" "$column" "$1" ✓
    else
        printf '  %s: %s\n' "$1" "$2"
        record check "$table" "$column" "$2" "\`${1//, /\`, \`}\`"
    fi
}

# figure WHAT RESULT: what was counted.
figure() {
    checks=$((checks + 1))
    printf '  %s: %s\n' "$1" "$2"
    record check "$table" "$column" "$1" "$2"
}

# Runs a command and shows what it said only if it fails.
quietly() {
    "$@" >"$temporary/output" 2>&1 || { cat "$temporary/output" >&2; die "failed: $*"; }
}

# Runs what must not succeed.
refused() {
    ! "$@" >"$temporary/output" 2>&1 || die "succeeded: $*"
}

# fails CODE ARGUMENTS...: runs the program under test, which must end with this exit code, tell an error, and
# not tell the secret that is in $secret.
fails() {
    local code=$1 got=0
    shift
    "$tranship" "$@" >"$temporary/out" 2>"$temporary/err" </dev/null || got=$?
    [ "$got" = "$code" ] || { cat "$temporary/err" >&2; die "exit code $got and not $code: $*"; }
    grep -q '^error: ' "$temporary/err" || die "no error is told: $*"
    ! grep -qF "$secret" "$temporary/err" || die "a secret is told: $*"
}

# Runs the program under test without its notes.
quiet() {
    "$tranship" "$@" --quiet
}

# Runs a command, which must succeed and print exactly this.
prints() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    [ "$got" = "$expected" ] || die "$(printf '%s\nexpected:\n%s\ngot:\n%s' "$*" "$expected" "$got")"
}

# Runs a command, which must succeed and print this among other things.
mentions() {
    local expected=$1 got
    shift
    got=$("$@") || die "failed: $*"
    case $got in *"$expected"*) ;; *) die "$(printf '%s\nno %s in:\n%s' "$*" "$expected" "$got")" ;; esac
}

# scenarios SUITE ARGUMENTS...: runs a test of tranship-backends that holds the conformance kit against
# something, and prints how many of its scenarios passed, do not apply, and are known gaps.
scenarios() {
    local suite=$1
    shift
    # Of the whole workspace, for which its dependencies have been built already.
    HOME=$own_home cargo test --locked -q --workspace "$@" >"$temporary/scenarios" 2>&1 ||
        { grep -vE '\.\.\. (ok|ignored)' "$temporary/scenarios" >&2; die "the scenarios fail on $suite"; }
    sed -nE "s/^$suite: //p" "$temporary/scenarios"
}
own_home=$HOME

# The file of a digest in a layout.
blob() {
    printf '%s/blobs/%s\n' "$1" "${2/:/\/}"
}

# The digest under a tag in index.json, read by none of the tools under test.
digest_in() {
    python3 - "$1/index.json" "$2" <<'PYTHON'
import json, sys

for entry in json.load(open(sys.argv[1]))["manifests"]:
    if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == sys.argv[2]:
        print(entry["digest"])
PYTHON
}

# The files of an image's layers, unpacked by tar into a directory.
unpacked() {
    local layout=$1 digest=$2 into=$3 layer
    mkdir -p "$into"
    python3 - "$layout" "$digest" <<'PYTHON' | while read -r layer; do tar -xzf "$layer" -C "$into"; done
import json, sys

layout, digest = sys.argv[1:]
path = lambda digest: layout + "/blobs/" + digest.replace(":", "/")
for layer in json.load(open(path(digest)))["layers"]:
    print(path(layer["digest"]))
PYTHON
}

# Copies with tranship and fails if a copy of `layout` lacks a blob of it, or has others.
copied_whole() {
    local layout=$1 copy=$temporary/copied-$checks root
    shift
    for root in "$@"; do
        quietly "$tranship" cp --quiet --recursive "oci:$layout$root" "oci:$copy"
    done
    diff -r "$layout/blobs" "$copy/blobs"
}

tags_by_tranship() {
    "$tranship" repo tags "oci:$1" | xargs
}
