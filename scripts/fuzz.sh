#!/bin/sh
# fuzz.sh MINUTES [TARGET...]: coverage-guided fuzzing, so many minutes for each of abi, server and client (or those
# named), under AddressSanitizer. The corpus stays in cargo's target directory. An input that finds something is
# left there too: mend what it found, and keep it below fuzz/regressions/TARGET, where `cargo test` plays it.
set -eu

cd "$(dirname "$0")/.."
minutes=${1:?minutes}
shift
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
cargo_fuzz=0.13.1

tools=$target/fuzz-tools
[ -x "$tools/bin/cargo-fuzz" ] || {
    echo "fuzz.sh: installing cargo-fuzz $cargo_fuzz into $tools"
    CARGO_TARGET_DIR=$target/fuzz-tools/build cargo install --quiet --locked --root "$tools" --version $cargo_fuzz cargo-fuzz
}
# The sanitizers are there on the stable toolchain too, behind this door.
RUSTC_BOOTSTRAP=1
CARGO_TARGET_DIR=$target/fuzz
export RUSTC_BOOTSTRAP CARGO_TARGET_DIR
for name in ${*:-abi server client}; do
    mkdir -p "$CARGO_TARGET_DIR/corpus/$name" "$CARGO_TARGET_DIR/found/$name"
    set -- "$CARGO_TARGET_DIR/corpus/$name"
    [ ! -d "fuzz/regressions/$name" ] || set -- "$@" "fuzz/regressions/$name"
    "$tools/bin/cargo-fuzz" fuzz run --features libfuzzer "$name" "$@" -- \
        -max_total_time=$((minutes * 60)) -max_len=2000 -len_control=0 -timeout=120 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$CARGO_TARGET_DIR/found/$name/"
done
