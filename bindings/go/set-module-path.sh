#!/bin/sh
# set-module-path.sh PATH: gives this module, which has no public address yet, another path. It stands in go.mod; every import
# of the module's own packages follows it.
set -eu

[ $# = 1 ] || { echo "usage: set-module-path.sh PATH" >&2 && exit 2; }
cd "$(dirname "$0")"
old=$(sed -n 's/^module //p' go.mod)
files=$(find . ../../examples/go -name '*.go' ! -path './testdata/migration/old/*')
# shellcheck disable=SC2086 # a list of files
sed -i -E "s#^([[:space:]]*(import )?)\"$old(/[^\"]*)?\"#\1\"$1\3\"#" $files
sed -i "s#^module .*#module $1#" go.mod
sed -i -E "s#^require [^ ]*#require $1#; s#^replace [^ ]*#replace $1#" ../../examples/go/go.mod
gofmt -w $files
