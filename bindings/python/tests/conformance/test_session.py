"""Conformance, client and session: scenarios 1 to 10."""

import pytest

import zkhelper
from conftest import LIMIT, connect
from ground import NOBODY, end_session, fails, stat
from zkhelper import Acl, Client, State


def test_s01_connect_and_close(a: Client) -> None:
    assert a.state is State.CONNECTED
    assert a.session_id != 0
    a.close()
    assert a.state.value == "closed"
    fails("CLOSED", a.get, "/")


def test_s02_close_removes_ephemerals(a: Client, b: Client, home: str) -> None:
    at = a.create(f"{home}/e", ephemeral=True)
    assert b.exists(at) is not None
    a.close()
    assert b.exists(at) is None


def test_s03_chroot_is_below(address: str, b: Client, home: str) -> None:
    with connect(address + home) as a:
        assert a.create("/n", b"x") == "/n"
    assert b.get(f"{home}/n").data == b"x"


@pytest.mark.usefixtures("address")
def test_s04_bad_addresses_are_refused() -> None:
    for bad in ["", ":2181", "127.0.0.1:port", "127.0.0.1:2181/a/"]:
        fails("BAD_ADDRESS", connect, bad)


@pytest.mark.usefixtures("address")
def test_s05_no_server_in_time() -> None:
    a = connect(NOBODY, connect_timeout=0.2)
    assert NOBODY in str(fails("CONNECTION_LOSS", a.wait_connected))
    a.close(0)


@pytest.mark.usefixtures("address")
def test_s06_nothing_is_sent_without_a_server() -> None:
    a = connect(NOBODY, operation_timeout=0.1)
    fails("NOT_SENT", a.get, "/")
    fails("NOT_SENT", a.create, "/a")
    a.close(0)


def test_s07_lost_session_is_told_and_replaced(address: str, a: Client, home: str) -> None:
    old, lost = a.session_id, False
    with a.states() as states:
        end_session(a, address)
        while True:
            event = states.next(LIMIT)
            assert event is not None
            if event.state is State.LOST:
                assert event.previous_session == old
                lost = True
            if event.state is State.CONNECTED and event.session != old:
                break
    assert lost
    assert (event.previous_session, event.session) == (old, a.session_id)
    a.set(home, b"new")


def test_s08_reattach_takes_the_session(address: str, a: Client, b: Client, home: str) -> None:
    at = a.create(f"{home}/e", ephemeral=True)
    session = a.session_id
    with connect(address, reattach=a.credentials()) as thief:
        assert thief.session_id == session == stat(b, at).ephemeral_owner
    assert b.exists(at) is None


def test_s09_credentials_open_what_a_list_closes(address: str, a: Client, b: Client, home: str) -> None:
    a.add_auth("digest", b"me:secret")
    at = a.create(f"{home}/mine", b"x", acl=[Acl.creator()])
    fails("NO_AUTH", b.get, at)
    b.add_auth("digest", b"me:secret")
    assert b.get(at).data == b"x"
    with connect(address, auth=[("digest", b"me:secret")]) as c:
        assert c.get(at).data == b"x"


def test_s10_who_am_i(a: Client) -> None:
    a.add_auth("digest", b"me:secret")
    assert zkhelper.Identity("digest", "me") in a.who_am_i()
