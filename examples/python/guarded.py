"""Changes a node only while a lock is held, by one transaction with a check of the lock: guarded.py [HOST:PORT]"""

import sys

import zkhelper

# "embedded" is a server inside this process, to try things with.
with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    tree = client.tree()
    top = client.create("/guarded-", sequential=True)
    report, lock = f"{top}/report", f"{top}/lock"
    tree.create(report)
    held = client.mutex(lock, description="the report").lock(timeout=5)
    held.guarded([zkhelper.SetData(report, b"in time")])
    # Somebody deletes the lock node, and has the lock next.
    client.delete(f"{lock}/{client.children(lock)[0]}")
    try:
        held.guarded([zkhelper.SetData(report, b"too late")])
    except zkhelper.LockLost:
        print("the late write is refused")
    print("the report says", client.get(report).data.decode())
    tree.delete(top)
