#!/bin/sh
# reference.sh DIRECTORY: makes the C and C++ reference below it. A warning of doxygen's is an error.
set -eu
cd "$(dirname "$0")/.."
command -v doxygen >/dev/null || { echo "zkhelper: please install doxygen (scripts/setup.sh does)" >&2 && exit 1; }
ZKHELPER_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
ZKHELPER_REFERENCE=$1
export ZKHELPER_VERSION ZKHELPER_REFERENCE
mkdir -p "$1"
doxygen docs/Doxyfile
