#!/bin/sh
# tsan.sh [SECONDS]: calls over the C ABI from several threads under ThreadSanitizer, which is first seen to find a race.
# The library's own locks tell it who came after whom (src/sync/told.rs), tokio has instrumented ones.
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
CARGO_TARGET_DIR=$(cd "$target" && pwd)/thread-sanitizer
RUSTC_BOOTSTRAP=1
RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg zkhelper_tsan"
TSAN_OPTIONS="suppressions=$PWD/fuzz/tsan.txt"
export CARGO_TARGET_DIR RUSTC_BOOTSTRAP RUSTFLAGS TSAN_OPTIONS
triple=$(rustc -vV | sed -n 's/^host: //p')
run="--locked --package zkhelper-fuzz --features tsan --target $triple"

# shellcheck disable=SC2086 # a list
cargo build $run --bin race --tests
if said=$("$CARGO_TARGET_DIR/$triple/debug/race" 2>&1) || ! echo "$said" | grep -q 'WARNING: ThreadSanitizer: data race'; then
    echo "tsan.sh: it is not on: the race was not found: $said" >&2
    exit 1
fi
echo "tsan.sh: the planted race was found"
# shellcheck disable=SC2086
ZKHELPER_FUZZ_SECONDS=$seconds cargo test $run --test replay -- --nocapture --test-threads 1
