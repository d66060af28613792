#!/usr/bin/env bash
# A mirror of a whole registry: what it copies, and how many requests and bytes it takes for that.
#
#   bash tests/interop/mirrors.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. Mirrors 100 tags in 20 repositories between two
# registries of the same kind, docker-registry of Debian (2.8) and `tranship serve`, twice. All tags must have the same
# digests at both ends, no blob may be read or written twice, and the second run may ask for each tag once at each end.
# bench/mirrors.py is the long form, with more servers, other programs and times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=${1:-target/release/tranship}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 bench/mirrors.py "$tranship" --work "$work" --repositories 20 --tags 100 --rounds 0 \
    --servers docker-registry,tranship --tools mirror --check
