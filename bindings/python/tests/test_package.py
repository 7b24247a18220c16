"""The package: what is installed, documented and shown, and who else it gets along with."""

import doctest
import importlib
import inspect
import itertools
import os
import pickle
import pkgutil
import re
import subprocess
import sys
import textwrap
import threading
import time
import venv
from pathlib import Path

import pytest
from kazoo.client import KazooClient

import zkhelper
import zkhelper.aio
from conftest import EXAMPLES, LIMIT, eventually, locks, run
from zkhelper import Client, _zkhelper
from zkhelper.testing import Server

pytest_plugins = ["pytester"]


def test_every_code_has_a_class_and_survives_pickling() -> None:
    for number, name, _, retriable in _zkhelper.CODES[1:]:
        error = zkhelper.errors.from_code(number, "what", "/path", "get", retriable)
        assert type(error) is not zkhelper.ZkhelperError
        assert (error.code, error.name, error.retriable) == (number, name, retriable)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.path, again.operation) == ("what", "/path", "get")
    unknown = pickle.loads(pickle.dumps(zkhelper.errors.from_code(-777, "newer", None, "", True)))
    assert (type(unknown), unknown.code, unknown.retriable) == (zkhelper.ZkhelperError, -777, True)
    for cls, base in [
        (zkhelper.LockTimeout, TimeoutError),
        (zkhelper.OperationTimeout, TimeoutError),
        (zkhelper.ConnectionLossError, ConnectionError),
        (zkhelper.BadPathError, ValueError),
    ]:
        assert issubclass(cls, base)


def modules() -> list[str]:
    return ["zkhelper", *(f"zkhelper.{found.name}" for found in pkgutil.iter_modules(zkhelper.__path__))]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_the_documentation_are_true(name: str) -> None:
    module = importlib.import_module(name)
    failures = []
    for test in doctest.DocTestFinder().find(module, name):
        if test.examples:
            with Server() as server, Client(server.address) as client:
                test.globs = {**vars(zkhelper), "zkhelper": zkhelper, "client": client, "os": os}
                output: list[str] = []
                if doctest.DocTestRunner().run(test, out=output.append).failed:
                    failures.append("".join(output))
    assert failures == []


def test_everything_public_is_documented() -> None:
    for module in (zkhelper, zkhelper.aio, zkhelper.testing):
        for name, member in vars(module).items():
            if name.startswith("_") or not inspect.isclass(member) or not member.__module__.startswith("zkhelper"):
                continue
            assert member.__doc__, name
            for inner, method in vars(member).items():
                if not inner.startswith("_") and (inspect.isfunction(method) or isinstance(method, property)):
                    assert inspect.getdoc(method), f"{name}.{inner}"


def readme() -> str:
    return (Path(__file__).parent.parent / "README.md").read_text()


def test_the_programs_in_the_readme_run(tmp_path: Path) -> None:
    programs = [textwrap.dedent(text) for text in re.findall(r" *```python\n(.*?)```", readme(), re.DOTALL)]
    assert len(programs) >= 4
    for number, program in enumerate(programs):
        if "def test_" in program:
            continue
        with Server() as server:
            text = program.replace("127.0.0.1:2181", server.address)
            (tmp_path / f"{number}.py").write_text(text)
            run(text)


def test_the_pytest_fixtures_are_found(pytester: pytest.Pytester) -> None:
    (program,) = (text for text in re.findall(r"```python\n(.*?)```", readme(), re.DOTALL) if "def test_" in text)
    pytester.makepyfile(program)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


# Run elsewhere: by the test of TLS, and by the demo, which kills it.
ELSEWHERE = {"tls.py", "candidate.py"}


@pytest.mark.parametrize("name", sorted({example.name for example in (EXAMPLES / "python").glob("*.py")} - ELSEWHERE))
def test_the_examples_run(address: str, path: str, name: str) -> None:
    arguments = {
        "handover.py": [address, "ann", path, "3", "1", "2000"],
        "lock.py": [address],
        "elector.py": [address, path],
        "watch.py": [],
        "persistent.py": [address, path, "list"],
    }.get(name, [address])
    said = {
        "guarded.py": r"the late write is refused\nthe report says in time\n",
        "handover.py": r"(.* waits\n.* holds token=\d+\n.* releases token=\d+\n){3}.* is done\n",
        "elector.py": r"leads with token \d+\nstep 1\nstep 2\nstep 3\nthe last leader is gone\n",
        "lock.py": r"held; the fencing token is \d+\n",
        "lock_async.py": r"((ann|bob|cid) holds the lock with token \d+\n){3}",
        "nodes.py": r'/nodes-\d+/a: "hello!", version 1, until it is deleted\n'
        r'/nodes-\d+/b: "bye", version 0, until this session ends\n',
        "persistent.py": "",
        "pid_node.py": r"process \d+\nremoved: True\n",
        "queue_lock.py": r"it is the turn of job-\d+\n",
        "tree.py": r"found: /shards/0/leader /shards/1/leader\nbelow it: shards shards/0 .*\ndeleted: True\n",
        "watch.py": r"/watched created\n(.*\n)*/watched data changed\n(.*\n)*/watched deleted\nthere is no node\n",
        "watchful.py": r"step 1 under token \d+\nstep 2 under token \d+\nstep 3 under token \d+\n",
    }[name]
    command = [sys.executable, str(EXAMPLES / "python" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(said, done.stdout), done.stdout


def test_the_example_of_a_persistent_lock(client: Client, address: str, path: str) -> None:
    program = [sys.executable, str(EXAMPLES / "python" / "persistent.py"), address, path]
    with subprocess.Popen([*program, "hold"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("holds it")
        asked = subprocess.run(
            [*program, "ask", "maintenance"], capture_output=True, text=True, check=True, timeout=LIMIT
        )
        assert " living " in asked.stdout
        assert holder.stdout.readline() == "asked: maintenance\n"
        assert holder.wait(LIMIT) == 0
    assert locks(client, path) == 0
    with Client(address, session_timeout=1) as owner:
        kept = owner.mutex(path, persistent=zkhelper.Persistent(0.2))
        kept.lock()
        assert "released" not in subprocess.check_output([*program, "release"], text=True, timeout=LIMIT)


def test_a_fresh_environment_with_the_wheel_takes_a_lock_and_needs_nothing_else(tmp_path: Path) -> None:
    (wheel,) = Path(os.environ["ZKHELPER_WHEELS"]).glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, timeout=LIMIT * 2)
    program = (EXAMPLES / "python" / "lock.py").read_text()
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    # No compiler and no Java on the path.
    command = [python, str(EXAMPLES / "python" / "lock.py"), "embedded"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True, env={"PATH": ""})
    assert done.stdout.startswith("held;")


def test_kazoo_is_excluded_and_excludes(client: Client, address: str, path: str) -> None:
    kazoo = KazooClient(hosts=address)
    kazoo.start(timeout=LIMIT)
    try:
        # Without the pattern it would count nobody's nodes but its own.
        its = kazoo.Lock(path, "kazoo", extra_lock_patterns=["lock-"])
        mutex = client.mutex(path, timeout=LIMIT)
        with mutex:
            assert not its.acquire(blocking=False)
        assert its.acquire(timeout=LIMIT)
        assert mutex.try_lock() is None
        order: list[str] = []
        thread = threading.Thread(target=lambda: order.append(f"{mutex.lock().token > 0}"))
        thread.start()
        eventually(lambda: locks(client, path) == 2, "the thread waits")
        assert order == []
        its.release()
        thread.join(LIMIT)
        assert order == ["True"]
        mutex.unlock()
    finally:
        kazoo.stop()
        kazoo.close()


@pytest.fixture(scope="session")
def c_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    release = Path(os.environ["ZKHELPER_RELEASE"])
    place = tmp_path_factory.mktemp("c")
    (place / "libzkhelper.so.0").symlink_to(release / "libzkhelper.so")
    source, include = EXAMPLES / "c" / "handover.c", EXAMPLES.parent / "include"
    linked = [f"-L{release}", "-lzkhelper", f"-Wl,-rpath,{place}"]
    subprocess.run(["cc", "-std=c11", f"-I{include}", "-o", place / "handover", source, *linked], check=True)
    return place / "handover"


def test_the_c_example_is_excluded_and_excludes(client: Client, address: str, path: str, c_example: Path) -> None:
    rounds = 20
    command = [str(c_example), address, "c", path, str(rounds), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        mine: list[tuple[float, float, int]] = []
        mutex = client.mutex(path, timeout=LIMIT)
        while program.poll() is None:
            with mutex as held:
                mine.append((time.monotonic(), time.monotonic(), held.token))
                time.sleep(0.001)
                mine[-1] = (mine[-1][0], time.monotonic(), held.token)
        lines = [line.split() for line in program.stdout]
    assert program.returncode == 0
    starts = [(float(line[0]), int(line[4].split("=")[1])) for line in lines if line[3] == "holds"]
    ends = [float(line[0]) for line in lines if line[3] == "releases"]
    its = [(start, end, token) for (start, token), end in zip(starts, ends, strict=True)]
    assert len(its) == rounds
    spans = sorted(mine + its)
    assert all(before[1] <= after[0] and before[2] < after[2] for before, after in itertools.pairwise(spans))
