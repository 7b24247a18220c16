"""Clients that nobody closed are closed when the interpreter ends: their locks are free at once then, and not
only when their sessions time out."""

from __future__ import annotations

import atexit
import contextlib
import weakref
from typing import Protocol

from . import _journal, _zkhelper
from ._zkhelper import Client as Native
from .errors import ZkhelperError

#: How long (s) the end of the interpreter may wait for the servers.
GRACE = 0.5


class _HasNative(Protocol):
    _native: Native


_clients: weakref.WeakSet[_HasNative] = weakref.WeakSet()


def register(client: _HasNative) -> None:
    _clients.add(client)


@atexit.register
def _close() -> None:
    closing = []
    for client in list(_clients):
        # Closed before, or of the parent process.
        with contextlib.suppress(ZkhelperError):
            closing.append(client._native.close(GRACE))
    for op in closing:
        with contextlib.suppress(ZkhelperError):
            op.wait()
    _journal.flush()
    _zkhelper.ending()
