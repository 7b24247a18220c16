"""Takes a lock, holds it for a moment and passes it on, again and again:

    handover.py HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]

0 rounds go on until the process is killed. Each line has the time in seconds, the name, the process and what happens;
times of processes on one machine may be compared.
"""

import itertools
import os
import sys
import time

import zkhelper


def main(address: str, name: str, path: str, rounds: int, hold: float, session_timeout: float) -> None:
    def say(what: str) -> None:
        print(f"{time.monotonic():.6f} {name} pid={os.getpid()} {what}", flush=True)

    with zkhelper.Client(address, session_timeout=session_timeout) as client:
        mutex = client.mutex(path, description=name)
        for _ in range(rounds) if rounds else itertools.count():
            say("waits")
            with mutex as held:
                say(f"holds token={held.token}")
                time.sleep(hold)
                # The line comes first: once it is released, the other one may speak.
                say(f"releases token={held.token}")
    say("is done")


if len(sys.argv) < 6:
    sys.exit(__doc__)
main(
    address=sys.argv[1],
    name=sys.argv[2],
    path=sys.argv[3],
    rounds=int(sys.argv[4]),
    hold=int(sys.argv[5]) / 1000,
    session_timeout=int(sys.argv[6]) / 1000 if len(sys.argv) > 6 else 10,
)
