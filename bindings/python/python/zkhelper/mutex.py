"""Distributed locks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, TypeVar

from ._callbacks import Callbacks
from ._types import Change, Contender, Loss, LossReason, Revocation, Stat, wire
from ._zkhelper import Hold, Op
from ._zkhelper import Mutex as Native
from .errors import LockLost, LockTimeout, NotHeldError, ZkhelperError
from .events import Events

logger = logging.getLogger("zkhelper")


class Lost:
    """Whether a lock that was held is lost: an event, like :class:`threading.Event`, that also says why.

    It is set by the time that :meth:`Held.valid_for` gave at the latest, also while the server is frozen or cut
    off. A process that was paused learns of it when it goes on.
    """

    def __init__(self, hold: Hold, urgent: Callbacks) -> None:
        self._hold = hold
        self._urgent = urgent

    def is_set(self) -> bool:
        """Whether the lock is lost."""
        return self._hold.loss() is not None

    def __bool__(self) -> bool:
        return self.is_set()

    @property
    def reason(self) -> LossReason | None:
        """Why it is lost; ``None`` if it is not."""
        loss = self._hold.loss()
        return None if loss is None else LossReason(loss)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the loss, at most ``timeout`` seconds; ``None`` waits until the lock is lost or released.

        Returns whether it is lost.
        """
        return self._hold.lost(timeout).wait() is not None

    def add_callback(self, callback: Callable[[Loss], object]) -> None:
        """Calls ``callback`` with a :class:`~zkhelper.Loss` if the lock is lost; at once if it is.

        It runs on a thread that runs nothing but these, and may make blocking calls. What it raises is logged.
        """
        token = self._hold.token

        def ended(op: Op[int | None]) -> None:
            reason = op.result()
            if reason is not None:
                callback(Loss(token, LossReason(reason)))

        self._urgent.add(self._hold.lost(), ended)


class Held:
    """A lock that is held: what :meth:`Mutex.lock` returns, and ``with`` on a mutex gives.

    Leaving ``with`` on it releases it.
    """

    def __init__(self, hold: Hold, urgent: Callbacks, raise_on_loss: bool) -> None:
        self._hold = hold
        self._raise_on_loss = raise_on_loss
        #: Tells of the loss of the lock.
        self.lost = Lost(hold, urgent)

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier holder of the path.

        Let the resource that the lock protects refuse a token smaller than the largest it has seen.
        """
        return self._hold.token

    def valid_for(self) -> float:
        """How many seconds from now the lock is certain to be held, if nothing renews it further; 0 if it is not."""
        return self._hold.valid_for()

    def is_held(self) -> bool:
        """Whether it is held for certain, at this moment."""
        return self._hold.is_held()

    def release(self) -> None:
        """Releases the lock: its node is gone when this returns.

        Raises :exc:`~zkhelper.LockLost` if the lock was lost meanwhile, :exc:`~zkhelper.NotHeldError` if it was
        released before, :exc:`~zkhelper.OutcomeUnknownError` if the server did not confirm within the session
        timeout: the release then goes on by itself. In each case the lock is no longer held here.
        """
        self._hold.release().wait()

    def guarded(self, operations: Iterable[Change]) -> list[str | Stat | None]:
        """Changes ZooKeeper in one transaction that is committed only while this lock is held.

        Raises :exc:`~zkhelper.LockLost` if it is not held any more; nothing was changed then.

        >>> with client.mutex("/locks/report") as held:
        ...     held.guarded([zkhelper.Create("/report", b"done")])
        ['/report']
        """
        return self._hold.guarded(wire(operations)).wait()

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except ZkhelperError as failure:
            leaving(failure, error, self._raise_on_loss)

    def __repr__(self) -> str:
        return f"<Held token={self.token} {'held' if self.is_held() else 'not held'}>"


def leaving(failure: ZkhelperError, error: BaseException | None, raise_on_loss: bool) -> None:
    """What to do with a release that failed at the end of a block; ``error`` is what the block itself raised."""
    if isinstance(failure, NotHeldError):
        # The block released it itself.
        return
    if error is not None:
        error.add_note(str(failure))
    elif raise_on_loss or not isinstance(failure, LockLost):
        raise failure


H = TypeVar("H")


class Entered(Generic[H]):
    """What each thread entered by ``with`` on an object that many may use."""

    def __init__(self) -> None:
        self._stacks: dict[int, list[H]] = {}

    def push(self, held: H) -> H:
        self._stacks.setdefault(threading.get_ident(), []).append(held)
        return held

    def pop(self) -> H:
        thread = threading.get_ident()
        stack = self._stacks[thread]
        held = stack.pop()
        if not stack:
            del self._stacks[thread]
        return held


class Mutex:
    """A distributed lock on one path, made by :meth:`zkhelper.Client.mutex`. Nobody has it before it is locked.

    Whoever locks the same path, from any language and any machine, is excluded. Any number of threads may use one
    object: a second lock on it waits for the first.

    >>> with client.mutex("/locks/report", timeout=5) as held:
    ...     held.token > 0, held.is_held(), held.valid_for() > 0
    (True, True, True)
    """

    def __init__(
        self,
        native: Native,
        path: str,
        urgent: Callbacks,
        timeout: float | None,
        description: str,
        raise_on_loss: bool,
        on_lost: Callable[[Loss], object] | None,
    ) -> None:
        self._native = native
        self._path = path
        self._urgent = urgent
        self._timeout = timeout
        self._description = description
        self._raise_on_loss = raise_on_loss
        self._on_lost = on_lost
        self._held: Held | None = None
        self._entered: Entered[Held] = Entered()

    @property
    def path(self) -> str:
        """The path contended for."""
        return self._path

    def lock(self, timeout: float | None = -1, description: str | None = None) -> Held:
        """Takes the lock, waiting at most ``timeout`` seconds.

        ``None`` waits for ever, 0 takes it only if nobody holds it or waits for it; without one, that of
        :meth:`zkhelper.Client.mutex` counts. ``description`` is for whoever looks at the lock node.

        Raises :exc:`~zkhelper.LockTimeout`, :exc:`~zkhelper.Interrupted`, :exc:`~zkhelper.ClosedError`,
        :exc:`~zkhelper.SequenceExhaustedError`, and what the server says, such as :exc:`~zkhelper.NoAuthError`.
        Whatever it raises, also ``KeyboardInterrupt``, no node of it stays in the queue.

        The lock stays held until it is released, or nothing refers to the mutex and to what this returned.

        >>> held = client.mutex("/locks/report").lock(timeout=5)
        >>> held.release()
        """
        limit = self._timeout if timeout == -1 else timeout
        text = self._description if description is None else description
        held = Held(self._native.lock(limit, text).wait(), self._urgent, self._raise_on_loss)
        if self._on_lost is not None:
            held.lost.add_callback(self._on_lost)
        self._held = held
        return held

    def try_lock(self, description: str | None = None) -> Held | None:
        """Takes the lock if nobody holds it or waits for it, and else returns ``None``."""
        try:
            return self.lock(0, description)
        except LockTimeout:
            return None

    def unlock(self) -> None:
        """Releases the lock that this object holds, whichever thread took it; see :meth:`Held.release`."""
        held, self._held = self._held, None
        if held is None:
            raise NotHeldError(f"unlock {self._path!r}: the lock is not held", self._path, "unlock")
        held.release()

    def is_held(self) -> bool:
        """Whether this object holds the lock for certain, at this moment."""
        held = self._held
        return held is not None and held.is_held()

    def contenders(self) -> list[Contender]:
        """Everybody who holds the lock or waits for it, in the order of service."""
        return self._native.contenders().wait()

    def reset(self) -> None:
        """Lets the numbers of an idle lock begin at 0 again: the remedy for
        :exc:`~zkhelper.SequenceExhaustedError`. Tokens go on growing.

        Raises :exc:`~zkhelper.NotEmptyError` while anybody holds the lock or waits for it.
        """
        self._native.reset().wait()

    def revocations(self) -> Events[Revocation]:
        """The requests to give up a lock that this object holds, from now on; the holder decides what to do. Each is
        told once, also one that was made while the holder still waited."""
        return Events(self._native.revocations())

    def request_revocation(self, name: str, reason: str = "") -> None:
        """Asks a contender to give the lock up, by the name of its node (see :meth:`contenders`). Nothing is forced.

        Raises :exc:`~zkhelper.NoNodeError`, :exc:`~zkhelper.NoAuthError`, and :exc:`~zkhelper.UnsupportedError` for the
        node of a library that knows no such request.
        """
        self._native.request_revocation(name, reason).wait()

    def release_dead(self, name: str) -> None:
        """Releases the persistent lock node ``name`` if its owner is gone. It waits as long as the owner may still
        believe: its lease and a little more. Interrupted, it leaves the lock as it was.

        Raises :exc:`~zkhelper.NodeExistsError` while the owner lives, :exc:`~zkhelper.NoNodeError`,
        :exc:`~zkhelper.UnsupportedError` where the node does not say who owns it, and
        :exc:`~zkhelper.BadArgumentError` for an ephemeral node, which ends with its session.
        """
        self._native.release_dead(name).wait()

    def release_by_force(self, name: str, czxid: int) -> None:
        """Releases the persistent lock node ``name``, whether its owner lives or not: for a human who knows that nobody
        relies on it any more. ``czxid`` says which one is meant, as :meth:`contenders` shows it.

        Raises :exc:`~zkhelper.BadVersionError` where the node has another one: nothing is deleted then.
        """
        self._native.release_by_force(name, czxid).wait()

    def interrupt(self) -> None:
        """Ends one wait for the lock on this object with :exc:`~zkhelper.Interrupted`. If nobody waits, it is
        remembered, and ends the next wait at its beginning. A lock that is held stays so. Does not block."""
        self._native.interrupt()

    def close(self) -> None:
        """Ends this object: waits end with :exc:`~zkhelper.ClosedError`, and a lock that it holds is released in the
        background. Does not block."""
        self._native.close()

    def __enter__(self) -> Held:
        return self._entered.push(self.lock())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<Mutex {self._path!r}>"
