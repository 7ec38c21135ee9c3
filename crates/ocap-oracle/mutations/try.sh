#!/bin/sh
# Applies each mutation of the supervisor (or those named) to a copy of the last commit and runs the
# oracle on it: it has to find a difference within SEEDS (1,000) seeds. Prints rows for MUTATIONS.md.
# Needs `npm ci` in fixtures/oracle. The copy lies in a new folder, which is removed.
# CARGO_TARGET_DIR, if set, is built in and kept, which spares the next run the dependencies.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git clone -q --shared "$root" "$copy/repo"
ln -s "$root/fixtures/oracle/node_modules" "$copy/repo/fixtures/oracle/node_modules"
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$copy/target}
export CARGO_TARGET_DIR
[ $# -gt 0 ] || set -- "$here"/*.patch
failed=0
for patch in "$@"; do
    name=$(basename "$patch" .patch)
    patch=$(cd "$(dirname "$patch")" && pwd)/$(basename "$patch")
    git -C "$copy/repo" reset -q --hard
    if ! git -C "$copy/repo" apply --3way "$patch" 2>"$copy/log"; then
        echo "$name: DOES NOT APPLY"
        failed=1
    elif git -C "$copy/repo" diff --quiet HEAD; then
        echo "$name: CHANGES NOTHING"
        failed=1
    elif ! (cd "$copy/repo" && cargo build -q -p ocap-oracle 2>"$copy/log"); then
        echo "$name: DOES NOT BUILD"
        failed=1
    elif "$CARGO_TARGET_DIR/debug/ocap-oracle" --seeds "${SEEDS:-1000}" --no-shrink >"$copy/found"; then
        echo "$name: NOT CAUGHT"
        failed=1
    else
        found=$(sed -nE '/^seed [0-9]+ differs/{s/^seed ([0-9]+) differs at step [0-9]+: (.*)$/\1 | \2/p;q}' "$copy/found")
        echo "| \`$name\` | ${found:-FAILED OTHERWISE} |"
    fi
done
exit "$failed"
