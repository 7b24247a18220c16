"""The rows of the comparison for workers whose clients block: a thread for each worker."""

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

PATHS = 64
SESSIONS = 16


class Session(Protocol):
    """One session of a client."""

    def make(self, path: str) -> None: ...

    def lock(self, path: str) -> "tuple[Callable[[], object], Callable[[], object]]":
        """What takes a lock, and what releases it."""

    def count(self, path: str) -> int: ...

    def lead(self, path: str, led: Callable[[], None], resign: Callable[[], None]) -> None:
        """Leads once: calls `led`, then `resign`, which waits, and gives the lead up."""

    def close(self) -> None: ...


def cycles(session: Session, path: str, count: int) -> None:
    acquire, release = session.lock(path)
    for _ in range(count):
        acquire()
        release()


def together(works: list[Callable[[], None]]) -> float:
    """How long it takes all of them, a thread for each."""
    threads = [threading.Thread(target=work) for work in works]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def alone(connect: Callable[[], Session], path: str, count: int) -> dict[str, float]:
    session = connect()
    session.make(path)
    acquire, release = session.lock(path)
    each = []
    begin = time.perf_counter()
    for _ in range(count):
        since = time.perf_counter()
        acquire()
        release()
        each.append(time.perf_counter() - since)
    seconds = time.perf_counter() - begin
    session.close()
    return {"cycles": count, "seconds": seconds, "median_us": statistics.median(each) * 1e6}


def paths(connect: Callable[[], Session], path: str, count: int) -> dict[str, float]:
    session = connect()
    ways = [f"{path}/{i}" for i in range(PATHS)]
    for way in ways:
        session.make(way)
    seconds = together([lambda way=way: cycles(session, way, count) for way in ways])  # type: ignore[misc]
    session.close()
    return {"cycles": PATHS * count, "seconds": seconds}


def handoff(connect: Callable[[], Session], path: str, count: int) -> dict[str, float]:
    sessions = [connect() for _ in range(SESSIONS)]
    sessions[0].make(path)
    seconds = together([lambda s=session: cycles(s, path, count) for session in sessions])  # type: ignore[misc]
    for session in sessions:
        session.close()
    return {"cycles": SESSIONS * count, "seconds": seconds}


def drain(connect: Callable[[], Session], path: str, count: int) -> dict[str, float]:
    session = connect()
    session.make(path)
    acquire, release = session.lock(path)
    acquire()
    waiters = [threading.Thread(target=cycles, args=(session, path, 1)) for _ in range(count)]
    for waiter in waiters:
        waiter.start()
    while session.count(path) <= count:
        time.sleep(0.05)
    # So that the last ones watch, too.
    time.sleep(0.5)
    begin = time.perf_counter()
    release()
    for waiter in waiters:
        waiter.join()
    seconds = time.perf_counter() - begin
    session.close()
    return {"cycles": count, "seconds": seconds}


def election(connect: Callable[[], Session], path: str, count: int) -> dict[str, float]:
    """Two candidates lead in turn; a fail-over counts from when the leader is told to give up."""
    sessions = [connect() for _ in range(2)]
    leads, give_up = threading.Semaphore(0), threading.Semaphore(0)
    since = [0.0]
    over = False

    def led() -> None:
        since[0] = time.perf_counter()
        leads.release()

    def resign() -> None:
        give_up.acquire()

    def candidate(session: Session) -> None:
        while not over:
            session.lead(path, led, resign)

    for session in sessions:
        session.make(path)
    threads = [threading.Thread(target=candidate, args=(session,), daemon=True) for session in sessions]
    for thread in threads:
        thread.start()
    leads.acquire()
    each = []
    begin = time.perf_counter()
    for _ in range(count):
        # The other candidate stands ready by now.
        time.sleep(0.02)
        told = time.perf_counter()
        give_up.release()
        leads.acquire()
        each.append(since[0] - told)
    seconds = time.perf_counter() - begin
    over = True
    for _ in range(4):
        give_up.release()
    for thread in threads:
        thread.join()
    for session in sessions:
        session.close()
    return {"cycles": count, "seconds": seconds, "median_us": statistics.median(each) * 1e6}


ROWS = {"alone": alone, "paths": paths, "handoff": handoff, "drain": drain, "election": election}


def work(connect: Callable[[], Session]) -> None:
    for line in sys.stdin:
        row, path, count = line.split()
        print(json.dumps(ROWS[row](connect, path, int(count))), flush=True)
