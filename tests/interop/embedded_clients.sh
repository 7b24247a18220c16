#!/bin/sh
# Clients that nobody here wrote, on the embedded server: kazoo, go-zookeeper, the Apache C client's cli_mt and
# Java's zkCli. Each that is missing on this machine fails, unless its name is in SKIP.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT INT TERM

cargo build --quiet --manifest-path "$here/../../Cargo.toml" --bin zkh
target=${CARGO_TARGET_DIR:-$here/../../target}
"$target/debug/zkh" server --port 0 --tick 500 > "$work/server" &
server=$!
address=
until test -n "$address"; do
    kill -0 "$server" || exit 1
    sleep 0.1
    address=$(sed -n 's/^zkh: listening on //p' "$work/server")
done
echo "zkh server on $address"

skipped() {
    case " ${SKIP:-} " in *" $1 "*) echo "$1: skipped"; return 0 ;; esac
    return 1
}

# Prints what a program said, and fails unless each expected line is in it.
expect() {
    said=$1
    shift
    for line; do
        grep -q -- "$line" "$said" || { cat "$said"; echo "missing: $line"; exit 1; }
    done
}

if ! skipped kazoo; then
    clients=$("$here/prepare.sh" kazoo)
    timeout 120 "$clients/venv/bin/python" "$here/embedded_kazoo.py" "$address"
fi

if ! skipped go; then
    clients=$("$here/prepare.sh" go)
    timeout 120 "$clients/go/clients" "$address"
fi

if ! skipped cli_mt; then
    cli=$(command -v cli_mt || echo /usr/lib/zookeeper/bin/cli_mt)
    # It answers when the answer comes, and quits at once when it is told to.
    for line in 'create /fromc' 'set /fromc hello' 'get /fromc' 'create +es /fromc/n-' 'ls2 /fromc' 'wexists /later-c' \
        'create +c /later-c' 'sync /fromc' 'quit'; do
        echo "$line"
        sleep 0.3
    done | timeout 60 "$cli" "$address" > "$work/cli_mt" 2>&1 || :
    expect "$work/cli_mt" '^hello$' 'name = /fromc/n-0000000000' '^.n-0000000000' 'Watcher CREATED_EVENT.*' 'name = /later-c'
    echo "cli_mt: create, set, get, sequence, children, exists watch, container, sync"
fi

if ! skipped zkCli; then
    cli=$(command -v zkCli.sh || echo /usr/share/zookeeper/bin/zkCli.sh)
    printf '%s\n' 'create /fromjava hello' 'get -s /fromjava' 'create -e -s /fromjava/n- x' 'ls -R /fromjava' \
        'create -c /container' 'addauth digest ann:pw' 'create /priv s auth:ann:pw:cdrwa' 'getAcl /priv' \
        'whoami' 'getEphemerals' 'getAllChildrenNumber /fromjava' 'setquota -n 9 /fromjava' 'stat -w /fromjava' \
        'set /fromjava bye' 'removewatches /fromjava' 'addWatch -m PERSISTENT /fromjava' 'deleteall /fromjava' \
        'close' 'quit' \
        | timeout 120 "$cli" -server "$address" > "$work/zkcli" 2>&1 || :
    expect "$work/zkcli" 'Created /fromjava$' '^hello$' 'dataLength = 5' 'Created /fromjava/n-0000000000' \
        'Created /container' "'digest,'ann:" 'digest: ann' 'WatchedEvent .*NodeDataChanged path:/fromjava' \
        'WatchedEvent .*NodeDeleted path:/fromjava'
    echo "zkCli: create, get, list, container, digest, whoami, quota, one-shot and persistent watches, deleteall"
fi
echo "all clients work"
