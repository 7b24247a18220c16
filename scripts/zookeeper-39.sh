#!/bin/sh
# Fetches Apache ZooKeeper 3.9 and what it needs into cargo's target directory, where the tests look for it.
# Does nothing if what zookeeper-39.xml lists is there already.
set -eu

cd "$(dirname "$0")/.."
list=scripts/zookeeper-39.xml
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
dir=$target/zookeeper-3.9
cmp -s $list "$dir/fetched.xml" && exit 0

if ! command -v mvn >/dev/null; then
    echo "zookeeper-39.sh: Maven is missing: run scripts/setup.sh, or install the package maven" >&2
    exit 1
fi
mkdir -p "$target"
fresh=$(mktemp -d "$target/zookeeper-3.9.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
if ! said=$(mvn -q -B -f $list -DoutputDirectory="$fresh" dependency:copy-dependencies 2>&1); then
    echo "$said" >&2
    exit 1
fi
# Copied last, so that it stands for a whole fetch; moved at once, so that no test sees a half.
cp $list "$fresh/fetched.xml"
chmod 755 "$fresh"
rm -rf "$dir"
mv -T "$fresh" "$dir"
echo "Apache ZooKeeper 3.9 is in $dir"
