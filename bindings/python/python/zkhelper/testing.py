"""A ZooKeeper server inside the process, for tests: in memory, up in milliseconds, and it fails on request."""

from __future__ import annotations

from types import TracebackType

from . import _journal, _zkhelper
from ._types import SessionInfo


class Server:
    """An in-memory ZooKeeper server on the loopback interface. It speaks ZooKeeper's own protocol, so that every
    client may use it, and answers what Apache ZooKeeper 3.9 answers. It is not for production.

    ``port`` 0 takes a free one. ``tick`` is in seconds: session timeouts lie between 2 and 20 ticks.
    Raises :exc:`~zkhelper.BadAddressError` if the port cannot be had.

    >>> with zkhelper.testing.Server() as server, zkhelper.Client(server.address) as client:
    ...     server.cut("create", 1, after_applying=True)
    ...     try:
    ...         client.create("/a")
    ...     except zkhelper.OutcomeUnknownError:
    ...         client.exists("/a") is not None
    True
    """

    def __init__(self, port: int = 0, *, tick: float = 2.0) -> None:
        _journal.start()
        self._native = _zkhelper.Server(port, tick)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._native.port

    @property
    def address(self) -> str:
        """What a client connects to: ``127.0.0.1:`` and the port."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stops it; its state is gone. A second stop does nothing."""
        self._native.stop()

    def cut(self, operation: str = "any", n: int = 1, *, after_applying: bool = False) -> None:
        """Cuts the connection that asks for the ``n``-th operation of this kind from now on, once: before the
        operation has its effect, or after it, so that only its answer is lost.

        Kinds: any, connect, create, delete, set, set_acl, multi, exists, get, children, sync, ping, set_watches,
        close_session, other_read.
        """
        self._native.cut(operation, n, after_applying)

    def cuts_left(self) -> int:
        """How many cuts were asked for and have not happened yet."""
        return self._native.cuts_left()

    def clear_cuts(self) -> None:
        """Forgets the cuts that have not happened yet."""
        self._native.clear_cuts()

    def disconnect_all(self) -> None:
        """Cuts every connection. Sessions stay."""
        self._native.disconnect_all()

    def freeze(self) -> None:
        """Stops answering anything, like a stopped process, until :meth:`thaw`."""
        self._native.freeze()

    def thaw(self) -> None:
        """Goes on after :meth:`freeze`; sessions whose time has passed meanwhile end."""
        self._native.thaw()

    def isolate(self) -> None:
        """Answers pings and reads but commits nothing, like a follower cut off from its quorum, until
        :meth:`rejoin`."""
        self._native.isolate()

    def rejoin(self) -> None:
        """Goes on after :meth:`isolate`."""
        self._native.rejoin()

    def set_delay(self, delay: float) -> None:
        """Waits ``delay`` seconds before each batch of requests of a connection."""
        self._native.set_delay(delay)

    def sessions(self) -> list[SessionInfo]:
        """The sessions that live, by id."""
        return self._native.sessions()

    def expire(self, session: int) -> None:
        """Ends a session now, as if its timeout had passed. Raises :exc:`~zkhelper.SessionExpiredError` if there is
        none."""
        self._native.expire(session)

    def set_sequence(self, path: str, next: int) -> None:
        """Makes ``next`` the number of the next sequential child of ``path``, such as one near 2**31. Raises
        :exc:`~zkhelper.NoNodeError`."""
        self._native.set_sequence(path, next)

    def set_container_interval(self, interval: float) -> None:
        """How often, in seconds, to look for containers and nodes whose time has passed; a minute by default."""
        self._native.set_container_interval(interval)

    def check_containers(self) -> None:
        """Deletes now what that check would delete."""
        self._native.check_containers()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.address}>"
