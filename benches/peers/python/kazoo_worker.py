"""kazoo's lock and election: kazoo_worker.py ADDRESS."""

import sys
from collections.abc import Callable

from kazoo.client import KazooClient
from rows import work


class Session:
    def __init__(self) -> None:
        self.client = KazooClient(hosts=sys.argv[1], timeout=30)
        self.client.start(timeout=60)

    def make(self, path: str) -> None:
        self.client.ensure_path(path)

    def lock(self, path: str) -> tuple[Callable[[], object], Callable[[], object]]:
        lock = self.client.Lock(path, "")
        return lock.acquire, lock.release

    def count(self, path: str) -> int:
        return len(self.client.get_children(path))

    def lead(self, path: str, led: Callable[[], None], resign: Callable[[], None]) -> None:
        def task() -> None:
            led()
            resign()

        self.client.Election(path, "").run(task)

    def close(self) -> None:
        self.client.stop()
        self.client.close()


work(Session)
