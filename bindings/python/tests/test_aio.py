"""zkhelper.aio: the same with tasks, and what is special about them: cancelling, no threads, order."""

import asyncio
import inspect
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import zkhelper
from conftest import LIMIT, PROVE, fresh_path
from zkhelper import WatchEvent, WatchEventKind, aio
from zkhelper.testing import Server


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT * 5):
            await work()

    asyncio.run(bounded(), debug=False)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    until = time.monotonic() + LIMIT
    while not await condition():
        assert time.monotonic() < until, f"not within {LIMIT} s: {what}"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def two(address: str) -> AsyncIterator[tuple[aio.Client, aio.Client]]:
    async with aio.Client(address) as one, aio.Client(address) as other:
        yield one, other


def test_every_name_has_a_twin_with_the_same_parameters() -> None:
    pairs: list[tuple[type, type]] = [
        (getattr(zkhelper, name), twin) for name, twin in inspect.getmembers(aio, inspect.isclass) if name in NAMES
    ]
    assert len(pairs) == len(NAMES)
    for blocking, awaited in pairs:
        names, twins = public(blocking), public(awaited)
        assert names.keys() == twins.keys(), blocking
        for name, member in names.items():
            twin = twins[name]
            assert name.startswith("_") or inspect.getdoc(twin), f"{awaited.__name__}.{name} has no documentation"
            if isinstance(member, property):
                assert isinstance(twin, property)
                continue
            mine, its = inspect.signature(member), inspect.signature(twin)
            if not (name.startswith("__") and name.endswith("enter__")):
                assert list(mine.parameters.values()) == list(its.parameters.values()), f"{blocking.__name__}.{name}"
            # What blocks there is awaited here, and nothing else is.
            waits = "wait" in member.__code__.co_names or name in CALLS_WHAT_WAITS
            awaitable = inspect.iscoroutinefunction(twin) or "Granted" in str(its.return_annotation)
            assert awaitable == waits, f"{blocking.__name__}.{name}"


# A task is a caller's own.
NAMES = set(aio.__all__) - {"Granted", "Task"}
#: Methods that block by calling another one that does.
CALLS_WHAT_WAITS = {"try_lock", "unlock", "run", "__enter__", "__exit__", "__next__"}


def public(cls: type) -> dict[str, Any]:
    special = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}
    members = {special.get(name, name): member for name, member in vars(cls).items()}
    own = {"__enter__", "__exit__", "__next__"}
    return {
        name: member
        for name, member in members.items()
        if (not name.startswith("_") or name in own) and (callable(member) or isinstance(member, property))
    }


def test_locks_exclude_tasks_and_blocking_code(address: str, path: str) -> None:
    async def work() -> None:
        async with two(address) as (one, other):
            mutex = one.mutex(path, timeout=LIMIT)
            async with mutex as held:
                assert held.is_held()
                assert held.valid_for() > 0
                with pytest.raises(zkhelper.LockTimeout):
                    await other.mutex(path).lock(timeout=0.05)
                assert await other.mutex(path).try_lock() is None
                assert len(await mutex.contenders()) == 1
                assert await held.guarded([zkhelper.Create(f"{path}-n")]) == [f"{path}-n"]
            async with mutex.lock(timeout=LIMIT) as again:
                assert again.token > held.token
            third = await mutex.lock()
            await mutex.unlock()
            with pytest.raises(zkhelper.NotHeldError):
                await third.release()
            with zkhelper.Client(address) as blocking, blocking.mutex(path):
                assert await other.mutex(path).try_lock() is None

    run(work)


def test_plain_operations_and_watches(address: str, path: str) -> None:
    async def work() -> None:
        async with two(address) as (one, other):
            async with one.mutex(path):
                pass
            node = f"{path}/a"
            seen: list[WatchEvent] = []

            async def look(event: WatchEvent) -> None:
                await one.get(event.path)
                seen.append(event)

            assert await one.exists(node, watch=look) is None
            async with await one.watch(path, recursive=True) as events:
                with pytest.raises(zkhelper.OperationTimeout):
                    await events.next(timeout=0.01)
                await other.create(node, b"1")
                assert await anext(events) == WatchEvent(WatchEventKind.CREATED, node)
                await other.set(node, b"2")
                async for event in events:
                    assert event.kind is WatchEventKind.DATA_CHANGED
                    break
            assert await events.next() is None

            async def called() -> bool:
                return seen == [WatchEvent(WatchEventKind.CREATED, node)]

            await eventually(called, "the callback ran")
            assert (await one.get(node)).data == b"2"
            assert await one.children(path) == ["a"]
            made = await one.multi([zkhelper.Check(node), zkhelper.Delete(node)])
            assert made == [None, None]

    run(work)


def test_no_event_is_lost_by_a_cancelled_wait(address: str, path: str) -> None:
    async def work() -> None:
        async with two(address) as (one, other):
            async with one.mutex(path):
                pass
            events = await one.watch(path, recursive=True)
            count = 200

            async def make() -> None:
                for number in range(count):
                    await other.create(f"{path}/{number}")

            making = asyncio.create_task(make())
            names: list[str] = []
            while len(names) < count:
                try:
                    async with asyncio.timeout(random.uniform(0, 0.002)):
                        event = await events.next()
                        assert event is not None
                        names.append(event.path)
                except TimeoutError:
                    pass
            await making
            assert names == [f"{path}/{number}" for number in range(count)]

    run(work)


def test_losses_and_states_reach_callbacks_in_the_loop() -> None:
    async def work() -> None:
        told: list[zkhelper.Loss] = []
        states: list[zkhelper.State] = []
        here = threading.get_ident()

        async def lost(loss: zkhelper.Loss) -> None:
            assert threading.get_ident() == here
            told.append(loss)

        with Server(tick=0.1) as server:
            client = aio.Client(server.address, session_timeout=2, on_state=lambda event: states.append(event.state))
            async with client:
                with pytest.raises(zkhelper.LockLost):
                    async with client.mutex("/lock", on_lost=lost) as held:
                        server.expire(client.session_id)
                        assert await held.lost.wait(LIMIT)
                        assert held.lost

                async def called() -> bool:
                    return len(told) == 1

                await eventually(called, "the callback ran")
                assert told[0].token == held.token
        assert zkhelper.State.LOST in states

    run(work)


def test_a_cancelled_wait_ends_at_once_and_leaves_no_node(address: str, path: str) -> None:
    async def work() -> None:
        async with two(address) as (one, other), one.mutex(path) as held:
            mutex = one.mutex(path)
            for _ in range(50):
                waiting = asyncio.create_task(other.mutex(path).lock())
                await asyncio.sleep(random.uniform(0, 0.003))
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting

            async def alone() -> bool:
                return len(await mutex.contenders()) == 1

            await eventually(alone, "nobody waits any more")
            assert held.is_held()

    run(work)


def test_a_lock_granted_to_a_cancelled_task_is_released(address: str, path: str) -> None:
    async def work() -> None:
        async with two(address) as (one, other):
            mutex = one.mutex(path)
            for round in range(100):
                locking = asyncio.create_task(mutex.lock())
                # From before the request leaves to after the grant.
                await asyncio.sleep(round * 0.00003)
                locking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await locking
                    raise asyncio.CancelledError
                del locking
                mutex = one.mutex(path)
            held = await other.mutex(path).lock(timeout=LIMIT)
            await held.release()

    run(work)


def test_a_thousand_tasks_wait_without_threads_and_two_hundred_are_cancelled(embedded: Server) -> None:
    count = 5000 if PROVE else 1000
    cancelled = count // 5

    async def work() -> None:
        path = fresh_path("many")
        async with two(embedded.address) as (one, other):
            served: list[int] = []
            threads = threading.active_count()
            system_threads = thread_count()
            gate = await one.mutex(path).lock()

            async def wait(number: int) -> None:
                async with other.mutex(path):
                    served.append(number)

            tasks = []
            for number in range(count):
                tasks.append(asyncio.create_task(wait(number)))
                # Its request leaves before the next one's.
                await asyncio.sleep(0)

            watcher = one.mutex(path)

            async def all_wait() -> bool:
                return len(await one.children(path)) == count + 1

            await eventually(all_wait, "all wait")
            assert threading.active_count() == threads
            assert thread_count() <= system_threads + 1
            order = [c.name for c in await watcher.contenders()]
            assert len(order) == count + 1
            doomed = random.sample(range(count), cancelled)
            for task in doomed[: cancelled // 2]:
                tasks[task].cancel()
            await gate.release()
            for task in doomed[cancelled // 2 :]:
                await asyncio.sleep(random.uniform(0, 0.002))
                tasks[task].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            failures = [o for o in outcomes if o is not None and not isinstance(o, asyncio.CancelledError)]
            assert failures == []
            # Whoever was not cancelled was served, in the order of arrival.
            assert served == sorted(served)
            assert set(range(count)) - set(doomed) <= set(served)

            async def nobody() -> bool:
                return await one.children(path) == []

            await eventually(nobody, "no node is left")

    run(work)


def thread_count() -> int:
    """The process's threads, also those that Python does not know of."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def test_a_loop_may_be_closed_while_operations_are_under_way(address: str, path: str) -> None:
    async def leave() -> None:
        client = aio.Client(address)
        held = await client.mutex(path).lock(timeout=LIMIT)
        waiting = asyncio.create_task(client.mutex(path).lock())
        await asyncio.sleep(0.01)
        del waiting
        await held.release()

    for _ in range(5):
        asyncio.run(leave())

    async def again() -> None:
        async with aio.Client(address) as client, client.mutex(path, timeout=LIMIT):
            pass

    run(again)
