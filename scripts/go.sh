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

goal=${1:-test}
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
go vet ./... ./testdata/migration/new ./testdata/newpeer
for example in "$root"/examples/go/*.go; do
    case $example in
    # Only checked: the demo runs it, and kills it.
    */candidate.go) (cd "$root/examples/go" && go vet "$example") && continue ;;
    */handover.go) set -- embedded ann /zk/demo 1 0 ;;
    */persistent.go) set -- embedded /zk/persistent list ;;
    # Only checked: tests/tls.rs runs it on a server with TLS.
    */tls.go) (cd "$root/examples/go" && go vet "$example") && continue ;;
    *) set -- ;;
    esac
    (cd "$root/examples/go" && go vet "$example" && go run "$example" "$@" >/dev/null)
done
go vet -tags zkhelper_static ./...

if [ "$goal" = prove ]; then
    ZKHELPER_PROVE=1 go test -timeout 60m -count 1 -v ./...
    ZKHELPER_PROVE=1 GODEBUG=cgocheck=1 go test -timeout 60m -count 1 -race -tags zkhelper_static ./...
else
    # cgo's checks of pointers are on in both.
    GODEBUG=cgocheck=1 go test -timeout 10m -count 1 -race ./...
    GODEBUG=cgocheck=1 go test -timeout 10m -count 1 -tags zkhelper_static \
        -run 'S[0-9]|Lock|Loss|Lead|Campaign|Context|Program|Watch|Every|Example' ./...
fi
# It needs a newer Go than the packages do.
tools=$release/../go-tools
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
if [ -x "$tools/staticcheck" ] || GOBIN=$tools go install $staticcheck >/dev/null 2>&1; then
    "$tools/staticcheck" ./...
else
    echo "go.sh: $(go env GOVERSION) cannot build $staticcheck: left out"
fi
if [ -x /usr/lib/go-1.19/bin/go ] && [ "$(go env GOVERSION)" != "$(/usr/lib/go-1.19/bin/go env GOVERSION)" ]; then
    /usr/lib/go-1.19/bin/go vet ./...
    /usr/lib/go-1.19/bin/go test -timeout 10m -count 1 ./zk
fi
echo "go: tested with $(go env GOVERSION), both linkings"
