"""kazoo on the embedded server: its locks, election, watches, transactions and recovery."""

import sys
import threading
from collections.abc import Callable

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NodeExistsError, NoNodeError
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import make_digest_acl

LIMIT = 20


def client(address: str, **options: object) -> KazooClient:
    zk = KazooClient(hosts=address, timeout=10, **options)
    zk.start(timeout=LIMIT)
    return zk


def shows(what: str) -> None:
    print(f"kazoo: {what}", flush=True)


def nodes(zk: KazooClient) -> None:
    zk.create("/k/a/b", b"one", makepath=True)
    data, stat = zk.get("/k/a/b")
    assert (data, stat.version, stat.dataLength) == (b"one", 0, 3)
    assert zk.set("/k/a/b", b"two", version=0).version == 1
    assert zk.create("/k/s-", sequence=True) == "/k/s-0000000001"
    path, stat = zk.create("/k/e", b"", ephemeral=True, include_data=True)
    assert path == "/k/e" and stat.ephemeralOwner == zk.client_id[0]
    assert sorted(zk.get_children("/k")) == ["a", "e", "s-0000000001"]
    refused: list[tuple[type[Exception], Callable[[], object]]] = [
        (NodeExistsError, lambda: zk.create("/k/a")),
        (NoNodeError, lambda: zk.get("/k/none")),
    ]
    for error, call in refused:
        try:
            call()
        except error:
            continue
        raise AssertionError(f"{error.__name__} did not come")
    zk.delete("/k", recursive=True)
    assert zk.exists("/k") is None
    shows("nodes, sequences, ephemerals, errors")


def transaction(zk: KazooClient) -> None:
    zk.ensure_path("/t")
    good = zk.transaction()
    good.create("/t/a", b"1")
    good.set_data("/t/a", b"2")
    good.check("/t/a", version=1)
    good.delete("/t/a")
    results = good.commit()
    assert results[0] == "/t/a" and results[1].version == 1 and results[2:] == [True, True], results
    bad = zk.transaction()
    bad.create("/t/b")
    bad.check("/t/none", version=-1)
    bad.create("/t/c")
    names = [type(result).__name__ for result in bad.commit()]
    assert names == ["RolledBackError", "NoNodeError", "RuntimeInconsistency"], names
    assert zk.get_children("/t") == []
    shows("transactions, whole or not at all")


def watches(zk: KazooClient, other: KazooClient) -> None:
    zk.ensure_path("/w")
    seen: list[tuple[object, ...]] = []
    heard = threading.Condition()

    def note(*what: object) -> None:
        with heard:
            seen.append(what)
            heard.notify_all()

    DataWatch(zk, "/w/d", lambda data, stat: note("data", data))
    ChildrenWatch(zk, "/w", lambda names: note("children", sorted(names)))

    def hears(*what: object) -> None:
        with heard:
            assert heard.wait_for(lambda: what in seen, LIMIT), (what, seen)

    hears("data", None)
    hears("children", [])
    other.create("/w/d", b"x")
    hears("data", b"x")
    hears("children", ["d"])
    other.set("/w/d", b"y")
    hears("data", b"y")
    seen.clear()
    other.delete("/w/d")
    hears("data", None)
    hears("children", [])
    shows("data and children watches")


def access(address: str, zk: KazooClient) -> None:
    zk.create("/secret", b"s", acl=[make_digest_acl("ann", "pw", all=True)])
    try:
        zk.get("/secret")
        raise AssertionError("read without a right to")
    except NoAuthError:
        pass
    ann = client(address, auth_data=[("digest", "ann:pw")])
    assert ann.get("/secret")[0] == b"s"
    ann.stop()
    ann.close()
    shows("access control by digest")


def locks(address: str) -> None:
    inside, most, rounds = 0, 0, 0
    guard = threading.Lock()

    def contend() -> None:
        nonlocal inside, most, rounds
        zk = client(address)
        for _ in range(10):
            with zk.Lock("/locks/one", "me"):
                with guard:
                    inside += 1
                    most = max(most, inside)
                    rounds += 1
                with guard:
                    inside -= 1
        zk.stop()
        zk.close()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, rounds) == (1, 40), (most, rounds)
    shows("40 locks by 4 clients, one at a time")


def elections(address: str) -> None:
    order: list[str] = []
    first, second = client(address), client(address)
    leading = threading.Event()
    done = threading.Event()

    def lead_first() -> None:
        order.append("first")
        leading.set()
        done.wait(LIMIT)

    one = threading.Thread(target=lambda: first.Election("/election", "first").run(lead_first))
    one.start()
    assert leading.wait(LIMIT)
    two = threading.Thread(target=lambda: second.Election("/election", "second").run(lambda: order.append("second")))
    two.start()
    done.set()
    one.join(LIMIT)
    two.join(LIMIT)
    assert order == ["first", "second"], order
    for zk in (first, second):
        zk.stop()
        zk.close()
    shows("an election and its hand-over")


def recovery(zk: KazooClient, other: KazooClient) -> None:
    """The connection breaks; the session, its ephemeral and its watch stay."""
    zk.create("/alive", ephemeral=True)
    changed = threading.Event()
    zk.get("/alive", watch=lambda event: changed.set())
    before = zk.client_id
    lost = threading.Event()
    zk.add_listener(lambda state: lost.set() if state == "SUSPENDED" else None)
    zk._connection._socket.shutdown(2)
    assert lost.wait(LIMIT)
    assert zk.retry(zk.exists, "/alive") is not None
    assert zk.client_id == before
    other.set("/alive", b"x")
    assert changed.wait(LIMIT)
    shows("a session, its ephemeral and its watch across a reconnect")


def main(address: str) -> None:
    zk, other = client(address), client(address)
    nodes(zk)
    transaction(zk)
    watches(zk, other)
    access(address, zk)
    locks(address)
    elections(address)
    recovery(zk, other)
    for each in (zk, other):
        each.stop()
        each.close()


main(sys.argv[1])
