"""Elections, blocking and with tasks, on both servers."""

import asyncio
import json
import threading

import pytest

import zkhelper
from conftest import LIMIT, eventually
from zkhelper import Client, Standing, Stop, StopReason, aio
from zkhelper.testing import Server


def test_terms_do_not_overlap_and_the_record_names_the_leader(client: Client, other: Client, path: str) -> None:
    leading: list[int] = []
    tokens: list[int] = []

    def stand(elector: zkhelper.Elector) -> None:
        for _ in range(5):
            with elector.campaign() as term:
                leading.append(1)
                assert len(leading) == 1
                assert term.is_leading()
                assert elector.is_leading()
                assert term.valid_for() > 0
                tokens.append(term.token)
                record = elector.leader()
                assert record is not None
                assert (record.token, record.standing) == (term.token, Standing.LEADING)
                assert json.loads(record.data)["desc"] == "test"
                leading.pop()

    electors = [one.elector(path, description="test") for one in (client, other)]
    threads = [threading.Thread(target=stand, args=[elector]) for elector in electors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 10
    assert tokens == sorted(tokens)
    record = electors[0].leader()
    assert record is not None
    assert record.standing is Standing.GONE
    assert electors[0].candidates() == []


def test_a_task_is_run_again_until_it_is_interrupted(
    client: Client, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    elector = client.elector(path, min_backoff=0.01)
    terms: list[int] = []

    class Task:
        stops: list[Stop] = []  # noqa: RUF012

        def run(self, term: zkhelper.Term) -> None:
            terms.append(term.token)
            if len(terms) == 1:
                raise ZeroDivisionError
            if len(terms) == 2:
                return
            elector.interrupt()
            assert term.stopped.wait(LIMIT)
            eventually(lambda: len(self.stops) == 1, "stop was called")

        def stop(self, why: Stop) -> None:
            self.stops.append(why)

    task = Task()
    elector.run(task)
    assert len(terms) == 3
    assert task.stops == [Stop(StopReason.INTERRUPTED, None)]
    assert "failed" in caplog.text
    assert elector.candidates() == []


def test_a_task_may_end_the_election_itself(client: Client, path: str) -> None:
    elector = client.elector(path)

    def give_up(term: zkhelper.Term) -> None:
        raise zkhelper.Interrupted

    elector.run(give_up)

    class Once:
        def run(self, term: zkhelper.Term) -> None:
            pass

        def interrupted(self) -> bool:
            return True

    elector.run(Once())
    elector.close()
    elector.run(give_up)
    with pytest.raises(zkhelper.ClosedError):
        elector.campaign()


def test_an_exception_that_ends_programs_ends_the_term(client: Client, path: str) -> None:
    elector = client.elector(path)

    def leave(term: zkhelper.Term) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elector.run(leave)
    assert elector.candidates() == []


def test_observers_are_told_and_a_leader_may_resign(client: Client, other: Client, path: str) -> None:
    elector = client.elector(path)
    assert elector.leader() is None
    assert not elector.resign()
    with other.elector(path).leaders() as changes:
        assert changes.next(LIMIT) == zkhelper.LeaderChange(None)
        with elector.campaign() as term:
            change = changes.next(LIMIT)
            assert change is not None
            assert change.leader is not None
            assert change.leader.token == term.token
            assert term.resign()
            assert term.stopped.reason == Stop(StopReason.RESIGNED, None)
            assert term.stopped
        change = changes.next(LIMIT)
        assert change is not None
        assert change.leader is not None
        assert change.leader.standing is Standing.GONE


def test_bad_arguments_are_refused(client: Client, path: str) -> None:
    with pytest.raises(zkhelper.BadPathError):
        client.elector("x")
    for options in [
        {"lease": -1},
        {"min_backoff": 5, "max_backoff": 1},
        {"grace": float("inf"), "abort_when_overdue": True},
    ]:
        with pytest.raises(zkhelper.BadArgumentError):
            client.elector(path, **options)  # type: ignore[arg-type]
    with client.elector(path).campaign(), pytest.raises(zkhelper.BadArgumentError, match="delay"):
        client.elector(path, lease=3).campaign()


def test_a_leader_whose_server_freezes_is_told_to_stop_in_its_lease() -> None:
    overdue: list[int] = []
    with Server(tick=0.1) as server, Client(server.address, session_timeout=2) as client:
        elector = client.elector("/election", lease=0.5, grace=0.1, on_overdue=overdue.append)
        with elector.campaign() as term:
            told: list[Stop] = []
            term.stopped.add_callback(told.append)
            server.freeze()
            assert term.stopped.wait(LIMIT)
            assert not term.is_leading()
            assert term.valid_for() == 0
            reason = term.stopped.reason
            assert reason is not None
            assert reason.reason is StopReason.LOST
            assert reason.loss is not None
            eventually(lambda: overdue == [term.token], "the grace is over")
            eventually(lambda: told == [reason], "the callback was called")
            server.thaw()
        with pytest.raises(zkhelper.LockLost), client.elector("/b", lease=0.5, raise_on_loss=True).campaign() as term:
            server.expire(client.session_id)
            assert term.stopped.wait(LIMIT)


def test_the_same_with_tasks(address: str, path: str) -> None:
    async def work() -> None:
        async with aio.Client(address) as client, aio.Client(address) as other:
            elector = client.elector(path, min_backoff=0.01)
            async with elector.campaign() as term:
                assert term.is_leading()
                waiting = asyncio.create_task(other.elector(path).campaign())
                while len(await elector.candidates()) < 2:
                    await asyncio.sleep(0.01)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                while len(await elector.candidates()) > 1:
                    await asyncio.sleep(0.01)
                leader = await elector.leader()
                assert leader is not None
                assert leader.token == term.token
            terms: list[int] = []
            stops: list[Stop] = []

            class Task:
                async def run(self, term: aio.Term) -> None:
                    terms.append(term.token)
                    if len(terms) == 1:
                        raise ZeroDivisionError
                    elector.interrupt()
                    assert await term.stopped.wait(LIMIT)
                    await asyncio.sleep(0)

                async def stop(self, why: Stop) -> None:
                    stops.append(why)

            await elector.run(Task())
            assert len(terms) == 2
            # The callback is a task of its own.
            while not stops:
                await asyncio.sleep(0.001)
            assert stops == [Stop(StopReason.INTERRUPTED, None)]

            async def forever(term: aio.Term) -> None:
                terms.append(term.token)
                await asyncio.sleep(LIMIT)

            running = asyncio.create_task(elector.run(forever))
            while len(terms) < 3:
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            while await elector.candidates():
                await asyncio.sleep(0.01)

    asyncio.run(work())
