"""The mutex: exclusion, order, time-outs, loss. On the embedded server and on Apache ZooKeeper."""

import gc
import json
import os
import threading
import time

import pytest

import zkhelper
from conftest import LIMIT, eventually, locks, run
from zkhelper import Client, LossReason
from zkhelper.testing import Server


def test_a_lock_is_a_node_with_json_and_its_token_is_the_nodes_czxid(client: Client, path: str) -> None:
    mutex = client.mutex(path, description="nightly report", contents={"role": "blue"})
    with mutex as held:
        (contender,) = mutex.contenders()
        contents = json.loads(contender.data)
        assert (contents["desc"], contents["role"]) == ("nightly report", "blue")
        assert contender.stat.czxid == held.token
        assert contender.stat.ephemeral_owner == client.session_id
        assert held.is_held()
        assert mutex.is_held()
        assert held.valid_for() > 0
    assert not held.is_held()
    assert held.valid_for() == 0
    assert mutex.contenders() == []


def test_threads_and_clients_exclude_each_other(client: Client, other: Client, path: str) -> None:
    inside: list[int] = []
    tokens: list[int] = []

    def work(mutex: zkhelper.Mutex) -> None:
        for _ in range(10):
            with mutex as held:
                inside.append(1)
                assert len(inside) == 1
                tokens.append(held.token)
                inside.pop()

    mutexes = [client.mutex(path, timeout=LIMIT), other.mutex(path, timeout=LIMIT)]
    threads = [threading.Thread(target=work, args=[mutex]) for mutex in mutexes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 40
    assert tokens == sorted(set(tokens))
    assert locks(client, path) == 0


def test_waiters_are_served_in_the_order_of_arrival(client: Client, other: Client, path: str) -> None:
    served: list[int] = []

    def wait(number: int) -> None:
        with other.mutex(path, timeout=LIMIT):
            served.append(number)

    threads = []
    with client.mutex(path):
        for number in range(5):
            thread = threading.Thread(target=wait, args=[number])
            thread.start()
            threads.append(thread)
            eventually(lambda count=number + 2: locks(client, path) == count, "the next one waits")  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert served == list(range(5))


def test_a_timeout_is_a_timeout_error_and_leaves_no_node(client: Client, other: Client, path: str) -> None:
    with client.mutex(path):
        with pytest.raises(TimeoutError) as raised:
            other.mutex(path).lock(timeout=0.1)
        assert isinstance(raised.value, zkhelper.LockTimeout)
        assert (raised.value.code, raised.value.path, raised.value.retriable) == (-1009, path, True)
        assert locks(client, path) == 1
        assert other.mutex(path).try_lock() is None
        assert locks(client, path) == 1
    held = other.mutex(path).try_lock()
    assert held is not None
    held.release()


def test_an_interrupt_ends_a_wait_and_is_remembered(client: Client, other: Client, path: str) -> None:
    waiting = other.mutex(path)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            waiting.lock(timeout=None)
        except zkhelper.Interrupted as error:
            raised.append(error)

    with client.mutex(path):
        thread = threading.Thread(target=wait)
        thread.start()
        eventually(lambda: locks(client, path) == 2, "the thread waits")
        waiting.interrupt()
        thread.join()
        assert len(raised) == 1
        assert locks(client, path) == 1
        waiting.interrupt()
        with pytest.raises(zkhelper.Interrupted):
            waiting.lock()


def test_a_lock_is_released_when_nothing_refers_to_it(client: Client, path: str) -> None:
    mutex = client.mutex(path)
    mutex.lock()
    gc.collect()
    assert mutex.is_held()
    del mutex
    eventually(lambda: locks(client, path) == 0, "the lock is free")


def test_releasing_twice_and_unlocking_what_is_not_held_are_errors(client: Client, path: str) -> None:
    mutex = client.mutex(path)
    with pytest.raises(zkhelper.NotHeldError):
        mutex.unlock()
    held = mutex.lock()
    mutex.unlock()
    with pytest.raises(zkhelper.NotHeldError):
        held.release()
    with mutex as held:
        held.release()
        # The block's end finds it released, and must not release what somebody else took meanwhile.
        again = mutex.lock()
    assert again.is_held()
    again.release()


def test_bad_arguments_are_refused_before_anything_is_sent(client: Client, path: str) -> None:
    for bad in ["", "a", "/a/", "/a//b", "/a/./b", "/a\0", "/"]:
        with pytest.raises(zkhelper.BadPathError) as raised:
            client.mutex(bad)
        assert raised.value.path == bad
        assert isinstance(raised.value, ValueError)
    for timeout in [-5.0, float("nan")]:
        with pytest.raises(zkhelper.BadArgumentError, match="timeout"):
            client.mutex(path).lock(timeout=timeout)
    with pytest.raises(zkhelper.BadArgumentError, match="not JSON"):
        client.mutex(path, contents={"a": object()})
    with pytest.raises(zkhelper.BadArgumentError, match="a text"):
        client.mutex(path, extra_lock_patterns="lock-")
    with pytest.raises(zkhelper.BadArgumentError, match="access control list"):
        client.mutex(path, acl=[])
    with pytest.raises(zkhelper.BadArgumentError, match="delay"):
        client.mutex(path, strict=zkhelper.Strict(lease=10, delay=5))
    with pytest.raises(TypeError):
        client.mutex(3)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        client.mutex("/\ud800")


def test_a_closed_mutex_ends_waits_and_releases(client: Client, path: str) -> None:
    mutex = client.mutex(path)
    mutex.lock()
    mutex.close()
    with pytest.raises(zkhelper.ClosedError):
        mutex.lock()
    eventually(lambda: locks(client, path) == 0, "the lock is free")


def test_numbers_begin_anew_after_a_reset(client: Client, path: str) -> None:
    mutex = client.mutex(path)
    with mutex as first:
        token = first.token
        with pytest.raises(zkhelper.NotEmptyError):
            mutex.reset()
    mutex.reset()
    with mutex as held:
        assert mutex.contenders()[0].sequence == 0
        assert held.token > token


def test_a_strict_lock_can_be_held(client: Client, path: str) -> None:
    with client.mutex(path, strict=zkhelper.Strict(2, 2)) as held:
        assert 0 < held.valid_for() <= 2


def test_guarded_writes_are_made_only_while_the_lock_is_held(client: Client, path: str) -> None:
    node = f"{path}-node"
    with client.mutex(path) as held:
        assert held.guarded([zkhelper.Create(node, b"1")]) == [node]
    with pytest.raises(zkhelper.NotHeldError):
        held.guarded([zkhelper.SetData(node, b"2")])
    assert client.get(node).data == b"1"


def delete_node(client: Client, mutex: zkhelper.Mutex) -> None:
    (contender,) = mutex.contenders()
    client.delete(f"{mutex.path}/{contender.name}")


def test_a_loss_is_told_by_event_callback_and_the_blocks_end(client: Client, other: Client, path: str) -> None:
    told: list[zkhelper.Loss] = []
    again: list[zkhelper.Loss] = []
    mutex = client.mutex(path, on_lost=told.append)
    with pytest.raises(zkhelper.LockLost), mutex as held:
        held.lost.add_callback(again.append)
        assert not held.lost
        delete_node(other, mutex)
        assert held.lost.wait(LIMIT)
        assert held.lost.reason is LossReason.NODE_DELETED
        assert (held.is_held(), held.valid_for()) == (False, 0)
        with pytest.raises(zkhelper.LockLost):
            held.guarded([zkhelper.Check("/")])
    eventually(lambda: len(told) == len(again) == 1, "the callbacks were called")
    assert told == again == [zkhelper.Loss(held.token, LossReason.NODE_DELETED)]
    # It is known also after the end.
    assert held.lost.reason is LossReason.NODE_DELETED


def test_leaving_after_a_loss_raises_nothing_if_so_chosen(client: Client, other: Client, path: str) -> None:
    mutex = client.mutex(path, raise_on_loss=False)
    with mutex as held:
        delete_node(other, mutex)
        assert held.lost.wait(LIMIT)


def test_an_error_of_the_block_is_not_hidden_by_the_loss(client: Client, other: Client, path: str) -> None:
    mutex = client.mutex(path)
    with pytest.raises(ZeroDivisionError) as raised, mutex as held:
        delete_node(other, mutex)
        assert held.lost.wait(LIMIT)
        raise ZeroDivisionError
    assert "lost" in "".join(raised.value.__notes__)


def test_waiting_for_a_loss_ends_with_the_release(client: Client, path: str) -> None:
    answers: list[bool] = []
    with client.mutex(path) as held:
        assert not held.lost.wait(0.01)
        thread = threading.Thread(target=lambda: answers.append(held.lost.wait()))
        thread.start()
    thread.join(LIMIT)
    assert answers == [False]


def test_a_frozen_servers_holder_hears_of_the_loss_in_time() -> None:
    with Server(tick=0.1) as server, Client(server.address, session_timeout=1) as client:
        held = client.mutex("/lock").lock()
        server.freeze()
        left = held.valid_for()
        began = time.monotonic()
        assert 0 < left <= 1
        assert held.lost.wait(LIMIT)
        assert held.lost.reason in (LossReason.LEASE_RAN_OUT, LossReason.SESSION_OVER)
        assert time.monotonic() - began < left + 5
        server.thaw()


def test_a_lost_reply_and_an_expired_session_leave_one_node() -> None:
    with Server(tick=0.1) as server, Client(server.address, session_timeout=2) as client:
        mutex = client.mutex("/lock", timeout=LIMIT)
        server.cut("create", 1, after_applying=True)
        with mutex:
            assert locks(client, "/lock") == 1
        with pytest.raises(zkhelper.LockLost), mutex as held:
            server.expire(client.session_id)
            assert held.lost.wait(LIMIT)
        with mutex:
            assert locks(client, "/lock") == 1


def test_numbers_near_their_end_are_refused_with_the_remedy() -> None:
    with Server() as server, Client(server.address) as client:
        mutex = client.mutex("/lock")
        with mutex:
            pass
        server.set_sequence("/lock", 2**31 - 1)
        with pytest.raises(zkhelper.SequenceExhaustedError, match="reset"):
            mutex.lock()
        mutex.reset()
        with mutex:
            pass


def test_a_persistent_lock_outlasts_its_owner_until_it_is_released(address: str, client: Client, path: str) -> None:
    owner = Client(address)
    owner.mutex(path, persistent=zkhelper.Persistent(lease=0.2)).lock(description="job").token  # noqa: B018
    mutex = client.mutex(path, persistent=zkhelper.Persistent(lease=0.2))
    eventually(lambda: mutex.contenders() == [], "what nothing refers to is released")

    kept = owner.mutex(path, persistent=zkhelper.Persistent(lease=0.2))
    held = kept.lock(description="job")
    (contender,) = mutex.contenders()
    assert (contender.owner, contender.pid, contender.description) == (zkhelper.Owner.LIVING, os.getpid(), "job")
    with pytest.raises(zkhelper.NodeExistsError):
        mutex.release_dead(contender.name)
    with pytest.raises(zkhelper.BadVersionError):
        mutex.release_by_force(contender.name, contender.stat.czxid + 1)
    mutex.release_by_force(contender.name, contender.stat.czxid)
    assert held.lost.wait(LIMIT)

    # Somebody whose process ends without a word.
    program = (
        "import os, sys, zkhelper; c = zkhelper.Client(sys.argv[1], session_timeout=1);"
        "m = c.mutex(sys.argv[2], persistent=zkhelper.Persistent(0.2)); m.lock(); os._exit(0)"
    )
    run(program, address, path)
    eventually(lambda: mutex.contenders()[0].owner is zkhelper.Owner.GONE, "its session is over")
    assert mutex.try_lock() is None
    mutex.release_dead(mutex.contenders()[0].name)
    mutex.lock(timeout=LIMIT).release()
    owner.close()


def test_a_holder_is_asked_to_give_the_lock_up(client: Client, other: Client, path: str) -> None:
    asked: list[zkhelper.Revocation] = []
    mutex = client.mutex(path, on_revocation=asked.append)
    with mutex as held, mutex.revocations() as requests:
        theirs = other.mutex(path)
        (contender,) = theirs.contenders()
        assert contender.asked is None
        theirs.request_revocation(contender.name, "maintenance")
        expected = zkhelper.Revocation(held.token, "maintenance")
        assert requests.next(LIMIT) == expected
        eventually(lambda: asked == [expected], "the callback ran")
        assert theirs.contenders()[0].asked == "maintenance"
        with pytest.raises(zkhelper.NoNodeError):
            theirs.request_revocation("lock-0000009999")
