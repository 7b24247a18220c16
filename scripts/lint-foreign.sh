#!/bin/sh
# Checks the programs in Python and Go that the tests run: ruff, mypy --strict, gofmt, go vet.
set -eu

cd "$(dirname "$0")/.."
clients=$(tests/interop/prepare.sh kazoo)
# The Python module and its examples have scripts/python.sh.
python=$(git ls-files 'tests/*.py')
# shellcheck disable=SC2086 # a list of files
"$clients/venv/bin/ruff" check --quiet --no-cache $python
# shellcheck disable=SC2086
"$clients/venv/bin/mypy" --config-file tests/interop/mypy.ini --no-error-summary --cache-dir "$clients/mypy" --python-executable "$clients/venv/bin/python" \
    --scripts-are-modules $python
# What measures: the driver, and its workers.
"$clients/venv/bin/ruff" check --quiet --no-cache --config bindings/python/pyproject.toml benches/peers
"$clients/venv/bin/ruff" format --quiet --no-cache --check --config bindings/python/pyproject.toml benches/peers
for what in benches/peers benches/peers/python; do
    (cd $what && "$clients/venv/bin/mypy" --config-file "$OLDPWD/tests/interop/mypy.ini" --no-error-summary --cache-dir "$clients/mypy" \
        --python-executable "$clients/venv/bin/python" --scripts-are-modules ./*.py)
done
unformatted=$(gofmt -l tests/interop/go benches/peers/go)
[ -z "$unformatted" ] || { echo "gofmt differs: $unformatted" >&2 && exit 1; }
cd tests/interop/go && go vet ./...
echo "python and go: clean"
