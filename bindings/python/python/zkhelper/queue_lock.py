"""Queue locks: whoever made the first node of a queue has the turn."""

from __future__ import annotations

from types import TracebackType

from ._zkhelper import QueueHold
from ._zkhelper import QueueLock as Native
from .errors import LockTimeout, NotHeldError, ZkhelperError
from .mutex import Entered, leaving


class QueueHeld:
    """A turn in a queue: what :meth:`QueueLock.lock` returns. Leaving ``with`` on it releases it."""

    def __init__(self, hold: QueueHold) -> None:
        self._hold = hold

    @property
    def token(self) -> int:
        """The czxid of its node: greater than that of every earlier one with the same prefix."""
        return self._hold.token

    def release(self) -> None:
        """Releases it: its node is gone when this returns.

        Raises :exc:`~zkhelper.LockLost` if the node was gone before, :exc:`~zkhelper.NotHeldError` if it was released
        before, :exc:`~zkhelper.OutcomeUnknownError` if the server did not confirm within the session timeout.
        """
        self._hold.release().wait()

    def __enter__(self) -> QueueHeld:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except ZkhelperError as failure:
            leaving(failure, error, True)

    def __repr__(self) -> str:
        return f"<QueueHeld token={self.token}>"


class QueueLock:
    """A lock whose holder is the node with the lowest name in a queue, made by :meth:`zkhelper.Client.queue_lock`.

    It is for queues whose nodes have another purpose besides. There is no lease: who has to know how long a lock may be
    trusted takes a :class:`~zkhelper.Mutex`.

    >>> job = client.tree().create("/queue/job-", b"work", ephemeral=True, sequential=True)
    >>> queue = client.queue_lock("/queue")
    >>> queue.obtain(job.rpartition("/")[2], timeout=5)
    >>> client.delete(job)  # lets the next one in
    """

    def __init__(self, native: Native, path: str, timeout: float | None, description: str) -> None:
        self._native = native
        self._path = path
        self._timeout = timeout
        self._description = description
        self._held: QueueHeld | None = None
        self._entered: Entered[QueueHeld] = Entered()

    @property
    def path(self) -> str:
        """The queue."""
        return self._path

    def obtain(self, name: str, timeout: float | None = -1) -> None:
        """Waits until a node that exists already, ``name`` below the queue, is the first. Whoever made it keeps it, and
        deletes it to let the next one in.

        ``timeout`` is in seconds; ``None`` waits for ever, 0 does not wait for others. Raises
        :exc:`~zkhelper.LockTimeout`, :exc:`~zkhelper.Interrupted`, :exc:`~zkhelper.ClosedError`, and
        :exc:`~zkhelper.NoNodeError` if the node is not there or was deleted meanwhile.
        """
        self._native.obtain(name, self._timeout if timeout == -1 else timeout).wait()

    def lock(self, timeout: float | None = -1, description: str | None = None) -> QueueHeld:
        """Makes a node at the end of the queue, and waits until it is the first. If this fails the node is gone.

        Arguments and exceptions as with :meth:`obtain`, and :exc:`~zkhelper.SequenceExhaustedError`.
        """
        limit = self._timeout if timeout == -1 else timeout
        text = self._description if description is None else description
        held = QueueHeld(self._native.lock(limit, text).wait())
        self._held = held
        return held

    def try_lock(self, description: str | None = None) -> QueueHeld | None:
        """The same without waiting for others; ``None`` if somebody else is first."""
        try:
            return self.lock(0, description)
        except LockTimeout:
            return None

    def unlock(self) -> None:
        """Releases what :meth:`lock` obtained; see :meth:`QueueHeld.release`."""
        held, self._held = self._held, None
        if held is None:
            raise NotHeldError(f"unlock {self._path!r}: the lock is not held", self._path, "unlock")
        held.release()

    def interrupt(self) -> None:
        """Ends one wait on this object with :exc:`~zkhelper.Interrupted`. If nobody waits, it is remembered, and ends
        the next wait at its beginning. Does not block."""
        self._native.interrupt()

    def close(self) -> None:
        """Ends this object: waits end with :exc:`~zkhelper.ClosedError`, and what is held is released in the
        background. Does not block."""
        self._native.close()

    def __enter__(self) -> QueueHeld:
        return self._entered.push(self.lock())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<QueueLock {self._path!r}>"
