"""Queue locks, pid nodes, trees, globs, TLS: blocking and with tasks."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import zkhelper
from conftest import EXAMPLES, LIMIT, eventually
from zkhelper import Acl, Client, LossReason, Perms, aio
from zkhelper.testing import Server


def test_a_queue_serves_names_in_order(client: Client, other: Client, path: str) -> None:
    first = client.tree().create(f"{path}/job-", ephemeral=True, sequential=True)
    second = other.create(f"{path}/job-", ephemeral=True, sequential=True)
    queue = other.queue_lock(path)
    client.queue_lock(path).obtain(first.rpartition("/")[2], timeout=LIMIT)
    name = second.rpartition("/")[2]
    with pytest.raises(zkhelper.LockTimeout):
        queue.obtain(name, timeout=0)
    queue.interrupt()
    with pytest.raises(zkhelper.Interrupted):
        queue.obtain(name)
    client.delete(first)
    queue.obtain(name, timeout=LIMIT)
    with pytest.raises(zkhelper.NoNodeError):
        queue.obtain("job-missing", timeout=LIMIT)


def test_a_queue_lock_makes_its_own_node(client: Client, other: Client, path: str) -> None:
    mine = client.queue_lock(path, timeout=LIMIT, description="mine", contents={"role": "blue"})
    with mine as turn:
        (name,) = client.children(path)
        assert b'"role":"blue"' in client.get(f"{path}/{name}").data
        assert turn.token == client.get(f"{path}/{name}").stat.czxid
        assert other.queue_lock(path).try_lock() is None
    held = other.queue_lock(path, timeout=LIMIT).lock()
    assert held.token > turn.token
    held.release()
    with pytest.raises(zkhelper.NotHeldError):
        held.release()
    with pytest.raises(zkhelper.NotHeldError):
        mine.unlock()
    mine.close()
    with pytest.raises(zkhelper.ClosedError):
        mine.lock()
    assert client.children(path) == []


def test_a_pid_node_is_there_while_its_owner_lives(client: Client, other: Client, path: str) -> None:
    client.tree().create(path)
    at = f"{path}/pid"
    with client.pid_node(at, acl=[Acl.world(Perms.FILE)], wait=0.2) as node:
        assert node.is_there()
        assert int(other.get(at).data) == os.getpid()
        assert other.get_acl(at)[0] == [Acl.world(Perms.FILE)]
        with pytest.raises(zkhelper.NodeExistsError):
            other.pid_node(at, b"other", wait=0.05)
        events = node.events()
        assert isinstance(events.next(LIMIT), zkhelper.PidMade)
        with other.pid_node(at, b"taken", take_over="live", wait=LIMIT):
            assert events.next(LIMIT) == zkhelper.PidLost(LossReason.NODE_DELETED)
            assert isinstance(events.next(LIMIT), zkhelper.PidRefused)
            assert not node.is_there()
        assert isinstance(events.next(LIMIT), zkhelper.PidMade)
    assert client.exists(at) is None
    node.close()
    with pytest.raises(zkhelper.NoNodeError):
        client.pid_node("/nothing/pid")
    with pytest.raises(zkhelper.BadArgumentError, match="take_over"):
        client.pid_node(at, take_over="x")


def test_a_pid_node_is_made_again_after_an_expiry() -> None:
    events: list[zkhelper.PidMade | zkhelper.PidLost | zkhelper.PidRefused] = []
    with Server(tick=0.1) as server, Client(server.address, session_timeout=2) as client:
        with client.pid_node("/pid", b"x", on_event=events.append):
            server.expire(client.session_id)
            eventually(lambda: len(events) >= 3, "it is made again")
            assert client.get("/pid").data == b"x"
        assert [type(event) for event in events[:3]] == [zkhelper.PidMade, zkhelper.PidLost, zkhelper.PidMade]


def test_trees_and_globs(client: Client, path: str) -> None:
    tree = client.tree()
    made = tree.create_all([(f"{path}/shards/{number}/leader", b"up") for number in range(20)])
    assert made == [f"{path}/shards/{number}/leader" for number in range(20)]
    assert tree.exists(f"{path}/shards/7")
    assert not tree.exists(f"{path}/shards/20")
    with pytest.raises(zkhelper.NodeExistsError):
        tree.create(f"{path}/shards/7")
    again = tree.create_all([(f"{path}/shards/7", b""), (f"{path}/more", b"")])
    assert isinstance(again[0], zkhelper.NodeExistsError)
    assert again[1] == f"{path}/more"
    assert tree.create_or_update(f"{path}/more", b"2") == f"{path}/more"
    assert client.get(f"{path}/more").data == b"2"
    assert len(tree.children(path)) == 42
    found = tree.glob([f"{path}/shards/1[0-2]/leader", f"{path}/m*", f"{path}/literal"])
    assert found.paths == [
        *(f"{path}/shards/{number}/leader" for number in (10, 11, 12)),
        f"{path}/more",
        f"{path}/literal",
    ]
    assert found.unreadable == []
    assert zkhelper.has_wildcard(f"{path}/*")
    with pytest.raises(zkhelper.BadArgumentError):
        tree.glob([f"{path}/["])
    with pytest.raises(zkhelper.BadArgumentError, match="a text"):
        tree.glob(f"{path}/*")
    with pytest.raises(zkhelper.BadVersionError):
        tree.delete(path, version=7)
    tree.delete(path)
    assert client.exists(path) is None
    with pytest.raises(zkhelper.NoNodeError):
        tree.delete(path)
    for bad in ["", "a", f"{path}/"]:
        with pytest.raises(zkhelper.BadPathError):
            tree.create(bad)


def test_permissions_have_the_values_of_the_library() -> None:
    assert (Perms.FILE, Perms.DIRECTORY) == (zkhelper._zkhelper.FILE, zkhelper._zkhelper.DIRECTORY)
    assert zkhelper.is_directory([Acl.world()])
    assert not zkhelper.is_directory([Acl.world(Perms.FILE)])


def test_the_same_with_tasks(address: str, path: str) -> None:
    async def work() -> None:
        async with aio.Client(address) as client, aio.Client(address) as other:
            tree = client.tree()
            await tree.create(f"{path}/a/b", b"1")
            assert await tree.children(path) == ["a", "a/b"]
            assert (await tree.glob([f"{path}/*/b"])).paths == [f"{path}/a/b"]
            events: list[object] = []
            async with client.pid_node(f"{path}/pid", on_event=events.append) as node:
                assert node.is_there()
                with pytest.raises(zkhelper.NodeExistsError):
                    await other.pid_node(f"{path}/pid", wait=0.01)
                while not events:
                    await asyncio.sleep(0.001)
            await tree.delete(path)
            queue = client.queue_lock(f"{path}/queue", timeout=LIMIT)
            async with queue as turn:
                assert turn.token > 0
                assert await other.queue_lock(f"{path}/queue").try_lock() is None
                waiting = asyncio.create_task(other.queue_lock(f"{path}/queue").lock())
                while len(await client.children(f"{path}/queue")) < 2:
                    await asyncio.sleep(0.001)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            async with queue.lock() as again:
                assert again.token > turn.token
            while await client.children(f"{path}/queue"):
                await asyncio.sleep(0.001)

    asyncio.run(work())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server.pem with server.key for `localhost` and 127.0.0.1, signed by it."""
    place = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True, timeout=LIMIT)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-subj", "/CN=test CA", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (place / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem")
    openssl("req", "-x509", *key, "-subj", "/CN=another", "-days", "2", "-keyout", "x.key", "-out", "another.pem")
    return place


@contextlib.contextmanager
def tls_front(server: Server, certificates: Path) -> Iterator[str]:
    """A port that speaks TLS, in front of an embedded server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                client = context.wrap_socket(plain, server_side=True)
            except OSError:
                plain.close()
                continue
            inner = socket.create_connection(("127.0.0.1", server.port))
            ends = [threading.Thread(target=pump, args=pair) for pair in ((client, inner), (inner, client))]
            for end in ends:
                end.start()
            for end in ends:
                end.join()
            client.close()
            inner.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_tls_with_files_and_bytes_and_its_errors(certificates: Path) -> None:
    with Server() as server, tls_front(server, certificates) as address:
        authorities: list[Path | bytes] = [certificates / "ca.pem", (certificates / "ca.pem").read_bytes()]
        for ca in authorities:
            with Client(address, tls=zkhelper.Tls(ca)) as client, client.mutex("/lock", timeout=LIMIT) as held:
                assert held.is_held()
        example = [sys.executable, str(EXAMPLES / "python" / "tls.py"), address, str(certificates / "ca.pem")]
        assert "held; the fencing token is" in subprocess.check_output(example, text=True, timeout=LIMIT)
        wrong = zkhelper.Tls(certificates / "another.pem")
        with (
            pytest.raises(zkhelper.ConnectionLossError, match="certificate"),
            Client(address, tls=wrong, connect_timeout=1),
        ):
            pass
        name = zkhelper.Tls(certificates / "ca.pem", server_name="elsewhere")
        with (
            pytest.raises(zkhelper.ConnectionLossError, match="certificate"),
            Client(address, tls=name, connect_timeout=1),
        ):
            pass
    with pytest.raises(zkhelper.BadArgumentError, match=r"missing\.pem"):
        Client("127.0.0.1:1", tls=zkhelper.Tls(certificates / "missing.pem"))
    with pytest.raises(zkhelper.BadArgumentError):
        Client("127.0.0.1:1", tls=zkhelper.Tls(b"nonsense"))
    with pytest.raises(zkhelper.BadArgumentError, match="belong together"):
        Client("127.0.0.1:1", tls=zkhelper.Tls(b"", certificate=b""))
