"""What the tests share: a client on the embedded server and on Apache ZooKeeper, programs, and waiting for events."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import zkhelper
from apache import Apache
from zkhelper.testing import Server

#: A bound (s) on whatever a test waits for, long enough for a machine that is busy with something else.
LIMIT = 60.0
PROVE = "ZKHELPER_PROVE" in os.environ

_numbers = itertools.count()


def fresh_path(name: str = "lock") -> str:
    """A path of its own for each test, also on a server that is shared."""
    return f"/zkhelper-python/{os.getpid()}-{next(_numbers)}-{name}"


def eventually(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until, f"not within {LIMIT} s: {what}"
        time.sleep(0.01)


def run(program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a program of Python's to its end."""
    command = [sys.executable, "-X", "faulthandler", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert not check or done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def locks(client: zkhelper.Client, path: str) -> int:
    """How many hold the lock or wait for it."""
    return len(client.mutex(path).contenders())


@pytest.fixture(scope="session")
def apache() -> Iterator[Apache]:
    server = Apache()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    with Server(tick=0.5) as server:
        yield server


@pytest.fixture(params=["embedded", "apache"])
def address(request: pytest.FixtureRequest) -> str:
    """A server of either kind, shared by the tests."""
    server: Server | Apache = request.getfixturevalue(request.param)
    return server.address


@pytest.fixture
def client(address: str) -> Iterator[zkhelper.Client]:
    with zkhelper.Client(address, session_timeout=10.0) as client:
        yield client


@pytest.fixture
def other(address: str) -> Iterator[zkhelper.Client]:
    """Somebody else."""
    with zkhelper.Client(address, session_timeout=10.0) as client:
        yield client


@pytest.fixture
def path() -> str:
    return fresh_path()


EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def connect(address: str, **options: Any) -> zkhelper.Client:
    """A client as the conformance scenarios have it."""
    return zkhelper.Client(address, session_timeout=4.0, **options)


@pytest.fixture
def a(address: str) -> Iterator[zkhelper.Client]:
    """The first client of a conformance scenario."""
    with connect(address) as client:
        yield client


@pytest.fixture
def b(address: str) -> Iterator[zkhelper.Client]:
    """The second client of a conformance scenario."""
    with connect(address) as client:
        yield client


@pytest.fixture
def home(a: zkhelper.Client) -> str:
    """The node of one conformance scenario, which is new."""
    return a.tree().create(f"/zk{fresh_path('conformance')}")


@pytest.fixture
def at(home: str) -> str:
    """A path below it, where nothing is yet."""
    return f"{home}/lock"
