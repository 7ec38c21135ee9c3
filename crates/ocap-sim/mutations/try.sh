#!/bin/sh
# Applies each mutation (or those named) to a copy of the last commit and runs the simulator on it:
# it has to fail. The copy lies in a new folder, which is removed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git clone -q --shared "$(git -C "$here" rev-parse --show-toplevel)" "$copy/repo"
[ $# -gt 0 ] || set -- "$here"/*.patch
for patch in "$@"; do
    patch=$(cd "$(dirname "$patch")" && pwd)/$(basename "$patch")
    git -C "$copy/repo" checkout -q -- .
    git -C "$copy/repo" apply "$patch"
    if found=$(cd "$copy/repo" && CARGO_TARGET_DIR="$copy/target" \
        cargo run -q --release -p ocap-sim -- --seeds 1000 --no-shrink); then
        echo "NOT CAUGHT $(basename "$patch")"
    else
        echo "$(basename "$patch"): $(echo "$found" | grep '^seed' | head -n 1 | cut -c1-100)"
    fi
done
