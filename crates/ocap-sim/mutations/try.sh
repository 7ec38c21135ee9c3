#!/bin/sh
# Applies each mutation (or those named) to a copy of the last commit and runs the simulator on it:
# it has to find something within 1,000 seeds. The copy lies in a new folder, which is removed.
# CARGO_TARGET_DIR, if set, is built in and kept, which spares the next run the dependencies.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git clone -q --shared "$(git -C "$here" rev-parse --show-toplevel)" "$copy/repo"
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
    elif ! (cd "$copy/repo" && cargo build -q --release -p ocap-sim 2>"$copy/log"); then
        echo "$name: DOES NOT BUILD"
        failed=1
    elif "$CARGO_TARGET_DIR/release/ocap-sim" --seeds 1000 --jobs 2 --no-shrink >"$copy/found"; then
        echo "$name: NOT CAUGHT"
        failed=1
    else
        echo "$name: $(grep '^seed' "$copy/found" | head -n 1 | cut -c1-120)"
    fi
done
exit "$failed"
