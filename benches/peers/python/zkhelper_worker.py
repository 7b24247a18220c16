"""zkhelper from Python: zkhelper_worker.py ADDRESS."""

import contextlib
import sys
from collections.abc import Callable

from rows import work

import zkhelper


class Session:
    def __init__(self) -> None:
        self.client = zkhelper.Client(sys.argv[1], session_timeout=30)
        self.client.wait_connected(60)

    def make(self, path: str) -> None:
        with contextlib.suppress(zkhelper.NodeExistsError):
            self.client.tree().create(path)

    def lock(self, path: str) -> tuple[Callable[[], object], Callable[[], object]]:
        mutex = self.client.mutex(path)
        return mutex.lock, mutex.unlock

    def count(self, path: str) -> int:
        return len(self.client.children(path))

    def lead(self, path: str, led: Callable[[], None], resign: Callable[[], None]) -> None:
        elector = self.client.elector(path)
        with elector.campaign():
            led()
            resign()

    def close(self) -> None:
        self.client.close(30)


work(Session)
