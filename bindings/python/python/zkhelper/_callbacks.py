"""Callbacks on a thread of their own, where they may make blocking calls."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ._zkhelper import Mailbox, Op, Stream

_T = TypeVar("_T")

logger = logging.getLogger("zkhelper")

#: How long (s) a thread with nothing to wait for stays, in case of more.
LINGER = 1.0


class Callbacks:
    """A thread that waits for operations and runs what is to follow them, in the order in which they ended.

    It is there while something is waited for, and is a daemon: it never keeps a program from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._mailbox = Mailbox()
        self._keys = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Op[Any], Callable[[Op[Any]], None]]] = {}
        self._running = False

    def add(self, op: Op[_T], then: Callable[[Op[_T]], None]) -> None:
        """Runs ``then`` with the operation once it has ended."""
        with self._lock:
            key = next(self._keys)
            self._waiting[key] = (op, then)
            if not self._running:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._running = True
        op.notify(self._mailbox, key)

    def follow(self, stream: Stream[_T], callback: Callable[[_T], object]) -> None:
        """Runs ``callback`` with every event of the stream."""

        def ended(op: Op[_T | None]) -> None:
            event = op.result()
            if event is not None:
                self.add(stream.next(), ended)
                callback(event)

        self.add(stream.next(), ended)

    def _run(self) -> None:
        while True:
            for key in self._mailbox.wait(math.inf if self._waiting else LINGER):
                with self._lock:
                    op, then = self._waiting.pop(key)
                try:
                    then(op)
                except BaseException:
                    logger.exception("a callback failed")
                # Nothing of it is kept until the next one comes.
                del op, then
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
