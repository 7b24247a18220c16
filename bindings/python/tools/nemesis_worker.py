"""A client of the nemesis in Python: nemesis_worker.py SERVERS LOCK COUNTER ELECTION TIMEOUT_MS GRACE_MS

Takes the lock in strict mode again and again, counts under it, and leads in turn, until its input ends. Each line has
the time in nanoseconds of CLOCK_BOOTTIME, and what happened.
"""

import random
import sys
import threading
import time
from collections.abc import Callable

import zkhelper

servers, lock_path, counter, election = sys.argv[1:5]
timeout, grace = int(sys.argv[5]) / 1000, int(sys.argv[6]) / 1000
stopping = threading.Event()
writing = threading.Lock()


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def say(at: int, *words: object) -> None:
    with writing:
        print("@", at, *words, flush=True)


def promise(at: int, seconds: float) -> int:
    return at + int(seconds * 1e9)


class Hold:
    """One hold of the lock: counts, looks until when it may trust in the lock, and gives it back."""

    def __init__(self, client: zkhelper.Client, held: zkhelper.Held, asked: int) -> None:
        self.client, self.held, self.token = client, held, held.token
        granted = now()
        self.promised = promise(granted, held.valid_for())
        self.value: int | None = None
        self.over = False
        self.lock = threading.Lock()
        say(granted, "granted", self.token, asked, self.promised)
        held.lost.add_callback(self.lost)

    def lost(self, loss: zkhelper.Loss) -> None:
        with self.lock:
            if not self.over:
                self.over = True
                say(now(), "ended", self.token, loss.reason.name.title().replace("_", ""))

    def count(self) -> None:
        value = self.value
        if value is None:
            return
        say(now(), "write", self.token, value)
        try:
            self.held.guarded([zkhelper.SetData(counter, str(value).encode())])
            say(now(), "wrote", self.token, value)
        except (zkhelper.LockLost, zkhelper.NotHeldError, zkhelper.NotSentError):
            say(now(), "refused", self.token, value)
        except zkhelper.ZkhelperError:
            pass  # The write may have been applied.

    def read(self) -> None:
        try:
            value = int(self.client.get(counter).data)
        except zkhelper.ZkhelperError:
            return
        if self.held.is_held():
            say(now(), "read", self.token, value)
            self.value = value + 1
            self.count()

    def look(self) -> bool:
        at = now()
        until = promise(at, self.held.valid_for())
        if until <= at:
            return False
        # What a renewal adds, and not the difference of two clocks' grains.
        if until > self.promised + 1_000_000:
            self.promised = until
            say(at, "until", self.token, until)
        return True

    def work(self) -> None:
        seconds = random.uniform(0.5, 4) if random.random() < 1 / 50 else random.uniform(0, 0.006)
        if seconds >= 0.5:
            say(now(), "stays", self.token)
        end = time.monotonic() + seconds
        following = 0.0
        while True:
            if time.monotonic() >= following:
                self.read()
                following = time.monotonic() + 0.05
            if not self.look():
                # Whoever lost the lock must not get a write through.
                self.held.lost.wait(5)
                self.count()
                break
            if time.monotonic() >= end:
                break
            time.sleep(0.002)
        given = now()
        try:
            self.held.release()
            why = "released"
        except zkhelper.OutcomeUnknownError:
            why = "released"
        except zkhelper.LockLost:
            # Lost before, with the news on their way on another thread; or found to be gone by the release itself.
            for _ in range(500):
                if self.over:
                    return
                time.sleep(0.001)
            why = "LockLost"
        with self.lock:
            if not self.over:
                self.over = True
                say(given, "ended", self.token, why)


def at_the_end(interrupt: Callable[[], None]) -> None:
    """Calls it once the worker is to stop."""

    def wait() -> None:
        stopping.wait()
        interrupt()

    threading.Thread(target=wait, daemon=True).start()


def lock_again_and_again(client: zkhelper.Client) -> None:
    mutex = client.mutex(lock_path, strict=zkhelper.Strict(timeout, timeout))
    at_the_end(mutex.interrupt)
    while not stopping.is_set():
        asked = now()
        try:
            held = mutex.lock(random.uniform(0.001, 0.5) if random.random() < 0.1 else None, "nemesis")
        except zkhelper.LockTimeout:
            say(now(), "gave-up", asked, "TIMEOUT")
        except zkhelper.Interrupted:
            say(now(), "gave-up", asked, "INTERRUPTED")
        except zkhelper.ZkhelperError as error:
            say(now(), "bad", error)
            time.sleep(0.05)
        else:
            Hold(client, held, asked).work()
        time.sleep(random.uniform(0, 0.01))


def stand(client: zkhelper.Client) -> None:
    elector = client.elector(election, lease=timeout, grace=grace, min_backoff=0.001, max_backoff=0.001)
    at_the_end(elector.interrupt)

    def lead(term: zkhelper.Term) -> None:
        began = now()
        promised = promise(began, term.valid_for())
        say(began, "leads", term.token, promised)
        end = time.monotonic() + (random.uniform(0.5, 4) if random.random() < 0.1 else random.uniform(0.001, 0.06))
        why = "done"
        while time.monotonic() < end and not stopping.is_set():
            at = now()
            until = promise(at, term.valid_for())
            if until > promised + 1_000_000:
                promised = until
                say(at, "leads-until", term.token, until)
            if term.stopped.is_set():
                time.sleep(grace * 0.3)
                why = "stopped"
                break
            time.sleep(0.002)
        say(now(), "resigned", term.token, why)

    elector.run(lead)


def watch_the_clock() -> None:
    """Tells of the times in which this process did not run."""
    last = now()
    while True:
        time.sleep(0.05)
        at = now()
        if at - last > 250_000_000:
            say(at, "gap", last)
        last = at


threading.Thread(target=watch_the_clock, daemon=True).start()
client = zkhelper.Client(servers, session_timeout=timeout)
threads = [threading.Thread(target=work, args=(client,)) for work in (lock_again_and_again, stand)]
for thread in threads:
    thread.start()
sys.stdin.read()
stopping.set()
for thread in threads:
    thread.join()
client.close(30)
say(now(), "over")
