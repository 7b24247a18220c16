#!/bin/sh
# The Python module: python.sh lint|build|install|test|venv
#   venv     a virtual environment with the tools, in the directory `python` of cargo's target directory
#   lint     ruff, and mypy --strict on the package, its tests and the examples; builds nothing
#   build    the wheel, in target/python/wheels
#   install  build, and a virtual environment with the wheel, in target/python/venv
#   test     install, stubs and exceptions against the module, pytest
# Further arguments of `test` go to pytest.
set -eu

cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
here=$target/python
tools="maturin==1.16.0 pytest==9.2.0 mypy==1.18.2 ruff==0.14.5 kazoo==2.11.0"
goal=${1:-test}
[ $# -eq 0 ] || shift

# quietly COMMAND...: shows what it said only if it failed.
quietly() {
    said=$("$@" 2>&1) || { echo "$said" >&2 && exit 1; }
}

venv() {
    # The last line written stands for a whole environment.
    [ "$(cat "$here/venv/made-for" 2>/dev/null)" = "$tools" ] && return
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "python.sh: Python 3.11 or newer is needed: run scripts/setup.sh, or install python3" >&2
        exit 1
    }
    mkdir -p "$here"
    rm -rf "$here/venv"
    python3 -m venv "$here/venv" >/dev/null 2>&1 || {
        echo "python.sh: python3 cannot make a virtual environment: run scripts/setup.sh, or install python3-venv" >&2
        exit 1
    }
    # shellcheck disable=SC2086 # a list
    quietly "$here/venv/bin/pip" install --quiet --disable-pip-version-check $tools
    echo "$tools" > "$here/venv/made-for"
}

build() {
    # In a target directory of its own: cargo names the library zkhelper the same whatever its features, and this one
    # has no C ABI.
    rm -rf "$here/wheels"
    CARGO_TARGET_DIR=$here/cargo quietly "$here/venv/bin/maturin" build --release --locked --strip \
        --manifest-path bindings/python/Cargo.toml --interpreter "$here/venv/bin/python" --out "$here/wheels"
}

install() {
    build
    quietly "$bin/pip" install --disable-pip-version-check --force-reinstall --no-deps "$here/wheels"/*.whl
}

venv
bin=$here/venv/bin
case $goal in
venv) ;;
lint)
    for what in bindings/python examples/python; do
        "$bin/ruff" check --quiet --no-cache --config bindings/python/pyproject.toml $what
        "$bin/ruff" format --quiet --no-cache --check --config bindings/python/pyproject.toml $what
    done
    for what in "python/zkhelper tools tests" ../../examples/python/*.py; do
        # shellcheck disable=SC2086
        (cd bindings/python && "$bin/mypy" --no-error-summary --cache-dir "$here/mypy" $what)
    done
    echo "the Python module: clean"
    ;;
build)
    build
    ls "$here/wheels"/*.whl
    ;;
install)
    install
    echo "$here/venv"
    ;;
test)
    install
    # For the test beside the C example.
    cargo build --quiet --release --locked --features capi
    # What is tested is what was installed, not what lies in the repository.
    cd bindings/python/tests
    "$bin/python" ../tools/make_errors.py --check
    quietly "$bin/python" -m mypy.stubtest --allowlist stubtest-allowed.txt zkhelper._zkhelper
    ZKHELPER_WHEELS=$here/wheels ZKHELPER_RELEASE=$target/release "$bin/pytest" --quiet "$@"
    ;;
*)
    echo "usage: python.sh venv|lint|build|install|test" >&2
    exit 2
    ;;
esac
