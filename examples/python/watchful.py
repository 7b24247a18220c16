"""Works under a lock only while the lock is certain to be held: watchful.py [HOST:PORT]"""

import sys

import zkhelper


def on_lost(loss: zkhelper.Loss) -> None:
    """Runs on a thread of its own, by the end of `valid_for()` at the latest."""
    print(f"the lock with token {loss.token} is lost: {loss.reason.name}", file=sys.stderr)


# "embedded" is a server inside this process, to try things with.
address = sys.argv[1] if len(sys.argv) > 1 else "embedded"
# Leaving the block says so if the lock was lost meanwhile.
with (
    zkhelper.Client(address) as client,
    client.mutex("/zk/demo/watchful", timeout=5, description="careful work", on_lost=on_lost) as held,
):
    for step in range(1, 4):
        # A step that takes a second at most is begun only if a second is left.
        if held.lost or held.valid_for() < 1:
            break
        print(f"step {step} under token {held.token}")
