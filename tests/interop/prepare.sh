#!/bin/sh
# Gets the clients that nobody here wrote ready, in the directory `interop` of cargo's target directory:
#   venv/bin/python   with kazoo, and what checks Python code
#   go/               go-zookeeper's programs: `clients` (../interop/go) and `contend`
#   curator/          Contend.class, and the jars it needs
# Prints that directory. What is there already is left alone. Arguments: any of kazoo, go, curator (default: all).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
mkdir -p "$target/interop"
dir=$(cd "$target/interop" && pwd)
kazoo="kazoo==2.11.0 mypy==1.18.2 ruff==0.14.5"

# need PROGRAM PACKAGE: fails with what to do, if the program is missing.
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "interop: $1 is missing: run scripts/setup.sh, or install it (Debian's package $2)" >&2
    exit 1
}

# quietly COMMAND...: shows what it said only if it failed.
quietly() {
    said=$("$@" 2>&1) || { echo "$said" >&2 && exit 1; }
}

# One at a time: tests of several test programs may come here at once.
exec 9>"$dir/lock"
flock 9

for client in ${*:-kazoo go curator}; do
    case $client in
    kazoo)
        # The last line written stands for a whole environment.
        [ "$(cat "$dir/venv/made-for" 2>/dev/null)" = "$kazoo" ] && continue
        need python3 python3
        rm -rf "$dir/venv"
        python3 -m venv "$dir/venv" >/dev/null 2>&1 || {
            echo "interop: python3 cannot make a virtual environment: run scripts/setup.sh, or install it (Debian's package python3-venv)" >&2
            exit 1
        }
        quietly "$dir/venv/bin/pip" install --quiet --disable-pip-version-check $kazoo
        echo "$kazoo" > "$dir/venv/made-for"
        ;;
    go)
        need go golang-go
        # Go itself knows what is up to date.
        mkdir -p "$dir/go"
        cd "$here/go"
        quietly go build -o "$dir/go/clients" .
        quietly go build -o "$dir/go/contend" ./contend
        ;;
    curator)
        cmp -s "$here/curator/pom.xml" "$dir/curator/pom.xml" &&
            cmp -s "$here/curator/Contend.java" "$dir/curator/Contend.java" && continue
        need mvn maven
        need javac default-jdk-headless
        rm -rf "$dir/curator"
        quietly mvn -q -B -f "$here/curator/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/curator"
        quietly javac -cp "$dir/curator/*" -d "$dir/curator" "$here/curator/Contend.java"
        cp "$here/curator/Contend.java" "$here/curator/pom.xml" "$dir/curator"
        ;;
    *)
        echo "usage: prepare.sh [kazoo] [go] [curator]" >&2
        exit 2
        ;;
    esac
done
echo "$dir"
