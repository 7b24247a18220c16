"""What the conformance scenarios have in common."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

import pytest

import zkhelper
from conftest import LIMIT, connect, eventually
from zkhelper import Client

P = ParamSpec("P")
T = TypeVar("T")

#: Nobody listens there.
NOBODY = "127.0.0.1:1"
#: The timeout (s) of what waits in vain.
SHORT = 0.1
#: Nobody waits for a delay or a lease of this length (s).
MINUTE = 60.0


def fails(name: str, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> zkhelper.ZkhelperError:
    """The error of a call that has to end with this code."""
    with pytest.raises(zkhelper.ZkhelperError) as raised:
        call(*args, **kwargs)
    assert raised.value.name == name, raised.value
    return raised.value


def later(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """A call that waits, in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def names(client: Client, path: str) -> list[str]:
    """The names of a node's children; none where it is not there."""
    try:
        return client.children(path)
    except zkhelper.NoNodeError:
        return []


def until(client: Client, path: str, count: int) -> None:
    """Asks until a node has so many children."""
    eventually(lambda: len(names(client, path)) == count, f"{count} children")


def only(client: Client, path: str) -> str:
    """The path of a node's one child."""
    (name,) = client.children(path)
    return f"{path}/{name}"


def stat(client: Client, path: str) -> zkhelper.Stat:
    """The status of a node that is there."""
    found = client.exists(path)
    assert found is not None
    return found


def lock(mutex: zkhelper.Mutex) -> zkhelper.Held:
    return mutex.lock(LIMIT)


def told(events: list[T], count: int = 1) -> T:
    """Waits until a callback was told so often, and gives what it was told last."""
    eventually(lambda: len(events) >= count, f"told {count} times")
    assert len(events) == count
    return events[-1]


def end_session(client: Client, address: str) -> None:
    """Ends a client's session at the server, as its expiry would."""
    thief = connect(address, reattach=client.credentials())
    thief.wait_connected()
    thief.close()
