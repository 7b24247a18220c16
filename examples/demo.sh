#!/bin/sh
# Two C processes hand one lock back and forth, then one is killed while it holds it. Then programs in C, C++, Python and
# Go, as far as their tools are there, stand in one election, and each leader is killed.
#
#     examples/demo.sh [HOST:PORT]
#
# On the embedded server, in a process of its own that ends with the demo; then, if an address is given, on the
# ZooKeeper there.
# The library is the one that `make build` made.
set -eu

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
case $target in /*) ;; *) target=$PWD/$target ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/zkhelper-demo.XXXXXX")
server= ann= bob=
. examples/demo-election.sh

clean_up() {
    kill_candidates
    for pid in $ann $bob $server; do
        kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "demo: $*" >&2
    for file in "$work"/*.log "$work"/*.out; do
        [ -s "$file" ] && { echo "--- $(basename "$file")"; tail -n 20 "$file"; } >&2
    done
    exit 1
}

# Waits until the command succeeds, as long as the process $1 lives and 60 seconds at most.
await() {
    pid=$1 tries=1200
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || { "$@" >/dev/null 2>&1 && return; return 1; }
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

[ -e "$target/libzkhelper.so" ] && [ -e "$target/zkh" ] || cargo build --release --features capi
${CC:-cc} -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude -o "$work/handover" examples/c/handover.c \
    -L"$target" -lzkhelper -Wl,-rpath,"$work"
ln -s "$target/libzkhelper.so" "$work/libzkhelper.so.0"
build_candidates

start_server() {
    "$target/zkh" server --port 0 --tick 200 >"$work/server.out" 2>"$work/server.log" &
    server=$!
    await $server grep -q "^zkh: listening on " "$work/server.out" || fail "the embedded server did not start"
    address=$(sed -n 's/^zkh: listening on //p' "$work/server.out")
}

session=2000

# All there is to see, on the server at $1.
show() {
    address=$1
    path=/zkhelper-demo/$$-$(date +%s)

    echo
    echo "1. Two processes, ann and bob, contend for the lock $path, five times each."
    "$work/handover" "$address" ann "$path" 5 20 $session >"$work/ann.out" 2>"$work/ann.log" &
    ann=$!
    "$work/handover" "$address" bob "$path" 5 20 $session >"$work/bob.out" 2>"$work/bob.log" &
    bob=$!
    wait $ann || fail "ann failed"
    wait $bob || fail "bob failed"
    ann= bob=
    sort -n "$work/ann.out" "$work/bob.out" | grep -E "holds|releases" >"$work/both.out"
    sed 's/^/   /' "$work/both.out"
    # Each token is greater than the one before, and a lock is released before the next one holds it.
    awk '{ split($5, t, "="); token = t[2] }
         $4 == "holds" { if (busy || token <= last) { print "at " $0; exit 1 } busy = 1; last = token; n++ }
         $4 == "releases" { if (token != last) { print "at " $0; exit 1 } busy = 0 }
         END { if (n != 10) { print n " holds"; exit 1 } }' "$work/both.out" >"$work/check.out" ||
        fail "the lines above are not ten holds, one after the other, with growing tokens"
    echo "   Ten holds, one after the other, the tokens grew each time."

    echo
    echo "2. ann takes the lock, and is killed with -9 while holding it; bob waits."
    # What they said before is not to be taken for what they say now.
    rm "$work/ann.out" "$work/bob.out"
    "$work/handover" "$address" ann "$path" 1 600000 $session >"$work/ann.out" 2>"$work/ann.log" &
    ann=$!
    await $ann grep -q holds "$work/ann.out" || fail "ann did not get the lock"
    "$work/handover" "$address" bob "$path" 1 0 $session >"$work/bob.out" 2>"$work/bob.log" &
    bob=$!
    await $bob grep -q waits "$work/bob.out" || fail "bob did not start"
    sleep 0.3
    ! grep -q holds "$work/bob.out" || fail "bob holds the lock while ann does"
    kill -9 $ann
    wait $ann 2>/dev/null || true
    ann=
    wait $bob || fail "bob failed"
    bob=
    cat "$work/ann.out" "$work/bob.out" | grep -E "holds" | sed 's/^/   /'
    token() { sed -n 's/.* holds token=//p' "$1"; }
    [ "$(token "$work/bob.out")" -gt "$(token "$work/ann.out")" ] || fail "bob's token is not greater than ann's"
    waited=$(awk '/ waits/ { from = $1 } / holds / { printf "%.1f", $1 - from }' "$work/bob.out")
    echo "   bob waited $waited s, until ann's session ended (the session timeout asked for is $session ms), and got"
    echo "   the lock with a greater token."

    show_election "$address"
}

start_server
echo "On the embedded server, which needs no Java and no root, at $address:"
show "$address"
if [ $# -gt 0 ]; then
    echo
    echo "The same on the ZooKeeper at $1:"
    show "$1"
fi
