"""Conformance, errors and bad input: scenarios 93 to 95."""

from typing import Any

import pytest

from conftest import connect
from ground import MINUTE, NOBODY, fails
from zkhelper import Client, Persistent, Strict


@pytest.mark.usefixtures("address")
def test_s93_bad_paths_are_refused_unsent() -> None:
    a = connect(NOBODY)
    for bad in ["", "a", "/a/", "/a//b", "/a/../b"]:
        fails("BAD_PATH", a.create, bad)
        fails("BAD_PATH", a.mutex, bad)
        fails("BAD_PATH", a.tree().create, bad)
    a.close(0)


def test_s94_errors_say_what_and_where(a: Client, home: str) -> None:
    none = f"{home}/none"
    error = fails("NO_NODE", a.get, none)
    assert (error.code, error.path, error.retriable) == (-101, none, False)
    assert "NO_NODE" in str(error)
    assert none in str(error)
    with a.mutex(none):
        assert fails("TIMEOUT", a.mutex(none).lock, 0).code == -1009


@pytest.mark.usefixtures("address")
def test_s95_bad_options_are_refused() -> None:
    a = connect(NOBODY)
    options: list[dict[str, Any]] = [
        {"strict": Strict(lease=MINUTE, delay=1)},
        {"strict": Strict(MINUTE, MINUTE), "persistent": Persistent(MINUTE)},
        {"extra_lock_patterns": [""]},
        {"contents": []},
    ]
    for bad in options:
        fails("BAD_ARGUMENT", a.mutex, "/a", **bad)
    fails("BAD_ARGUMENT", a.mutex("/a").lock, -5.0)
    fails("BAD_ARGUMENT", Client, NOBODY, session_timeout=0.0)
    a.close(0)
