"""Conformance, the embedded server and its faults: scenarios 96 to 104, each on a server of its own."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from conftest import LIMIT, connect, fresh_path
from ground import fails, later, lock, names, told, until
from zkhelper import Client, Loss, LossReason, WatchEvent
from zkhelper import WatchEventKind as Kind
from zkhelper.testing import Server

AT = "/zk/lock"
HOME = "/zk/home"


class Own(NamedTuple):
    server: Server
    a: Client
    b: Client


@pytest.fixture
def own() -> Iterator[Own]:
    """A server with two clients, whose session timeout is 1 s."""
    with (
        Server(tick=0.2) as server,
        Client(server.address, session_timeout=1.0) as a,
        Client(server.address, session_timeout=1.0) as b,
    ):
        a.tree().create(HOME)
        yield Own(server, a, b)
        # So that the clients can say goodbye.
        server.thaw()
        server.rejoin()


def test_s96_embedded_is_one_server() -> None:
    with connect("embedded") as a, connect("embedded") as b:
        at = f"/zk{fresh_path()}"
        with a.mutex(at):
            fails("TIMEOUT", b.mutex(at).lock, 0)


def test_s97_lost_answer_leaves_one_node(own: Own) -> None:
    mutex = own.a.mutex(AT)
    lock(mutex).release()
    for after_applying in [False, True]:
        for operation in ["create", "delete"]:
            own.server.cut(operation, after_applying=after_applying)
            held = lock(mutex)
            assert len(names(own.b, AT)) == 1
            held.release()
            assert names(own.b, AT) == []
    assert own.server.cuts_left() == 0


def test_s98_frozen_server_is_a_loss_in_time(own: Own) -> None:
    held = lock(own.a.mutex(AT))
    own.server.freeze()
    assert held.lost.wait(LIMIT)
    assert held.lost.reason is LossReason.LEASE_RAN_OUT
    assert not held.is_held()


def test_s99_no_quorum_is_a_loss_in_time(own: Own) -> None:
    held = lock(own.a.mutex(AT))
    own.server.isolate()
    assert own.b.exists("/") is not None
    assert held.lost.wait(LIMIT)
    assert held.lost.reason is LossReason.LEASE_RAN_OUT
    assert not held.is_held()


def test_s100_expiry_serves_the_waiter(own: Own) -> None:
    losses: list[Loss] = []
    held = lock(own.a.mutex(AT, on_lost=losses.append))
    waiting = later(lock, own.b.mutex(AT))
    until(own.b, AT, 2)
    own.server.expire(own.a.session_id)
    assert waiting.result(LIMIT).token > held.token
    assert told(losses).token == held.token


def test_s101_end_of_the_sequence_is_refused(own: Own) -> None:
    mutex = own.a.mutex(AT)
    lock(mutex).release()
    own.server.set_sequence(AT, 2**31 - 5)
    fails("SEQUENCE_EXHAUSTED", mutex.lock, LIMIT)
    fails("SEQUENCE_EXHAUSTED", own.a.queue_lock(AT).lock, LIMIT)
    until(own.b, AT, 0)
    mutex.reset()
    lock(mutex).release()


def test_s102_write_without_an_answer_is_unknown(own: Own) -> None:
    own.server.cut("set", after_applying=True)
    fails("OUTCOME_UNKNOWN", own.a.set, HOME, b"new")
    assert own.a.get(HOME).data == b"new"


def test_s103_read_without_an_answer_is_made_again(own: Own) -> None:
    session = own.a.session_id
    own.server.cut("get")
    assert own.a.get(HOME).data == b""
    assert (own.a.session_id, own.server.cuts_left()) == (session, 0)


def test_s104_watches_survive_a_cut(own: Own) -> None:
    once: list[WatchEvent] = []
    at = own.b.create(f"{HOME}/n")
    own.a.get(HOME, watch=once.append)
    with own.a.watch(at) as stays:
        own.server.cut("exists")
        own.a.exists(HOME)
        assert stays.next(LIMIT) == WatchEvent(Kind.MAY_HAVE_MISSED, at)
        own.b.set(HOME, b"1")
        own.b.set(at, b"1")
        assert told(once) == WatchEvent(Kind.DATA_CHANGED, HOME)
        assert stays.next(LIMIT) == WatchEvent(Kind.DATA_CHANGED, at)
