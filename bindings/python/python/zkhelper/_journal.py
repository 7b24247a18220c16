"""The library's log records, handed to ``logging`` by a thread of its own."""

from __future__ import annotations

import logging
import os
import threading

from . import _zkhelper

_lock = threading.Lock()
_running = False


def start() -> None:
    """Sees to it that the thread runs, and that records are made as the logger ``zkhelper`` wants them now."""
    global _running  # noqa: PLW0603 - one for the process
    _zkhelper.log_level(logging.getLogger("zkhelper").getEffectiveLevel())
    with _lock:
        if not _running:
            threading.Thread(target=_run, name="zkhelper-log", daemon=True).start()
            _running = True


def _run() -> None:
    while True:
        _hand_on(60.0)
        _zkhelper.log_level(logging.getLogger("zkhelper").getEffectiveLevel())


def _hand_on(timeout: float) -> bool:
    found = _zkhelper.next_record(timeout)
    if found is None:
        return False
    (level, target, text), dropped = found
    logger = logging.getLogger(target)
    if dropped:
        logger.warning("%d log records were dropped: the handlers are too slow", dropped)
    logger.log(level, "%s", text)
    return True


def flush() -> None:
    """Hands on what there is."""
    while _hand_on(0.0):
        pass


def _forked() -> None:
    global _running, _lock  # noqa: PLW0603
    _zkhelper.forked()
    _lock = threading.Lock()
    _running = False


os.register_at_fork(after_in_child=_forked)
