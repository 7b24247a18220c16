# The election of demo.sh, which reads this file: programs in several languages stand in one election, and each leader
# is killed. The programs are examples/*/candidate.*, and all that is made is in $work.
# shellcheck shell=sh disable=SC2154 # demo.sh sets work and target

# Who takes part, in the order in which they stand: one is added for each language whose tools are there.
languages=
# The candidates that live, as LANGUAGE:PID.
living=
lease=1000

takes_part() {
    languages="$languages $1"
}

left_out() {
    echo "   $1 is left out: $2."
}

# Builds what a language needs, with its output in a file that is shown in one line if it fails.
built() {
    language=$1
    shift
    "$@" >"$work/build.log" 2>&1 && takes_part "$language" ||
        left_out "$language" "its program cannot be built here ($(grep . "$work/build.log" | tail -n 1))"
}

build_c() {
    ${CC:-cc} -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude -o "$work/candidate-C" examples/c/candidate.c \
        -L"$target" -lzkhelper -Wl,-rpath,"$work"
}

build_cpp() {
    ${CXX:-c++} -std=c++17 -Wall -Wextra -pedantic -Iinclude -pthread -o "$work/candidate-C++" \
        examples/cpp/candidate.cpp -L"$target" -lzkhelper -Wl,-rpath,"$work"
}

# The module as it is in the wheel, without the tools that make a wheel. It is for every Python from 3.11 on, so none is
# asked, and none that is found elsewhere on another day makes cargo build it anew.
build_python() {
    CARGO_TARGET_DIR=$target/../python/cargo PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 \
        cargo build --release --locked --package zkhelper-python &&
        mkdir -p "$work/python" && cp -r bindings/python/python/zkhelper "$work/python/" &&
        cp "$target/../python/cargo/release/lib_zkhelper.so" "$work/python/zkhelper/_zkhelper.abi3.so" &&
        PYTHONPATH=$work/python python3 -c 'import zkhelper'
}

build_go() {
    (cd examples/go && PKG_CONFIG_PATH=$target GOTOOLCHAIN=local GOFLAGS=-mod=mod \
        go build -o "$work/candidate-Go" candidate.go)
}

build_candidates() {
    built C build_c
    if command -v "${CXX:-c++}" >/dev/null; then
        built C++ build_cpp
    else
        left_out C++ "there is no C++ compiler"
    fi
    if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        [ -e "$target/../python/cargo/release/lib_zkhelper.so" ] ||
            echo "   The Python module is built, which takes some minutes the first time."
        built Python build_python
    else
        left_out Python "there is no Python 3.11 or newer"
    fi
    if ! command -v go >/dev/null; then
        left_out Go "there is no Go"
    elif [ ! -e "$target/zkhelper.pc" ]; then
        left_out Go "there is no $target/zkhelper.pc, which make build makes"
    else
        built Go build_go
    fi
}

# start LANGUAGE ADDRESS PATH: a candidate, which becomes $candidate.
start() {
    : >"$work/candidate-$1.out"
    case $1 in
    Python) exec env PYTHONPATH="$work/python" python3 examples/python/candidate.py "$2" "$1" "$3" $session $lease ;;
    *) exec "$work/candidate-$1" "$2" "$1" "$3" $session $lease ;;
    esac >"$work/candidate-$1.out" 2>"$work/candidate-$1.log" &
    candidate=$!
    living="$living $1:$candidate"
}

# What is behind `=` in the last line that a language's candidate said, if that is that it leads.
token_of() {
    tail -n 1 "$work/candidate-$1.out" | sed -n 's/.* leads token=//p'
}

stand() {
    [ "$("$target/zkh" locks "$1" "$2/candidates" 2>/dev/null | grep -c lock-)" -eq "$3" ]
}

# Waits until one leads with a greater token than $token: then $leader is LANGUAGE:PID, and $token its token.
await_leader() {
    tries=1200
    while [ $tries -gt 0 ]; do
        for one in $living; do
            kill -0 "${one#*:}" 2>/dev/null || fail "${one%:*} has ended"
            found=$(token_of "${one%:*}")
            [ -n "$found" ] && [ "$found" -gt "$token" ] || continue
            leader=$one token=$found
            return
        done
        tries=$((tries - 1))
        sleep 0.05
    done
    fail "nobody leads"
}

kill_candidates() {
    for one in $living; do
        kill -9 "${one#*:}" 2>/dev/null && wait "${one#*:}" 2>/dev/null || true
    done
    living=
}

show_election() {
    path=/zkhelper-demo/election-$$-$(date +%s)
    echo
    echo "3. These stand in one election, in this order:$languages. Each leader is killed with -9."
    number=0
    for language in $languages; do
        start "$language" "$1" "$path"
        number=$((number + 1))
        await $candidate stand "$1" "$path" $number || fail "$language does not stand in the election"
    done
    token=0 killed=
    while :; do
        await_leader
        line=$(tail -n 1 "$work/candidate-${leader%:*}.out")
        printf '   %-6s leads (process %s) with token %s' "${leader%:*}" "${leader#*:}" "$token"
        [ -z "$killed" ] || printf ', %s s after the one before was killed' \
            "$(echo "${line%% *} $killed" | awk '{ printf "%.1f", $1 - $2 }')"
        echo
        others=
        for one in $living; do
            [ "$one" = "$leader" ] && continue
            others="$others $one"
            [ -z "$(token_of "${one%:*}")" ] || fail "${one%:*} leads beside ${leader%:*}"
        done
        [ -n "$others" ] || break
        sleep 0.3
        kill -9 "${leader#*:}"
        killed=$(date +%s.%N)
        wait "${leader#*:}" 2>/dev/null || true
        living=$others
    done
    kill_candidates
    echo "   Nobody led beside another, and each token is greater than the one before. A take-over takes what is left of"
    echo "   the session timeout of the one that was killed ($session ms were asked for), and then its lease and its grace"
    echo "   ($lease and $((lease / 2)) ms), in which it might still be at work if it were only cut off."
}
