#!/bin/sh
# go.sh [prove]: the Go packages of bindings/go, checked and tested against the library that `make build` made, with
# both linkings. The least Go is 1.19, which Debian 12 has; with another one at /usr/lib/go-1.19 that is tried too.
set -eu

cd "$(dirname "$0")/.."
release=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release
[ -e "$release/zkhelper-static.pc" ] || { echo "go.sh: no library in $release: run make build" >&2 && exit 1; }
PKG_CONFIG_PATH=$release${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
# What is tested is what is here: no other toolchain is fetched.
GOTOOLCHAIN=local
export GOTOOLCHAIN

root=$PWD
cd bindings/go
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "gofmt differs: $unformatted" >&2 && exit 1; }
# The module's path stands in go.mod alone: what imports it says the same.
module=$(sed -n 's/^module //p' go.mod)
if grep -rhoE --include='*.go' '^[[:space:]]*(import )?"zkhelper[^"]*"' . | tr -d '\t "' | sed 's/^import//' |
    grep -vE "^$module(/|\$)"; then
    echo "imports differ from go.mod's module path $module: see set-module-path.sh" >&2
    exit 1
fi
go vet ./... ./testdata/migration/new "$root"/examples/go/*.go
go vet -tags zkhelper_static ./...

if [ "${1:-}" = prove ]; then
    ZKHELPER_PROVE=1 go test -timeout 60m -count 1 -v ./...
    ZKHELPER_PROVE=1 GODEBUG=cgocheck=1 go test -timeout 60m -count 1 -race -tags zkhelper_static ./...
else
    # cgo's checks of pointers are on in both.
    GODEBUG=cgocheck=1 go test -timeout 10m -count 1 -race ./...
    GODEBUG=cgocheck=1 go test -timeout 10m -count 1 -tags zkhelper_static ./zk ./zkhtest .
fi
if command -v staticcheck >/dev/null 2>&1; then
    staticcheck ./...
fi
if [ -x /usr/lib/go-1.19/bin/go ] && [ "$(go env GOVERSION)" != "$(/usr/lib/go-1.19/bin/go env GOVERSION)" ]; then
    /usr/lib/go-1.19/bin/go vet ./...
    /usr/lib/go-1.19/bin/go test -timeout 10m -count 1 ./zk
fi
echo "go: tested with $(go env GOVERSION), both linkings"
