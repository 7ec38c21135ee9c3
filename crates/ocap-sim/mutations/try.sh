#!/bin/sh
# Applies each mutation (or those named) to a copy of the last commit. The simulator has to find
# something within 1,000 seeds; if the patch begins with "test: ARGUMENTS", `cargo test ARGUMENTS` has
# to fail. The copy lies in a new folder, which is removed. CARGO_TARGET_DIR, if set, is built in and
# kept, which spares the next run the dependencies.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git clone -q --shared "$(git -C "$here" rev-parse --show-toplevel)" "$copy/repo"
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$copy/target}
export CARGO_TARGET_DIR
# A test that a mutation keeps waiting has failed as well.
TEST_SECONDS_MAX=300
[ $# -gt 0 ] || set -- "$here"/*.patch
failed=0
missed() {
    echo "$1: $2"
    failed=1
}
start=$PWD
for patch in "$@"; do
    cd "$start"
    name=$(basename "$patch" .patch)
    patch=$(cd "$(dirname "$patch")" && pwd)/$(basename "$patch")
    git -C "$copy/repo" reset -q --hard
    if ! git -C "$copy/repo" apply --3way "$patch" 2>"$copy/log"; then
        missed "$name" "DOES NOT APPLY"
        continue
    fi
    # What the patch takes away may stand elsewhere by now.
    if git -C "$copy/repo" diff --quiet HEAD; then
        missed "$name" "CHANGES NOTHING"
        continue
    fi
    cd "$copy/repo"
    test=$(sed -n 's/^test: //p' "$patch")
    # Unquoted: several arguments.
    if [ -n "$test" ]; then
        if ! cargo test -q --no-run $test 2>"$copy/log"; then
            missed "$name" "DOES NOT BUILD"
        elif timeout "$TEST_SECONDS_MAX" cargo test -q $test >"$copy/found" 2>&1; then
            missed "$name" "NOT CAUGHT by cargo test $test"
        else
            echo "$name: cargo test $test fails"
        fi
    elif ! cargo build -q --release -p ocap-sim 2>"$copy/log"; then
        missed "$name" "DOES NOT BUILD"
    elif "$CARGO_TARGET_DIR/release/ocap-sim" --seeds 1000 --jobs 2 --no-shrink >"$copy/found"; then
        missed "$name" "NOT CAUGHT"
    else
        echo "$name: $(grep '^seed' "$copy/found" | head -n 1 | cut -c1-120)"
    fi
done
exit "$failed"
