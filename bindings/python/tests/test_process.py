"""Signals, forks, the interpreter's end: what happens to processes."""

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import zkhelper
from conftest import LIMIT, PROVE, eventually, fresh_path, locks, run
from zkhelper import Client

WAITER = """
import signal, sys, zkhelper
# What a shell starts in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
client = zkhelper.Client(sys.argv[1])
mutex = client.mutex(sys.argv[2])
print("waits", flush=True)
try:
    mutex.lock()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    # It may go on after that.
    print(client.exists(sys.argv[2]) is not None, flush=True)
"""


def test_ctrl_c_ends_a_wait_at_once_and_leaves_no_node(client: Client, address: str, path: str) -> None:
    with client.mutex(path):
        delays = []
        for _ in range(5):
            command = [sys.executable, "-c", WAITER, address, path]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiter:
                assert waiter.stdout is not None
                assert waiter.stdout.readline() == "waits\n"
                eventually(lambda: locks(client, path) == 2, "it waits")
                began = time.monotonic()
                waiter.send_signal(signal.SIGINT)
                assert waiter.stdout.readline() == "interrupted\n"
                delays.append(time.monotonic() - began)
                assert waiter.stdout.readline() == "True\n"
                assert waiter.wait(LIMIT) == 0
            # At the end of the process the session was closed too, not left to its timeout.
            eventually(lambda: locks(client, path) == 1, "its node is gone")
    # The best of five: the others tell how busy the machine is.
    assert min(delays) < 0.1, statistics.mean(delays)


def test_a_signal_handler_that_raises_nothing_interrupts_nothing(client: Client, path: str) -> None:
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        with client.mutex(path):
            timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1])
            timer.start()
            with pytest.raises(zkhelper.LockTimeout):
                client.mutex(path).lock(timeout=0.5)
            timer.join()
        assert seen == [1]
    finally:
        signal.signal(signal.SIGUSR1, old)


FORKER = """
import os, sys, zkhelper
client = zkhelper.Client(sys.argv[1])
mutex = client.mutex(sys.argv[2], on_lost=print)
events = client.watch("/")
held = mutex.lock()
pid = os.fork()
if pid == 0:
    refused = 0
    for call in [held.release, mutex.lock, mutex.unlock, mutex.contenders, client.close, events.next,
                 lambda: client.get("/"), lambda: held.guarded([]), lambda: held.lost.wait(0),
                 mutex.interrupt, client.wait_connected, client.credentials, lambda: client.mutex("/a"),
                 lambda: client.states(), lambda: client.add_auth("digest", b"a:b")]:
        try:
            call()
        except zkhelper.ForkedError as error:
            assert error.code == -1016
            refused += 1
    assert not held.is_held() and held.valid_for() == 0 and held.lost.reason is None
    assert client.state is zkhelper.State.CLOSED
    with zkhelper.Client(sys.argv[1]) as own, own.mutex(sys.argv[2] + "-own") as other:
        assert other.is_held()
        assert own.mutex(sys.argv[2]).try_lock() is None
    print("refused", refused, flush=True)
    # A whole end, with all destructors, unlike os._exit.
    sys.exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
assert held.is_held()
client.sync("/")
assert len(mutex.contenders()) == 1
held.release()
client.close()
print("unharmed", flush=True)
"""


@pytest.mark.parametrize("round", range(20 if PROVE else 3))
def test_a_forked_child_cannot_use_or_release_the_parents_lock(address: str, path: str, round: int) -> None:
    assert run(FORKER, address, path).stdout.split("\n")[:2] == ["refused 15", "unharmed"]


def lock_in_a_process(address: str, path: str) -> int:
    with Client(address) as client, client.mutex(path, timeout=LIMIT) as held:
        return held.token


def test_multiprocessing_with_spawn_works(client: Client, address: str, path: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        tokens = pool.starmap(lock_in_a_process, [(address, path)] * 4)
    assert len(set(tokens)) == 4


def test_exceptions_cross_processes(address: str, path: str) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(zkhelper.BadPathError) as raised:
        pool.apply(lock_in_a_process, [address, "bad"])
    assert (raised.value.code, raised.value.path) == (-1004, "bad")


ENDS = """
import asyncio, os, sys, threading, time, zkhelper, zkhelper.aio
address, path, kind = sys.argv[1:]
client = zkhelper.Client(address, on_state=lambda event: time.sleep(0.001))
client.watch("/", recursive=True, callback=lambda event: client.get("/"))
gate = client.mutex(path).lock()
gate.lost.add_callback(print)
other = zkhelper.Client(address)
for _ in range(3):
    threading.Thread(target=other.mutex(path).lock, daemon=True).start()
threading.Thread(target=client.watch("/nothing").next, daemon=True).start()

def busy():
    while True:
        client.create(path + "-busy-", sequential=True, ephemeral=True)
threading.Thread(target=busy, daemon=True).start()

async def tasks():
    aio = zkhelper.aio.Client(address)
    waiting = [asyncio.ensure_future(aio.mutex(path).lock()) for _ in range(3)]
    await asyncio.sleep(0.01)
    if kind == "exit":
        sys.exit(0)
    return waiting
threading.excepthook = lambda args: None
print("ready", flush=True)
loop = asyncio.new_event_loop()
kept = loop.run_until_complete(tasks())
if kind == "raise":
    raise SystemExit(0)
if kind == "cycle":
    client.cycle = client
    keep = [client, other, gate, loop]
    keep.append(keep)
    del client, other, gate
"""


def test_an_interpreter_may_end_with_watches_and_waits_pending(apache: object, address: str) -> None:
    kinds = ["exit", "raise", "cycle", "plain"]
    rounds = 1000 if PROVE else 48

    def end(number: int) -> str:
        done = run(ENDS, address, fresh_path(), kinds[number % len(kinds)], check=False)
        ok = done.returncode == 0 and done.stdout.startswith("ready")
        return "" if ok else f"{number}: {done.returncode}\n{done.stdout}\n{done.stderr}"

    with ThreadPoolExecutor(4) as pool:
        failures = [failure for failure in pool.map(end, range(rounds // 2)) if failure]
    assert failures == [], f"{len(failures)} of {rounds // 2}:\n{failures[0]}"


def test_a_program_that_ends_without_closing_leaves_no_lock(client: Client, address: str, path: str) -> None:
    program = "import sys, zkhelper; zkhelper.Client(sys.argv[1]).mutex(sys.argv[2]).lock(); print('done')"
    kept = "import sys, zkhelper; m = zkhelper.Client(sys.argv[1]).mutex(sys.argv[2]); m.lock(); print('done')"
    for text in [program, kept]:
        assert run(text, address, path).stdout == "done\n"
        # At once, long before the session times out.
        began = time.monotonic()
        client.mutex(path).lock(timeout=LIMIT).release()
        assert time.monotonic() - began < 9


def test_log_records_reach_logging() -> None:
    program = """
import logging, sys
import zkhelper
from zkhelper.testing import Server
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
with Server(tick=0.1) as server, zkhelper.Client(server.address, session_timeout=2) as client:
    held = client.mutex("/lock").lock()
    server.expire(client.session_id)
    held.lost.wait(60)
"""
    lines = run(program).stdout
    assert "WARNING" in lines
    assert '"/lock/lock-0000000000" is lost' in lines
    assert all(line.startswith("zkhelper") for line in lines.splitlines())
