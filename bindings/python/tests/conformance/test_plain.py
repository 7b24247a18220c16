"""Conformance, plain operations: scenarios 11 to 24."""

import asyncio

import pytest

import zkhelper
from ground import fails, names, stat
from zkhelper import Acl, Check, Client, Create, GetChildren, GetData, Perms, SetData, State, aio


def test_s11_create_get_set_delete(a: Client, home: str) -> None:
    at = f"{home}/n"
    assert a.create(at, b"one") == at
    assert stat(a, at).version == 0
    assert a.set(at, b"two", 0).version == 1
    assert a.get(at).data == b"two"
    a.delete(at, 1)
    assert a.exists(at) is None


def test_s12_sequential_names(a: Client, home: str) -> None:
    for number, ephemeral in enumerate([False, False, True]):
        made = a.create(f"{home}/job-", sequential=True, ephemeral=ephemeral)
        assert made == f"{home}/job-{number:010}"
    assert a.children(home) == ["job-0000000000", "job-0000000001", "job-0000000002"]


def test_s13_ephemerals_have_an_owner(a: Client, home: str) -> None:
    plain = a.create(f"{home}/p")
    ephemeral = a.create(f"{home}/e", ephemeral=True)
    assert stat(a, plain).ephemeral_owner == 0
    assert stat(a, ephemeral).ephemeral_owner == a.session_id
    fails("NO_CHILDREN_FOR_EPHEMERALS", a.create, f"{ephemeral}/c")


def test_s14_wrong_version_changes_nothing(a: Client, home: str) -> None:
    fails("BAD_VERSION", a.set, home, b"new", 5)
    fails("BAD_VERSION", a.delete, home, 5)
    data, found = a.get(home)
    assert (data, found.version) == (b"", 0)


def test_s15_codes_of_what_is_there_and_is_not(a: Client, home: str) -> None:
    none = f"{home}/none"
    fails("NO_NODE", a.get, none)
    fails("NO_NODE", a.set, none, b"")
    fails("NO_NODE", a.delete, none)
    fails("NO_NODE", a.children, none)
    fails("NO_NODE", a.create, f"{none}/c")
    assert a.exists(none) is None
    a.create(f"{home}/c")
    fails("NODE_EXISTS", a.create, home)
    fails("NOT_EMPTY", a.delete, home)


def test_s16_list_has_its_own_version(a: Client, home: str) -> None:
    at, read_only = a.create(f"{home}/n"), [Acl.world(Perms.READ | Perms.ADMIN)]
    assert a.set_acl(at, read_only, 0).aversion == 1
    found, status = a.get_acl(at)
    assert (found, status.aversion, status.version) == (read_only, 1, 0)
    fails("BAD_VERSION", a.set_acl, at, read_only, 0)


def test_s17_multi_is_all_or_nothing(a: Client, home: str) -> None:
    create = Create(f"{home}/a")
    fails("NO_NODE", a.multi, [create, SetData(f"{home}/none", b"")])
    assert a.exists(create.path) is None
    assert a.multi([create]) == [create.path]
    assert a.exists(create.path) is not None


def test_s18_multi_checks_versions(a: Client, home: str) -> None:
    a.multi([Check(home, 0), Create(f"{home}/a")])
    fails("BAD_VERSION", a.multi, [Check(home, 7), Create(f"{home}/b")])
    assert names(a, home) == ["a"]


def test_s19_multi_read_answers_each(a: Client, home: str) -> None:
    at = a.create(f"{home}/n", b"data")
    node, children, none = a.multi_read([GetData(at), GetChildren(home), GetData(f"{home}/none")])
    assert isinstance(node, zkhelper.Node)
    assert (node.data, children) == (b"data", ["n"])
    assert isinstance(none, zkhelper.NoNodeError)


def test_s20_data_of_every_kind(a: Client, home: str) -> None:
    for data in [b"", bytes(range(256)), b"x" * 100_000]:
        a.set(home, data)
        assert a.get(home).data == data


def test_s21_too_large_is_refused_unsent(a: Client, home: str) -> None:
    session = a.session_id
    with a.states() as states:
        assert next(states).state is State.CONNECTED
        fails("TOO_LARGE", a.set, home, bytes(2_000_000))
        a.set(home, b"small")
        assert a.session_id == session
        # The connection is the same: no change of state was told.
        with pytest.raises(zkhelper.OperationTimeout):
            states.next(0.01)


def test_s22_many_at_once_keep_their_order(address: str, a: Client, home: str) -> None:
    async def work() -> None:
        async with aio.Client(address, session_timeout=4.0) as client:
            await asyncio.gather(*(client.set(home, str(number).encode()) for number in range(1, 201)))

    asyncio.run(work())
    data, found = a.get(home)
    assert (data, found.version) == (b"200", 200)


def test_s23_sync_then_read(a: Client, b: Client, home: str) -> None:
    a.set(home, b"new")
    b.sync(home)
    assert b.get(home).data == b"new"


def test_s24_ephemerals_of_the_session(a: Client, b: Client, home: str) -> None:
    for client, name in [(a, "one"), (a, "two"), (b, "three")]:
        client.create(f"{home}/{name}", ephemeral=True)
    assert a.ephemerals(home) == [f"{home}/one", f"{home}/two"]
