"""The client: connecting, states, plain operations, watches, callbacks."""

import pickle
import threading
import time

import pytest

import zkhelper
from apache import free_port
from conftest import LIMIT, eventually
from zkhelper import Acl, Client, Perms, State, WatchEvent, WatchEventKind
from zkhelper.testing import Server


def test_plain_operations(client: Client, path: str) -> None:
    client.mutex(path).lock().release()
    node = client.create(f"{path}/a", b"1")
    assert node == f"{path}/a"
    with pytest.raises(zkhelper.NodeExistsError) as raised:
        client.create(node)
    assert raised.value.path == node
    data, stat = client.get(node)
    assert (data, stat.version, stat.data_length) == (b"1", 0, 1)
    assert client.set(node, b"22").version == 1
    with pytest.raises(zkhelper.BadVersionError):
        client.set(node, b"", version=0)
    assert client.exists(node) == client.get(node).stat
    assert client.exists(f"{node}/b") is None
    client.create(f"{node}/b", ephemeral=True)
    assert client.create(f"{node}/s-", sequential=True) == f"{node}/s-0000000001"
    assert client.children(node) == ["b", "s-0000000001"]
    assert client.all_children_number(node) == 2
    assert client.ephemerals(node) == [f"{node}/b"]
    with pytest.raises(zkhelper.NotEmptyError):
        client.delete(node)
    client.sync(node)
    client.delete(f"{node}/b")
    with pytest.raises(zkhelper.NoNodeError):
        client.get(f"{node}/b")


def test_every_kind_of_node(client: Client, path: str) -> None:
    client.mutex(path).lock().release()
    client.create(f"{path}/container", container=True)
    assert client.create(f"{path}/e-", ephemeral=True, sequential=True).startswith(f"{path}/e-00")
    client.create(f"{path}/ttl", ttl=3600)
    client.create(f"{path}/ttl-", ttl=3600, sequential=True)
    for wrong in [{"container": True, "ephemeral": True}, {"ttl": 1.0, "ephemeral": True}]:
        with pytest.raises(zkhelper.BadArgumentError):
            client.create(f"{path}/x", **wrong)  # type: ignore[arg-type]


def test_permissions(client: Client, other: Client, path: str) -> None:
    client.mutex(path).lock().release()
    client.add_auth("digest", b"ann:secret")
    assert zkhelper.Identity("digest", "ann") in client.who_am_i()
    node = client.create(f"{path}/mine", b"x", acl=[Acl.creator()])
    with pytest.raises(zkhelper.NoAuthError):
        other.get(node)
    acl, stat = client.get_acl(node)
    assert (acl[0].scheme, acl[0].perms) == ("digest", Perms.ALL)
    assert client.set_acl(node, [Acl.world(Perms.READ)], stat.aversion).aversion == stat.aversion + 1
    assert other.get(node).data == b"x"


def test_transactions(client: Client, path: str) -> None:
    client.mutex(path).lock().release()
    a, b = f"{path}/a", f"{path}/b"
    made = client.multi([zkhelper.Create(a, b"1"), zkhelper.SetData(a, b"2"), zkhelper.Check(a, 1)])
    assert made[0] == a
    assert isinstance(made[1], zkhelper.Stat)
    assert made[2] is None
    with pytest.raises(zkhelper.BadVersionError) as raised:
        client.multi([zkhelper.Create(b), zkhelper.Delete(a, 7)])
    assert raised.value.path == a
    assert client.exists(b) is None
    read = client.multi_read([zkhelper.GetData(a), zkhelper.GetChildren(path), zkhelper.GetData(b)])
    assert isinstance(read[0], zkhelper.Node)
    assert read[0].data == b"2"
    assert read[1] == ["a"]
    assert isinstance(read[2], zkhelper.NoNodeError)


def test_a_watch_that_stays_is_iterated_over(client: Client, other: Client, path: str) -> None:
    client.mutex(path).lock().release()
    with client.watch(path, recursive=True) as events:
        with pytest.raises(zkhelper.OperationTimeout):
            events.next(timeout=0.01)
        node = other.create(f"{path}/a")
        other.set(node, b"1")
        other.delete(node)
        kinds = [events.next(LIMIT) for _ in range(3)]
        expected = [WatchEventKind.CREATED, WatchEventKind.DATA_CHANGED, WatchEventKind.DELETED]
        assert kinds == [WatchEvent(kind, node) for kind in expected]
    assert events.next() is None
    assert list(events) == []


def test_watches_by_callback(client: Client, other: Client, path: str) -> None:
    client.mutex(path).lock().release()
    node = f"{path}/a"
    seen: list[WatchEvent] = []
    assert client.exists(node, watch=seen.append) is None
    assert client.children(path, watch=seen.append) == []
    events = client.watch(node, callback=seen.append)
    other.create(node)
    eventually(lambda: len(seen) == 3, "three events")
    assert client.get(node, watch=seen.append).data == b""
    other.delete(node)
    eventually(lambda: len(seen) == 5, "two more")
    events.close()
    with pytest.raises(zkhelper.NoNodeError):
        client.get(node, watch=seen.append)
    other.create(node)
    assert {event.kind for event in seen} == {
        WatchEventKind.CREATED,
        WatchEventKind.CHILDREN_CHANGED,
        WatchEventKind.DELETED,
    }
    assert len(seen) == 5


def test_a_callback_may_make_blocking_calls_and_an_error_in_it_harms_nothing(
    client: Client, other: Client, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.mutex(path).lock().release()
    found: list[bytes] = []

    def look(event: WatchEvent) -> None:
        with client.mutex(f"{path}-lock", timeout=LIMIT):
            found.append(client.get(event.path).data)
        raise ZeroDivisionError

    node = f"{path}/a"
    client.exists(node, watch=look)
    other.create(node, b"1")
    eventually(lambda: found == [b"1"], "the callback ran")
    client.watch(node, callback=look)
    other.set(node, b"2")
    other.set(node, b"3")
    eventually(lambda: len(found) == 3, "it ran again")
    eventually(lambda: "a callback failed" in caplog.text, "its error is logged")


def test_states_are_told_in_order() -> None:
    states: list[State] = []
    with Server(tick=0.1) as server:
        with Client(server.address, session_timeout=2, on_state=lambda event: states.append(event.state)) as client:
            old = client.session_id
            assert client.state is State.CONNECTED
            assert 0 < client.session_timeout <= 2
            events = client.states()
            assert next(events).state is State.CONNECTED
            server.expire(old)
            seen = []
            for event in events:
                seen.append(event.state)
                if event.state is State.CONNECTED and event.session != old:
                    assert event.previous_session == old
                    break
            assert seen == [State.SUSPENDED, State.LOST, State.CONNECTED]
        assert [event.state for event in events] == [State.CLOSED]
        eventually(lambda: states[-1] is State.CLOSED, "the callback heard the end")
    assert states[-4:] == [*seen, State.CLOSED]
    assert client.state.value == "closed"
    with pytest.raises(zkhelper.ClosedError):
        client.get("/")
    client.close()


def test_a_session_goes_on_with_another_client() -> None:
    with Server() as server, Client(server.address) as first:
        first.create("/a", ephemeral=True)
        credentials = pickle.loads(pickle.dumps(first.credentials()))
        with Client(server.address, reattach=credentials) as second:
            assert second.session_id == first.session_id
            assert second.exists("/a") is not None


def test_no_server_is_an_error_that_says_what_was_tried() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    client = Client(nobody, connect_timeout=0.3, while_suspended="refuse")
    with pytest.raises(ConnectionError, match=nobody) as raised:
        client.wait_connected()
    assert isinstance(raised.value, zkhelper.ConnectionLossError)
    with pytest.raises(zkhelper.NotSentError):
        client.get("/")
    # There is no session that could be left behind.
    client.close(timeout=0.01)
    with pytest.raises(zkhelper.ConnectionLossError), Client(nobody, connect_timeout=0.3):
        pass


def test_bad_options_are_refused_by_name() -> None:
    for options, name in [
        ({"session_timeout": 0}, "session_timeout"),
        ({"session_timeout": -1.0}, "session_timeout"),
        ({"operation_timeout": float("nan")}, "operation_timeout"),
        ({"clock_drift": 0.9}, "clock_drift"),
        ({"max_frame": 1}, "max_frame"),
        ({"while_suspended": "x"}, "while_suspended"),
    ]:
        with pytest.raises(zkhelper.BadArgumentError, match=name):
            Client("127.0.0.1:1", **options)  # type: ignore[arg-type]
    with pytest.raises(zkhelper.BadAddressError):
        Client("")
    with pytest.raises(TypeError):
        Client("127.0.0.1:1", session_timeout="long")  # type: ignore[arg-type]


def test_a_lost_reply_is_told_apart_from_a_request_that_was_not_sent() -> None:
    with Server() as server, Client(server.address) as client:
        server.cut("create", 1, after_applying=True)
        with pytest.raises(zkhelper.OutcomeUnknownError):
            client.create("/a")
        assert server.cuts_left() == 0
        assert client.exists("/a") is not None
        with pytest.raises(zkhelper.TooLargeError):
            client.create("/b", b"x" * (2 << 20))
        assert client.exists("/a") is not None


def test_faults_by_name() -> None:
    with Server(tick=0.1) as server, Client(server.address, session_timeout=2) as client:
        with pytest.raises(zkhelper.BadArgumentError, match="no operation"):
            server.cut("nothing")
        server.cut("sync", 1)
        server.clear_cuts()
        assert server.cuts_left() == 0
        server.isolate()
        assert client.get("/").data == b""
        server.rejoin()
        server.set_delay(0.01)
        client.create("/c", container=True)
        client.create("/c/child")
        client.delete("/c/child")
        server.set_container_interval(0.1)
        server.check_containers()
        eventually(lambda: client.exists("/c") is None, "the container is gone")
        server.disconnect_all()
        assert client.get("/").data == b""
        (session,) = server.sessions()
        assert (session.id, session.connected) == (client.session_id, True)
        with pytest.raises(zkhelper.SessionExpiredError):
            server.expire(1)
        with pytest.raises(zkhelper.NoNodeError):
            server.set_sequence("/x", 1)
        with pytest.raises(zkhelper.BadAddressError):
            Server(server.port)
    with pytest.raises(zkhelper.ClosedError):
        server.freeze()


def test_blocking_calls_let_other_threads_run() -> None:
    with Server() as server, Client(server.address) as client:
        server.set_delay(0.3)
        ticks = 0
        done = threading.Event()

        def call() -> None:
            client.get("/")
            done.set()

        threading.Thread(target=call).start()
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)
        assert ticks > 20
