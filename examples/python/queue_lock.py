"""Puts a job into a queue, waits for its turn, does it and lets the next one in: queue_lock.py [HOST:PORT]"""

import sys

import zkhelper

# "embedded" is a server inside this process, to try things with.
with zkhelper.Client(sys.argv[1] if len(sys.argv) > 1 else "embedded") as client:
    job = client.tree().create("/zk/demo/queue/job-", b"what is to be done", ephemeral=True, sequential=True)
    queue, _, name = job.rpartition("/")
    client.queue_lock(queue).obtain(name, timeout=5)
    print("it is the turn of", name)
    client.delete(job)
