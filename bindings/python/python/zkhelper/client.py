"""The client: a session with ZooKeeper, plain operations, watches, and what makes the recipes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from . import _exit, _journal, _zkhelper
from ._callbacks import Callbacks
from ._options import client_options, elector_options, mutex_options, pid_node_options, queue_lock_options
from ._types import (
    Acl,
    Change,
    Credentials,
    Identity,
    Loss,
    Node,
    Persistent,
    PidEvent,
    Read,
    Revocation,
    Stat,
    State,
    StateEvent,
    Strict,
    Tls,
    WatchEvent,
    create_flags,
    wire,
)
from .elector import Elector
from .errors import ClosedError, ZkhelperError
from .events import Events
from .mutex import Mutex
from .pid_node import PidNode
from .queue_lock import QueueLock
from .tree import Tree

logger = logging.getLogger("zkhelper")


class Client:
    """A connection to ZooKeeper: one session at a time, a new one after each that is lost.

    ``hosts`` is ZooKeeper's connect string, ``host:port,host:port/chroot``. The one word ``embedded`` starts or
    joins this process's own server, which is for development and tests. It begins to connect at once, and
    ``with`` waits for the first session and closes the client at the end. Any thread may use it.

    Times are in seconds; what is not given has the library's default:

    ``session_timeout`` (10)
        how long a lock outlives a program that crashed; the server negotiates it into its own limits
    ``connect_timeout`` (10)
        how long one round over all the servers may take, and ``with`` waits
    ``operation_timeout`` (15)
        the deadline of plain operations
    ``while_suspended`` ("wait")
        whether operations wait for a server while none is connected, or are refused at once ("refuse")
    ``max_backoff`` (1)
        the longest pause between two rounds over the servers
    ``max_frame`` (1 MiB)
        the longest request and answer in bytes: the servers' ``jute.maxbuffer``
    ``auth``
        credentials for every connection, such as ``[("digest", b"user:password")]``
    ``reattach``
        another client's :meth:`credentials`, to go on with its session
    ``renew_interval`` (a sixth of the session timeout)
        how often the locks of this client are renewed, one write for all of them
    ``clock_drift`` (0.01)
        how much faster or slower than another machine's this machine's clock may run, as a fraction
    ``tls``
        a :class:`~zkhelper.Tls`, to connect by TLS
    ``on_state``
        is called with every :class:`~zkhelper.StateEvent`, the present state first

    Callbacks run one after the other on a thread of the client's, and may make blocking calls. What they raise is
    logged. Raises :exc:`~zkhelper.BadAddressError` and :exc:`~zkhelper.BadArgumentError`.

    >>> with zkhelper.Client("embedded") as client:
    ...     client.create("/greeting", b"hello")
    ...     client.get("/greeting").data
    '/greeting'
    b'hello'
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
        self._callbacks = Callbacks("zkhelper-callbacks")
        self._urgent = Callbacks("zkhelper-lost")
        _exit.register(self)
        if on_state is not None:
            self._callbacks.follow(self._native.states(), on_state)

    # ---- the session ----

    def wait_connected(self, timeout: float | None = None) -> int:
        """Waits until a server is connected, at most ``timeout`` seconds (default: ``connect_timeout``), and returns
        the session's id.

        Raises :exc:`~zkhelper.ConnectionLossError`, which says what was wrong with the server tried last,
        :exc:`~zkhelper.AuthFailedError`, :exc:`~zkhelper.ClosedError`.
        """
        return self._native.wait_connected(self._connect_timeout if timeout is None else timeout).wait()

    def close(self, timeout: float = 5.0) -> None:
        """Ends the session at the server: its locks and ephemeral nodes are gone when this returns.

        While no server is connected it tries for ``timeout`` seconds to reach one. Raises
        :exc:`~zkhelper.ClosedError` if the server did not confirm in time; the session then ends by its timeout.
        Either way nothing of this client goes on. A second close does nothing.
        """
        self._native.close(timeout).wait()

    def __enter__(self) -> Client:
        try:
            self.wait_connected()
        except BaseException:
            # Nobody else could.
            self._native.close(0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except ClosedError as failure:
            # The block is done: whether the server heard of the end concerns the next one only.
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

    def credentials(self) -> Credentials:
        """What another client, also of another process, needs to go on with this session."""
        return Credentials(*self._native.credentials())

    def states(self) -> Events[StateEvent]:
        """Every change of state, the present state first, in order and without gaps. It ends behind ``CLOSED``.

        >>> next(client.states()).state
        <State.CONNECTED: 'connected'>
        """
        return Events(self._native.states())

    def add_auth(self, scheme: str, credentials: bytes) -> None:
        """Adds credentials for this connection and every later one; returns when the server has taken them.

        Raises :exc:`~zkhelper.AuthFailedError` if it refuses them, which ends the client.
        """
        self._native.add_auth(scheme, credentials).wait()

    def who_am_i(self) -> list[Identity]:
        """Who the server takes this client for (servers from 3.7 on)."""
        return self._native.who_am_i().wait()

    # ---- plain operations ----

    def create(
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
        """Creates a node and returns its path, which a sequential one gets from the server.

        An ``ephemeral`` node goes with the session; a ``container`` some time after its last child; one with a
        ``ttl`` (seconds) when nothing changed it for so long. ``acl`` is by default everything to anyone.

        Raises :exc:`~zkhelper.NodeExistsError`, :exc:`~zkhelper.NoNodeError` if the parent does not exist,
        :exc:`~zkhelper.NoAuthError`, :exc:`~zkhelper.BadPathError`; like every operation
        :exc:`~zkhelper.NotSentError` if it had no effect, and :exc:`~zkhelper.OutcomeUnknownError` if it may have
        had one.

        >>> client.create("/job-", b"data", sequential=True)
        '/job-0000000000'
        """
        flags = create_flags(ephemeral, sequential, container, ttl)
        return self._native.create(path, data, acl, flags, ttl).wait()

    def delete(self, path: str, version: int = -1) -> None:
        """Deletes a node, at this version unless it is -1.

        Raises :exc:`~zkhelper.NoNodeError`, :exc:`~zkhelper.NotEmptyError`, :exc:`~zkhelper.BadVersionError`.
        """
        self._native.delete(path, version).wait()

    def exists(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> Stat | None:
        """A node's status, or ``None`` where there is no node. ``watch`` is called once, when the node is
        created, changed or deleted, or the session is over."""
        op, stream = self._native.exists(path, watch is not None)
        stat = op.wait()
        if stream is not None and watch is not None:
            self._callbacks.follow(stream, watch)
        return stat

    def get(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> Node:
        """A node's data and status. ``watch`` is called once, when it changes or is deleted, or the session is
        over. Raises :exc:`~zkhelper.NoNodeError`.

        >>> path = client.create("/a", b"1")
        >>> data, stat = client.get("/a")
        >>> data, stat.version
        (b'1', 0)
        """
        op, stream = self._native.get(path, watch is not None)
        node = op.wait()
        if stream is not None and watch is not None:
            self._callbacks.follow(stream, watch)
        return node

    def children(self, path: str, *, watch: Callable[[WatchEvent], object] | None = None) -> list[str]:
        """The names of a node's children, sorted. ``watch`` is called once, when a child is created or deleted, or
        the session is over. Raises :exc:`~zkhelper.NoNodeError`."""
        op, stream = self._native.children(path, watch is not None)
        names = op.wait()
        if stream is not None and watch is not None:
            self._callbacks.follow(stream, watch)
        return names

    def set(self, path: str, data: bytes, version: int = -1) -> Stat:
        """Sets a node's data, at this version unless it is -1, and returns its new status.

        Raises :exc:`~zkhelper.NoNodeError`, :exc:`~zkhelper.BadVersionError`.
        """
        return self._native.set(path, data, version).wait()

    def get_acl(self, path: str) -> tuple[list[Acl], Stat]:
        """A node's access control list, and its status."""
        return self._native.get_acl(path).wait()

    def set_acl(self, path: str, acl: Sequence[Acl], version: int = -1) -> Stat:
        """Sets a node's access control list, at this ACL version unless it is -1, and returns its new status."""
        return self._native.set_acl(path, acl, version).wait()

    def sync(self, path: str) -> None:
        """Waits until the server has caught up with its leader. That proves no quorum."""
        self._native.sync(path).wait()

    def multi(self, operations: Iterable[Change]) -> list[str | Stat | None]:
        """Several changes as one transaction: all of them or none.

        Returns for each the created path, the new status, or ``None``. If one fails, its exception is raised, and
        names its path.

        >>> client.multi([zkhelper.Create("/pair"), zkhelper.Create("/pair/one"), zkhelper.Check("/pair", 0)])
        ['/pair', '/pair/one', None]
        """
        return self._native.multi(wire(operations)).wait()

    def multi_read(self, operations: Iterable[Read]) -> list[Node | list[str] | ZkhelperError]:
        """Several reads in one request; each has its own result, or its exception in the place of it."""
        return self._native.multi_read(wire(operations)).wait()

    def ephemerals(self, prefix: str = "/") -> list[str]:
        """The paths of this session's ephemeral nodes that begin with ``prefix``, sorted (servers from 3.6 on)."""
        return self._native.ephemerals(prefix).wait()

    def all_children_number(self, path: str) -> int:
        """The number of nodes below a path (servers from 3.6 on)."""
        return self._native.all_children_number(path).wait()

    def watch(
        self,
        path: str,
        *,
        recursive: bool = False,
        callback: Callable[[WatchEvent], object] | None = None,
    ) -> Events[WatchEvent]:
        """A watch that stays, across reconnects and sessions, until it is closed: on a node and its list of
        children, or on everything below it (servers from 3.6 on). It needs no node at the path.

        Its events are iterated over, or handed to ``callback``, but not both. After a reconnect it tells that
        events may have been missed (``MAY_HAVE_MISSED``).

        >>> events = client.watch("/watched", recursive=True)
        >>> path = client.create("/watched")
        >>> events.next(timeout=10)
        WatchEvent(kind=<WatchEventKind.CREATED: 'created'>, path='/watched')
        >>> events.close()
        """
        stream = self._native.watch(path, recursive).wait()
        if callback is not None:
            self._callbacks.follow(stream, callback)
        return Events(stream)

    # ---- recipes ----

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
        """A lock on a path. Nothing is sent before it is locked.

        ``timeout`` (seconds; ``None`` waits for ever) and ``description`` are for ``with`` and for
        :meth:`Mutex.lock` where it is given none. ``contents`` are further keys of the JSON object in the lock
        node. ``extra_lock_patterns`` are what goes before the number in other contenders' names, besides ``lock-``
        and ``__lock__``. ``strict`` is for exclusion that counts on nothing of the servers, ``persistent``
        for a lock that outlasts its owner's session. ``on_revocation`` is called with a
        :class:`~zkhelper.Revocation` when somebody asks for the lock that this object holds. ``on_lost`` is called
        with a :class:`~zkhelper.Loss` for each lock of this object that is lost. Leaving ``with`` after a loss raises
        :exc:`~zkhelper.LockLost`, unless ``raise_on_loss`` is false.

        Raises :exc:`~zkhelper.BadPathError`, which names the rule that the path breaks,
        :exc:`~zkhelper.BadArgumentError`.

        >>> with client.mutex("/locks/report", timeout=5, description="nightly report") as held:
        ...     held.is_held()
        True
        """
        options = mutex_options(acl, contents, extra_lock_patterns, strict, persistent, clock_drift)
        native = self._native.mutex(path, options)
        if on_revocation is not None:
            self._callbacks.follow(native.revocations(), on_revocation)
        return Mutex(native, path, self._urgent, timeout, description, raise_on_loss, on_lost)

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
        """A part in an election. Two terms never overlap, whatever the servers do, if all candidates use the same lease
        and grace, and every task ends within the grace once it was told to.

        ``lease`` (seconds, 10) is how long a leader believes after the last renewal that a quorum committed, ``grace``
        (seconds, 5; ``math.inf`` gives that promise up) how long a task may take to end. ``abort_when_overdue`` aborts
        the process where a task outlives its grace; ``on_overdue`` is called with the term's token. ``min_backoff``
        (0.1) and ``max_backoff`` (60) are the pauses after failures, in seconds. ``raise_on_loss`` says whether
        leaving ``with`` on a term raises :exc:`~zkhelper.LockLost` after the lead was lost.

        Raises :exc:`~zkhelper.BadPathError`, :exc:`~zkhelper.BadArgumentError`.

        >>> elector = client.elector("/election")
        >>> def lead(term):
        ...     print("leads")
        ...     elector.interrupt()
        ...     term.stopped.wait()
        >>> elector.run(lead)
        leads
        """
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
            self._urgent.follow(native.overdue(), on_overdue)
        return Elector(native, path, self._urgent, raise_on_loss)

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
        """A lock on a queue, the parent of the nodes that wait. ``prefix`` goes before the number in the names of nodes
        that the lock makes itself, by default ``lock-``; ``timeout`` (seconds) and ``description`` are for ``with``.

        >>> with client.queue_lock("/jobs", timeout=5) as turn:
        ...     turn.token > 0
        True
        """
        native = self._native.queue_lock(path, queue_lock_options(prefix, acl, contents))
        return QueueLock(native, path, timeout, description)

    def pid_node(
        self,
        path: str,
        data: bytes | None = None,
        *,
        acl: Sequence[Acl] | None = None,
        take_over: str | None = None,
        wait: float | None = None,
        on_event: Callable[[PidEvent], object] | None = None,
    ) -> PidNode:
        """Makes a node that says that this process lives, and keeps it from then on; its parent has to exist. Its data
        are by default the process's number.

        A node in the way is waited for, at most ``wait`` seconds, by default one and a half session timeouts: a dead
        owner's goes by then. ``take_over`` says whose may be replaced: "never" (the default), "dead" (one that no
        session keeps), or "live". ``on_event`` is called with every :class:`~zkhelper.PidMade`,
        :class:`~zkhelper.PidLost` and :class:`~zkhelper.PidRefused`.

        Raises :exc:`~zkhelper.NodeExistsError` for a live owner's node, :exc:`~zkhelper.NoNodeError`.

        >>> with client.pid_node("/pid") as node:
        ...     node.is_there(), int(client.get("/pid").data) == os.getpid()
        (True, True)
        """
        options = pid_node_options(acl, take_over, wait)
        content = str(os.getpid()).encode() if data is None else data
        native = self._native.pid_node(path, content, options).wait()
        if on_event is not None:
            self._callbacks.follow(native.events(), on_event)
        return PidNode(native, path)

    def tree(self) -> Tree:
        """Operations on whole trees of nodes: creating with parents, deleting, listing, glob."""
        return Tree(self._native.tree())

    def __repr__(self) -> str:
        return f"<Client session {self.session_id:#x}, {self.state.value}>"
