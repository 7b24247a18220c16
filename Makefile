# What one does with zkhelper; `make help` lists it.

# Where to install; DESTDIR goes before it, for packages.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
# host:port of a ZooKeeper on which `make demo` shows itself too, after the embedded server.
ZK ?=

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SONAME := libzkhelper.so.0
RELEASE := $(abspath $(or $(CARGO_TARGET_DIR),target))/release
# Cargo features that the libraries are built with besides: FEATURES=tls.
FEATURES ?=
CAPI := --features "capi $(FEATURES)"
# What is tried: everything; and the simulator's door, for the tests alone.
ALL := --features capi,tls
TESTS := --features capi,tls,simulation

.PHONY: help build demo test test-python test-go lint sim nemesis fuzz tsan soak header reference prove bench bench-peers bench-scale install clean

help:
	@echo 'make demo      processes hand a lock back and forth, and take an election over from one that is killed;'
	@echo '               ZK=host:port: then on your ZooKeeper too'
	@echo 'make test      lint, build and run every test (on Debian, as root, installs what they need)'
	@echo 'make build     the shared library, the static archive and zkhelper.pc, in $(RELEASE)'
	@echo '               FEATURES=tls: with TLS'
	@echo 'make install   zkh, libraries, headers, zkhelper.pc and a CMake package below PREFIX=$(PREFIX) (DESTDIR, FEATURES=tls)'
	@echo 'make lint      formatting, clippy, the header against its source, documentation and reference'
	@echo 'make header    makes include/zkhelper.h anew'
	@echo 'make reference the C and C++ reference, in $(REFERENCE)/html'
	@echo 'make prove     the long tests: as `make test` runs them, with many more rounds'
	@echo 'make sim       SEEDS=n schedules of the simulator, and known errors put back'
	@echo 'make nemesis   MINUTES=n of clients and servers killed, frozen and cut off; SEED=, CONTROL=kazoo, SERVERS=debian,'
	@echo '               KEEP=directory for history and the servers'\'' files (after a violation always, in target)'
	@echo 'make fuzz      MINUTES=n for each fuzzer: calls over the C ABI, bytes at the embedded server and from a server'
	@echo 'make tsan      MINUTES=n of each fuzzer with random inputs, under ThreadSanitizer'
	@echo 'make soak      MINUTES=n of locking, watching, leading, connecting: nothing may grow'
	@echo 'make bench     what a call costs inside one process (criterion)'
	@echo 'make bench-peers  beside kazoo, Curator, go-zookeeper, zookeeper-client and the Apache C client; WRITE=1: docs/speed.md'
	@echo 'make bench-scale  10,000 locks, 1,000 elections, and what strict mode and renewals cost'
	@echo 'make clean     removes what was built'

build:
	@scripts/setup.sh build
	cargo build --release --locked $(CAPI)
	@ln -sf libzkhelper.so $(RELEASE)/$(SONAME)
	@sed -e 's|@PREFIX@|$(RELEASE)|; s|@LIBDIR@|$(RELEASE)|; s|@INCLUDEDIR@|$(CURDIR)/include|' \
	    -e 's|@VERSION@|$(VERSION)|; s|@RPATH@| -Wl,-rpath,$${libdir}|' zkhelper.pc.in > $(RELEASE)/zkhelper.pc
	@sed -e 's|@PREFIX@|$(RELEASE)|; s|@LIBDIR@|$(RELEASE)|; s|@INCLUDEDIR@|$(CURDIR)/include|' \
	    -e 's|@VERSION@|$(VERSION)|' zkhelper-static.pc.in > $(RELEASE)/zkhelper-static.pc

demo:
	@scripts/setup.sh build
	@$(MAKE) --no-print-directory build
	@sh examples/demo.sh $(ZK)

test:
	@scripts/setup.sh test
	@scripts/zookeeper-39.sh
	@# The optimised build leaves a core to the checks for most of its time.
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint build
	cargo test --locked --no-fail-fast $(ALL) --all-targets
	cargo test --locked $(ALL) --doc
	cargo test --locked --package zkhelper-fuzz
	tests/interop/embedded_clients.sh
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-python test-go
	python3 benches/peers/run.py --smoke --only "zkhelper (C)" "zkhelper (Go)"
	@# The simulator takes what the nemesis leaves of the machine, which is a fault of its own to that one.
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target sim nemesis SEEDS=200000 MINUTES=5 SEED=1

test-python:
	scripts/python.sh test

test-go:
	scripts/go.sh

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets $(TESTS) -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps $(ALL)
	cargo run --quiet --locked $(ALL) --example gen_header -- --check
	@scripts/reference.sh $(REFERENCE)
	@scripts/lint-foreign.sh
	cargo clippy --locked --package zkhelper-python -- -D warnings
	cargo clippy --locked --package zkhelper-fuzz --all-targets -- -D warnings
	@scripts/python.sh lint

# Schedules of the simulator, and how many of them.
SEEDS ?= 20000
sim:
	ZKHELPER_SEEDS=$(SEEDS) cargo test --locked --profile sim --features simulation --test sim -- --nocapture

# Real servers and clients under faults: how long, and the seed of the faults (none: a new one).
MINUTES ?= 5
SEED ?=
CONTROL ?=
nemesis: build
	@scripts/python.sh install >/dev/null
	cargo test --locked $(ALL) --test nemesis -- --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(CONTROL),--control $(CONTROL)) $(if $(SERVERS),--servers $(SERVERS)) $(if $(KEEP),--keep $(abspath $(KEEP)))

fuzz:
	scripts/fuzz.sh $(MINUTES)

tsan:
	scripts/tsan.sh $$(($(MINUTES) * 60))

soak:
	ZKHELPER_SOAK_SECONDS=$$(($(MINUTES) * 60)) cargo test --locked $(ALL) --test soak -- --nocapture

# Where the reference goes.
REFERENCE := $(abspath $(or $(CARGO_TARGET_DIR),target))/reference
reference:
	@scripts/reference.sh $(REFERENCE)
	@echo '$(REFERENCE)/html/index.html'

header:
	cargo run --quiet --locked $(ALL) --example gen_header

prove:
	@scripts/setup.sh test
	@scripts/zookeeper-39.sh
	@$(MAKE) --no-print-directory build
	ZKHELPER_PROVE=1 cargo test --release --locked --no-fail-fast $(TESTS) -- --nocapture
	ZKHELPER_PROVE=1 scripts/python.sh test
	scripts/go.sh prove

bench:
	CARGO_TARGET_DIR=$(abspath $(or $(CARGO_TARGET_DIR),target))/peers/cargo cargo bench --manifest-path benches/inside/Cargo.toml

# Peers that cannot be had here are left out by name.
bench-peers: build
	python3 benches/peers/run.py $(if $(WRITE),--write) $(BENCH)

bench-scale:
	python3 benches/peers/scale.py $(if $(WRITE),--write) $(BENCH)

# What a program needs besides a static libzkhelper.a; zkhelper.pc says where it comes from.
PRIVATE_LIBS = $(shell sed -n 's/^Libs.private: *-l//p' zkhelper.pc.in | sed 's/ -l/;/g')

install: build
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/cmake/zkhelper $(DESTDIR)$(INCLUDEDIR)/zkhelper
	install -m 755 $(RELEASE)/zkh $(DESTDIR)$(BINDIR)/zkh
	install -m 755 $(RELEASE)/libzkhelper.so $(DESTDIR)$(LIBDIR)/libzkhelper.so.$(VERSION)
	ln -sf libzkhelper.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libzkhelper.so
	install -m 644 $(RELEASE)/libzkhelper.a $(DESTDIR)$(LIBDIR)/libzkhelper.a
	install -m 644 include/zkhelper.h include/zkhelper.hpp $(DESTDIR)$(INCLUDEDIR)
	install -m 644 include/zkhelper/*.hpp $(DESTDIR)$(INCLUDEDIR)/zkhelper
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|; s|@RPATH@||' zkhelper.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/zkhelper.pc
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' zkhelper-static.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/zkhelper-static.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/zkhelper.pc $(DESTDIR)$(LIBDIR)/pkgconfig/zkhelper-static.pc
	for file in zkhelper-config zkhelper-config-version; do \
	    sed -e 's|@VERSION@|$(VERSION)|g; s|@MAJOR@|$(firstword $(subst ., ,$(VERSION)))|; s|@SONAME@|$(SONAME)|' \
	        -e 's|@PRIVATE_LIBS@|$(PRIVATE_LIBS)|; s|@POINTER_SIZE@|'$$(($$(getconf LONG_BIT) / 8))'|g' \
	        -e 's|@INCLUDE_FROM_LIB@|'$$(realpath -ms --relative-to=$(LIBDIR) $(INCLUDEDIR))'|' \
	        cmake/$$file.cmake.in > $(DESTDIR)$(LIBDIR)/cmake/zkhelper/$$file.cmake || exit 1; \
	done
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/zkhelper.pc $(DESTDIR)$(LIBDIR)/cmake/zkhelper/*.cmake

clean:
	cargo clean
