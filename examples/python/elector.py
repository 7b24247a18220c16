"""Leads while it may, then lets somebody else: elector.py [HOST:PORT [PATH]]"""

import sys

import zkhelper

path = sys.argv[2] if len(sys.argv) > 2 else "/zk/demo/election"

with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    elector = client.elector(path, description="example")

    def lead(term: zkhelper.Term) -> None:
        """Runs in each term, and has to return soon once `term.stopped` is set."""
        print("leads with token", term.token)
        for step in range(1, 4):
            if term.stopped.wait(0.1):
                print("has to stop:", term.stopped.reason)
                return
            print("step", step)
        # Three steps are enough: no further term.
        raise zkhelper.Interrupted

    elector.run(lead)
    leader = elector.leader()
    print("the last leader is", "gone" if leader is None else leader.standing.value)
