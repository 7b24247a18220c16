"""Conformance, watches: scenarios 25 to 32."""

import contextlib

import zkhelper
from conftest import LIMIT, eventually
from ground import end_session, fails, told
from zkhelper import Client, WatchEvent
from zkhelper import WatchEventKind as Kind


def test_s25_data_watch_fires_once(a: Client, b: Client, home: str) -> None:
    first: list[WatchEvent] = []
    second: list[WatchEvent] = []
    a.get(home, watch=first.append)
    b.set(home, b"1")
    assert told(first) == WatchEvent(Kind.DATA_CHANGED, home)
    assert a.get(home, watch=second.append).data == b"1"
    b.set(home, b"2")
    assert told(second) == WatchEvent(Kind.DATA_CHANGED, home)
    assert len(first) == 1


def test_s26_exists_watch_sees_a_creation(a: Client, b: Client, home: str) -> None:
    events: list[WatchEvent] = []
    assert a.exists(f"{home}/n", watch=events.append) is None
    at = b.create(f"{home}/n")
    assert told(events) == WatchEvent(Kind.CREATED, at)


def test_s27_children_watch_sees_a_child(a: Client, b: Client, home: str) -> None:
    events: list[WatchEvent] = []
    assert a.children(home, watch=events.append) == []
    b.create(f"{home}/c")
    assert told(events) == WatchEvent(Kind.CHILDREN_CHANGED, home)


def test_s28_data_watch_sees_a_deletion(a: Client, b: Client, home: str) -> None:
    events: list[WatchEvent] = []
    at = a.create(f"{home}/n")
    a.get(at, watch=events.append)
    b.delete(at)
    assert told(events) == WatchEvent(Kind.DELETED, at)
    fails("NO_NODE", a.get, at, watch=events.append)


def test_s29_persistent_watch_stays(a: Client, b: Client, home: str) -> None:
    at = f"{home}/n"
    with a.watch(at) as events:
        b.create(at)
        b.set(at, b"1")
        b.delete(b.create(f"{at}/c"))
        b.delete(at)
        for kind in [Kind.CREATED, Kind.DATA_CHANGED, Kind.CHILDREN_CHANGED, Kind.CHILDREN_CHANGED, Kind.DELETED]:
            assert events.next(LIMIT) == WatchEvent(kind, at)


def test_s30_recursive_watch_sees_what_is_below(a: Client, b: Client, home: str) -> None:
    with a.watch(home, recursive=True) as events:
        above = b.create(f"{home}/a")
        at = b.create(f"{above}/b")
        b.set(at, b"1")
        b.delete(at)
        for kind, path in [(Kind.CREATED, above), (Kind.CREATED, at), (Kind.DATA_CHANGED, at), (Kind.DELETED, at)]:
            assert events.next(LIMIT) == WatchEvent(kind, path)


def test_s31_freed_watch_is_silent(a: Client, b: Client, home: str) -> None:
    one, two = f"{home}/one", f"{home}/two"
    silent: list[WatchEvent] = []
    events: list[WatchEvent] = []
    freed = a.watch(one, callback=silent.append)
    with a.watch(two, callback=events.append):
        freed.close()
        b.create(one)
        b.create(two)
        assert told(events) == WatchEvent(Kind.CREATED, two)
    assert silent == []


def test_s32_session_end_is_told_to_watches(address: str, a: Client, b: Client, home: str) -> None:
    once: list[WatchEvent] = []
    at = b.create(f"{home}/n")
    a.get(home, watch=once.append)
    old = a.session_id
    with a.watch(at) as stays:
        end_session(a, address)
        assert told(once).kind is Kind.SESSION_LOST
        assert stays.next(LIMIT) == WatchEvent(Kind.MAY_HAVE_MISSED, at)
        # That may have been when the connection came and went between the two clients of the old session.
        eventually(lambda: a.session_id not in (0, old), "a new session")

        def change_is_told() -> bool:
            b.set(at, b"after")
            with contextlib.suppress(zkhelper.OperationTimeout):
                while (event := stays.next(0.1)) is not None and event.kind is Kind.MAY_HAVE_MISSED:
                    pass
                return event == WatchEvent(Kind.DATA_CHANGED, at)
            return False

        eventually(change_is_told, "a change on the new session is told")
