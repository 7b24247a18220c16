"""The same for :mod:`asyncio`: every call that blocks in :mod:`zkhelper` is awaited here, under the same name.

Cancelling a task cancels what it waits for, and never leaks a lock: one that was granted at that moment is released.
Waiting takes no thread, and callbacks run in the event loop; they may be coroutine functions.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from . import _exit, _journal, _zkhelper, client, elector, events, mutex, pid_node, queue_lock, tree
from ._options import client_options, elector_options, mutex_options, pid_node_options, queue_lock_options
from ._options import patterns as checked
from ._types import (
    Acl,
    Change,
    Contender,
    Credentials,
    Identity,
    Leader,
    LeaderChange,
    Loss,
    LossReason,
    Matches,
    Node,
    Persistent,
    PidEvent,
    Read,
    Revocation,
    Stat,
    State,
    StateEvent,
    Stop,
    Strict,
    Tls,
    WatchEvent,
    create_flags,
    stop,
    wire,
)
from ._zkhelper import Elector as NativeElector
from ._zkhelper import Hold, Mailbox, Op, QueueHold, Stream
from ._zkhelper import Mutex as NativeMutex
from ._zkhelper import PidNode as NativePidNode
from ._zkhelper import QueueLock as NativeQueueLock
from ._zkhelper import Term as NativeTerm
from ._zkhelper import Tree as NativeTree
from .errors import ClosedError, Interrupted, LockTimeout, NotHeldError, ZkhelperError
from .mutex import leaving

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class _Leaves(Protocol):
    """What has an end."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


H = TypeVar("H", bound=_Leaves)

logger = logging.getLogger("zkhelper")


class _Loop:
    """Wakes an event loop's tasks when their operations have ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._mailbox = Mailbox()
        self._keys = itertools.count()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        loop.add_reader(self._mailbox.fileno(), self._drain)

    def _drain(self) -> None:
        for key in self._mailbox.drain():
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(None)

    async def run(self, op: Op[T]) -> T:
        key = next(self._keys)
        future = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        op.notify(self._mailbox, key)
        try:
            await future
        except BaseException:
            # What it was granted meanwhile goes back.
            op.cancel()
            raise
        finally:
            self._waiting.pop(key, None)
        # The answer is taken by the task that waits for it and by nobody before: it cannot get lost on the way.
        return op.result()


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = weakref.WeakKeyDictionary()


async def _run(op: Op[T]) -> T:
    loop = asyncio.get_running_loop()
    waker = _loops.get(loop)
    if waker is None:
        waker = _loops[loop] = _Loop(loop)
    return await waker.run(op)


async def _call(callback: Callable[[T], object], event: T) -> None:
    try:
        answer = callback(event)
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        logger.exception("a callback failed")


#: Tasks that hand events to callbacks; a loop itself keeps only weak references to its tasks.
_tasks: set[asyncio.Task[None]] = set()


def _spawn(work: Awaitable[None]) -> None:
    async def run() -> None:
        await work

    task = asyncio.get_running_loop().create_task(run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _follow(stream: Stream[T], callback: Callable[[T], object]) -> None:
    while (event := await _run(stream.next())) is not None:
        await _call(callback, event)


class Granted(Coroutine[Any, Any, H]):
    """What is to be granted: ``await`` gives it, and ``async with`` gives it back at the end."""

    def __init__(self, work: Coroutine[Any, Any, H]) -> None:
        self._work = work
        self._granted: H | None = None

    def __await__(self) -> Generator[Any, Any, H]:
        return self._work.__await__()

    def send(self, value: Any) -> Any:
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    async def __aenter__(self) -> H:
        self._granted = await self._work
        return self._granted

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._granted is not None:
            await self._granted.__aexit__(kind, error, trace)


def _twin(of: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Documents a method by its blocking twin, without the example."""

    def document(method: Callable[P, R]) -> Callable[P, R]:
        method.__doc__ = (inspect.getdoc(of) or "").split(">>>")[0].rstrip()
        return method

    return document


class Events(Generic[T]):
    """Events to iterate over with ``async for``, until :meth:`close` or the client's end. They wait in memory until
    they are taken."""

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream

    @_twin(events.Events.next)
    async def next(self, timeout: float | None = None) -> T | None:
        return await _run(self._stream.next(timeout))

    @_twin(events.Events.close)
    def close(self) -> None:
        self._stream.close()

    def __aiter__(self) -> Events[T]:
        return self

    async def __anext__(self) -> T:
        event = await self.next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Events[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Lost:
    """Whether a lock that was held is lost: an event, like :class:`asyncio.Event`, that also says why.

    It is set by the time that :meth:`Held.valid_for` gave at the latest, also while the server is frozen or cut
    off. A process that was paused learns of it when it goes on.
    """

    def __init__(self, hold: Hold) -> None:
        self._hold = hold

    @_twin(mutex.Lost.is_set)
    def is_set(self) -> bool:
        return self._hold.loss() is not None

    def __bool__(self) -> bool:
        return self.is_set()

    @property
    def reason(self) -> LossReason | None:
        """Why it is lost; ``None`` if it is not."""
        loss = self._hold.loss()
        return None if loss is None else LossReason(loss)

    @_twin(mutex.Lost.wait)
    async def wait(self, timeout: float | None = None) -> bool:
        return await _run(self._hold.lost(timeout)) is not None

    def add_callback(self, callback: Callable[[Loss], object]) -> None:
        """Calls ``callback`` in the event loop with a :class:`~zkhelper.Loss` if the lock is lost; soon if it is.

        It may be a coroutine function. What it raises is logged.
        """
        lost, token = self._hold.lost(), self._hold.token

        async def follow() -> None:
            reason = await _run(lost)
            if reason is not None:
                await _call(callback, Loss(token, LossReason(reason)))

        _spawn(follow())


class Held:
    """A lock that is held: what :meth:`Mutex.lock` returns, and ``async with`` on a mutex gives.

    Leaving ``async with`` on it releases it.
    """

    def __init__(self, hold: Hold, raise_on_loss: bool) -> None:
        self._hold = hold
        self._raise_on_loss = raise_on_loss
        #: Tells of the loss of the lock.
        self.lost = Lost(hold)

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier holder of the path."""
        return self._hold.token

    @_twin(mutex.Held.valid_for)
    def valid_for(self) -> float:
        return self._hold.valid_for()

    @_twin(mutex.Held.is_held)
    def is_held(self) -> bool:
        return self._hold.is_held()

    @_twin(mutex.Held.release)
    async def release(self) -> None:
        await _run(self._hold.release())

    @_twin(mutex.Held.guarded)
    async def guarded(self, operations: Iterable[Change]) -> list[str | Stat | None]:
        return await _run(self._hold.guarded(wire(operations)))

    async def __aenter__(self) -> Held:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.release()
        except ZkhelperError as failure:
            leaving(failure, error, self._raise_on_loss)

    def __repr__(self) -> str:
        return f"<Held token={self.token} {'held' if self.is_held() else 'not held'}>"


class _Entered(Generic[T]):
    """What each task entered by ``async with`` on an object that many may use."""

    def __init__(self) -> None:
        self._stacks: dict[asyncio.Task[Any] | None, list[T]] = {}

    def push(self, held: T) -> T:
        self._stacks.setdefault(asyncio.current_task(), []).append(held)
        return held

    def pop(self) -> T:
        task = asyncio.current_task()
        stack = self._stacks[task]
        held = stack.pop()
        if not stack:
            del self._stacks[task]
        return held


class Mutex:
    """A distributed lock on one path, made by :meth:`Client.mutex`. Nobody has it before it is locked.

    Whoever locks the same path, from any language and any machine, is excluded. Any number of tasks may use one
    object: a second lock on it waits for the first.
    """

    def __init__(
        self,
        native: NativeMutex,
        path: str,
        timeout: float | None,
        description: str,
        raise_on_loss: bool,
        on_lost: Callable[[Loss], object] | None,
    ) -> None:
        self._native = native
        self._path = path
        self._timeout = timeout
        self._description = description
        self._raise_on_loss = raise_on_loss
        self._on_lost = on_lost
        self._held: Held | None = None
        self._entered: _Entered[Held] = _Entered()

    @property
    def path(self) -> str:
        """The path contended for."""
        return self._path

    @_twin(mutex.Mutex.lock)
    def lock(self, timeout: float | None = -1, description: str | None = None) -> Granted[Held]:
        return Granted(self._lock(timeout, description))

    async def _lock(self, timeout: float | None, description: str | None) -> Held:
        limit = self._timeout if timeout == -1 else timeout
        text = self._description if description is None else description
        held = Held(await _run(self._native.lock(limit, text)), self._raise_on_loss)
        if self._on_lost is not None:
            held.lost.add_callback(self._on_lost)
        self._held = held
        return held

    @_twin(mutex.Mutex.try_lock)
    async def try_lock(self, description: str | None = None) -> Held | None:
        try:
            return await self.lock(0, description)
        except LockTimeout:
            return None

    @_twin(mutex.Mutex.unlock)
    async def unlock(self) -> None:
        held, self._held = self._held, None
        if held is None:
            raise NotHeldError(f"unlock {self._path!r}: the lock is not held", self._path, "unlock")
        await held.release()

    @_twin(mutex.Mutex.is_held)
    def is_held(self) -> bool:
        return self._held is not None and self._held.is_held()

    @_twin(mutex.Mutex.contenders)
    async def contenders(self) -> list[Contender]:
        return await _run(self._native.contenders())

    @_twin(mutex.Mutex.reset)
    async def reset(self) -> None:
        await _run(self._native.reset())

    @_twin(mutex.Mutex.revocations)
    def revocations(self) -> Events[Revocation]:
        return Events(self._native.revocations())

    @_twin(mutex.Mutex.request_revocation)
    async def request_revocation(self, name: str, reason: str = "") -> None:
        await _run(self._native.request_revocation(name, reason))

    @_twin(mutex.Mutex.release_dead)
    async def release_dead(self, name: str) -> None:
        await _run(self._native.release_dead(name))

    @_twin(mutex.Mutex.release_by_force)
    async def release_by_force(self, name: str, czxid: int) -> None:
        await _run(self._native.release_by_force(name, czxid))

    @_twin(mutex.Mutex.interrupt)
    def interrupt(self) -> None:
        self._native.interrupt()

    @_twin(mutex.Mutex.close)
    def close(self) -> None:
        self._native.close()

    async def __aenter__(self) -> Held:
        return self._entered.push(await self.lock())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._entered.pop().__aexit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<Mutex {self._path!r}>"


class Stopped:
    """Whether a leader's term has to end: an event, like :class:`asyncio.Event`, that also says why.

    It is set when the lease runs out at the latest, also while the server is frozen or cut off. The grace begins then.
    """

    def __init__(self, term: NativeTerm) -> None:
        self._term = term

    @_twin(elector.Stopped.is_set)
    def is_set(self) -> bool:
        return self._term.stop() is not None

    def __bool__(self) -> bool:
        return self.is_set()

    @property
    def reason(self) -> Stop | None:
        """Why it has to end; ``None`` if it need not."""
        found = self._term.stop()
        return None if found is None else stop(found)

    @_twin(elector.Stopped.wait)
    async def wait(self, timeout: float | None = None) -> bool:
        return await _run(self._term.stopped(timeout)) is not None

    def add_callback(self, callback: Callable[[Stop], object]) -> None:
        """Calls ``callback`` in the event loop with a :class:`~zkhelper.Stop` when the term has to end; soon if it has.

        It may be a coroutine function. What it raises is logged.
        """
        stopped = self._term.stopped()

        async def follow() -> None:
            found = await _run(stopped)
            if found is not None:
                await _call(callback, stop(found))

        _spawn(follow())


class Term:
    """A leader's term: what :meth:`Elector.campaign` returns. Leaving ``async with`` on it ends it."""

    def __init__(self, native: NativeTerm, raise_on_loss: bool) -> None:
        self._native = native
        self._raise_on_loss = raise_on_loss
        #: Tells when the term has to end.
        self.stopped = Stopped(native)

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier leader."""
        return self._native.token

    @_twin(elector.Term.valid_for)
    def valid_for(self) -> float:
        return self._native.valid_for()

    @_twin(elector.Term.is_leading)
    def is_leading(self) -> bool:
        return self._native.is_leading()

    @_twin(elector.Term.resign)
    def resign(self) -> bool:
        return self._native.resign()

    @_twin(elector.Term.end)
    async def end(self) -> None:
        await _run(self._native.end())

    async def __aenter__(self) -> Term:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.end()
        except ZkhelperError as failure:
            leaving(failure, error, self._raise_on_loss)

    def __repr__(self) -> str:
        return f"<Term token={self.token} {'leading' if self.is_leading() else 'not leading'}>"


class Task(Protocol):
    """What a leader does, as an object. Besides ``run`` it may have ``stop(why)``, which is called in the event loop
    with a :class:`~zkhelper.Stop` when ``run`` has to return, and ``interrupted()``, which is asked after ``run`` and
    ends the election for this elector by returning true."""

    async def run(self, term: Any) -> object:
        """The work of one term, a :class:`Term`."""


#: A coroutine function of the term, or an object.
AnyTask: TypeAlias = Callable[[Term], Awaitable[object]] | Task


class Elector:
    """A part in an election, made by :meth:`Client.elector`. Nothing is sent before it campaigns."""

    def __init__(self, native: NativeElector, path: str, raise_on_loss: bool) -> None:
        self._native = native
        self._path = path
        self._raise_on_loss = raise_on_loss

    @property
    def path(self) -> str:
        """The path of the election."""
        return self._path

    @_twin(elector.Elector.campaign)
    def campaign(self) -> Granted[Term]:
        return Granted(self._campaign())

    async def _campaign(self) -> Term:
        return Term(await _run(self._native.campaign()), self._raise_on_loss)

    async def run(self, task: AnyTask) -> None:
        """Runs a task in each term, and is a candidate again after it ended.

        ``task`` is a coroutine function of the :class:`Term`, or an object with ``run(term)`` (see :class:`Task`). It
        has to return within the grace once ``term.stopped`` is set. An exception in it is logged, and the next campaign
        waits a while, longer each time; :exc:`~zkhelper.Interrupted` ends the election for this elector. Returns after
        that, or after :meth:`interrupt` or :meth:`close`, when the task has ended. Raises what :meth:`campaign` raises
        but for what passes by itself. Cancelling it cancels the task, and ends the term once that has ended.
        """
        course = self._native.course()
        while True:
            try:
                native = await _run(course.next())
            except (Interrupted, ClosedError):
                return
            try:
                outcome = await self._perform(task, Term(native, False))
            except BaseException:
                # Cancelled: the release goes on by itself.
                native.end()
                raise
            try:
                await _run(course.ended(native, outcome))
            except (Interrupted, ClosedError):
                return

    async def _perform(self, task: AnyTask, term: Term) -> str:
        run, told, interrupted = elector.parts(task)
        if told is not None:
            term.stopped.add_callback(told)
        try:
            await run(term)
        except Interrupted:
            return "interrupted"
        except Exception:
            logger.exception("the leader's task of election %r failed", self._path)
            return "failed"
        return "interrupted" if interrupted is not None and interrupted() else "done"

    @_twin(elector.Elector.interrupt)
    def interrupt(self) -> None:
        self._native.interrupt()

    @_twin(elector.Elector.resign)
    def resign(self) -> bool:
        return self._native.resign()

    @_twin(elector.Elector.close)
    def close(self) -> None:
        self._native.close()

    @_twin(elector.Elector.is_leading)
    def is_leading(self) -> bool:
        return self._native.is_leading()

    @_twin(elector.Elector.leader)
    async def leader(self) -> Leader | None:
        return await _run(self._native.leader())

    @_twin(elector.Elector.leaders)
    def leaders(self) -> Events[LeaderChange]:
        return Events(self._native.leaders())

    @_twin(elector.Elector.candidates)
    async def candidates(self) -> list[Contender]:
        return await _run(self._native.candidates())

    def __repr__(self) -> str:
        return f"<Elector {self._path!r}>"


class QueueHeld:
    """A turn in a queue: what :meth:`QueueLock.lock` returns. Leaving ``async with`` on it releases it."""

    def __init__(self, hold: QueueHold) -> None:
        self._hold = hold

    @property
    def token(self) -> int:
        """The czxid of its node: greater than that of every earlier one with the same prefix."""
        return self._hold.token

    @_twin(queue_lock.QueueHeld.release)
    async def release(self) -> None:
        await _run(self._hold.release())

    async def __aenter__(self) -> QueueHeld:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.release()
        except ZkhelperError as failure:
            leaving(failure, error, True)

    def __repr__(self) -> str:
        return f"<QueueHeld token={self.token}>"


class QueueLock:
    """A lock whose holder is the node with the lowest name in a queue, made by :meth:`Client.queue_lock`.

    It is for queues whose nodes have another purpose besides. There is no lease: who has to know how long a lock may be
    trusted takes a :class:`Mutex`.
    """

    def __init__(self, native: NativeQueueLock, path: str, timeout: float | None, description: str) -> None:
        self._native = native
        self._path = path
        self._timeout = timeout
        self._description = description
        self._held: QueueHeld | None = None
        self._entered: _Entered[QueueHeld] = _Entered()

    @property
    def path(self) -> str:
        """The queue."""
        return self._path

    @_twin(queue_lock.QueueLock.obtain)
    async def obtain(self, name: str, timeout: float | None = -1) -> None:
        await _run(self._native.obtain(name, self._timeout if timeout == -1 else timeout))

    @_twin(queue_lock.QueueLock.lock)
    def lock(self, timeout: float | None = -1, description: str | None = None) -> Granted[QueueHeld]:
        return Granted(self._lock(timeout, description))

    async def _lock(self, timeout: float | None, description: str | None) -> QueueHeld:
        limit = self._timeout if timeout == -1 else timeout
        text = self._description if description is None else description
        held = QueueHeld(await _run(self._native.lock(limit, text)))
        self._held = held
        return held

    @_twin(queue_lock.QueueLock.try_lock)
    async def try_lock(self, description: str | None = None) -> QueueHeld | None:
        try:
            return await self.lock(0, description)
        except LockTimeout:
            return None

    @_twin(queue_lock.QueueLock.unlock)
    async def unlock(self) -> None:
        held, self._held = self._held, None
        if held is None:
            raise NotHeldError(f"unlock {self._path!r}: the lock is not held", self._path, "unlock")
        await held.release()

    @_twin(queue_lock.QueueLock.interrupt)
    def interrupt(self) -> None:
        self._native.interrupt()

    @_twin(queue_lock.QueueLock.close)
    def close(self) -> None:
        self._native.close()

    async def __aenter__(self) -> QueueHeld:
        return self._entered.push(await self.lock())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._entered.pop().__aexit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<QueueLock {self._path!r}>"


class PidNode:
    """A node that exists while its owner lives and is connected, made by :meth:`Client.pid_node`.

    After a session change it is made again, with the same permissions. Leaving ``async with`` on it removes it, and so
    does dropping it.
    """

    def __init__(self, native: NativePidNode, path: str) -> None:
        self._native = native
        self._path = path

    @property
    def path(self) -> str:
        """Its path."""
        return self._path

    @_twin(pid_node.PidNode.is_there)
    def is_there(self) -> bool:
        return self._native.is_there()

    @_twin(pid_node.PidNode.events)
    def events(self) -> Events[PidEvent]:
        return Events(self._native.events())

    @_twin(pid_node.PidNode.close)
    async def close(self) -> None:
        await _run(self._native.close())

    async def __aenter__(self) -> PidNode:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PidNode {self._path!r}>"


class Tree:
    """Operations on whole trees of nodes, made by :meth:`Client.tree`. Many requests are under way at once.

    They take as long as the tree is large. Cancelled, what was not sent by then has no effect.
    """

    def __init__(self, native: NativeTree) -> None:
        self._native = native

    @_twin(tree.Tree.exists)
    async def exists(self, path: str) -> bool:
        return await _run(self._native.exists(path))

    @_twin(tree.Tree.create)
    async def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
    ) -> str:
        return await _run(self._native.create(path, data, acl, create_flags(ephemeral, sequential, container, None)))

    @_twin(tree.Tree.create_all)
    async def create_all(
        self,
        nodes: Iterable[tuple[str, bytes]],
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
    ) -> list[str | ZkhelperError]:
        flags = create_flags(ephemeral, sequential, container, None)
        return await _run(self._native.create_all(list(nodes), acl, flags))

    @_twin(tree.Tree.create_or_update)
    async def create_or_update(
        self,
        path: str,
        data: bytes,
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
        recursive: bool = True,
    ) -> str:
        flags = create_flags(ephemeral, sequential, container, None)
        return await _run(self._native.create_or_update(path, data, acl, flags, recursive))

    @_twin(tree.Tree.children)
    async def children(self, path: str) -> list[str]:
        return await _run(self._native.children(path))

    @_twin(tree.Tree.delete)
    async def delete(self, path: str, version: int = -1) -> None:
        await _run(self._native.delete(path, version))

    @_twin(tree.Tree.glob)
    async def glob(self, patterns: Iterable[str]) -> Matches:
        return await _run(self._native.glob(checked(patterns)))


class Client:
    """A connection to ZooKeeper for tasks of one event loop; its options are those of :class:`zkhelper.Client`.

    ``async with`` waits for the first session, and closes the client at the end. Callbacks run in the event loop that
    runs when they are given, and may be coroutine functions.
    """

    def __init__(
        self,
        hosts: str,
        *,
        session_timeout: float | None = None,
        connect_timeout: float | None = None,
        operation_timeout: float | None = None,
        while_suspended: str | None = None,
        max_backoff: float | None = None,
        max_frame: int | None = None,
        auth: Iterable[tuple[str, bytes]] = (),
        reattach: Credentials | None = None,
        renew_interval: float | None = None,
        clock_drift: float | None = None,
        tls: Tls | None = None,
        on_state: Callable[[StateEvent], object] | None = None,
    ) -> None:
        _journal.start()
        options = client_options(
            session_timeout,
            connect_timeout,
            operation_timeout,
            while_suspended,
            max_backoff,
            max_frame,
            auth,
            reattach,
            renew_interval,
            clock_drift,
            tls,
        )
        self._native = _zkhelper.Client(hosts, options)
        self._connect_timeout = 10.0 if connect_timeout is None else connect_timeout
        _exit.register(self)
        if on_state is not None:
            _spawn(_follow(self._native.states(), on_state))

    # ---- the session ----

    @_twin(client.Client.wait_connected)
    async def wait_connected(self, timeout: float | None = None) -> int:
        return await _run(self._native.wait_connected(self._connect_timeout if timeout is None else timeout))

    @_twin(client.Client.close)
    async def close(self, timeout: float = 5.0) -> None:
        await _run(self._native.close(timeout))

    async def __aenter__(self) -> Client:
        try:
            await self.wait_connected()
        except BaseException:
            # Nobody else could.
            self._native.close(0)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except ClosedError as failure:
            logger.warning("%s", failure)
        except ZkhelperError as failure:
            if error is None:
                raise
            error.add_note(str(failure))

    @property
    def state(self) -> State:
        """What the client is doing about its session; ``CLOSED`` in a forked child."""
        return State(self._native.state())

    @property
    def session_id(self) -> int:
        """The present session's id; 0 while there is none."""
        return self._native.session()[0]

    @property
    def session_timeout(self) -> float:
        """The session timeout that the server agreed to, in seconds."""
        return self._native.session()[2]

    @_twin(client.Client.credentials)
    def credentials(self) -> Credentials:
        return Credentials(*self._native.credentials())

    @_twin(client.Client.states)
    def states(self) -> Events[StateEvent]:
        return Events(self._native.states())

    @_twin(client.Client.add_auth)
    async def add_auth(self, scheme: str, credentials: bytes) -> None:
        await _run(self._native.add_auth(scheme, credentials))

    @_twin(client.Client.who_am_i)
    async def who_am_i(self) -> list[Identity]:
        return await _run(self._native.who_am_i())

    # ---- plain operations ----

    @_twin(client.Client.create)
    async def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        acl: Sequence[Acl] | None = None,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
        ttl: float | None = None,
    ) -> str:
        flags = create_flags(ephemeral, sequential, container, ttl)
        return await _run(self._native.create(path, data, acl, flags, ttl))

    @_twin(client.Client.delete)
    async def delete(self, path: str, version: int = -1) -> None:
        await _run(self._native.delete(path, version))

    @_twin(client.Client.exists)
    async def exists(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> Stat | None:
        op, stream = self._native.exists(path, watch is not None)
        stat = await _run(op)
        if stream is not None and watch is not None:
            _spawn(_follow(stream, watch))
        return stat

    @_twin(client.Client.get)
    async def get(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> Node:
        op, stream = self._native.get(path, watch is not None)
        node = await _run(op)
        if stream is not None and watch is not None:
            _spawn(_follow(stream, watch))
        return node

    @_twin(client.Client.children)
    async def children(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> list[str]:
        op, stream = self._native.children(path, watch is not None)
        names = await _run(op)
        if stream is not None and watch is not None:
            _spawn(_follow(stream, watch))
        return names

    @_twin(client.Client.set)
    async def set(self, path: str, data: bytes, version: int = -1) -> Stat:
        return await _run(self._native.set(path, data, version))

    @_twin(client.Client.get_acl)
    async def get_acl(self, path: str) -> tuple[list[Acl], Stat]:
        return await _run(self._native.get_acl(path))

    @_twin(client.Client.set_acl)
    async def set_acl(self, path: str, acl: Sequence[Acl], version: int = -1) -> Stat:
        return await _run(self._native.set_acl(path, acl, version))

    @_twin(client.Client.sync)
    async def sync(self, path: str) -> None:
        await _run(self._native.sync(path))

    @_twin(client.Client.multi)
    async def multi(self, operations: Iterable[Change]) -> list[str | Stat | None]:
        return await _run(self._native.multi(wire(operations)))

    @_twin(client.Client.multi_read)
    async def multi_read(self, operations: Iterable[Read]) -> list[Node | list[str] | ZkhelperError]:
        return await _run(self._native.multi_read(wire(operations)))

    @_twin(client.Client.ephemerals)
    async def ephemerals(self, prefix: str = "/") -> list[str]:
        return await _run(self._native.ephemerals(prefix))

    @_twin(client.Client.all_children_number)
    async def all_children_number(self, path: str) -> int:
        return await _run(self._native.all_children_number(path))

    @_twin(client.Client.watch)
    async def watch(
        self,
        path: str,
        *,
        recursive: bool = False,
        callback: Callable[[WatchEvent], object] | None = None,
    ) -> Events[WatchEvent]:
        stream = await _run(self._native.watch(path, recursive))
        if callback is not None:
            _spawn(_follow(stream, callback))
        return Events(stream)

    # ---- recipes ----

    @_twin(client.Client.mutex)
    def mutex(
        self,
        path: str,
        *,
        timeout: float | None = None,
        description: str = "",
        acl: Sequence[Acl] | None = None,
        contents: Mapping[str, object] | None = None,
        extra_lock_patterns: Iterable[str] = (),
        strict: Strict | None = None,
        persistent: Persistent | None = None,
        clock_drift: float | None = None,
        raise_on_loss: bool = True,
        on_lost: Callable[[Loss], object] | None = None,
        on_revocation: Callable[[Revocation], object] | None = None,
    ) -> Mutex:
        options = mutex_options(acl, contents, extra_lock_patterns, strict, persistent, clock_drift)
        native = self._native.mutex(path, options)
        if on_revocation is not None:
            _spawn(_follow(native.revocations(), on_revocation))
        return Mutex(native, path, timeout, description, raise_on_loss, on_lost)

    @_twin(client.Client.elector)
    def elector(
        self,
        path: str,
        *,
        lease: float | None = None,
        grace: float | None = None,
        description: str | None = None,
        acl: Sequence[Acl] | None = None,
        contents: Mapping[str, object] | None = None,
        extra_lock_patterns: Iterable[str] = (),
        abort_when_overdue: bool = False,
        min_backoff: float | None = None,
        max_backoff: float | None = None,
        clock_drift: float | None = None,
        raise_on_loss: bool = False,
        on_overdue: Callable[[int], object] | None = None,
    ) -> Elector:
        options = elector_options(
            description,
            acl,
            contents,
            extra_lock_patterns,
            lease,
            grace,
            abort_when_overdue,
            min_backoff,
            max_backoff,
            clock_drift,
        )
        native = self._native.elector(path, options)
        if on_overdue is not None:
            _spawn(_follow(native.overdue(), on_overdue))
        return Elector(native, path, raise_on_loss)

    @_twin(client.Client.queue_lock)
    def queue_lock(
        self,
        path: str,
        *,
        timeout: float | None = None,
        description: str = "",
        prefix: str | None = None,
        acl: Sequence[Acl] | None = None,
        contents: Mapping[str, object] | None = None,
    ) -> QueueLock:
        native = self._native.queue_lock(path, queue_lock_options(prefix, acl, contents))
        return QueueLock(native, path, timeout, description)

    @_twin(client.Client.pid_node)
    def pid_node(
        self,
        path: str,
        data: bytes | None = None,
        *,
        acl: Sequence[Acl] | None = None,
        take_over: str | None = None,
        wait: float | None = None,
        on_event: Callable[[PidEvent], object] | None = None,
    ) -> Granted[PidNode]:
        options = pid_node_options(acl, take_over, wait)
        content = str(os.getpid()).encode() if data is None else data
        return Granted(self._pid_node(self._native.pid_node(path, content, options), path, on_event))

    async def _pid_node(
        self, op: Op[NativePidNode], path: str, on_event: Callable[[PidEvent], object] | None
    ) -> PidNode:
        native = await _run(op)
        if on_event is not None:
            _spawn(_follow(native.events(), on_event))
        return PidNode(native, path)

    @_twin(client.Client.tree)
    def tree(self) -> Tree:
        return Tree(self._native.tree())

    def __repr__(self) -> str:
        return f"<Client session {self.session_id:#x}, {self.state.value}>"


__all__ = [
    "Client",
    "Elector",
    "Events",
    "Granted",
    "Held",
    "Lost",
    "Mutex",
    "PidNode",
    "QueueHeld",
    "QueueLock",
    "Stopped",
    "Task",
    "Term",
    "Tree",
]
