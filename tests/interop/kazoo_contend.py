"""Contends with kazoo's lock until its input ends: kazoo_contend.py ADDRESS PATH.

Says when it held: `@ held FROM UNTIL`, in nanoseconds of CLOCK_MONOTONIC.
"""

import random
import sys
import threading
import time

from kazoo.client import KazooClient


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def main(address: str, path: str) -> None:
    stop = threading.Event()

    def follow_input() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=follow_input, daemon=True).start()
    zk = KazooClient(hosts=address, timeout=10)
    zk.start(timeout=60)
    # Without the pattern it would count nobody's nodes but its own.
    lock = zk.Lock(path, "kazoo", extra_lock_patterns=["lock-"])
    while not stop.is_set():
        lock.acquire()
        since = now()
        time.sleep(random.uniform(0.001, 0.005))
        until = now()
        lock.release()
        print(f"@ held {since} {until}", flush=True)
    zk.stop()
    zk.close()
    print("@ done", flush=True)


main(sys.argv[1], sys.argv[2])
