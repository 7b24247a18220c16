"""Takes a lock and releases it: lock.py HOST:PORT"""

import sys

import zkhelper

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
# Waits 5 seconds at most.
with zkhelper.Client(address) as client, client.mutex("/zk/demo/lock", timeout=5, description="nightly report") as held:
    print("held; the fencing token is", held.token)
