"""A client of the nemesis with kazoo's lock, as the control: SERVERS LOCK COUNTER ELECTION TIMEOUT_MS GRACE_MS

It believes to hold the lock while kazoo says that it is acquired and that the client is connected, which is all
that kazoo has to say; and counts with plain writes, since kazoo's lock guards none.
"""

import random
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, LockTimeout
from kazoo.handlers.threading import KazooTimeoutError

servers, path, counter = sys.argv[1:4]
timeout = int(sys.argv[5]) / 1000
stopping = threading.Event()
writing = threading.Lock()


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def say(at: int, *words: object) -> None:
    with writing:
        print("@", at, *words, flush=True)


def follow_input() -> None:
    sys.stdin.read()
    stopping.set()


def watch_the_clock() -> None:
    last = now()
    while True:
        time.sleep(0.05)
        at = now()
        if at - last > 250_000_000:
            say(at, "gap", last)
        last = at


def hold(zk: KazooClient, lock: object, asked: int) -> None:
    granted = now()
    try:
        token = zk.get(f"{path}/{lock.node}")[1].czxid  # type: ignore[attr-defined]
    except (KazooException, KazooTimeoutError):
        return
    say(granted, "granted", token, asked, granted)
    seconds = random.uniform(0.5, 4) if random.random() < 1 / 50 else random.uniform(0, 0.006)
    if seconds >= 0.5:
        say(now(), "stays", token)
    end = time.monotonic() + seconds
    believed, following, why = granted, 0.0, "released"
    while True:
        at = now()
        if not (lock.is_acquired and zk.connected):  # type: ignore[attr-defined]
            why = "suspended"
            break
        believed = at
        if time.monotonic() >= following:
            try:
                value = int(zk.get(counter)[0])
                say(now(), "read", token, value)
                say(now(), "write", token, value + 1)
                zk.set(counter, str(value + 1).encode())
                say(now(), "wrote", token, value + 1)
            except (KazooException, KazooTimeoutError):
                pass
            following = time.monotonic() + 0.05
        if time.monotonic() >= end:
            break
        time.sleep(0.002)
    say(believed, "until", token, believed)
    say(believed, "ended", token, why)


def main() -> None:
    threading.Thread(target=follow_input, daemon=True).start()
    threading.Thread(target=watch_the_clock, daemon=True).start()
    zk = KazooClient(hosts=servers, timeout=timeout)
    zk.start(timeout=180)
    lock = zk.Lock(path, "nemesis")
    while not stopping.is_set():
        asked = now()
        try:
            lock.acquire(timeout=random.uniform(0.001, 0.5) if random.random() < 0.1 else 20)
            hold(zk, lock, asked)
        except LockTimeout:
            say(now(), "gave-up", asked, "LockTimeout")
        except (KazooException, KazooTimeoutError) as error:
            say(now(), "gave-up", asked, type(error).__name__)
        try:
            lock.release()
        except (KazooException, KazooTimeoutError):
            time.sleep(0.05)
        time.sleep(random.uniform(0, 0.01))
    try:
        zk.stop()
    except KazooException:
        pass
    say(now(), "over")


main()
