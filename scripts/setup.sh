#!/bin/sh
# setup.sh [build|test]: sees to it that what the named make target needs is installed (default: test).
#
# With all in place it only looks, and calls no package manager. Otherwise, as root on Debian or Ubuntu, it
# installs the packages; elsewhere it says in one line what to install, and fails.
set -eu

need_rust=1.95
goal=${1:-test}
case $goal in build | test) ;; *) echo "usage: setup.sh [build|test]" >&2 && exit 2 ;; esac

have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: compares the first two numbers of versions.
at_least() {
    awk -v have="$1" -v want="$2" 'BEGIN {
        split(have, h, "."); split(want, w, ".")
        exit !(h[1] + 0 > w[1] + 0 || (h[1] + 0 == w[1] + 0 && h[2] + 0 >= w[2] + 0))
    }'
}

rust_is_new_enough() {
    have cargo && have rustc && at_least "$(rustc --version 2>/dev/null | cut -d' ' -f2)" $need_rust
}

# What is missing: Debian's names of packages, and `rust`, `lint` for what comes under several names.
look() {
    missing=
    rust_is_new_enough || missing="$missing rust"
    have cc || missing="$missing gcc libc6-dev"
    have pkg-config || missing="$missing pkg-config"
    have make || missing="$missing make"
    # For cargo's downloads.
    [ -d /etc/ssl/certs ] || [ -d /etc/pki/tls ] || missing="$missing ca-certificates"
    if [ "$goal" = test ]; then
        have java || missing="$missing default-jre-headless"
        [ -e /usr/share/java/zookeeper.jar ] || [ -n "${ZKHELPER_ZOOKEEPER_CLASSPATH:-}" ] ||
            missing="$missing zookeeper"
    fi
    if [ "$goal" = test ]; then
        { have cargo-clippy && have rustfmt; } || missing="$missing lint"
        have c++ || missing="$missing g++"
        have clang || missing="$missing clang libclang-rt-dev"
        have valgrind || missing="$missing valgrind"
        # A project of somebody else's that is built with the installed library, and the reference.
        have cmake || missing="$missing cmake"
        have doxygen || missing="$missing doxygen"
        have openssl || missing="$missing openssl"
        have mvn || missing="$missing maven"
        # The foreign clients of tests/interop, and kazoo as the control of tests/faults.
        have javac || missing="$missing default-jdk-headless"
        have go || missing="$missing golang-go"
        have cli_mt || [ -x /usr/lib/zookeeper/bin/cli_mt ] || missing="$missing zookeeper-bin"
        # The Apache C client, whose connection examples/c/lent.c lends.
        [ -e /usr/include/zookeeper/zookeeper.h ] || missing="$missing libzookeeper-mt-dev"
        python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    fi
    missing=${missing# }
}

look
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! have apt-get; then
    wanted=$(echo "$missing" | sed "s/\brust\b/rust>=$need_rust/; s/\blint\b/clippy rustfmt/")
    echo "zkhelper: please install: $wanted (packages of these names on Debian; root may run scripts/setup.sh)" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "zkhelper: installing for 'make $goal': $missing"
apt-get update -qq

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9].*\)/\1/p'; }

# Debian 12's own cargo is too old; its packages for web browsers are kept new.
packages=
for item in $missing; do
    case $item in
    rust)
        found=
        for suffix in "" -web; do
            if at_least "$(candidate "cargo$suffix")" $need_rust && [ -z "$found" ]; then
                found="cargo$suffix rustc$suffix"
                clippy=rust$suffix-clippy
                format=rustfmt$suffix
            fi
        done
        if [ -z "$found" ]; then
            echo "zkhelper: please install Rust $need_rust or newer (rustup has it; this system's packages do not)" >&2
            exit 1
        fi
        packages="$packages $found"
        ;;
    lint)
        if [ -z "${clippy:-}" ] && have rustc; then
            case $(dpkg -S "$(command -v rustc)" 2>/dev/null) in
            rustc-web:*) clippy=rust-web-clippy format=rustfmt-web ;;
            rustc:*) clippy=rust-clippy format=rustfmt ;;
            *)
                echo "zkhelper: please install clippy and rustfmt beside your Rust (rustup component add clippy rustfmt)" >&2
                exit 1
                ;;
            esac
        fi
        packages="$packages $clippy $format"
        ;;
    libclang-rt-dev) packages="$packages $(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p')" ;;
    *) packages="$packages $item" ;;
    esac
done

# Nothing of the user's is removed to make room: a clash is reported.
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends --no-remove $packages >/dev/null

look
[ -z "$missing" ] && exit 0
echo "zkhelper: still missing after installing$packages: $missing" >&2
exit 1
