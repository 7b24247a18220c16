"""Distributed locks and leader elections on Apache ZooKeeper.

>>> with zkhelper.Client("embedded") as client, client.mutex("/locks/report", timeout=5) as held:
...     held.token > 0
True

Everything that blocks here has an awaitable twin of the same name in :mod:`zkhelper.aio`. :mod:`zkhelper.testing` has
a ZooKeeper server for tests, and the fixtures ``zk_server`` and ``zk_client`` are there for pytest.
"""

from . import errors, testing
from ._types import (
    Acl,
    Check,
    Contender,
    Create,
    Credentials,
    Delete,
    GetChildren,
    GetData,
    Identity,
    Leader,
    LeaderChange,
    Loss,
    LossReason,
    Matches,
    Node,
    Owner,
    Perms,
    Persistent,
    PidEvent,
    PidLost,
    PidMade,
    PidRefused,
    Revocation,
    SessionInfo,
    SetData,
    Standing,
    Stat,
    State,
    StateEvent,
    Stop,
    StopReason,
    Strict,
    Tls,
    WatchEvent,
    WatchEventKind,
)
from ._zkhelper import VERSION as __version__
from ._zkhelper import has_wildcard, is_directory
from .client import Client
from .elector import Elector, Stopped, Task, Term
from .errors import *  # noqa: F403 - a class for each code
from .events import Events
from .mutex import Held, Lost, Mutex
from .pid_node import PidNode
from .queue_lock import QueueHeld, QueueLock
from .tree import Tree

__all__ = [
    "Acl",
    "Check",
    "Client",
    "Contender",
    "Create",
    "Credentials",
    "Delete",
    "Elector",
    "Events",
    "GetChildren",
    "GetData",
    "Held",
    "Identity",
    "Leader",
    "LeaderChange",
    "Loss",
    "LossReason",
    "Lost",
    "Matches",
    "Mutex",
    "Node",
    "Owner",
    "Perms",
    "Persistent",
    "PidEvent",
    "PidLost",
    "PidMade",
    "PidNode",
    "PidRefused",
    "QueueHeld",
    "QueueLock",
    "Revocation",
    "SessionInfo",
    "SetData",
    "Standing",
    "Stat",
    "State",
    "StateEvent",
    "Stop",
    "StopReason",
    "Stopped",
    "Strict",
    "Task",
    "Term",
    "Tls",
    "Tree",
    "WatchEvent",
    "WatchEventKind",
    "__version__",
    "errors",
    "has_wildcard",
    "is_directory",
    "testing",
]
__all__ += errors.__all__
