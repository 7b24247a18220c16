"""Values that go in and out: statuses, events, operations of a transaction."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .errors import BadArgumentError, ZkhelperError

#: An operation as the native half takes it: kind, path, data, ACL, flags, time to live (ms), version.
Wire: TypeAlias = tuple[str, str, bytes, "Sequence[Acl] | None", int, int, int]


class Perms(enum.IntFlag):
    """Permissions of an access control list."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16
    ALL = 31
    #: All but creating and deleting nodes below it.
    FILE = 19
    DIRECTORY = 31


class Acl(NamedTuple):
    """One entry of an access control list.

    >>> Acl.world(Perms.READ)
    Acl(perms=1, scheme='world', id='anyone')
    """

    perms: int
    scheme: str
    id: str

    @classmethod
    def world(cls, perms: int = Perms.ALL) -> Acl:
        """Anyone."""
        return cls(int(perms), "world", "anyone")

    @classmethod
    def creator(cls, perms: int = Perms.ALL) -> Acl:
        """Whoever is authenticated on the connection that creates the node."""
        return cls(int(perms), "auth", "")


class Stat(NamedTuple):
    """A node's status, as the server reports it. Times are in ms since the epoch, by the server's clock."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int


class Node(NamedTuple):
    """A node's data and status."""

    data: bytes
    stat: Stat


class Owner(enum.Enum):
    """Whether the owner of a lock node lives."""

    #: Its session does.
    LIVING = "living"
    #: The node is persistent, and its owner is gone, or somebody is releasing it.
    GONE = "gone"
    #: The node is persistent and says nothing of its owner.
    UNKNOWN = "unknown"


class Contender(NamedTuple):
    """Somebody who holds a lock or waits for it: the lowest ``sequence`` holds it.

    ``name`` is its node's, ``data`` what that holds, ``stat.czxid`` its token. ``hostname``, ``pid``, ``description``
    are what the node says, ``asked`` is why it was asked to give the lock up, if it was.
    """

    name: str
    sequence: int
    data: bytes
    stat: Stat
    hostname: str | None
    pid: int | None
    description: str | None
    owner: Owner
    asked: str | None


def contender(
    name: str,
    sequence: int,
    data: bytes,
    stat: Stat,
    hostname: str | None,
    pid: int | None,
    description: str | None,
    owner: str,
    asked: str | None,
) -> Contender:
    return Contender(name, sequence, data, stat, hostname, pid, description, Owner(owner), asked)


class Revocation(NamedTuple):
    """Somebody asks the holder of a lock to give it up: the token of the lock, and why (empty where no reason was
    given)."""

    token: int
    reason: str


class Identity(NamedTuple):
    """Who the server takes a client for."""

    scheme: str
    user: str


class SessionInfo(NamedTuple):
    """A session of the embedded server; ``timeout`` in seconds."""

    id: int
    timeout: float
    connected: bool


class Credentials(NamedTuple):
    """What another client needs to attach to a session. It is a secret."""

    session_id: int
    password: bytes
    last_zxid: int = 0


class Strict(NamedTuple):
    """Exclusion that counts on nothing of the servers. Every client of a path has to use the same.

    ``lease`` is how many seconds a holder believes after the last renewal that a quorum committed, ``delay`` how
    many a successor waits for a holder that did not leave cleanly; it must not be shorter.
    """

    lease: float = 10.0
    delay: float = 10.0


@dataclass(frozen=True)
class Tls:
    """How servers are reached by TLS. Everything is in PEM form: a file's path, or the bytes themselves.

    A server's certificate has to be signed by one of the authorities in ``ca``, and to hold the name or the address of
    the connect string, or ``server_name``; there is no way to leave that out. ``certificate`` and ``key`` show the
    server who this is.
    """

    ca: str | os.PathLike[str] | bytes
    certificate: str | os.PathLike[str] | bytes | None = None
    key: str | os.PathLike[str] | bytes | None = None
    server_name: str | None = None

    def _wire(self) -> object:
        if (self.certificate is None) != (self.key is None):
            raise BadArgumentError("TLS: certificate and key belong together")
        identity = None if self.certificate is None else (_file_or_bytes(self.certificate), _file_or_bytes(self.key))
        return _file_or_bytes(self.ca), identity, self.server_name


def _file_or_bytes(given: str | os.PathLike[str] | bytes | None) -> tuple[str | None, bytes | None]:
    if given is None or isinstance(given, bytes):
        return None, given
    return os.fspath(given), None


class Matches(NamedTuple):
    """What a glob found: the paths for each pattern in turn, sorted for each, and an exception for each node whose
    children may not be listed."""

    paths: list[str]
    unreadable: list[ZkhelperError]


class PidMade(NamedTuple):
    """A pid node is there: its czxid, and the session that keeps it."""

    czxid: int
    session: int


class PidLost(NamedTuple):
    """A pid node is gone, and is being made again, unless the client was closed."""

    reason: LossReason


class PidRefused(NamedTuple):
    """A pid node cannot be made for now, and is tried again: somebody's node stands in the way, or the server refuses
    it."""

    reason: ZkhelperError


#: What became of a pid node.
PidEvent: TypeAlias = PidMade | PidLost | PidRefused


def pid_lost(reason: int) -> PidLost:
    return PidLost(LossReason(reason))


class State(enum.Enum):
    """What a client is doing about its session."""

    #: There is no session yet; servers are being tried.
    CONNECTING = "connecting"
    #: A server is connected and the session lives.
    CONNECTED = "connected"
    #: No server is connected; the session may live or be over.
    SUSPENDED = "suspended"
    #: The session is over, its ephemeral nodes and locks are gone; a new one is being made.
    LOST = "lost"
    #: The client is over: closed, or its credentials were refused.
    CLOSED = "closed"


class StateEvent(NamedTuple):
    """A change of state. ``session`` is the present session's id or 0, ``previous_session`` that of the session
    that was lost last or 0, ``reason`` why, where there is a reason."""

    state: State
    session: int
    previous_session: int
    reason: ZkhelperError | None


def state_event(state: str, session: int, previous: int, reason: ZkhelperError | None) -> StateEvent:
    return StateEvent(State(state), session, previous, reason)


class WatchEventKind(enum.Enum):
    """What a watch saw."""

    CREATED = "created"
    DELETED = "deleted"
    DATA_CHANGED = "data changed"
    CHILDREN_CHANGED = "children changed"
    #: The server removed the watch.
    REMOVED = "removed"
    #: The session is over: nothing more comes from a one-shot watch.
    SESSION_LOST = "session lost"
    #: The connection was away: a watch that stays is armed again, but events may have been missed.
    MAY_HAVE_MISSED = "may have missed"


class WatchEvent(NamedTuple):
    """An event of a watch, and the path it happened to."""

    kind: WatchEventKind
    path: str


def watch_event(kind: str, path: str) -> WatchEvent:
    return WatchEvent(WatchEventKind(kind), path)


class LossReason(enum.IntEnum):
    """Why a lock was lost."""

    #: Nothing proved in time that it was still held.
    LEASE_RAN_OUT = 1
    #: Its session is over.
    SESSION_OVER = 2
    #: Its node was deleted: by somebody, or with its session before that was heard of.
    NODE_DELETED = 3
    #: The client was closed.
    CLIENT_CLOSED = 4


class Loss(NamedTuple):
    """A lock that was held and is lost: its fencing token, and why."""

    token: int
    reason: LossReason


class Persistent(NamedTuple):
    """A lock that outlasts its owner's session, until the owner or somebody else releases it.

    ``lease`` is how many seconds the owner believes after the last renewal that a quorum committed, and how long
    :meth:`Mutex.release_dead` therefore waits.
    """

    lease: float = 10.0


class StopReason(enum.Enum):
    """Why a leader's term has to end."""

    #: The lead was lost: the next leader may start when the grace is over.
    LOST = "lost"
    #: By :meth:`Elector.interrupt`. The lead is kept until the term ends; so it is for the reasons below.
    INTERRUPTED = "interrupted"
    #: By :meth:`Elector.resign` or :meth:`Term.resign`.
    RESIGNED = "resigned"
    #: By :meth:`Elector.close`.
    CLOSED = "closed"


class Stop(NamedTuple):
    """Why a term has to end, and why the lead was lost, if it was."""

    reason: StopReason
    loss: LossReason | None


def stop(found: tuple[str, int | None]) -> Stop:
    reason, loss = found
    return Stop(StopReason(reason), None if loss is None else LossReason(loss))


class Standing(enum.Enum):
    """Whether the leader that a record names still leads."""

    #: Its candidate's node is there.
    LEADING = "leading"
    #: Its candidate's node is gone: nobody leads until the next record is written.
    GONE = "gone"
    #: Another library wrote the record.
    UNKNOWN = "unknown"


class Leader(NamedTuple):
    """What a leader's record says: ``data`` is the record, ``token`` the leader's fencing token or ``None`` if another
    library wrote it, and ``stat.mtime`` when it was written."""

    data: bytes
    token: int | None
    standing: Standing
    stat: Stat


class LeaderChange(NamedTuple):
    """Who leads now; ``None`` if nobody ever did."""

    leader: Leader | None


def leader(data: bytes, token: int | None, standing: str, stat: Stat) -> Leader:
    return Leader(data, token, Standing(standing), stat)


def create_flags(ephemeral: bool, sequential: bool, container: bool, ttl: float | None) -> int:
    """The number of a kind of node on the wire."""
    if container:
        if ephemeral or sequential or ttl is not None:
            raise BadArgumentError("a container is neither ephemeral nor sequential, and has no time to live")
        return 4
    if ttl is not None:
        if ephemeral:
            raise BadArgumentError("an ephemeral node has no time to live: it goes with its session")
        return 6 if sequential else 5
    return int(ephemeral) + 2 * int(sequential)


@dataclass(frozen=True)
class Create:
    """Creates a node in a transaction; see :meth:`zkhelper.Client.create`."""

    path: str
    data: bytes = b""
    acl: Sequence[Acl] | None = None
    ephemeral: bool = False
    sequential: bool = False
    container: bool = False
    ttl: float | None = None

    def _wire(self) -> Wire:
        flags = create_flags(self.ephemeral, self.sequential, self.container, self.ttl)
        return ("create", self.path, self.data, self.acl, flags, round((self.ttl or 0) * 1000), -1)


@dataclass(frozen=True)
class Delete:
    """Deletes a node in a transaction, at this version unless it is -1."""

    path: str
    version: int = -1

    def _wire(self) -> Wire:
        return ("delete", self.path, b"", None, 0, 0, self.version)


@dataclass(frozen=True)
class SetData:
    """Sets a node's data in a transaction, at this version unless it is -1."""

    path: str
    data: bytes
    version: int = -1

    def _wire(self) -> Wire:
        return ("set", self.path, self.data, None, 0, 0, self.version)


@dataclass(frozen=True)
class Check:
    """Holds in a transaction if the node exists, at this version unless it is -1."""

    path: str
    version: int = -1

    def _wire(self) -> Wire:
        return ("check", self.path, b"", None, 0, 0, self.version)


@dataclass(frozen=True)
class GetData:
    """Reads a node in a :meth:`zkhelper.Client.multi_read`."""

    path: str

    def _wire(self) -> Wire:
        return ("get", self.path, b"", None, 0, 0, -1)


@dataclass(frozen=True)
class GetChildren:
    """Lists a node's children in a :meth:`zkhelper.Client.multi_read`."""

    path: str

    def _wire(self) -> Wire:
        return ("children", self.path, b"", None, 0, 0, -1)


#: An operation of a transaction.
Change: TypeAlias = Create | Delete | SetData | Check
#: A read of several in one request.
Read: TypeAlias = GetData | GetChildren


def wire(operations: Iterable[Change] | Iterable[Read]) -> list[Wire]:
    return [operation._wire() for operation in operations]
