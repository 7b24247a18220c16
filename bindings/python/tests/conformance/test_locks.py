"""Conformance, the mutex: scenarios 33 to 53, and what its contenders can be asked: 63 to 67."""

import asyncio
import json
import os

import pytest

import zkhelper
from conftest import LIMIT
from ground import SHORT, end_session, fails, later, lock, names, only, stat, told, until
from zkhelper import Acl, Client, Loss, LossReason, Owner, Perms, Revocation, SetData, aio


def test_s33_lock_and_unlock(a: Client, at: str) -> None:
    mutex = a.mutex(at)
    held = lock(mutex)
    assert names(a, at) == ["lock-0000000000"]
    node = stat(a, only(a, at))
    assert (node.czxid, node.ephemeral_owner) == (held.token, a.session_id)
    assert mutex.is_held()
    mutex.unlock()
    assert names(a, at) == []
    assert not mutex.is_held()


def test_s34_contents_say_who(a: Client, at: str) -> None:
    with a.mutex(at, description="nightly", contents={"role": "blue"}):
        contents = json.loads(a.get(only(a, at)).data)
    assert (contents["desc"], contents["role"], contents["pid"]) == ("nightly", "blue", os.getpid())
    assert isinstance(contents["hostname"], str)
    assert len(contents["id"]) == 36


def test_s35_try_fails_and_writes_nothing(a: Client, b: Client, at: str) -> None:
    held = lock(a.mutex(at))
    before = stat(b, at).cversion
    fails("TIMEOUT", b.mutex(at).lock, 0)
    assert stat(b, at).cversion == before
    held.release()
    b.mutex(at).lock(0).release()


def test_s36_timeout_leaves_no_node(a: Client, b: Client, at: str) -> None:
    with a.mutex(at):
        fails("TIMEOUT", b.mutex(at).lock, SHORT)
        assert names(b, at) == ["lock-0000000000"]


def test_s37_first_come_first_served(a: Client, b: Client, at: str) -> None:
    held = lock(a.mutex(at))
    tokens = [held.token]
    served: list[int] = []

    def wait(number: int) -> None:
        with b.mutex(at, timeout=LIMIT) as held:
            served.append(number)
            tokens.append(held.token)

    waiting = []
    for number in range(4):
        waiting.append(later(wait, number))
        until(a, at, number + 2)
    held.release()
    for one in waiting:
        one.result(LIMIT)
    assert served == [0, 1, 2, 3]
    assert tokens == sorted(set(tokens))


def test_s38_interrupt_ends_a_wait(a: Client, b: Client, at: str) -> None:
    with a.mutex(at):
        mutex = b.mutex(at)
        waiting = later(lock, mutex)
        until(a, at, 2)
        mutex.interrupt()
        fails("INTERRUPTED", waiting.result, LIMIT)
        until(a, at, 1)


def test_s39_interrupt_is_remembered_once(a: Client, at: str) -> None:
    mutex = a.mutex(at)
    mutex.interrupt()
    mutex.interrupt()
    fails("INTERRUPTED", mutex.lock, LIMIT)
    lock(mutex).release()


def test_s40_cancel_leaves_no_node(address: str, a: Client, at: str) -> None:
    async def wait() -> None:
        async with aio.Client(address, session_timeout=4.0) as b:
            waiting = asyncio.create_task(b.mutex(at).lock())
            await asyncio.to_thread(until, a, at, 2)
            waiting.cancel()
            # What CANCELLED is to a task.
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.to_thread(until, a, at, 1)

    with a.mutex(at):
        asyncio.run(wait())


def test_s41_unlock_without_a_lock(a: Client, at: str) -> None:
    a.tree().create(f"{at}/other")
    mutex = a.mutex(at)
    fails("NOT_HELD", mutex.unlock)
    assert names(a, at) == ["other"]
    lock(mutex)
    mutex.unlock()
    fails("NOT_HELD", mutex.unlock)
    assert names(a, at) == ["other"]


def test_s42_unlock_is_for_its_own(a: Client, b: Client, at: str) -> None:
    held = lock(a.mutex(at))
    fails("NOT_HELD", b.mutex(at).unlock)
    assert held.is_held()
    assert names(b, at) == ["lock-0000000000"]
    held.release()


def test_s43_second_lock_on_a_handle_queues(a: Client, at: str) -> None:
    mutex = a.mutex(at)
    held = lock(mutex)
    fails("TIMEOUT", mutex.lock, 0)
    second = later(lock, mutex)
    held.release()
    assert second.result(LIMIT).token > held.token


def test_s44_tokens_grow_over_a_new_parent(a: Client, at: str) -> None:
    with a.mutex(at) as first:
        pass
    a.delete(at)
    with a.mutex(at) as second:
        assert names(a, at) == ["lock-0000000000"]
    assert second.token > first.token


def test_s45_foreign_children_do_not_block(a: Client, at: str) -> None:
    for name in ["config", "zzz"]:
        a.tree().create(f"{at}/{name}")
    a.mutex(at).lock(0).release()
    assert names(a, at) == ["config", "zzz"]


def test_s46_other_libraries_contend(a: Client, b: Client, at: str) -> None:
    a.create(at)
    for name in ["_c_5-lock-", "5__lock__"]:
        other = b.create(f"{at}/{name}", ephemeral=True, sequential=True)
        fails("TIMEOUT", a.mutex(at).lock, 0)
        waiting = later(lock, a.mutex(at))
        until(b, at, 2)
        b.delete(other)
        waiting.result(LIMIT).release()


def test_s47_extra_patterns_contend(a: Client, b: Client, at: str) -> None:
    a.create(at)
    b.create(f"{at}/turn-", ephemeral=True, sequential=True)
    fails("TIMEOUT", a.mutex(at, extra_lock_patterns=["turn-"]).lock, 0)
    a.mutex(at).lock(0).release()


def test_s48_deleted_node_is_a_loss(a: Client, b: Client, at: str) -> None:
    losses: list[Loss] = []
    mutex = a.mutex(at, on_lost=losses.append)
    held = lock(mutex)
    b.delete(only(b, at))
    assert told(losses) == Loss(held.token, LossReason.NODE_DELETED)
    assert not mutex.is_held()
    fails("LOCK_LOST", mutex.unlock)
    assert len(losses) == 1


def test_s49_ended_session_is_a_loss(address: str, a: Client, b: Client, at: str) -> None:
    losses: list[Loss] = []
    held = lock(a.mutex(at, on_lost=losses.append))
    waiting = later(lock, b.mutex(at))
    until(b, at, 2)
    end_session(a, address)
    assert told(losses).reason in (LossReason.SESSION_OVER, LossReason.NODE_DELETED)
    assert waiting.result(LIMIT).token > held.token


def test_s50_validity_is_bounded(a: Client, at: str) -> None:
    with a.mutex(at) as held:
        assert 0 < held.valid_for() <= 4
    assert held.valid_for() == 0


def test_s51_closing_a_handle_ends_its_wait(a: Client, b: Client, at: str) -> None:
    with a.mutex(at):
        mutex = b.mutex(at)
        waiting = later(lock, mutex)
        until(a, at, 2)
        mutex.close()
        fails("CLOSED", waiting.result, LIMIT)
        until(a, at, 1)
        fails("CLOSED", mutex.lock, 0)


def test_s52_closing_the_client_releases(a: Client, b: Client, at: str) -> None:
    losses: list[Loss] = []
    held = lock(a.mutex(at, on_lost=losses.append))
    a.close()
    assert told(losses) == Loss(held.token, LossReason.CLIENT_CLOSED)
    b.mutex(at).lock(0).release()


def test_s53_lock_node_has_the_list(a: Client, b: Client, at: str) -> None:
    acl = [Acl.world(Perms.ALL & ~Perms.WRITE)]
    with a.mutex(at, acl=acl) as held:
        assert b.get_acl(only(b, at))[0] == acl
        assert held.is_held()
    assert names(b, at) == []


def test_s63_contenders_in_order(a: Client, b: Client, at: str) -> None:
    with a.mutex(at, description="nightly") as held:
        mutex = b.mutex(at)
        waiting = later(lock, mutex)
        until(b, at, 2)
        first, second = mutex.contenders()
        assert (first.stat.czxid, first.stat.ephemeral_owner) == (held.token, a.session_id)
        assert (first.pid, first.description, first.owner) == (os.getpid(), "nightly", Owner.LIVING)
        assert second.stat.ephemeral_owner == b.session_id
        assert second.sequence > first.sequence
    waiting.result(LIMIT).release()


def test_s64_revocation_is_told(a: Client, b: Client, at: str) -> None:
    asked: list[Revocation] = []
    with a.mutex(at, on_revocation=asked.append) as held:
        other = b.mutex(at)
        other.request_revocation("lock-0000000000", "maintenance")
        assert told(asked) == Revocation(held.token, "maintenance")
        assert held.is_held()
        assert other.contenders()[0].asked == "maintenance"


def test_s65_revocation_of_nobody(a: Client, b: Client, at: str) -> None:
    with a.mutex(at):
        fails("NO_NODE", b.mutex(at).request_revocation, "lock-0000000099")
        fails("BAD_ARGUMENT", b.mutex(at).request_revocation, "config")


def test_s66_guarded_while_held(a: Client, b: Client, home: str, at: str) -> None:
    mutex = a.mutex(at)
    # Before it locks there is nothing in Python to say it with.
    assert not hasattr(mutex, "guarded")
    with mutex as held:
        assert len(held.guarded([SetData(home, b"held")])) == 1
    fails("NOT_HELD", held.guarded, [SetData(home, b"late")])
    data, found = b.get(home)
    assert (data, found.version) == (b"held", 1)


def test_s67_guarded_changes_nothing_once_lost(a: Client, b: Client, home: str, at: str) -> None:
    held = lock(a.mutex(at))
    b.delete(only(b, at))
    with pytest.raises((zkhelper.LockLost, zkhelper.NotHeldError)):
        held.guarded([SetData(home, b"lost")])
    assert b.get(home).data == b""
