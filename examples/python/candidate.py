"""Stands in an election, and leads whenever it is elected, until it is killed:

    candidate.py HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]

After a leader that is killed the next one leads once that one's session and lease are over. Each line has the time in
seconds, the name, the process and what happens.
"""

import os
import sys
import time

import zkhelper


def main(address: str, name: str, path: str, session_timeout: float, lease: float) -> None:
    def say(what: str) -> None:
        print(f"{time.time():.3f} {name} pid={os.getpid()} {what}", flush=True)

    def lead(term: zkhelper.Term) -> None:
        say(f"leads token={term.token}")
        # The work of a leader, which it does until it is told to stop.
        term.stopped.wait()
        say(f"stops token={term.token}")

    with zkhelper.Client(address, session_timeout=session_timeout) as client:
        # The grace, in which the work of a leader has to end, is half of the lease.
        elector = client.elector(path, description=name, lease=lease, grace=lease / 2)
        say("stands")
        elector.run(lead)


if len(sys.argv) < 4:
    sys.exit(__doc__)
main(
    address=sys.argv[1],
    name=sys.argv[2],
    path=sys.argv[3],
    session_timeout=int(sys.argv[4]) / 1000 if len(sys.argv) > 4 else 10,
    lease=int(sys.argv[5]) / 1000 if len(sys.argv) > 5 else 10,
)
