"""Conformance, elections: scenarios 68 to 76."""

import time

import zkhelper
from conftest import LIMIT, eventually
from ground import MINUTE, end_session, fails, later
from zkhelper import Client, Elector, Leader, LossReason, Standing, Stop, StopReason, Term


def elector(client: Client, path: str, lease: float = MINUTE) -> Elector:
    return client.elector(path, lease=lease, grace=0.2, min_backoff=0.005, max_backoff=0.02)


def candidates(one: Elector, count: int) -> None:
    eventually(lambda: len(one.candidates()) == count, f"{count} candidates")


def record(one: Elector) -> tuple[int | None, Standing]:
    found = one.leader()
    assert found is not None
    return found.token, found.standing


def test_s68_leader_record_says_who(a: Client, b: Client, at: str) -> None:
    other = elector(b, at)
    with elector(a, at).campaign() as term:
        assert record(other) == (term.token, Standing.LEADING)
    assert record(other) == (term.token, Standing.GONE)


def test_s69_one_leads_and_tokens_grow(a: Client, b: Client, at: str) -> None:
    one, two = elector(a, at), elector(b, at)
    began = time.monotonic()
    with one.campaign() as term:
        waiting = later(two.campaign)
        candidates(one, 2)
        one.interrupt()
        assert term.stopped.wait(LIMIT)
        assert term.stopped.reason == Stop(StopReason.INTERRUPTED, None)
        assert not waiting.done()
    assert waiting.result(LIMIT).token > term.token
    assert time.monotonic() - began < MINUTE


def test_s70_failed_task_is_elected_again(a: Client, at: str) -> None:
    tokens: list[int] = []

    def lead(term: Term) -> None:
        tokens.append(term.token)
        if len(tokens) == 1:
            raise ZeroDivisionError
        if len(tokens) == 3:
            raise zkhelper.Interrupted

    # In Python an interrupted election returns.
    later(elector(a, at).run, lead).result(LIMIT)
    assert len(tokens) == 3
    assert tokens == sorted(set(tokens))


def test_s71_interrupt_stops_the_task(a: Client, at: str) -> None:
    one = elector(a, at)
    seen: list[object] = []

    def lead(term: Term) -> None:
        one.interrupt()
        seen.extend([term.stopped.wait(LIMIT), term.stopped.reason, term.is_leading()])

    later(one.run, lead).result(LIMIT)
    assert seen == [True, Stop(StopReason.INTERRUPTED, None), True]
    candidates(one, 0)


def test_s72_resigned_leader_stands_again(a: Client, b: Client, at: str) -> None:
    one, two = elector(a, at), elector(b, at)
    tokens: list[int] = []
    stops: list[Stop | None] = []

    def lead(term: Term) -> None:
        tokens.append(term.token)
        term.stopped.wait(LIMIT)
        stops.append(term.stopped.reason)

    running = later(one.run, lead)
    eventually(lambda: len(tokens) == 1, "the first leads")
    waiting = later(two.campaign)
    candidates(one, 2)
    assert one.resign()
    term = waiting.result(LIMIT)
    assert stops == [Stop(StopReason.RESIGNED, None)]
    assert term.token > tokens[0]
    candidates(two, 2)
    assert len(tokens) == 1
    one.interrupt()
    running.result(LIMIT)
    term.end()


def test_s73_close_stops_the_task(a: Client, b: Client, at: str) -> None:
    one = elector(a, at)
    seen: list[object] = []

    def lead(term: Term) -> None:
        one.close()
        seen.extend([term.stopped.wait(LIMIT), term.stopped.reason, term.is_leading()])

    later(one.run, lead).result(LIMIT)
    assert seen == [True, Stop(StopReason.CLOSED, None), True]
    fails("CLOSED", one.campaign)
    candidates(elector(b, at), 0)


def test_s74_ended_session_deposes(address: str, a: Client, b: Client, at: str) -> None:
    one, two = elector(a, at, lease=1), elector(b, at, lease=1)
    term = one.campaign()
    waiting = later(two.campaign)
    candidates(one, 2)
    ending = time.monotonic()
    end_session(a, address)
    assert term.stopped.wait(LIMIT)
    # Where it takes a second to hear of the end, the lease runs out before.
    losses = (LossReason.SESSION_OVER, LossReason.NODE_DELETED, LossReason.LEASE_RAN_OUT)
    assert term.stopped.reason in [Stop(StopReason.LOST, loss) for loss in losses]
    fails("LOCK_LOST", term.end)
    assert waiting.result(LIMIT).token > term.token
    assert time.monotonic() - ending >= 1.2


def test_s75_observers_are_told(a: Client, b: Client, at: str) -> None:
    with elector(b, at).leaders() as leaders:

        def following() -> Leader | None:
            change = leaders.next(LIMIT)
            assert change is not None
            return change.leader

        assert following() is None
        with elector(a, at).campaign() as term:
            found = following()
            assert found is not None
            assert (found.token, found.standing) == (term.token, Standing.LEADING)
        while found.standing is not Standing.GONE:
            found = following()
            assert found is not None
        assert found.token == term.token


def test_s76_another_lease_is_refused(a: Client, b: Client, at: str) -> None:
    with elector(a, at).campaign() as term:
        fails("BAD_ARGUMENT", later(elector(b, at, lease=50).campaign).result, LIMIT)
        assert term.is_leading()
