"""A contender of tests/faults with kazoo's lock: SERVERS PATH SESSION_TIMEOUT.

It believes to hold the lock while kazoo says that it is acquired and that the client is connected, which is
all that kazoo has to say.
"""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

LIMIT = 180
servers, path, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
take, give, end = threading.Event(), threading.Event(), threading.Event()


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def say(*words: object) -> None:
    print("@", *words, flush=True)


def orders() -> None:
    for line in sys.stdin:
        {"take": take, "give": give}[line.strip()].set()
    for event in (take, give, end):
        event.set()


threading.Thread(target=orders, daemon=True).start()
zk = KazooClient(hosts=servers, timeout=timeout)
zk.start(timeout=LIMIT)
say("session", zk.client_id[0])
take.wait(LIMIT)
lock = zk.Lock(path, "contender")
granted = threading.Event()


def in_line() -> None:
    while not granted.is_set():
        if len(lock.contenders()) >= 2:
            say("waiting", "kazoo")
            return
        time.sleep(0.02)


threading.Thread(target=in_line, daemon=True).start()
lock.acquire()
began = now()
granted.set()
token = zk.get(f"{path}/{lock.node}")[1].czxid
say("granted", "kazoo", token, began)
believed = began
while not give.is_set():
    look = now()
    if not (lock.is_acquired and zk.connected):
        break
    believed = look
    time.sleep(0.002)
if give.is_set():
    believed = now()
    lock.release()
    say("ended", "kazoo", token, believed, believed, "released")
else:
    say("ended", "kazoo", token, believed, believed, "suspended")
end.wait(LIMIT)
try:
    zk.stop()
except KazooException:
    pass
