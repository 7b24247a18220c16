"""Conformance, queue lock, pid node and trees: scenarios 77 to 92."""

from typing import TypeVar

from conftest import LIMIT
from ground import SHORT, end_session, fails, later, names, stat, until
from zkhelper import Acl, Client, Events, LossReason, Perms, PidEvent, PidLost, PidMade

E = TypeVar("E", PidLost, PidMade)


def test_s77_queue_lock_and_unlock(a: Client, b: Client, home: str) -> None:
    queue = b.queue_lock(home)
    held = a.queue_lock(home).lock(LIMIT)
    assert stat(b, f"{home}/lock-0000000000").czxid == held.token
    fails("TIMEOUT", queue.lock, 0)
    assert names(b, home) == ["lock-0000000000"]
    waiting = later(queue.lock, LIMIT)
    until(a, home, 2)
    held.release()
    assert waiting.result(LIMIT).token > held.token


def test_s78_obtain_waits_for_lower_names(a: Client, b: Client, home: str) -> None:
    for name in ["a", "b"]:
        a.create(f"{home}/{name}")
    queue = a.queue_lock(home)
    queue.obtain("a", LIMIT)
    fails("TIMEOUT", queue.obtain, "b", 0)
    assert names(b, home) == ["a", "b"]
    waiting = later(queue.obtain, "b", LIMIT)
    b.delete(f"{home}/a")
    waiting.result(LIMIT)
    assert names(b, home) == ["b"]


def test_s79_queue_timeout_removes_its_own_node_alone(a: Client, b: Client, home: str) -> None:
    with a.queue_lock(home):
        queue = b.queue_lock(home)
        fails("TIMEOUT", queue.lock, SHORT)
        assert names(b, home) == ["lock-0000000000"]
        b.create(f"{home}/zzz")
        fails("TIMEOUT", queue.obtain, "zzz", SHORT)
        assert names(b, home) == ["lock-0000000000", "zzz"]


def test_s80_queue_interrupt(a: Client, b: Client, home: str) -> None:
    with a.queue_lock(home):
        queue = b.queue_lock(home)
        waiting = later(queue.lock, LIMIT)
        until(a, home, 2)
        queue.interrupt()
        fails("INTERRUPTED", waiting.result, LIMIT)
        until(a, home, 1)
        queue.interrupt()
        fails("INTERRUPTED", queue.lock, LIMIT)


def test_s81_obtain_of_a_missing_node(a: Client, home: str) -> None:
    queue = a.queue_lock(home)
    fails("NO_NODE", queue.obtain, "none", LIMIT)
    fails("BAD_ARGUMENT", queue.obtain, "a/b", LIMIT)
    fails("NOT_HELD", queue.unlock)


def take(events: Events[PidEvent], wanted: type[E]) -> E:
    """Takes events up to one of a kind."""
    while True:
        event = events.next(LIMIT)
        assert event is not None
        if isinstance(event, wanted):
            return event


def test_s82_pid_node_until_it_is_closed(a: Client, b: Client, at: str) -> None:
    with a.pid_node(at, b"4711"):
        data, found = b.get(at)
        assert (data, found.ephemeral_owner) == (b"4711", a.session_id)
    assert b.exists(at) is None


def test_s83_pid_node_is_not_taken(a: Client, b: Client, at: str) -> None:
    with a.pid_node(at):
        fails("NODE_EXISTS", b.pid_node, at, wait=SHORT)
        assert stat(b, at).ephemeral_owner == a.session_id


def test_s84_pid_node_is_taken_if_asked(a: Client, b: Client, at: str) -> None:
    node = a.pid_node(at)
    events = node.events()
    with b.pid_node(at, take_over="live"):
        assert take(events, PidLost) == PidLost(LossReason.NODE_DELETED)
        node.close()
        assert stat(a, at).ephemeral_owner == b.session_id


def test_s85_pid_node_is_made_again(a: Client, b: Client, at: str) -> None:
    with a.pid_node(at, b"4711") as node, node.events() as events:
        take(events, PidMade)
        b.delete(at)
        assert take(events, PidLost) == PidLost(LossReason.NODE_DELETED)
        take(events, PidMade)
        data, found = b.get(at)
        assert (data, found.ephemeral_owner) == (b"4711", a.session_id)


def test_s86_pid_node_keeps_its_list(address: str, a: Client, b: Client, at: str) -> None:
    acl, old = [Acl.world(Perms.READ)], a.session_id
    with a.pid_node(at, acl=acl) as node, node.events() as events:
        end_session(a, address)
        while take(events, PidMade).session == old:
            pass
        assert b.get_acl(at)[0] == acl
        assert stat(b, at).ephemeral_owner == a.session_id != old


def grow(client: Client, home: str, *paths: str) -> None:
    for path in paths:
        client.tree().create(f"{home}/{path}")


def test_s87_parents_are_plain(a: Client, home: str) -> None:
    leaf = a.tree().create(f"{home}/t/a/b", b"x", acl=[Acl.world(Perms.FILE)], ephemeral=True)
    assert stat(a, leaf).ephemeral_owner == a.session_id
    for parent in [f"{home}/t", f"{home}/t/a"]:
        acl, found = a.get_acl(parent)
        assert (acl, found.ephemeral_owner, found.data_length) == ([Acl.world(Perms.DIRECTORY)], 0, 0)


def test_s88_create_or_update(a: Client, home: str) -> None:
    tree, at = a.tree(), f"{home}/u/v"
    fails("NO_NODE", tree.create_or_update, at, b"0", recursive=False)
    assert tree.create_or_update(at, b"1", recursive=True) == at
    assert tree.create_or_update(at, b"2", recursive=True) == at
    data, found = a.get(at)
    assert (data, found.version) == (b"2", 1)


def test_s89_children_are_sorted_and_relative(a: Client, home: str) -> None:
    grow(a, home, "b", "a/x", "a-b")
    assert a.tree().children(home) == ["a", "a-b", "a/x", "b"]
    fails("NO_NODE", a.tree().children, f"{home}/none")


def test_s90_delete_is_guarded_by_the_version(a: Client, home: str) -> None:
    tree = a.tree()
    grow(a, home, "a/b", "c")
    fails("BAD_VERSION", tree.delete, home, 5)
    assert tree.children(home) == ["a", "a/b", "c"]
    tree.delete(home, 0)
    fails("NO_NODE", tree.delete, home)


def test_s91_glob_matches(a: Client, home: str) -> None:
    grow(a, home, "nyc/7", "nyc/1", "nyc/0", "sfo/5")
    for pattern, expected in [
        ("*/[0-5]", ["nyc/0", "nyc/1", "sfo/5"]),
        ("s?o", ["sfo"]),
        ("[^n]*", ["sfo"]),
        ("sfo", ["sfo"]),
        ("none", ["none"]),
    ]:
        assert a.tree().glob([f"{home}/{pattern}"]).paths == [f"{home}/{path}" for path in expected]


def test_s92_glob_refuses_bad_patterns(a: Client, home: str) -> None:
    fails("BAD_ARGUMENT", a.tree().glob, ["/a/["])
    fails("BAD_PATH", a.tree().glob, ["a/*"])
    assert a.tree().glob([f"{home}/none/*"]).paths == []
