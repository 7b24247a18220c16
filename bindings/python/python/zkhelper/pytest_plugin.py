"""Fixtures for pytest: ``zk_server``, an embedded server for each test, and ``zk_client``, connected to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import Client
from .testing import Server


@pytest.fixture
def zk_server() -> Iterator[Server]:
    """An embedded ZooKeeper server of the test's own, with a tick of 0.1 s: short session timeouts are granted."""
    with Server(tick=0.1) as server:
        yield server


@pytest.fixture
def zk_client(zk_server: Server) -> Iterator[Client]:
    """A client connected to ``zk_server``."""
    with Client(zk_server.address, session_timeout=2.0) as client:
        yield client
