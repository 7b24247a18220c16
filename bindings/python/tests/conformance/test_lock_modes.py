"""Conformance, the strict and the persistent mutex: scenarios 54 to 62."""

import time

from conftest import LIMIT
from ground import MINUTE, fails, later, lock, names, stat, told, until
from zkhelper import Client, Loss, Owner, Persistent, Strict


def test_s54_strict_clean_hand_over_is_at_once(a: Client, b: Client, at: str) -> None:
    began = time.monotonic()
    first, second = (client.mutex(at, strict=Strict(MINUTE, MINUTE)) for client in (a, b))
    lock(first).release()
    held = lock(second)
    waiting = later(lock, first)
    until(b, at, 2)
    held.release()
    assert 0 < waiting.result(LIMIT).valid_for() <= MINUTE
    assert time.monotonic() - began < MINUTE


def test_s55_strict_waits_after_an_unclean_end(a: Client, b: Client, at: str) -> None:
    held = lock(a.mutex(at, strict=Strict(1, 1)))
    waiting = later(lock, b.mutex(at, strict=Strict(1, 1)))
    until(b, at, 2)
    gone = time.monotonic()
    a.close()
    assert waiting.result(LIMIT).token > held.token
    assert time.monotonic() - gone >= 1


def test_s56_strict_refuses_another_delay(a: Client, b: Client, at: str) -> None:
    lock(a.mutex(at, strict=Strict(MINUTE, MINUTE))).release()
    fails("BAD_ARGUMENT", b.mutex(at, strict=Strict(50, 50)).lock, LIMIT)
    until(a, at, 0)


def test_s57_strict_keeps_foreign_data(a: Client, at: str) -> None:
    a.create(at, b"mine")
    fails("BAD_ARGUMENT", a.mutex(at, strict=Strict(MINUTE, MINUTE)).lock, LIMIT)
    assert a.get(at).data == b"mine"
    until(a, at, 0)


def test_s58_persistent_node_and_companion(a: Client, at: str) -> None:
    with a.mutex(at, persistent=Persistent(MINUTE)):
        node, companion = names(a, at)
        assert node == "lock-0000000000"
        assert companion.startswith("owner-")
        assert stat(a, f"{at}/{node}").ephemeral_owner == 0
        assert stat(a, f"{at}/{companion}").ephemeral_owner == a.session_id
    until(a, at, 0)


def test_s59_persistent_lock_outlives_its_session(a: Client, b: Client, at: str) -> None:
    kept = lock(a.mutex(at, persistent=Persistent(0.3)))
    a.close()
    mutex = b.mutex(at)
    fails("TIMEOUT", mutex.lock, 0)
    (contender,) = mutex.contenders()
    assert (contender.owner, contender.stat.czxid) == (Owner.GONE, kept.token)
    mutex.release_dead(contender.name)
    mutex.lock(0).release()


def test_s60_live_owner_is_not_released(a: Client, b: Client, at: str) -> None:
    with a.mutex(at, persistent=Persistent(MINUTE)) as held:
        fails("NODE_EXISTS", b.mutex(at).release_dead, "lock-0000000000")
        assert held.is_held()


def test_s61_force_needs_the_czxid(a: Client, b: Client, at: str) -> None:
    losses: list[Loss] = []
    held = lock(a.mutex(at, persistent=Persistent(MINUTE), on_lost=losses.append))
    mutex = b.mutex(at)
    fails("BAD_VERSION", mutex.release_by_force, "lock-0000000000", held.token + 1)
    mutex.release_by_force("lock-0000000000", held.token)
    assert told(losses).token == held.token


def test_s62_old_lock_is_unknown(a: Client, b: Client, at: str) -> None:
    b.create(at)
    b.create(f"{at}/lock-", sequential=True)
    mutex = a.mutex(at)
    (contender,) = mutex.contenders()
    assert contender.owner is Owner.UNKNOWN
    fails("UNSUPPORTED", mutex.release_dead, contender.name)
    fails("TIMEOUT", mutex.lock, 0)
    mutex.release_by_force(contender.name, contender.stat.czxid)
    mutex.lock(0).release()
