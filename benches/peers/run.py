"""Measures zkhelper beside its peers on one ZooKeeper server; --help lists the options.

Each worker is a program with one client in it. It reads `ROW PATH COUNT` from a line and answers with a line of JSON.
They take turns, round after round, so that whatever else the machine does befalls all of them alike: what counts is the
ratio of medians within one run. A peer that cannot be had on this machine is left out by name.
"""

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
BUILT = TARGET / "peers"
INTEROP = TARGET / "interop"

# The rows, and how many cycles one round of each has (for each worker, where there are several).
ROWS = {"alone": 400, "paths": 50, "handoff": 80, "drain": 1000, "election": 15}
OURS = ["zkhelper (Rust)", "zkhelper (C)", "zkhelper (Go)", "zkhelper (Python)"]
PEERS = ["raw", *OURS, "C by hand", "go-zookeeper", "zookeeper-client", "Curator", "kazoo"]
# So much slower than the others that a round of theirs is shorter.
SLOW = {"kazoo": 4}
LIMIT = 240


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """What a program says; what it said besides, if it fails."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout.strip()


def compile_c(name: str, *flags: str) -> list[str]:
    out = BUILT / f"c-{name}"
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread"]
    run("cc", *strict, "-o", out, HERE / f"c/{name}.c", *flags)
    return [str(out)]


def pkg_config() -> list[str]:
    return run("pkg-config", "--cflags", "--libs", "zkhelper", PKG_CONFIG_PATH=str(TARGET / "release")).split()


def rust(kind: str) -> list[str]:
    if "--built" in sys.argv:
        return [str(BUILT / "cargo/release/zkhelper-peers"), kind]
    # In a target directory of its own: the library is built here without the C ABI.
    run("cargo", "build", "--release", "--locked", "--quiet", cwd=HERE / "rust", CARGO_TARGET_DIR=str(BUILT / "cargo"))
    return [str(BUILT / "cargo/release/zkhelper-peers"), kind]


def go(name: str) -> list[str]:
    run("go", "build", "-o", BUILT / f"go-{name}", f"./{name}", cwd=HERE / "go",
        PKG_CONFIG_PATH=str(TARGET / "release"), GOTOOLCHAIN="local")  # fmt: skip
    return [str(BUILT / f"go-{name}")]


def python() -> list[str]:
    """The wheel, in a virtual environment of its own."""
    venv = BUILT / "venv"
    if "--built" in sys.argv and venv.exists():
        return [str(venv / "bin/python"), str(HERE / "python/zkhelper_worker.py")]
    run("scripts/python.sh", "venv")
    if not venv.exists():
        run("python3", "-m", "venv", venv)
    run("scripts/python.sh", "build")
    wheel = next((TARGET / "python/wheels").glob("*.whl"))
    run(venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps", wheel)
    return [str(venv / "bin/python"), str(HERE / "python/zkhelper_worker.py")]


def kazoo() -> list[str]:
    run("tests/interop/prepare.sh", "kazoo")
    return [str(INTEROP / "venv/bin/python"), str(HERE / "python/kazoo_worker.py")]


def curator() -> list[str]:
    run("tests/interop/prepare.sh", "curator")
    jars = f"{INTEROP}/curator/*"
    run("javac", "-cp", jars, "-d", BUILT, HERE / "java/CuratorWorker.java")
    return ["java", "-XX:+UseSerialGC", "-cp", f"{BUILT}:{INTEROP}/curator:{jars}", "CuratorWorker"]


BUILD = {
    "raw": lambda: rust("raw"),
    "zkhelper (Rust)": lambda: rust("zkhelper"),
    "zkhelper (C)": lambda: compile_c("zkhelper", *pkg_config()),
    "zkhelper (Go)": lambda: go("zkhelper"),
    "zkhelper (Python)": python,
    "C by hand": lambda: compile_c("apache", "-lzookeeper_mt"),
    "go-zookeeper": lambda: go("gozk"),
    "zookeeper-client": lambda: rust("zookeeper-client"),
    "Curator": curator,
    "kazoo": kazoo,
}


class Server:
    """One ZooKeeper server of Debian's, which does not wait for the disk."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="zkhelper-bench-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        (self.home / "zoo.cfg").write_text(
            f"tickTime=2000\ndataDir={self.home}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxSessionTimeout=60000\n"
        )
        self.start()

    def start(self) -> None:
        jars = "/usr/share/java"
        path = os.environ.get("ZKHELPER_ZOOKEEPER_CLASSPATH") or f"{jars}/zookeeper.jar:{jars}/slf4j-simple.jar"
        options = ["-Xmx1g", "-XX:+UseSerialGC", "-Dzookeeper.forceSync=no", "-Dzookeeper.snapCount=10000000"]
        options += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        log = open(self.home / "log", "a")  # noqa: SIM115 (the server's)
        command = ["java", *options, "-cp", path, main, str(self.home / "zoo.cfg")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(600):
            if "Mode: standalone" in self.word("srvr"):
                return
            time.sleep(0.05)
        sys.exit(f"the server does not start:\n{(self.home / 'log').read_text()}")

    def word(self, word: str) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(word.encode())
                return b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except OSError:
            return ""

    def received(self) -> int:
        """Packets from clients; asking counts as one."""
        line = next(line for line in self.word("srvr").splitlines() if line.startswith("Received: "))
        return int(line.split()[1])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self.home)


class Worker:
    """A program that measures one client."""

    def __init__(self, command: list[str], address: str) -> None:
        self.process = subprocess.Popen(
            [*command, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + ":"))

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        overdue = threading.Timer(LIMIT, self.process.kill)
        overdue.start()
        line = self.process.stdout.readline()
        overdue.cancel()
        if not line:
            raise RuntimeError("the worker ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def measure(self, server: Server, row: str, path: str, count: int) -> dict[str, Any]:
        threads, over = [self.status("Threads")], threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                threads.append(self.status("Threads"))

        watching = threading.Thread(target=watch)
        packets, cpu = server.received(), self.cpu()
        watching.start()
        try:
            self.say(f"{row} {path} {count}")
            answer = self.hear()
        finally:
            over.set()
            watching.join()
        answer["cpu_us"] = (self.cpu() - cpu) / answer["cycles"] * 1e6
        answer["requests"] = (server.received() - packets - 1) / answer["cycles"]
        answer["threads"] = max(threads)
        answer["us"] = answer.get("median_us") or answer["seconds"] / answer["cycles"] * 1e6
        return answer

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


Costs = dict[str, dict[str, float]]


def compare(server: Server, commands: dict[str, list[str]], row: str, count: int, rounds: int) -> Costs:
    """The medians of one row, peer by peer."""
    workers = {name: Worker(command, server.address) for name, command in commands.items()}
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    memory: dict[str, float] = {}
    for turn in range(-1, rounds):
        # The first round warms up caches, threads and compilers, and makes the nodes.
        for name in random.sample(list(workers), len(workers)):
            path = f"/zk/bench/{row}/{list(BUILD).index(name) if name in BUILD else 'beside'}"
            if row == "election":
                # Whoever stopped as a leader without a mark would be waited for.
                path += f"-{turn + 1}"
            times = max(1, count // SLOW.get(name, 1)) if row != "drain" else count
            try:
                cost = workers[name].measure(server, row, path, times)
            except (RuntimeError, OSError, json.JSONDecodeError) as error:
                print(f"left out of {row}: {name}: {error}")
                workers.pop(name).end()
                seen.pop(name)
                continue
            if turn >= 0:
                seen[name].append(cost)
    for name, worker in workers.items():
        memory[name] = worker.status("VmHWM") / 1024
        worker.end()
    keys = ["us", "cpu_us", "requests", "threads"]
    medians = {
        name: {key: statistics.median(cost[key] for cost in costs) for key in keys} for name, costs in seen.items()
    }
    for name, costs in medians.items():
        costs["mib"] = memory[name]
        costs["ratio"] = page.ratio(seen[name], seen[page.base(medians)])
    return medians


def build(names: list[str]) -> dict[str, list[str]]:
    BUILT.mkdir(parents=True, exist_ok=True)
    commands = {}
    for name in names:
        try:
            commands[name] = BUILD[name]()
        except (RuntimeError, OSError, StopIteration) as error:
            print(f"left out: {name}: {error}")
    return commands


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    arguments.add_argument("--only", nargs="+", default=PEERS, choices=PEERS)
    arguments.add_argument(
        "--beside", metavar="WORKER", help="another zkhelper-peers, such as one of an earlier commit"
    )
    arguments.add_argument("--built", action="store_true", help="the wheel is there: do not build it again")
    arguments.add_argument("--smoke", action="store_true", help="one short round: that the workers run at all")
    arguments.add_argument("--write", action="store_true", help="write docs/speed.md and its plots")
    given = arguments.parse_args()
    commands = build(given.only)
    if given.beside:
        commands["zkhelper (beside)"] = [given.beside, "zkhelper"]
    server = Server()
    results: dict[str, Costs] = {}
    try:
        if not given.smoke:
            # The server's own compiler, too.
            compare(server, {"raw": commands["raw"]} if "raw" in commands else {}, "paths", 400, 1)
        for row in given.rows:
            if given.smoke:
                results[row] = compare(server, commands, row, min(ROWS[row], 5), 1)
                if set(results[row]) != set(given.only):
                    sys.exit(f"{row}: {sorted(set(given.only) - set(results[row]))} did not run")
                print(f"{row}: {', '.join(results[row])} ran", flush=True)
                continue
            known = {name: command for name, command in commands.items() if (name, row) != ("raw", "election")}
            results[row] = compare(server, known, row, ROWS[row], given.rounds)
            print(page.table(row, results[row]), flush=True)
            (BUILT / "results.json").write_text(json.dumps(results, indent=1))
    finally:
        server.end()
    if given.write:
        page.write(ROOT / "docs", results)


if __name__ == "__main__":
    main()
