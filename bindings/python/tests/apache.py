"""One Apache ZooKeeper server for the tests: that of Debian's package, or what scripts/zookeeper-39.sh fetched."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: How long (s) it may take to start.
LIMIT = 90


def class_path() -> str:
    given = os.environ.get("ZKHELPER_ZOOKEEPER_CLASSPATH")
    if given:
        return given
    debian = Path("/usr/share/java/zookeeper.jar")
    if debian.exists():
        return f"{debian}:/usr/share/java/slf4j-simple.jar"
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    jars = sorted(str(jar) for jar in (target / "zookeeper-3.9").glob("*.jar"))
    if not jars:
        raise RuntimeError("no Apache ZooKeeper here: run scripts/setup.sh, or set ZKHELPER_ZOOKEEPER_CLASSPATH")
    return ":".join(jars)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Apache:
    """A running server; `with` ends it, and `ended` says so to the process group if Python dies before."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="zkhelper-python-"))
        self.port = free_port()
        config = self._home / "zoo.cfg"
        config.write_text(
            f"tickTime=500\ndataDir={self._home}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n"
        )
        java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        options = ["-Dzookeeper.forceSync=no", "-Dzookeeper.extendedTypesEnabled=true"]
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        self._log = (self._home / "log").open("wb")
        # The kernel ends it with this process, however that ends.
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [*tied, *java, *options, "-cp", class_path(), main, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _wait(self) -> None:
        until = time.monotonic() + LIMIT
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as word:
                word.settimeout(2)
                word.sendall(b"srvr")
                if b"Mode:" in word.recv(4096):
                    return
            time.sleep(0.05)
        raise RuntimeError(f"ZooKeeper did not start:\n{(self._home / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._home, ignore_errors=True)
