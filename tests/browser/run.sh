#!/usr/bin/env bash
# Looks at the pages of a registry in headless Chromium, and writes the screenshots of the documentation.
#
#   bash tests/browser/run.sh TRANSHIP [SCREENSHOTS]
#
# Needs Node.js and Chromium (Debian: apt-get install nodejs npm chromium). playwright-core and axe-core are installed
# into .tools/, which git ignores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tranship=$(realpath "$1")
screenshots=${2:-}
browser=$(command -v chromium)
tools=$PWD/.tools/browser

if [ ! -d "$tools/node_modules/axe-core" ]; then
    mkdir -p "$tools"
    npm install --prefix "$tools" --no-fund --no-audit --ignore-scripts \
        playwright-core@1.65.1 axe-core@4.14.1 >&2
fi

temporary=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server"
    rm -rf "$temporary"
}
trap stop EXIT

# The registry of the mirror is not asked. The page of mirrors is shown if there is one.
"$tranship" serve --listen 127.0.0.1:0 --mirror registry.example=http://127.0.0.1:9 >"$temporary/url" 2>"$temporary/log" &
server=$!
for _ in $(seq 100); do
    [ ! -s "$temporary/url" ] || break
    sleep 0.1
done
url=$(head -n 1 "$temporary/url")
python3 tests/browser/fill.py "$url"
node tests/browser/pages.mjs "$url" "$tools/node_modules" "$browser" ${screenshots:+"$screenshots"}
